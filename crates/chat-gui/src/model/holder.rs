//! Who has had a name: a deleted name is free, and the next account with it did not write what the
//! former holder wrote. Distinguishes the accounts of one name, as far as their messages show.
//!
//! Deliberately absent: a request to the servers who has the name now. Until the newest account has
//! written something, the one before it counts as the present one.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::model::message::{Message, MessageState};
use crate::model::names::{LogIndex, Name};

/// The note beside the name of an earlier account; the command line prints the same.
pub const EARLIER_ACCOUNT: &str = "an earlier account with this name";
/// The note on the first message of an account whose name belonged to another account before.
pub const OTHER_ACCOUNT: &str = "a different account with this name than before";

/// Whose message it is, of all accounts that have had one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// Of the newest account of the name, as far as is known.
    Present,
    /// Of an account that had the name before.
    Earlier,
}

/// The accounts that are known to have had one name, each by the commit that created it. Forgets
/// none: an account whose messages are deleted has existed all the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holders {
    created_at: BTreeSet<LogIndex>,
}

impl Holder {
    /// The name with the note beside it.
    pub fn named(self, name: &Name) -> Cow<'_, str> {
        match self {
            Self::Present => Cow::Borrowed(name.as_str()),
            Self::Earlier => Cow::Owned(format!("{name} ({EARLIER_ACCOUNT})")),
        }
    }
}

impl Holders {
    /// Whose a message is, received or sent.
    pub fn holder(&self, message: &Message) -> Holder {
        match (self.account(message), self.newest()) {
            (Some(account), Some(newest)) if account < newest => Holder::Earlier,
            _ => Holder::Present,
        }
    }

    /// The commit that created the newest account of the name.
    pub fn newest(&self) -> Option<LogIndex> {
        self.created_at.last().copied()
    }

    /// The commit that created the account that a message is from or for: what the servers report
    /// for a message of the box, else the newest account that was there when the message was
    /// committed. Index 0 means an unknown account, and `None` means no account: the message was
    /// rejected, or the creation of no account is known.
    pub(super) fn account(&self, message: &Message) -> Option<LogIndex> {
        let newest = self.newest()?;
        let commit = match &message.state {
            MessageState::Received {
                sender_since: Some(since),
                ..
            }
            | MessageState::Sent {
                recipient_since: Some(since),
                ..
            } => return Some(*since),
            MessageState::Received { commit, .. } | MessageState::Sent { commit, .. } => commit,
            MessageState::Pending(_) => return Some(newest),
            MessageState::NotSent { .. } => return None,
        };
        let before = self.created_at.range(..=commit.index).next_back();
        Some(before.copied().unwrap_or_default())
    }

    /// Whether two messages are with one account and look the same. What was rejected is with none,
    /// and matches any message of the present one.
    pub(super) fn are_same(&self, one: &Message, other: &Message) -> bool {
        let accounts = self.account(one).zip(self.account(other));
        accounts.is_none_or(|(one, other)| one == other) && self.holder(one) == self.holder(other)
    }

    /// Records who wrote or received these messages. Returns whether an account is among them that was not
    /// known: then all messages have to be examined again.
    pub(super) fn learn(&mut self, messages: &[Message]) -> bool {
        let mut learned = false;
        for message in messages {
            if let MessageState::Received {
                sender_since: Some(since),
                ..
            }
            | MessageState::Sent {
                recipient_since: Some(since),
                ..
            } = message.state
            {
                learned |= self.created_at.insert(since);
            }
        }
        learned
    }
}
