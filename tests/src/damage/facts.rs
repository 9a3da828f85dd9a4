//! What clients know to be true of a cluster, and the comparison of its inboxes with that.

use std::collections::{BTreeMap, BTreeSet};

use chat_client::{Message, OutgoingMessage, Sent, Session};
use uuid::Uuid;

use crate::processes::history::{Acknowledged, History, Inboxes, Letter};

/// An account, whose name is the key.
#[derive(Clone, Debug)]
pub struct Account {
    /// A session that is valid.
    pub session: Session,
    /// The password that is valid.
    pub password: String,
    /// One that was valid and is not any more.
    pub former_password: Option<String>,
}

/// What clients know: each of these was acknowledged, except for what is unknown.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Every account.
    pub accounts: BTreeMap<String, Account>,
    history: History,
    read: BTreeSet<Uuid>,
    deleted: BTreeSet<Uuid>,
}

impl Facts {
    /// A message was acknowledged.
    pub fn acknowledged(&mut self, letter: Letter, sent: Sent) {
        self.history
            .acknowledged
            .push(Acknowledged { letter, sent });
    }

    /// The outcome of a message is unknown.
    pub fn unknown(&mut self, letter: Letter) {
        self.history.unknown.push(letter);
    }

    /// It was acknowledged that these were read.
    pub fn read(&mut self, ids: &[Uuid]) {
        self.read.extend(ids);
    }

    /// It was acknowledged that these were deleted.
    pub fn deleted(&mut self, ids: &[Uuid]) {
        self.deleted.extend(ids);
        let is_deleted = |one: &Acknowledged| self.deleted.contains(&one.letter.message.id);
        self.history.acknowledged.retain(|one| !is_deleted(one));
    }

    /// The acknowledged messages in an inbox that are not deleted, oldest first.
    pub fn messages_of(&self, owner: &str) -> Vec<Uuid> {
        let all = self
            .history
            .acknowledged
            .iter()
            .map(|one| &one.letter.message);
        let own = all.filter(|message: &&OutgoingMessage| message.recipient == owner);
        own.map(|message| message.id).collect()
    }

    /// How many acknowledged messages there must be.
    pub fn message_count(&self) -> usize {
        self.history.acknowledged.len()
    }

    /// Compares whole inboxes with what is known.
    ///
    /// # Errors
    ///
    /// The first difference.
    pub fn check(&self, inboxes: &Inboxes) -> Result<(), String> {
        let known: BTreeSet<Uuid> = self
            .history
            .acknowledged
            .iter()
            .map(|one| one.letter.message.id)
            .collect();
        for message in inboxes.values().flatten() {
            if self.deleted.contains(&message.id) {
                return Err(format!("deleted, and there: {message:?}"));
            }
            if known.contains(&message.id) && message.read != self.read.contains(&message.id) {
                return Err(format!("whether it was read is wrong: {message:?}"));
            }
        }
        self.history.check(inboxes)
    }
}

/// Compares the inboxes that two nodes show.
///
/// # Errors
///
/// The first difference.
pub fn check_equal(first: &Inboxes, second: &Inboxes) -> Result<(), String> {
    for (owner, inbox) in first {
        let other: &[Message] = second.get(owner).map_or(&[], Vec::as_slice);
        if inbox.len() != other.len() {
            let counts = (inbox.len(), other.len());
            return Err(format!("the inbox of {owner} has {counts:?} messages"));
        }
        if let Some(pair) = inbox.iter().zip(other).find(|(one, two)| one != two) {
            return Err(format!("two nodes differ: {pair:?}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use chat_client::{Commit, Direction, Message, OutgoingMessage, Sent};

    use super::{Facts, check_equal};
    use crate::processes::history::{Inboxes, Letter};

    fn letter(body: &str) -> Letter {
        Letter {
            sender: "ann".to_owned(),
            message: OutgoingMessage::new("ben", body),
        }
    }

    fn arrived(letter: &Letter, index: u64, read: bool) -> Message {
        Message {
            id: letter.message.id,
            sender: letter.sender.clone(),
            sender_since: None,
            recipient: letter.message.recipient.clone(),
            recipient_since: None,
            direction: Direction::Received,
            body: letter.message.body.clone(),
            reply_to: None,
            written_at: None,
            timestamp: index as f64,
            read,
            commit: Commit { index, term: 1 },
        }
    }

    fn sent(message: &Message) -> Sent {
        Sent {
            id: message.id,
            timestamp: message.timestamp,
            commit: message.commit,
        }
    }

    /// One unread, one read, one deleted, one of unknown outcome.
    fn setup() -> (Facts, Inboxes, Message) {
        let letters = ["a", "b", "c", "d"].map(letter);
        let messages: Vec<Message> = (0..4)
            .map(|place| arrived(&letters[place], place as u64 + 5, place == 1))
            .collect();
        let mut facts = Facts::default();
        for place in 0..3 {
            facts.acknowledged(letters[place].clone(), sent(&messages[place]));
        }
        facts.unknown(letters[3].clone());
        facts.read(&[messages[1].id]);
        facts.deleted(&[messages[2].id]);
        let there = vec![
            messages[0].clone(),
            messages[1].clone(),
            messages[3].clone(),
        ];
        (
            facts,
            Inboxes::from([("ben".to_owned(), there)]),
            messages[2].clone(),
        )
    }

    #[test]
    fn inbox_with_all_that_is_known_passes() {
        let (facts, inboxes, _) = setup();
        assert_eq!(facts.check(&inboxes), Ok(()));
        assert_eq!(facts.messages_of("ben").len(), 2);
    }

    #[test]
    fn every_difference_is_found() {
        let check = |expected: &str, spoil: fn(&mut Vec<Message>, Message)| {
            let (facts, mut inboxes, deleted) = setup();
            spoil(inboxes.get_mut("ben").unwrap(), deleted);
            let found = facts.check(&inboxes).unwrap_err();
            assert!(found.contains(expected), "{found}");
        };
        check("acknowledged, and 0 times", |inbox, _| {
            inbox.remove(0);
        });
        check("deleted, and there", Vec::push);
        check("whether it was read", |inbox, _| inbox[0].read = true);
        check("whether it was read", |inbox, _| inbox[1].read = false);
        check("sent as", |inbox, _| inbox[0].body.push('!'));
        check("sent as", |inbox, _| inbox[2].body.push('!'));
        check("no sender has sent", |inbox, _| {
            inbox.push(arrived(&letter("e"), 20, false));
        });
    }

    #[test]
    fn nodes_that_differ_are_found() {
        let (_, first, _) = setup();
        let mut second = first.clone();
        assert_eq!(check_equal(&first, &second), Ok(()));
        second.get_mut("ben").unwrap()[2].body.push('!');
        assert!(check_equal(&first, &second).unwrap_err().contains("differ"));
        second.get_mut("ben").unwrap().pop();
        assert!(check_equal(&first, &second).unwrap_err().contains("(3, 2)"));
    }
}
