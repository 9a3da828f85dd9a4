//! A message in an inbox, as applying reports it and as readers get it.

use chat_consensus::{LogIndex, Position};

/// A message in its recipient's inbox.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// The UUID that the sender's client generated.
    pub id: String,
    /// The sender's username.
    pub sender: String,
    /// The commit that created the sender's account. It distinguishes that account from others that
    /// had or have the same name.
    pub sender_since: LogIndex,
    /// The recipient's username.
    pub recipient: String,
    /// The text.
    pub body: String,
    /// Seconds since 1970; grows with the commit.
    pub timestamp: f64,
    /// Whether its recipient has read it.
    pub read: bool,
    /// Its position in the log, which orders all messages.
    pub commit: Position,
}
