//! What inputs make of the model: stories of one window, and a property over servers whose answers
//! and events come in any order.

mod auth;
mod chats;
mod cluster;
mod connecting;
mod dates;
mod holders;
mod inbox;
mod ledger;
mod membership;
mod property;
mod replies;
mod searching;
mod sending;
mod truth;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use uuid::Uuid;

use crate::model::Model;
use crate::model::action::UserAction;
use crate::model::command::Command;
use crate::model::event::{BackendEvent, InboxPage, Link, StoredAccount, StoredInbox};
use crate::model::holder::Holder;
use crate::model::marks::ChatMarks;
use crate::model::message::{Direction, MessageState, StoredMessage};
use crate::model::names::{Commit, IdSource, LogIndex, MessageId, Name, Term};
use crate::model::time::{Moment, Now, Timestamp, Zone};
use crate::model::timeline::TimelineItem;

/// A window and its clock.
struct Window {
    model: Model,
    milliseconds: u64,
}

/// 2026-03-02, noon.
const NOON: f64 = 1_772_452_800.0;

impl Window {
    /// Just opened.
    fn new() -> Self {
        let ids = IdSource::counting();
        Self {
            model: Model::new(Now::default(), Zone::utc(), ids),
            milliseconds: 0,
        }
    }

    /// Alice is signed in, and a node sends her changes.
    fn of_alice() -> Self {
        let mut window = Self::new();
        window.receive(BackendEvent::SignedIn(stored("alice")));
        window.receive(BackendEvent::Link(up()));
        window
    }

    fn now(&self) -> Now {
        Now {
            moment: Moment(self.milliseconds),
            wall: wall(self.milliseconds),
        }
    }

    fn act(&mut self, action: UserAction) -> Vec<Command> {
        self.model.act(action, self.now())
    }

    fn receive(&mut self, event: BackendEvent) -> Vec<Command> {
        self.model.receive(event, self.now())
    }

    /// Lets time pass. What the window checks by itself is not returned.
    fn wait(&mut self, milliseconds: u64) -> Vec<Command> {
        let mut commands = self.wait_with_checks(milliseconds);
        commands.retain(|command| !matches!(command, Command::CheckLedger { .. }));
        commands
    }

    fn wait_with_checks(&mut self, milliseconds: u64) -> Vec<Command> {
        self.milliseconds += milliseconds;
        self.model.run_timers(self.now())
    }

    /// Sends a text to Bob; its id.
    fn send(&mut self, text: &str) -> MessageId {
        let commands = self.act(UserAction::Send {
            peer: Name::new("bob"),
            text: text.to_owned(),
        });
        match &commands[..] {
            [Command::Enqueue(outgoing)] => outgoing.id,
            other => panic!("one message is put into the outbox: {other:?}"),
        }
    }

    /// `15:00 a` and so on: what the conversation with a person looks like.
    fn lines(&self, peer: &str) -> Vec<String> {
        let Some(conversation) = self.model.conversations.get(&Name::new(peer)) else {
            return Vec::new();
        };
        let line = |item: &TimelineItem| match item {
            TimelineItem::Day(day) => format!("— {day}"),
            TimelineItem::OtherAccount(since) => format!("— another account, of {since}"),
            TimelineItem::Unread => "— unread".to_owned(),
            TimelineItem::Message { index, series } => {
                let message = &conversation.messages[*index];
                let state = match &message.state {
                    MessageState::Received { read: true, .. } => "<".to_owned(),
                    MessageState::Received { read: false, .. } => "< new".to_owned(),
                    MessageState::Pending(_) => "> …".to_owned(),
                    MessageState::Sent { commit, .. } => format!("> ✓{}", commit.index),
                    MessageState::NotSent { .. } => "> ✗".to_owned(),
                };
                let earlier = match conversation.holder(message) {
                    Holder::Present => "",
                    Holder::Earlier => " (earlier account)",
                };
                format!("{state} {} {series:?}{earlier}", message.body)
            }
        };
        conversation.timeline.iter().map(line).collect()
    }
}

fn wall(milliseconds: u64) -> Timestamp {
    #[expect(clippy::cast_precision_loss, reason = "tests do not run for so long")]
    let seconds = milliseconds as f64 / 1000.0;
    Timestamp(NOON + seconds)
}

fn up() -> Link {
    Link::Up {
        address: "127.0.0.1:7401".to_owned(),
    }
}

fn stored(name: &str) -> StoredAccount {
    StoredAccount {
        name: Name::new(name),
        cluster_id: "c1".to_owned(),
        drafts: BTreeMap::new(),
        outbox: Vec::new(),
        sent: Vec::new(),
        muted: BTreeSet::new(),
        marks: ChatMarks::default(),
        inbox: StoredInbox::default(),
        deleted: Vec::new(),
    }
}

fn id(number: u64) -> MessageId {
    MessageId(Uuid::from_u128(u128::from(number) << 64))
}

fn commit(index: u64) -> Commit {
    Commit {
        index: LogIndex(index),
        term: Term(1),
    }
}

/// A message of the inbox whose id and time follow from its index.
fn received(index: u64, sender: &str, read: bool) -> StoredMessage {
    StoredMessage {
        id: id(index),
        direction: Direction::Received,
        peer: Name::new(sender),
        peer_since: None,
        body: Arc::from(format!("m{index}")),
        at: wall(index * 1000),
        written_at: None,
        reply_to: None,
        read,
        commit: commit(index),
    }
}

/// A message that was sent, of which the servers or only this device may have the copy.
fn sent(index: u64, recipient: &str) -> StoredMessage {
    StoredMessage {
        direction: Direction::Sent,
        ..received(index, recipient, true)
    }
}

fn page(messages: Vec<StoredMessage>, more: bool) -> BackendEvent {
    let unread = messages.iter().filter(|message| !message.read).count();
    let oldest = messages.last().map(|message| message.commit.index);
    BackendEvent::Inbox(InboxPage {
        messages,
        unread: unread as u64,
        reaches: oldest.filter(|_| more).unwrap_or(LogIndex(0)),
        more,
        is_last: !more,
    })
}
