//! The servers of one account: its box, what has changed in it, and which messages were ever sent.

use std::collections::BTreeMap;
use std::sync::Arc;

use chat_gui::local_store::inbox_copy::InboxChange;
use chat_gui::model::event::StoredPlace;
use chat_gui::model::message::{CopyPlace, Direction, OutboxMessage, StoredMessage};
use chat_gui::model::names::{Commit, LogIndex, MessageId, Name, Term};
use chat_gui::model::time::Timestamp;
use uuid::Uuid;

/// What a device shows of a message: its place in the log, whether it was sent, whether it was read.
pub(super) type Shown = (u64, bool, bool);

/// Messages of a page.
const PAGE: usize = 3;

pub(super) struct Servers {
    dice: fastrand::Rng,
    in_box: BTreeMap<MessageId, StoredMessage>,
    /// Each change of the box, in order.
    pub(super) log: Vec<InboxChange>,
    /// Every message that was sent, also those that were deleted.
    known: BTreeMap<MessageId, StoredMessage>,
    stored: BTreeMap<MessageId, u64>,
    received: u128,
}

impl Servers {
    pub(super) fn new(dice: fastrand::Rng) -> Self {
        Self {
            dice,
            in_box: BTreeMap::new(),
            log: Vec::new(),
            known: BTreeMap::new(),
            stored: BTreeMap::new(),
            received: 0,
        }
    }

    fn append(&mut self, message: StoredMessage) {
        self.in_box.insert(message.id, message.clone());
        self.known.insert(message.id, message.clone());
        *self.stored.entry(message.id).or_default() += 1;
        self.log.push(InboxChange::Arrived(message));
    }

    fn next_commit(&self) -> Commit {
        Commit {
            index: LogIndex(self.log.len() as u64 + 1),
            term: Term(1),
        }
    }

    /// Stores a message once, however often it is sent.
    pub(super) fn send(&mut self, message: &OutboxMessage) -> StoredMessage {
        if let Some(known) = self.known.get(&message.id) {
            return known.clone();
        }
        assert_eq!(message.copy, CopyPlace::Servers, "there is always room");
        let stored = StoredMessage {
            id: message.id,
            direction: Direction::Sent,
            peer: message.recipient.clone(),
            peer_since: Some(LogIndex(0)),
            body: Arc::clone(&message.body),
            at: Timestamp(self.log.len() as f64),
            written_at: Some(message.written_at),
            reply_to: message.reply_to,
            read: true,
            commit: self.next_commit(),
        };
        self.append(stored.clone());
        stored
    }

    pub(super) fn receive_from_bob(&mut self) {
        self.received += 1;
        self.append(StoredMessage {
            id: MessageId(Uuid::from_u128(9 << 64 | self.received)),
            direction: Direction::Received,
            peer: Name::new("bob"),
            peer_since: Some(LogIndex(0)),
            body: Arc::from(format!("from bob {}", self.received)),
            at: Timestamp(self.log.len() as f64),
            written_at: None,
            reply_to: None,
            read: false,
            commit: self.next_commit(),
        });
    }

    pub(super) fn delete(&mut self, ids: &[MessageId]) {
        let is_there = |id: &&MessageId| self.in_box.contains_key(id);
        let gone: Vec<MessageId> = ids.iter().filter(is_there).copied().collect();
        for id in &gone {
            self.in_box.remove(id);
        }
        if !gone.is_empty() {
            self.log.push(InboxChange::Deleted(gone));
        }
    }

    pub(super) fn mark_read(&mut self, ids: &[MessageId]) {
        let mut read = Vec::new();
        for id in ids {
            if let Some(message) = self.in_box.get_mut(id).filter(|message| !message.read) {
                message.read = true;
                read.push(*id);
            }
        }
        if !read.is_empty() {
            self.log.push(InboxChange::Read(read));
        }
    }

    /// A page, newest first, of what is older than `after`; whether more follow; and the number of
    /// unread messages.
    pub(super) fn page(&self, after: Option<u64>) -> (Vec<StoredMessage>, bool, u64) {
        let mut messages: Vec<StoredMessage> = self.in_box.values().cloned().collect();
        messages.sort_by_key(|message| std::cmp::Reverse(message.commit.index));
        let unread = messages.iter().filter(|message| !message.read).count() as u64;
        messages.retain(|message| after.is_none_or(|after| message.commit.index.0 < after));
        let more = messages.len() > PAGE;
        messages.truncate(PAGE);
        (messages, more, unread)
    }

    pub(super) fn places(&self, ids: &[MessageId]) -> Vec<StoredPlace> {
        let known = ids.iter().filter_map(|id| self.known.get(id));
        let place = |message: &StoredMessage| StoredPlace {
            id: message.id,
            commit: message.commit,
            in_box: self.in_box.contains_key(&message.id),
        };
        known.map(place).collect()
    }

    pub(super) fn newest(&self) -> Vec<(MessageId, Commit)> {
        let messages = self.in_box.values();
        messages
            .map(|message| (message.id, message.commit))
            .collect()
    }

    pub(super) fn in_box(&self) -> Vec<Shown> {
        let messages = self.in_box.values();
        let mut lines: Vec<Shown> = messages
            .map(|message| {
                let is_sent = message.direction == Direction::Sent;
                (message.commit.index.0, is_sent, message.read)
            })
            .collect();
        lines.sort_unstable();
        lines
    }

    /// How often each message was stored.
    pub(super) fn sent(&self) -> BTreeMap<MessageId, u64> {
        self.stored.clone()
    }

    /// Whether a reply is lost on its way.
    pub(super) fn loses_reply(&mut self) -> bool {
        self.dice.u8(0..4) == 0
    }
}
