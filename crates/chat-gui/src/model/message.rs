//! One message as the window knows it, received or sent, in every state.

use std::sync::Arc;

use crate::model::failure::Failure;
use crate::model::names::{Commit, LogIndex, MessageId, Name, RequestId};
use crate::model::time::{Moment, Timestamp};

/// A message of a conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Its permanent id.
    pub id: MessageId,
    /// The other one: who sent it, or whom it is for.
    pub peer: Name,
    /// The text.
    pub body: Arc<str>,
    /// By the leader's clock once it is acknowledged, by ours until then.
    pub at: Timestamp,
    /// What it is and what became of it.
    pub state: MessageState,
    /// Its place in its conversation.
    pub sort_key: SortKey,
}

/// What a message is and what became of it. What is sent only ever goes forward: pending, then sent
/// or not sent; a retry makes a message that was not sent pending again.
#[derive(Clone, Debug, PartialEq)]
pub enum MessageState {
    /// It is in our inbox.
    Received {
        /// Its place in the log.
        commit: Commit,
        /// Whether it was read, here or in another window of this account.
        read: bool,
        /// The commit that created its sender's account; `None` where the servers do not report it.
        sender_since: Option<LogIndex>,
    },
    /// We wrote it, and it is in our outbox.
    Pending(Pending),
    /// It is durable on a majority of disks. We know it from what this device keeps.
    Sent {
        /// Its place in the log.
        commit: Commit,
    },
    /// It was rejected permanently.
    NotSent {
        /// The reason.
        reason: Failure,
    },
}

/// How far the delivery of a message is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// When the person pressed send, or when the window opened, if that was later.
    pub since: Moment,
    /// How often it was tried since the window opened, including now.
    pub attempts: u32,
    /// Whether an attempt is under way.
    pub trying: bool,
    /// Whether an earlier attempt may have succeeded: its outcome is unknown, and the message
    /// cannot be withdrawn.
    pub outcome_uncertain: bool,
    /// Why the last attempt did not succeed.
    pub delayed: Option<Failure>,
}

/// The order within a conversation: by the log, and what is not in the log behind what was there
/// when the person wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SortKey {
    /// Of the message itself, of the newest one before it, or the highest number while pending.
    pub index: u64,
    /// 0 for what is in the log, and the order of writing for the rest.
    pub sequence: u64,
}

/// A message of the outbox, as it is kept on the disk until it is acknowledged or discarded.
#[derive(Clone, Debug, PartialEq)]
pub struct OutboxMessage {
    /// The same on every attempt, so that it arrives once.
    pub id: MessageId,
    /// The same on every attempt.
    pub request_id: RequestId,
    /// The recipient.
    pub recipient: Name,
    /// The text.
    pub body: Arc<str>,
    /// When the person pressed send, by this device's clock.
    pub written_at: Timestamp,
    /// Why it was rejected, if it was; it is retried only when the person requests it.
    pub refused: Option<Failure>,
}

/// Our own message that was acknowledged; the servers keep no copy for the sender, so this device
/// does.
#[derive(Clone, Debug, PartialEq)]
pub struct SentCopy {
    /// Its id.
    pub id: MessageId,
    /// For the check of the ledger.
    pub request_id: RequestId,
    /// The recipient.
    pub recipient: Name,
    /// The text.
    pub body: Arc<str>,
    /// By the leader's clock.
    pub at: Timestamp,
    /// Its place in the log.
    pub commit: Commit,
}

/// A message of the inbox, as the servers return it.
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    /// Its sender's name for it.
    pub id: MessageId,
    /// The sender.
    pub sender: Name,
    /// The commit that created the sender's account, which distinguishes it from others that had or
    /// have the name; `None` where the servers do not report it.
    pub sender_since: Option<LogIndex>,
    /// The text.
    pub body: Arc<str>,
    /// By the leader's clock.
    pub at: Timestamp,
    /// Whether it was read.
    pub read: bool,
    /// Its place in the log.
    pub commit: Commit,
}

impl Message {
    /// Whether we wrote it.
    pub fn is_own(&self) -> bool {
        !matches!(self.state, MessageState::Received { .. })
    }

    /// Whether it is unread.
    pub fn is_unread(&self) -> bool {
        matches!(self.state, MessageState::Received { read: false, .. })
    }

    /// Its place in the log, if it has one.
    pub fn commit(&self) -> Option<Commit> {
        match self.state {
            MessageState::Received { commit, .. } | MessageState::Sent { commit } => Some(commit),
            MessageState::Pending(_) | MessageState::NotSent { .. } => None,
        }
    }
}
