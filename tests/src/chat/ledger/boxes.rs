//! What accounts are shown of their messages, received and sent.

use chat_consensus::LogIndex;
use chat_store::{Direction, LocatedMessage, Message, Session};

use super::{Kept, Ledger};
use crate::chat::situations::Situation;
use crate::checker::{Checked, ensure};

/// So many of the newest messages are looked up.
const LOCATED: usize = 12;

impl Ledger {
    /// A node that has applied everything up to `seen` shows `owner` these messages, oldest first.
    pub(in crate::chat) fn inbox_seen(
        &mut self,
        owner: &Session,
        seen: LogIndex,
        shown: &[Message],
    ) -> Checked {
        let since = owner.credential.incarnation;
        self.occurrences.note(Situation::InboxRead);
        let mut before = self.messages.range(..since.0);
        if before.any(|(_, kept)| kept.message.recipient == owner.username) {
            self.occurrences.note(Situation::RecreatedAccountInboxRead);
        }
        for message in shown {
            ensure(
                message.recipient == owner.username && message.commit.index > since,
                "chat-leak",
                || format!("{owner:?} is shown {message:?}"),
            )?;
            let kept = self
                .ids
                .get(&message.id)
                .map(|commit| &self.messages[commit]);
            let deleted = kept.and_then(|kept| kept.deleted);
            ensure(
                deleted.is_none_or(|deleted| deleted > seen.0),
                "chat-resurrection",
                || format!("at {seen} there is {message:?}, deleted by {deleted:?}"),
            )?;
        }
        let expected = self.inbox_at(owner, seen);
        ensure(expected == shown, "chat-order", || {
            format!("at {seen} {owner:?} is shown {shown:?}, and should be {expected:?}")
        })
    }

    /// A node that has applied everything up to `seen` shows `owner` these copies, oldest first.
    pub(in crate::chat) fn copies_seen(
        &mut self,
        owner: &Session,
        seen: LogIndex,
        shown: &[Message],
    ) -> Checked {
        for message in shown {
            ensure(
                message.sender == owner.username
                    && message.sender_since == owner.credential.incarnation,
                "chat-leak",
                || format!("{owner:?} is shown {message:?} as a copy"),
            )?;
        }
        let expected = self.copies_at(owner, seen);
        let outlive = |message: &Message| {
            let kept = &self.messages[&message.commit.index.0];
            kept.deleted.is_some_and(|deleted| deleted <= seen.0)
        };
        let outlives = expected.iter().any(outlive);
        if outlives {
            self.occurrences.note(Situation::CopyOutlivesMessage);
        }
        ensure(expected == shown, "chat-copy", || {
            format!("at {seen} {owner:?} has the copies {shown:?}, and should have {expected:?}")
        })
    }

    /// The ids of the newest messages at `seen`, of all accounts.
    pub(in crate::chat) fn newest_ids(&self, seen: LogIndex) -> Vec<String> {
        let newest = self.messages.range(..=seen.0).rev().take(LOCATED);
        newest.map(|(_, kept)| kept.message.id.clone()).collect()
    }

    /// A node that has applied everything up to `seen` has looked up the messages of
    /// [`Self::newest_ids`] for `owner`.
    pub(in crate::chat) fn located(
        &mut self,
        owner: &Session,
        seen: LogIndex,
        found: &[LocatedMessage],
    ) -> Checked {
        self.occurrences.note(Situation::MessagesLocated);
        let newest = self.messages.range(..=seen.0).rev().take(LOCATED);
        let mut expected: Vec<_> = newest
            .filter_map(|(_, kept)| kept.located_at(owner, seen))
            .collect();
        expected.reverse();
        ensure(expected == found, "chat-copy", || {
            format!("at {seen} {owner:?} finds {found:?}, and should find {expected:?}")
        })
    }

    fn copies_at(&self, owner: &Session, seen: LogIndex) -> Vec<Message> {
        let theirs = self.messages.range(..=seen.0);
        let account = (owner.username.as_str(), owner.credential.incarnation.0);
        let theirs = theirs.filter(|(_, kept)| kept.has_copy_at(account, seen));
        let copy = |(_, kept): (&u64, &Kept)| {
            let copy = kept.copy.as_ref().expect("it has one");
            kept.message.to_copy(copy.recipient_since)
        };
        theirs.map(copy).collect()
    }

    fn inbox_at(&self, owner: &Session, seen: LogIndex) -> Vec<Message> {
        let since = owner.credential.incarnation.0;
        let theirs = self.messages.range(since..=seen.0).filter(|(_, kept)| {
            kept.message.recipient == owner.username
                && kept.deleted.is_none_or(|deleted| deleted > seen.0)
        });
        let as_seen = |(_, kept): (&u64, &Kept)| {
            let mut message = kept.message.clone();
            message.read = kept.read.is_some_and(|read| read <= seen.0);
            message
        };
        theirs.map(as_seen).collect()
    }
}

impl Kept {
    /// Whether the account, of that name and creation, has a copy when everything up to `seen` is applied.
    pub(super) fn has_copy_at(&self, (username, since): (&str, u64), seen: LogIndex) -> bool {
        let is_live = |deleted: Option<u64>| deleted.is_none_or(|deleted| deleted > seen.0);
        self.message.sender == username
            && self.message.sender_since.0 == since
            && self.copy.as_ref().is_some_and(|copy| is_live(copy.deleted))
    }

    fn located_at(&self, owner: &Session, seen: LogIndex) -> Option<LocatedMessage> {
        let message = &self.message;
        let (username, since) = (owner.username.as_str(), owner.credential.incarnation);
        let has_copy = self.has_copy_at((username, since.0), seen);
        let (direction, in_box) = if message.recipient == username && message.commit.index > since {
            let is_live = self.deleted.is_none_or(|deleted| deleted > seen.0);
            (Direction::Received, is_live)
        } else if message.sender == username && message.sender_since == since {
            let copy = self.copy.as_ref().filter(|_| has_copy);
            let recipient_since = copy.map_or(LogIndex::ZERO, |copy| copy.recipient_since);
            (Direction::Sent { recipient_since }, has_copy)
        } else {
            return None;
        };
        Some(LocatedMessage {
            id: message.id.clone(),
            direction,
            in_box,
            timestamp: message.timestamp,
            written_at: None,
            commit: message.commit,
        })
    }
}
