//! What every command receives: the nodes, the account, and where results go.

use std::time::Duration;

use chat_client::{ChatClient, NodeList, NodeListOrigin, Session};

use crate::accounts::Accounts;
use crate::failure::Failure;
use crate::printer::Printer;

/// One run of the program.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) node_list: NodeList,
    /// The account whose session is used; that of the last login if `None`.
    pub(crate) account: Option<String>,
    /// How long a request is tried.
    pub(crate) deadline: Duration,
    pub(crate) printer: Printer,
}

impl Context {
    /// A client of the nodes that were named, and of those that these name as members of their
    /// cluster: the command goes on when a node that was named dies. It learns them from a report
    /// that it needs in any case, and connects to none before it is needed.
    pub(crate) fn client(&self) -> Result<ChatClient, Failure> {
        Ok(self.named_client()?.finding_members())
    }

    /// A client of the nodes that were named, and of no others: a report or a measurement is about
    /// these.
    pub(crate) fn named_client(&self) -> Result<ChatClient, Failure> {
        let nodes = self.node_list.nodes.iter();
        let addresses = nodes.map(|node| node.client_address.as_str());
        Ok(ChatClient::new(addresses)?.with_deadline(self.deadline))
    }

    /// The session for the command. Its token is sent only to nodes of its cluster.
    pub(crate) async fn session(&self) -> Result<Session, Failure> {
        let accounts = Accounts::open()?;
        let session = accounts.session(self.account.as_deref())?;
        if session.cluster_id().is_some() {
            return Ok(session);
        }
        // An earlier version kept it without its cluster. At the default addresses, any user of this
        // machine may listen.
        if self.node_list.origin == NodeListOrigin::Default {
            let name = session.username();
            return Err(Failure::Usage(format!(
                "the session of {name} does not name its cluster; name the nodes once with --nodes, or \
                 log in again"
            )));
        }
        let session = session.of_cluster(&self.client()?.cluster_id().await?);
        accounts.update(&session)?;
        Ok(session)
    }
}
