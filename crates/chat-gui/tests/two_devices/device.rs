//! A device: the shipped model and store, and what its tasks would do, one step at a time.

use std::collections::VecDeque;

use chat_gui::local_store::inbox_copy::{InboxChange, PageEnd};
use chat_gui::local_store::pending_changes::ChangeKind;
use chat_gui::local_store::{AccountKey, LocalStore};
use chat_gui::model::Model;
use chat_gui::model::action::UserAction;
use chat_gui::model::command::Command;
use chat_gui::model::event::{BackendEvent, InboxPage, Link};
use chat_gui::model::message::{Message, MessageState, OutboxMessage, StoredMessage};
use chat_gui::model::names::{IdSource, LogIndex, MessageId, Name};
use chat_gui::model::time::{Moment, Now, Timestamp, Zone};
use uuid::Uuid;

use crate::servers::{Servers, Shown};

/// More than any timer of the model takes.
const QUIET: u64 = 11_000;

pub(super) struct Device {
    number: u128,
    starts: u128,
    store: LocalStore,
    model: Model,
    milliseconds: u64,
    is_online: bool,
    /// Changes of the log that the watch has delivered; `None` before a first fetch has begun.
    delivered: Option<usize>,
    /// A fetch that is under way: behind which message the next page begins.
    fetch: Option<Option<u64>>,
    outbox: VecDeque<OutboxMessage>,
    /// The reply to the first message of the outbox that is on its way.
    reply: Option<StoredMessage>,
    changes: VecDeque<(ChangeKind, Vec<MessageId>)>,
}

fn account() -> AccountKey {
    AccountKey {
        cluster_id: "c1".to_owned(),
        name: Name::new("alice"),
    }
}

/// Ids that no other device and no earlier start gives out.
fn ids(number: u128, start: u128) -> IdSource {
    let mut last = 0;
    IdSource::new(move || {
        last += 1;
        Uuid::from_u128(number << 96 | start << 64 | last)
    })
}

fn new_model(ids: IdSource) -> Model {
    Model::new(Now::default(), Zone::utc(), ids)
}

impl Device {
    pub(super) async fn new(number: u128) -> Self {
        let mut device = Self {
            number,
            starts: 0,
            store: LocalStore::in_memory().await.expect("a store in memory"),
            model: new_model(ids(number, 0)),
            milliseconds: 0,
            is_online: false,
            delivered: None,
            fetch: None,
            outbox: VecDeque::new(),
            reply: None,
            changes: VecDeque::new(),
        };
        device.open().await;
        device
    }

    /// The window opens with what the disk has.
    async fn open(&mut self) {
        self.starts += 1;
        self.model = new_model(ids(self.number, self.starts));
        let stored = self.store.account(&account()).await.expect("the account");
        self.outbox = stored.outbox.clone().into();
        self.reply = None;
        self.fetch = None;
        let position = self.store.copy_position(&account()).await;
        let cursor = position.expect("the position").cursor;
        self.delivered = cursor.map(|cursor| cursor.parse().expect("a number"));
        let pending = self.store.pending_changes(&account()).await;
        let (read, deleted) = pending.expect("the changes");
        self.changes = VecDeque::new();
        for (kind, ids) in [(ChangeKind::Read, read), (ChangeKind::Delete, deleted)] {
            if !ids.is_empty() {
                self.changes.push_back((kind, ids));
            }
        }
        // Nothing is requested while a window opens.
        let _nothing = self
            .model
            .receive(BackendEvent::SignedIn(stored), self.now());
    }

    fn now(&self) -> Now {
        Now {
            moment: Moment(self.milliseconds),
            wall: Timestamp(self.milliseconds as f64 / 1000.0),
        }
    }

    async fn receive(&mut self, servers: &mut Servers, event: BackendEvent) {
        let commands = self.model.receive(event, self.now());
        self.handle(servers, commands).await;
    }

    async fn act(&mut self, servers: &mut Servers, action: UserAction) {
        let commands = self.model.act(action, self.now());
        self.handle(servers, commands).await;
    }

    pub(super) async fn let_time_pass(&mut self, servers: &mut Servers, milliseconds: u64) {
        self.milliseconds += milliseconds;
        let commands = self.model.run_timers(self.now());
        self.handle(servers, commands).await;
    }

    async fn handle(&mut self, servers: &mut Servers, commands: Vec<Command>) {
        let mut commands: VecDeque<Command> = commands.into();
        while let Some(command) = commands.pop_front() {
            match command {
                Command::Enqueue(message) => {
                    let kept = self.store.enqueue(&account(), &message).await;
                    kept.expect("memory has room");
                    self.outbox.push_back(*message);
                }
                Command::Delete(ids) => self.request(ChangeKind::Delete, ids).await,
                Command::MarkRead(ids) => self.request(ChangeKind::Read, ids).await,
                Command::CheckLedger { ids, .. } if self.is_online => {
                    for event in [
                        BackendEvent::LedgerStored(servers.places(&ids)),
                        BackendEvent::LedgerBox(servers.newest()),
                        BackendEvent::LedgerEnded(Ok(())),
                    ] {
                        commands.extend(self.model.receive(event, self.now()));
                    }
                    assert_eq!(self.model.ledger.lost, 0, "nothing was lost");
                    assert_eq!(self.model.ledger.doubled, 0, "nothing is there twice");
                }
                _ => {}
            }
        }
    }

    async fn request(&mut self, kind: ChangeKind, ids: Vec<MessageId>) {
        let kept = self.store.request_change(&account(), kind, &ids).await;
        kept.expect("memory has room");
        self.changes.push_back((kind, ids));
    }

    fn messages(&self) -> impl Iterator<Item = &Message> {
        let conversations = self.model.conversations.values();
        conversations.flat_map(|conversation| &conversation.messages)
    }

    pub(super) fn shown(&self) -> Vec<Shown> {
        let mut lines: Vec<Shown> = self
            .messages()
            .map(|message| match &message.state {
                MessageState::Received { commit, read, .. } => (commit.index.0, false, *read),
                MessageState::Sent { commit, .. } => (commit.index.0, true, true),
                under_way => panic!("{under_way:?} when all is quiet"),
            })
            .collect();
        lines.sort_unstable();
        lines
    }

    pub(super) fn waiting(&self) -> usize {
        self.outbox.len() + self.changes.len() + self.model.outbox.len()
    }

    pub(super) async fn write(&mut self, servers: &mut Servers, dice: &mut fastrand::Rng) {
        let action = UserAction::Send {
            peer: Name::new("bob"),
            text: format!("{} of device {}", dice.u16(..), self.number),
        };
        self.act(servers, action).await;
    }

    pub(super) async fn delete(&mut self, servers: &mut Servers, dice: &mut fastrand::Rng) {
        let ids: Vec<MessageId> = self.messages().map(|message| message.id).collect();
        if let Some(id) = dice.choice(&ids) {
            self.act(servers, UserAction::Delete(vec![*id])).await;
        }
        if dice.bool() {
            self.let_time_pass(servers, 6_000).await;
        }
    }

    pub(super) async fn read(&mut self, servers: &mut Servers) {
        self.act(servers, UserAction::MarkRead(Name::new("bob")))
            .await;
    }

    /// Sends the first message of the outbox; its reply is on its way, or lost.
    pub(super) fn attempt(&mut self, servers: &mut Servers, dice: &mut fastrand::Rng) {
        if !self.is_online || self.reply.is_some() {
            return;
        }
        if let Some(first) = self.outbox.front() {
            let stored = servers.send(first);
            self.reply = (dice.u8(0..3) > 0).then_some(stored);
        }
    }

    pub(super) async fn take_reply(&mut self, servers: &mut Servers) {
        let Some(stored) = self.reply.take() else {
            return;
        };
        let first = self
            .outbox
            .pop_front()
            .expect("it was sent from the outbox");
        let kept = self
            .store
            .acknowledge(stored.id, stored.at, stored.commit)
            .await;
        kept.expect("memory has room");
        let event = BackendEvent::SendAcknowledged {
            id: stored.id,
            at: stored.at,
            commit: stored.commit,
            copy: first.copy,
        };
        self.receive(servers, event).await;
    }

    /// The next event of the watch.
    pub(super) async fn take_event(&mut self, servers: &mut Servers) {
        let Some(delivered) = self.delivered.filter(|_| self.is_online) else {
            return;
        };
        let Some(change) = servers.log.get(delivered).cloned() else {
            if self.fetch.is_none() {
                self.receive(servers, BackendEvent::CaughtUp).await;
            }
            return;
        };
        self.delivered = Some(delivered + 1);
        let cursor = (delivered + 1).to_string();
        let changes = std::slice::from_ref(&change);
        let kept = self.store.follow(&account(), changes, &cursor).await;
        kept.expect("memory has room");
        let event = match change {
            InboxChange::Arrived(message) => BackendEvent::Arrived(message),
            InboxChange::Read(ids) => BackendEvent::Read(ids),
            InboxChange::Deleted(ids) => BackendEvent::Deleted(ids),
        };
        self.receive(servers, event).await;
    }

    pub(super) async fn take_page(&mut self, servers: &mut Servers) {
        let Some(after) = self.fetch.filter(|_| self.is_online) else {
            return;
        };
        let (messages, more, unread) = servers.page(after);
        let last = messages.last().map(|message| message.commit.index.0);
        let end = PageEnd {
            older: more.then(|| "older".to_owned()),
            unread,
            is_last: !more,
        };
        let shown = self.store.keep_page(&account(), messages, &end).await;
        self.fetch = more.then_some(last);
        let page = InboxPage {
            messages: shown.expect("memory has room"),
            unread,
            reaches: LogIndex(last.filter(|_| more).unwrap_or(0)),
            more,
            is_last: !more,
        };
        self.receive(servers, BackendEvent::Inbox(page)).await;
    }

    /// Sends a change that was requested; its reply may be lost, and then it is sent again.
    pub(super) async fn send_change(&mut self, servers: &mut Servers, dice: &mut fastrand::Rng) {
        if !self.is_online {
            return;
        }
        let Some((kind, ids)) = self.changes.front().cloned() else {
            return;
        };
        match kind {
            ChangeKind::Read => servers.mark_read(&ids),
            ChangeKind::Delete => servers.delete(&ids),
        }
        if dice.u8(0..4) == 0 || servers.loses_reply() {
            return;
        }
        self.changes.pop_front();
        let ids: Vec<Uuid> = ids.into_iter().map(|id| id.0).collect();
        let done = self.store.change_done(&account(), kind, &ids).await;
        done.expect("memory has room");
    }

    /// What is on its way to this device is lost.
    pub(super) fn go_away(&mut self) {
        self.is_online = false;
        self.reply = None;
        let waiting = Link::Waiting {
            why: chat_gui::model::failure::Failure::NoMajority,
            next_try: std::time::Duration::from_secs(1),
        };
        let _nothing = self.model.receive(BackendEvent::Link(waiting), self.now());
    }

    pub(super) async fn come_back(&mut self, servers: &mut Servers) {
        if self.is_online {
            return;
        }
        self.is_online = true;
        let up = Link::Up {
            address: "127.0.0.1:7401".to_owned(),
        };
        self.receive(servers, BackendEvent::Link(up)).await;
        if self.delivered.is_none() {
            self.lose_events(servers).await;
        }
    }

    /// The watch goes on from here, without what was not delivered: the box is fetched.
    pub(super) async fn lose_events(&mut self, servers: &mut Servers) {
        if !self.is_online {
            return;
        }
        let kept = self.store.begin_fetch(&account()).await;
        kept.expect("memory has room");
        self.receive(servers, BackendEvent::FetchBegan).await;
        self.delivered = Some(servers.log.len());
        self.fetch = Some(None);
    }

    /// The process ends between two steps, and the window opens again.
    pub(super) async fn restart(&mut self, servers: &mut Servers) {
        self.is_online = false;
        self.open().await;
        self.come_back(servers).await;
    }

    /// Everything that is under way ends.
    pub(super) async fn finish(&mut self, servers: &mut Servers) {
        let mut dice = fastrand::Rng::with_seed(1);
        for _ in 0..2 {
            while self.fetch.is_some() {
                self.take_page(servers).await;
            }
            while !self.outbox.is_empty() {
                self.attempt(servers, &mut dice);
                self.take_reply(servers).await;
            }
            while self.delivered != Some(servers.log.len()) {
                self.take_event(servers).await;
            }
            self.take_event(servers).await;
            self.let_time_pass(servers, QUIET).await;
            while !self.changes.is_empty() {
                self.send_change(servers, &mut dice).await;
            }
        }
    }
}
