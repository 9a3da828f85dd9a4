//! The checker of the chat: the outcome that each committed command must have, and what nodes may show.
//!
//! Records every entry once, when the first node has applied it, and from which index to which each
//! account, session and message exists, so that a node that is behind is checked by what is true at
//! its index. Its checkers are `chat-session`, `chat-resurrection`, `chat-once`, `chat-leak`,
//! `chat-order`, `chat-copy`, `chat-names`, `chat-replay`, `chat-outcome`, `chat-reply` and `chat-digest`. Takes
//! nothing from the tables that it checks, and does not model the clean-up: no run is long enough for it.

mod boxes;
mod learning;
mod replies;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use chat_consensus::{LogIndex, Position, Term};
use chat_proto::storage::v1 as proto;
use chat_store::{Change, Credential, Event, Message, Session};
use proto::ErrorCode;
use proto::outcome::Result as Outcome;

use crate::chat::situations::{Occurrences, Situation};
use crate::checker::{Checked, Violation, ensure};

pub(super) use replies::{Done, SentMessage};

/// Everything that was ever applied on any node.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// By index, from 1 on: the outcome on the first node that applied the entry, and its change event.
    answers: Vec<(Bytes, Option<Event>)>,
    /// The greatest time of any command.
    time: f64,
    accounts: BTreeMap<String, Account>,
    /// Every account that ever existed: its name and the request that created it.
    created: BTreeSet<(String, Bytes)>,
    /// When each account began, and when it ended.
    lifetimes: Vec<AccountLifetime>,
    sessions: BTreeMap<Bytes, Held>,
    /// By commit.
    messages: BTreeMap<u64, Kept>,
    /// Where each message id was first used.
    ids: BTreeMap<String, u64>,
    /// The digest of all tables at some indexes.
    digests: BTreeMap<LogIndex, u64>,
    occurrences: Occurrences,
}

#[derive(Clone, Debug)]
struct Account {
    credential: proto::Credential,
    created_by: Bytes,
    /// Passwords are not hashed here.
    password: String,
}

#[derive(Debug)]
struct AccountLifetime {
    username: String,
    began: u64,
    ended: Option<u64>,
}

#[derive(Clone, Debug)]
struct Held {
    username: String,
    credential: proto::Credential,
    opened: u64,
    ended: Option<u64>,
    ended_by: Option<Bytes>,
}

#[derive(Clone, Debug)]
struct Kept {
    message: Message,
    read: Option<u64>,
    deleted: Option<u64>,
    copy: Option<Copied>,
}

/// A copy in the box of the sender's account.
#[derive(Clone, Debug)]
struct Copied {
    recipient_since: LogIndex,
    deleted: Option<u64>,
}

impl Ledger {
    /// The first node has applied the entry after the last recorded one, or another node has applied a
    /// recorded entry.
    ///
    /// # Errors
    ///
    /// The outcome is wrong, or differs from that on another node.
    pub(super) fn applied(
        &mut self,
        position: Position,
        command: Option<&proto::Command>,
        (answer, event): (Bytes, Option<Event>),
    ) -> Checked {
        let index = position.index.0;
        let place = usize::try_from(index).expect("runs are short");
        if let Some(known) = self.answers.get(place - 1) {
            self.occurrences.note(Situation::AppliedAgain);
            return ensure(
                *known == (answer.clone(), event.clone()),
                "chat-replay",
                || {
                    format!(
                        "the outcome of entry {index} is {answer:?} {event:?}, and on another node {known:?}"
                    )
                },
            );
        }
        assert_eq!(place, self.answers.len() + 1, "nodes apply without gaps");
        if let Some(command) = command {
            let expected = self.learn(position, command);
            self.check_outcome(index, command, &expected, &answer)?;
            let stored = self.messages.get(&index);
            let stored = stored.map(|kept| {
                let copy = kept.copy.as_ref();
                (&kept.message, copy.map(|copy| copy.recipient_since))
            });
            let reported = match event.as_ref().map(|event| &event.change) {
                Some(Change::MessageStored(message)) => Some((message, None)),
                Some(Change::MessageCopied {
                    message,
                    recipient_since,
                }) => Some((message, Some(*recipient_since))),
                _ => None,
            };
            ensure(stored == reported, "chat-once", || {
                format!("entry {index} stores {stored:?} and reports {reported:?}")
            })?;
        }
        self.answers.push((answer, event));
        Ok(())
    }

    /// A request was beyond a limit.
    pub(super) fn beyond_limit(&mut self) {
        self.occurrences.note(Situation::BeyondLimit);
    }

    /// All tables of a node that has applied everything up to `index`.
    pub(super) fn digest(&mut self, node: usize, index: LogIndex, digest: u64) -> Checked {
        if self.digests.contains_key(&index) {
            self.occurrences.note(Situation::TablesCompared);
        }
        let known = *self.digests.entry(index).or_insert(digest);
        ensure(known == digest, "chat-digest", || {
            format!(
                "the tables of node {} at {index} differ from those of another node",
                node + 1
            )
        })
    }

    /// A node that has applied everything up to `seen` has looked up a session.
    pub(super) fn session_seen(
        &mut self,
        token: &[u8],
        seen: LogIndex,
        found: Option<&Session>,
    ) -> Checked {
        let held = self.sessions.get(token);
        if held.is_some_and(|held| !held.is_valid_at(seen)) {
            self.occurrences.note(Situation::EndedSessionShown);
        }
        let held = held.filter(|held| held.is_valid_at(seen));
        let expected = held.map(|held| (held.username.as_str(), credential(held.credential)));
        let found = found.map(|found| (found.username.as_str(), found.credential));
        ensure(found == expected, "chat-session", || {
            format!("a session is {found:?} at {seen}, and should be {expected:?}")
        })
    }

    /// A node that has applied everything up to `seen` lists these names, in order.
    ///
    /// # Errors
    ///
    /// A name is missing, or has no account any more.
    pub(super) fn names_seen(&self, seen: LogIndex, shown: &[String]) -> Checked {
        let exists = |life: &&AccountLifetime| {
            life.began <= seen.0 && life.ended.is_none_or(|ended| ended > seen.0)
        };
        let expected = self.lifetimes.iter().filter(exists);
        let expected: BTreeSet<&String> = expected.map(|life| &life.username).collect();
        ensure(
            shown.iter().eq(expected.iter().copied()),
            "chat-names",
            || format!("at {seen} there are {shown:?}, and should be {expected:?}"),
        )
    }

    fn check_outcome(
        &self,
        index: u64,
        command: &proto::Command,
        expected: &Outcome,
        answer: &Bytes,
    ) -> Checked {
        let found = prost::Message::decode(answer.clone()).ok();
        let found = found.and_then(|found: proto::Outcome| found.result);
        let took_effect = !matches!(found, Some(Outcome::Error(_)) | None);
        let checker = match (expected, &found) {
            (Outcome::Error(error), _) if took_effect => match error.code() {
                ErrorCode::Unauthenticated => "chat-session",
                ErrorCode::AlreadyCreatedByThisRequest => "chat-resurrection",
                _ => "chat-once",
            },
            (Outcome::Sent(first), Some(Outcome::Sent(second)))
                if first.commit_index != second.commit_index =>
            {
                let kept = self.messages.get(&first.commit_index);
                if kept.is_some_and(|kept| kept.deleted.is_some()) {
                    "chat-resurrection"
                } else {
                    "chat-once"
                }
            }
            _ => "chat-outcome",
        };
        ensure(found.as_ref() == Some(expected), checker, || {
            format!(
                "the outcome of entry {index}, {command:?}, is {found:?} and should be {expected:?}"
            )
        })
    }

    /// The tokens of all sessions that ever existed.
    pub(super) fn tokens(&self) -> Vec<Bytes> {
        self.sessions.keys().cloned().collect()
    }

    /// What has occurred so far.
    pub(super) fn situations(&self) -> Vec<(&'static str, u64)> {
        self.occurrences.by_name()
    }

    /// The ids of all messages that were not deleted.
    pub(super) fn live_messages(&self) -> Vec<String> {
        let live = self.messages.values().filter(|kept| kept.deleted.is_none());
        live.map(|kept| kept.message.id.clone()).collect()
    }

    /// The ids of all messages of which there are copies.
    pub(super) fn live_copies(&self) -> Vec<String> {
        let live = self.messages.values().filter(|kept| {
            let copy = kept.copy.as_ref();
            copy.is_some_and(|copy| copy.deleted.is_none())
        });
        live.map(|kept| kept.message.id.clone()).collect()
    }
}

impl Held {
    fn is_valid_at(&self, seen: LogIndex) -> bool {
        self.opened <= seen.0 && self.ended.is_none_or(|ended| ended > seen.0)
    }
}

fn credential(credential: proto::Credential) -> Credential {
    Credential {
        incarnation: LogIndex(credential.incarnation),
        version: LogIndex(credential.version),
    }
}

/// The violation for an error of the tables themselves.
pub(super) fn refused(error: &dyn std::error::Error) -> Violation {
    let mut what = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        what = format!("{what}: {error}");
        source = error.source();
    }
    Violation::new("chat-tables", what)
}

/// A position of the log.
pub(super) fn position(index: LogIndex, term: Term) -> Position {
    Position { index, term }
}
