//! What every command is given: where the nodes are, who asks, and how to answer.

use std::time::Duration;

use chat_client::{ChatClient, NodeList, NodeListOrigin, Session};

use crate::accounts::Accounts;
use crate::failure::Failure;
use crate::printer::Printer;

/// One run of the program.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) node_list: NodeList,
    /// Whose session is used; the last one that logged in if `None`.
    pub(crate) account: Option<String>,
    /// How long a request is tried.
    pub(crate) patience: Duration,
    pub(crate) printer: Printer,
}

impl Context {
    pub(crate) fn client(&self) -> Result<ChatClient, Failure> {
        let nodes = self.node_list.nodes.iter();
        let addresses = nodes.map(|node| node.client_address.as_str());
        Ok(ChatClient::new(addresses)?.with_deadline(self.patience))
    }

    /// The session that is used, whose token only nodes of its own cluster get.
    pub(crate) async fn session(&self) -> Result<Session, Failure> {
        let accounts = Accounts::open()?;
        let session = accounts.session(self.account.as_deref())?;
        if session.cluster_id().is_some() {
            return Ok(session);
        }
        // Kept by a version that did not ask. Nodes that nobody named may be anybody's.
        if self.node_list.origin == NodeListOrigin::Default {
            let name = session.username();
            return Err(Failure::Usage(format!(
                "the session of {name} does not say which cluster it is of; name the nodes once with \
                 --nodes, or log in again"
            )));
        }
        let session = session.of_cluster(&self.client()?.cluster_id().await?);
        accounts.update(&session)?;
        Ok(session)
    }
}
