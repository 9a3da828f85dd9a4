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
    /// When it was written, by its sender's clock, if that is known.
    pub written_at: Option<Timestamp>,
    /// The message that it replies to, which may not be here.
    pub reply_to: Option<MessageId>,
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
    /// We wrote it, and it is durable on a majority of disks.
    Sent {
        /// Its place in the log.
        commit: Commit,
        /// The commit that created its recipient's account; `None` until the servers report it.
        recipient_since: Option<LogIndex>,
        /// Where our copy is.
        copy: CopyPlace,
    },
    /// It was rejected permanently.
    NotSent {
        /// The reason.
        reason: Failure,
    },
}

/// Where our copy of a message that we sent is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyPlace {
    /// On the servers: each device of the account shows it.
    Servers,
    /// On this device only.
    Device,
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
    /// The message that it replies to.
    pub reply_to: Option<MessageId>,
    /// Where the copy for us will be: the same for every attempt, unless the servers have no room for it.
    pub copy: CopyPlace,
    /// Why it was rejected, if it was; it is retried only when the person requests it.
    pub refused: Option<Failure>,
}

/// A message of the account, as the servers return it or this device keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredMessage {
    /// Its sender's name for it.
    pub id: MessageId,
    /// Whether the account received or sent it.
    pub direction: Direction,
    /// The other one: who sent it, or whom it is for.
    pub peer: Name,
    /// The commit that created the account of `peer`, which distinguishes it from others that had or
    /// have the name; `None` where it is not known.
    pub peer_since: Option<LogIndex>,
    /// The text.
    pub body: Arc<str>,
    /// By the leader's clock.
    pub at: Timestamp,
    /// When it was written, by its sender's clock, if that is known.
    pub written_at: Option<Timestamp>,
    /// The message that it replies to.
    pub reply_to: Option<MessageId>,
    /// Whether it was read; what was sent is.
    pub read: bool,
    /// Its place in the log.
    pub commit: Commit,
}

/// How a message came into the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The account received it.
    Received,
    /// The account sent it.
    Sent,
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
            MessageState::Received { commit, .. } | MessageState::Sent { commit, .. } => {
                Some(commit)
            }
            MessageState::Pending(_) | MessageState::NotSent { .. } => None,
        }
    }

    /// Whether we wrote it and it is not acknowledged: it is queued, or was rejected.
    pub fn is_under_way(&self) -> bool {
        matches!(
            self.state,
            MessageState::Pending(_) | MessageState::NotSent { .. }
        )
    }

    /// Whether it is in the account's box on the servers, as far as this device knows.
    pub fn is_in_box(&self) -> bool {
        matches!(
            self.state,
            MessageState::Received { .. }
                | MessageState::Sent {
                    copy: CopyPlace::Servers,
                    ..
                }
        )
    }
}

impl StoredMessage {
    /// The message as it is shown; of what was sent, the copy is in this place.
    pub(super) fn shown(self, copy: CopyPlace) -> Message {
        let state = match self.direction {
            Direction::Received => MessageState::Received {
                commit: self.commit,
                read: self.read,
                sender_since: self.peer_since,
            },
            Direction::Sent => MessageState::Sent {
                commit: self.commit,
                recipient_since: self.peer_since,
                copy,
            },
        };
        Message {
            id: self.id,
            peer: self.peer,
            body: self.body,
            at: self.at,
            written_at: self.written_at,
            reply_to: self.reply_to,
            state,
            sort_key: SortKey {
                index: self.commit.index.0,
                sequence: 0,
            },
        }
    }
}
