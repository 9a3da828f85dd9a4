//! The outcomes that senders received for their messages, compared with the inboxes at the end.

use std::collections::BTreeMap;

use chat_client::{ChatClient, ClientError, InboxQuery, Message, OutgoingMessage, Sent, Session};
use uuid::Uuid;

/// A page's limit in the server.
pub const PAGE_LIMIT: u32 = 500;

/// Pages of the largest inbox that any test fills, many times over.
const PAGES_MAX: usize = 1_000;

/// Whole inboxes, oldest message first, by their owner.
pub type Inboxes = BTreeMap<String, Vec<Message>>;

/// A message and who sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Whose account it is sent from.
    pub sender: String,
    /// The message.
    pub message: OutgoingMessage,
}

/// A letter whose sender received an acknowledgement.
#[derive(Clone, Debug, PartialEq)]
pub struct Acknowledged {
    /// The letter.
    pub letter: Letter,
    /// The reply to the sender.
    pub sent: Sent,
}

/// What became of every letter, as its sender sees it.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Must be there once.
    pub acknowledged: Vec<Acknowledged>,
    /// The outcome is unknown: may be there, once at most.
    pub unknown: Vec<Letter>,
    /// Certainly not sent: must not be there.
    pub not_sent: Vec<Letter>,
}

/// All of a session's inbox.
///
/// # Errors
///
/// The client's.
///
/// # Panics
///
/// When its pages do not end.
pub async fn read_inbox(
    client: &ChatClient,
    session: &Session,
) -> Result<Vec<Message>, ClientError> {
    let mut query = InboxQuery {
        limit: Some(PAGE_LIMIT),
        oldest_first: true,
        ..InboxQuery::default()
    };
    let mut messages = Vec::new();
    for _ in 0..PAGES_MAX {
        let page = client.inbox(session, &query).await?;
        messages.extend(page.messages);
        match page.next {
            Some(next) => query.after = Some(next),
            None => return Ok(messages),
        }
    }
    panic!("the inbox of {} does not end", session.username());
}

impl History {
    /// Compares the outcomes that senders received with the inboxes.
    ///
    /// # Errors
    ///
    /// The first difference.
    pub fn check(&self, inboxes: &Inboxes) -> Result<(), String> {
        for (owner, inbox) in inboxes {
            check_order(owner, inbox)?;
        }
        let mut found: BTreeMap<Uuid, Vec<&Message>> = BTreeMap::new();
        for message in inboxes.values().flatten() {
            found.entry(message.id).or_default().push(message);
        }
        for Acknowledged { letter, sent } in &self.acknowledged {
            let copies = found.remove(&letter.message.id).unwrap_or_default();
            let [copy] = copies.as_slice() else {
                let copies = copies.len();
                return Err(format!(
                    "acknowledged, and {copies} times there: {letter:?}"
                ));
            };
            check_content(copy, letter)?;
            if (sent.id, sent.commit) != (copy.id, copy.commit) {
                return Err(format!("acknowledged as {sent:?}, and there as {copy:?}"));
            }
            if sent.timestamp.to_bits() != copy.timestamp.to_bits() {
                return Err(format!("acknowledged as {sent:?}, and there as {copy:?}"));
            }
        }
        for letter in &self.unknown {
            let copies = found.remove(&letter.message.id).unwrap_or_default();
            if copies.len() > 1 {
                let copies = copies.len();
                return Err(format!("{copies} times there: {letter:?}"));
            }
            for copy in copies {
                check_content(copy, letter)?;
            }
        }
        for letter in &self.not_sent {
            if found.contains_key(&letter.message.id) {
                return Err(format!("called not sent, and there: {letter:?}"));
            }
        }
        match found.values().flatten().next() {
            Some(unexpected) => Err(format!("no sender has sent this: {unexpected:?}")),
            None => Ok(()),
        }
    }
}

/// Every message belongs to the inbox's owner, and has a later commit than the one before.
fn check_order(owner: &str, inbox: &[Message]) -> Result<(), String> {
    for message in inbox {
        if message.recipient != owner {
            return Err(format!("in the inbox of {owner}: {message:?}"));
        }
    }
    for pair in inbox.windows(2) {
        let (before, after) = (pair[0].commit, pair[1].commit);
        if after.index <= before.index || after.term < before.term {
            return Err(format!("{after:?} comes after {before:?}"));
        }
    }
    Ok(())
}

fn check_content(copy: &Message, letter: &Letter) -> Result<(), String> {
    let message = &letter.message;
    let expected = (&letter.sender, &message.recipient, &message.body);
    if (&copy.sender, &copy.recipient, &copy.body) == expected {
        Ok(())
    } else {
        Err(format!("sent as {letter:?}, and there as {copy:?}"))
    }
}

#[cfg(test)]
mod tests {
    use chat_client::{Commit, Direction, Message, OutgoingMessage, Sent};

    use super::{Acknowledged, History, Inboxes, Letter};

    /// Two acknowledged letters, one unknown and arrived, one unknown and lost, one not sent.
    struct Setup {
        history: History,
        inbox: Vec<Message>,
    }

    fn letter(body: &str) -> Letter {
        Letter {
            sender: "alice".to_owned(),
            message: OutgoingMessage::new("bob", body),
        }
    }

    fn arrived(letter: &Letter, index: u64) -> Message {
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
            read: false,
            commit: Commit { index, term: 2 },
        }
    }

    fn setup() -> Setup {
        let letters = ["a", "b", "c"].map(letter);
        let inbox: Vec<Message> = letters
            .iter()
            .zip([5, 6, 9])
            .map(|(letter, index)| arrived(letter, index))
            .collect();
        let acknowledged = |place: usize| Acknowledged {
            letter: letters[place].clone(),
            sent: Sent {
                id: inbox[place].id,
                timestamp: inbox[place].timestamp,
                commit: inbox[place].commit,
            },
        };
        let history = History {
            acknowledged: vec![acknowledged(0), acknowledged(1)],
            unknown: vec![letters[2].clone(), letter("d")],
            not_sent: vec![letter("e")],
        };
        Setup { history, inbox }
    }

    #[track_caller]
    fn check_found(expected: &str, spoil: impl FnOnce(&mut Setup)) {
        let mut setup = setup();
        spoil(&mut setup);
        let inboxes = Inboxes::from([("bob".to_owned(), setup.inbox)]);
        let found = setup.history.check(&inboxes).expect_err("it is spoilt");
        assert!(found.contains(expected), "{found}");
    }

    #[test]
    fn good_history_passes() {
        let Setup { history, inbox } = setup();
        let inboxes = Inboxes::from([("bob".to_owned(), inbox)]);
        assert_eq!(history.check(&inboxes), Ok(()));
    }

    #[test]
    fn lost_and_doubled_messages_are_found() {
        check_found("acknowledged, and 0 times", |setup| {
            setup.inbox.remove(1);
        });
        check_found("acknowledged, and 2 times", |setup| {
            let mut again = setup.inbox[0].clone();
            again.commit.index = 20;
            setup.inbox.push(again);
        });
        check_found("2 times there", |setup| {
            let mut again = setup.inbox[2].clone();
            again.commit.index = 20;
            setup.inbox.push(again);
        });
        check_found("called not sent", |setup| {
            let late = arrived(&setup.history.not_sent[0], 20);
            setup.inbox.push(late);
        });
        check_found("no sender has sent", |setup| {
            setup.inbox.push(arrived(&letter("f"), 20));
        });
    }

    #[test]
    fn changed_messages_are_found() {
        check_found("sent as", |setup| setup.inbox[0].body.push('!'));
        check_found("sent as", |setup| setup.inbox[2].sender.push('!'));
        check_found("in the inbox of", |setup| {
            setup.inbox[1].recipient.push('!');
        });
        check_found("acknowledged as", |setup| setup.inbox[0].commit.index = 4);
        check_found("acknowledged as", |setup| setup.inbox[1].timestamp += 1.0);
        check_found("comes after", |setup| setup.inbox[2].commit.index = 6);
        check_found("comes after", |setup| setup.inbox[2].commit.term = 1);
    }
}
