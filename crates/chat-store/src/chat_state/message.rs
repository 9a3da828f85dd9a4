//! A message in an account's box, as applying reports it and as readers get it.

use chat_consensus::{LogIndex, Position};

/// How a message came into the box of the account that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The account received it.
    Received,
    /// The account sent it, and has a copy.
    Sent {
        /// The commit that created the recipient's account, as [`Message::sender_since`].
        recipient_since: LogIndex,
    },
}

/// A message in its recipient's inbox, or a copy of it in its sender's box.
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
    /// Of the box in which it is.
    pub direction: Direction,
    /// The text.
    pub body: String,
    /// The id of the message that it replies to, as its sender gave it.
    pub reply_to: Option<String>,
    /// When it was written by its sender's clock, in seconds since 1970.
    pub written_at: Option<f64>,
    /// Seconds since 1970; grows with the commit.
    pub timestamp: f64,
    /// Whether its recipient has read it; true of a copy.
    pub read: bool,
    /// Its position in the log, which orders all messages.
    pub commit: Position,
}

impl Message {
    /// Its copy in its sender's box.
    pub fn to_copy(&self, recipient_since: LogIndex) -> Self {
        Self {
            direction: Direction::Sent { recipient_since },
            read: true,
            ..self.clone()
        }
    }
}
