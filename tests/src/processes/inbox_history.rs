//! What clients have already seen of every inbox: no later read may show less (R14).
//!
//! An inbox only ever grows at its newer end, so a history needs no search: a read that begins
//! after an acknowledgement, or after another read has finished, must show as much, on any node.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chat_client::{Message, Sent};
use uuid::Uuid;

/// What all senders and readers together have seen.
#[derive(Debug, Default)]
pub struct InboxHistory {
    inboxes: Mutex<BTreeMap<String, SeenInbox>>,
}

#[derive(Debug, Default)]
struct SeenInbox {
    /// The newest commit that a finished read or an acknowledgement has shown.
    newest: u64,
    /// The most messages that a finished read has shown.
    count: u64,
    /// In the order in which they were acknowledged: commit and message.
    acknowledged: Vec<(u64, Uuid)>,
}

/// The least that a read which begins now must show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Floor {
    /// A message with this commit or a later one is there.
    pub newest: u64,
    /// At least so many messages are there.
    pub count: u64,
    /// These are there.
    pub acknowledged: Vec<(u64, Uuid)>,
}

/// One inbox as one reader knows it from its reads so far.
#[derive(Debug, Default)]
pub struct InboxView {
    /// Commit and message, oldest first.
    messages: Vec<(u64, Uuid)>,
    /// How many acknowledgements were looked for.
    acknowledged: usize,
}

impl InboxHistory {
    /// A sender received an acknowledgement.
    pub fn acknowledged(&self, recipient: &str, sent: &Sent) {
        let mut inboxes = self.inboxes();
        let seen = inboxes.entry(recipient.to_owned()).or_default();
        seen.newest = seen.newest.max(sent.commit.index);
        seen.acknowledged.push((sent.commit.index, sent.id));
    }

    /// A read has finished.
    pub fn read(&self, recipient: &str, newest: u64, count: u64) {
        let mut inboxes = self.inboxes();
        let seen = inboxes.entry(recipient.to_owned()).or_default();
        seen.newest = seen.newest.max(newest);
        seen.count = seen.count.max(count);
    }

    /// What a read that begins now must show; of the acknowledgements those that `view` has not
    /// looked for yet.
    pub fn floor(&self, recipient: &str, view: &InboxView) -> Floor {
        let inboxes = self.inboxes();
        let Some(seen) = inboxes.get(recipient) else {
            return Floor::default();
        };
        Floor {
            newest: seen.newest,
            count: seen.count,
            acknowledged: seen.acknowledged[view.acknowledged..].to_vec(),
        }
    }

    fn inboxes(&self) -> MutexGuard<'_, BTreeMap<String, SeenInbox>> {
        // The thread that panicked has failed the test.
        self.inboxes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Floor {
    /// Holds a read's newest message and number of messages against it.
    ///
    /// # Errors
    ///
    /// What was seen before and is not there any more.
    pub fn check(&self, newest: u64, count: u64) -> Result<(), String> {
        if newest < self.newest {
            let before = self.newest;
            return Err(format!("commit {before} was seen, and then only {newest}"));
        }
        if count < self.count {
            let before = self.count;
            return Err(format!("{before} messages were seen, and then {count}"));
        }
        Ok(())
    }
}

impl InboxView {
    /// The commit of the newest message that this reader knows, 0 before the first one.
    pub fn newest(&self) -> u64 {
        self.messages.last().map_or(0, |(commit, _)| *commit)
    }

    /// How many messages this reader knows.
    pub fn count(&self) -> u64 {
        self.messages.len() as u64
    }

    /// Takes in a read: of an inbox of `count` messages the newest ones, newest first, back to one
    /// that was known before.
    ///
    /// # Errors
    ///
    /// What was there before and is not, or is there now and was not.
    pub fn accept(
        &mut self,
        newest_first: &[Message],
        count: u64,
        floor: &Floor,
    ) -> Result<(), String> {
        let known = self.newest();
        let read = newest_first.iter().rev();
        let read = read.map(|message| (message.commit.index, message.id));
        for (place, message) in read
            .clone()
            .filter(|(commit, _)| *commit <= known)
            .rev()
            .enumerate()
        {
            let before = self.messages.iter().rev().nth(place);
            if before != Some(&message) {
                return Err(format!("{message:?} is where {before:?} was"));
            }
        }
        self.messages
            .extend(read.filter(|(commit, _)| *commit > known));
        // Also catches what is missing among what was known, and further back than was read.
        if self.count() != count {
            let own = self.count();
            return Err(format!("{own} messages should be there, and {count} are"));
        }
        floor.check(self.newest(), count)?;
        for (commit, id) in &floor.acknowledged {
            let place = self
                .messages
                .binary_search_by_key(commit, |(commit, _)| *commit);
            if place.is_ok_and(|place| self.messages[place].1 == *id) {
                continue;
            }
            return Err(format!(
                "acknowledged in commit {commit}, and missing: {id}"
            ));
        }
        self.acknowledged += floor.acknowledged.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use chat_client::{Commit, Direction, Message, Sent};
    use uuid::Uuid;

    use super::{InboxHistory, InboxView};

    /// The messages with these commits, which are their ids too.
    fn messages(commits: &[u64]) -> Vec<Message> {
        let message = |commit: &u64| Message {
            id: Uuid::from_u128((*commit).into()),
            sender: "alice".to_owned(),
            sender_since: None,
            recipient: "bob".to_owned(),
            recipient_since: None,
            direction: Direction::Received,
            body: "a".to_owned(),
            reply_to: None,
            written_at: None,
            timestamp: 1.0,
            read: false,
            commit: Commit {
                index: *commit,
                term: 1,
            },
        };
        commits.iter().map(message).collect()
    }

    /// Acknowledges these commits, then reads twice: newest first, and how many there are.
    fn check(acknowledged: &[u64], reads: [(&[u64], u64); 2], expected: Result<(), &str>) {
        let (inbox_history, mut view) = (InboxHistory::default(), InboxView::default());
        let mut outcome = Ok(());
        for message in messages(acknowledged) {
            let Message {
                id,
                timestamp,
                commit,
                ..
            } = message;
            let sent = Sent {
                id,
                timestamp,
                commit,
            };
            inbox_history.acknowledged("bob", &sent);
        }
        for (commits, count) in reads {
            let floor = inbox_history.floor("bob", &view);
            outcome = outcome.and_then(|()| view.accept(&messages(commits), count, &floor));
            inbox_history.read("bob", view.newest(), view.count());
        }
        match (outcome, expected) {
            (Ok(()), Ok(())) => {}
            (Err(found), Err(expected)) => assert!(found.contains(expected), "{found}"),
            (outcome, expected) => panic!("{outcome:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn growing_inbox_passes() {
        check(&[3, 5], [(&[5, 3], 2), (&[8, 7, 5], 4)], Ok(()));
        check(&[5], [(&[5, 3], 2), (&[5, 3], 2)], Ok(()));
        check(&[], [(&[], 0), (&[2], 1)], Ok(()));
    }

    #[test]
    fn read_that_goes_back_is_found() {
        check(&[], [(&[5, 3], 2), (&[3], 1)], Err("is where"));
        check(&[], [(&[5, 3], 2), (&[5], 1)], Err("2 messages should be"));
        check(&[], [(&[5, 3], 2), (&[], 0)], Err("2 messages should be"));
        check(&[7], [(&[5, 3], 2), (&[], 0)], Err("commit 7 was seen"));
    }

    #[test]
    fn missing_acknowledged_message_is_found() {
        check(&[4], [(&[5, 3], 2), (&[], 0)], Err("in commit 4"));
    }

    #[test]
    fn message_that_appears_in_between_is_found() {
        check(&[], [(&[5, 3], 2), (&[8, 5, 4], 4)], Err("is where"));
        check(
            &[],
            [(&[5, 3], 2), (&[8, 5], 4)],
            Err("3 messages should be"),
        );
    }

    #[test]
    fn reads_of_another_reader_raise_the_floor() {
        let (inbox_history, view) = (InboxHistory::default(), InboxView::default());
        inbox_history.read("bob", 9, 4);
        let floor = inbox_history.floor("bob", &view);
        assert_eq!(floor.check(9, 4), Ok(()));
        assert!(floor.check(8, 4).is_err());
        assert!(floor.check(9, 3).is_err());
    }
}
