//! What every command is given: where the nodes are, who asks, and how to answer.

use std::time::Duration;

use chat_client::{ChatClient, Session};

use crate::accounts::Accounts;
use crate::failure::Failure;
use crate::nodes::Nodes;
use crate::printer::Printer;

/// One run of the program.
#[derive(Debug)]
pub(crate) struct Invocation {
    pub(crate) nodes: Nodes,
    /// Whose session is used; the last one that logged in if `None`.
    pub(crate) account: Option<String>,
    /// How long a request is tried.
    pub(crate) patience: Duration,
    pub(crate) printer: Printer,
}

impl Invocation {
    pub(crate) fn client(&self) -> Result<ChatClient, Failure> {
        let addresses = self.nodes.0.iter().map(|node| node.client_address.as_str());
        Ok(ChatClient::new(addresses)?.with_deadline(self.patience))
    }

    pub(crate) fn session(&self) -> Result<Session, Failure> {
        Accounts::open()?.session(self.account.as_deref())
    }
}
