//! What applying changed, told in the terms of those whom it concerns.
//!
//! Says nothing of who is told, or when: what is applied may not be visible to readers yet, and is
//! applied again after a restart that lost it.

use bytes::Bytes;
use chat_consensus::{LogIndex, Position};

use super::credential::Credential;
use super::message::Message;

/// What came of a batch of entries.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ApplyResult {
    /// For each entry its encoded `storage.v1.Outcome`; empty for one without a command.
    pub outcomes: Vec<Bytes>,
    /// In the order of the log, at most one an entry; so a commit's index says how far somebody has
    /// been told. An entry that changed nothing, such as a retry, has none.
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
    /// An account has read messages of its own that it had not read before.
    MessagesRead {
        /// The account.
        username: String,
        /// Those that changed, in the order of their commits.
        message_ids: Vec<String>,
    },
    /// An account has deleted messages of its own.
    MessagesDeleted {
        /// The account.
        username: String,
        /// Those that changed, in the order of their commits.
        message_ids: Vec<String>,
    },
    /// An account is gone, with its inbox and its sessions.
    AccountDeleted {
        /// The name, which may be somebody else's from now on.
        username: String,
        /// Which of the accounts that had this name, one after the other.
        incarnation: LogIndex,
    },
    /// Every session of the account that was not opened with this credential has ended.
    PasswordChanged {
        /// The account.
        username: String,
        /// What it is now.
        credential: Credential,
    },
    /// One session has ended.
    SessionEnded {
        /// SHA-256 of its token.
        token_hash: [u8; 32],
    },
}

/// What a batch has come to so far: each entry has its slot, because messages wait to be stored
/// together and are settled later than what follows them.
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

    /// The entry in `batch_index` is answered `outcome`.
    pub(super) fn set_outcome(&mut self, batch_index: usize, outcome: Bytes) {
        self.outcomes[batch_index] = outcome;
    }

    /// The entry in `batch_index`, which is `commit`, has changed something.
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
