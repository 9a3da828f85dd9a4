//! The result of applying: outcomes, and the changes that clients may want to be notified of.
//!
//! Who is notified, and when, is decided elsewhere: what is applied may not be visible to readers
//! yet, and is applied again after a restart that lost it.

use bytes::Bytes;
use chat_consensus::{LogIndex, Position};

use super::credential::Credential;
use super::message::Message;

/// The result of a batch of entries.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ApplyResult {
    /// For each entry its encoded `storage.v1.Outcome`; empty for one without a command.
    pub outcomes: Vec<Bytes>,
    /// In log order, at most one for each entry, which may concern two accounts. So the index of the last event that a client has
    /// received is enough to resume after it. An entry that changed nothing, such as a retry, has none.
    pub events: Vec<Event>,
}

/// One entry's change.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The entry.
    pub commit: Position,
    /// What it changed.
    pub change: Change,
}

/// What an entry changed.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A message is in its recipient's inbox.
    MessageStored(Message),
    /// The same, and a copy is in its sender's box; the two are different accounts.
    MessageCopied {
        /// As its recipient has it.
        message: Message,
        /// The commit that created the recipient's account.
        recipient_since: LogIndex,
    },
    /// An account has read messages in its inbox that were unread before.
    MessagesRead {
        /// The account.
        username: String,
        /// Those that changed, in the order of their commits.
        message_ids: Vec<String>,
    },
    /// An account has deleted messages in its inbox, or copies of sent ones.
    MessagesDeleted {
        /// The account.
        username: String,
        /// Those that it had received, in the order of their commits.
        message_ids: Vec<String>,
        /// Those of which it had copies, in the same order.
        copy_ids: Vec<String>,
    },
    /// An account is deleted, with its inbox and its sessions.
    AccountDeleted {
        /// Its name, which another account may have from now on.
        username: String,
        /// Identifies it among the accounts that had this name one after the other.
        incarnation: LogIndex,
    },
    /// Every session of the account that was not opened with this credential has ended.
    PasswordChanged {
        /// The account.
        username: String,
        /// Its new credential.
        credential: Credential,
    },
    /// One session has ended.
    SessionEnded {
        /// SHA-256 of its token.
        token_hash: [u8; 32],
    },
}

/// The results of a batch so far, by index in the batch: messages are stored together, so their
/// outcomes may be set after those of later entries.
#[derive(Debug)]
pub(super) struct BatchResult {
    outcomes: Vec<Bytes>,
    events: Vec<Option<Event>>,
}

impl BatchResult {
    pub(super) fn new(entries: usize) -> Self {
        Self {
            outcomes: vec![Bytes::new(); entries],
            events: vec![None; entries],
        }
    }

    /// Sets the outcome of the entry at `batch_index`.
    pub(super) fn set_outcome(&mut self, batch_index: usize, outcome: Bytes) {
        self.outcomes[batch_index] = outcome;
    }

    /// Sets the change that the entry at `batch_index`, committed as `commit`, made.
    pub(super) fn set_change(&mut self, batch_index: usize, commit: Position, change: Change) {
        self.events[batch_index] = Some(Event { commit, change });
    }

    pub(super) fn finish(self) -> ApplyResult {
        ApplyResult {
            outcomes: self.outcomes,
            events: self.events.into_iter().flatten().collect(),
        }
    }
}
