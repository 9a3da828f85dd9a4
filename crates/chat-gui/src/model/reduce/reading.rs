//! The box: pages of it, what arrives, what is read here or elsewhere. The outcome does not
//! depend on the order of answers and events: what was read stays read, what is deleted stays
//! deleted, what was acknowledged stays acknowledged.

use std::collections::BTreeSet;

use crate::model::command::Command;
use crate::model::event::{InboxPage, StoredInbox};
use crate::model::holder::{EARLIER_ACCOUNT, OTHER_ACCOUNT};
use crate::model::message::{CopyPlace, Direction, Message, MessageState, StoredMessage};
use crate::model::names::{MessageId, Name};
use crate::model::preferences::{KeptMessages, NotificationChoice};
use crate::model::{InboxFreshness, Model, RECEIVED_MAX};

/// The beginning of a text that a notification shows, in characters.
const NOTIFIED_CHARACTERS: usize = 120;

impl Model {
    /// Messages of the box that are known now and come on no page were deleted. One that is
    /// acknowledged from now on may be missing on a page that is older.
    pub(super) fn fetch_began(&mut self) {
        if self.account.is_some() {
            self.memory.account.unconfirmed = Some(self.box_ids());
            self.memory.account.is_fetching = true;
        }
    }

    /// Applies a page.
    pub(super) fn take_page(&mut self, page: InboxPage, commands: &mut Vec<Command>) {
        if self.account.is_none() {
            return;
        }
        let oldest = page.messages.last().map(|message| message.at);
        self.insert_stored(page.messages);
        let full = self.memory.account.message_index.len() >= RECEIVED_MAX;
        self.more_to_load = page.more && !full;
        self.drop_unconfirmed(page.reaches.0);
        let account = &mut self.memory.account;
        account.is_fetching &= !page.is_last;
        account.loaded_from = page.reaches.0;
        let loaded: usize = self.conversations.values().map(|one| one.unread).sum();
        self.memory.account.unread_not_loaded = if page.more {
            page.unread.saturating_sub(loaded as u64)
        } else {
            0
        };
        self.loading = false;
        self.restored_open_is_loaded();
        self.inbox_state = InboxFreshness::Current;
        self.seek_day(oldest, commands);
    }

    /// The copy on this device is what the servers have.
    pub(super) fn inbox_caught_up(&mut self) {
        if self.account.is_some() {
            self.loading = false;
            self.inbox_state = InboxFreshness::Current;
            self.restored_open_is_loaded();
        }
    }

    /// Shows what this device keeps of the inbox. The servers are asked for the rest.
    pub(super) fn show_copy(&mut self, inbox: StoredInbox) {
        self.inbox_state = if inbox.is_complete || !inbox.messages.is_empty() {
            InboxFreshness::Copy
        } else {
            InboxFreshness::Unknown
        };
        let oldest = inbox.messages.first().map(|message| message.commit.index.0);
        self.memory.account.loaded_from = oldest.filter(|_| inbox.more).unwrap_or(0);
        self.insert_stored(inbox.messages);
        self.more_to_load = inbox.more;
        self.memory.account.unread_not_loaded = inbox.unread_elsewhere;
    }

    /// The ids of all messages of the box that are shown or hidden.
    fn box_ids(&self) -> BTreeSet<MessageId> {
        let shown = self
            .conversations
            .values()
            .flat_map(|conversation| &conversation.messages);
        let hidden = self.memory.account.hidden.values();
        shown
            .chain(hidden)
            .filter(|message| message.is_in_box())
            .map(|message| message.id)
            .collect()
    }

    /// Everything from the index `limit` on has come by now.
    fn drop_unconfirmed(&mut self, limit: u64) {
        let Some(mut unconfirmed) = self.memory.account.unconfirmed.take() else {
            return;
        };
        let index = |id: &MessageId| {
            let message = self.find(*id).or(self.memory.account.hidden.get(id));
            message.map_or(0, |message| message.sort_key.index)
        };
        let gone: Vec<MessageId> = unconfirmed
            .iter()
            .copied()
            .filter(|id| index(id) >= limit)
            .collect();
        for id in &gone {
            unconfirmed.remove(id);
        }
        self.were_deleted(&gone);
        self.memory.account.unconfirmed =
            (limit > 0 && !unconfirmed.is_empty()).then_some(unconfirmed);
    }

    /// Puts messages of the box where they belong. Returns which ones are new.
    fn insert_stored(&mut self, messages: Vec<StoredMessage>) -> Vec<MessageId> {
        let mut put = Vec::with_capacity(messages.len());
        let mut new = Vec::new();
        for mut stored in messages {
            let id = stored.id;
            let account = &mut self.memory.account;
            account.newest_index = account.newest_index.max(stored.commit.index.0);
            if let Some(unconfirmed) = &mut account.unconfirmed {
                unconfirmed.remove(&id);
            }
            if let Some(hidden) = account.hidden.get_mut(&id) {
                confirm_stored(hidden, &stored);
                continue;
            }
            if account.message_index.is_gone(id) {
                continue;
            }
            if stored.direction == Direction::Sent {
                self.drop_from_outbox(id);
                let account = &mut self.memory.account;
                account.restoring_to_draft.remove(&id);
                account.ledger_check.acknowledge(id, stored.commit);
                account.ledger_check.unconfirmed.remove(&id);
            }
            match self.find(id).map(|known| (known.is_own(), &known.peer)) {
                // One of our own ids under another name is not trustworthy.
                Some((_, peer)) if *peer != stored.peer => continue,
                Some((false, _)) if stored.direction == Direction::Sent => continue,
                Some((false, _)) => {
                    self.change(id, |message| confirm_stored(message, &stored));
                    continue;
                }
                // A person who writes to themselves sees the message once.
                Some((true, peer)) if stored.direction == Direction::Received => {
                    if !self.is_myself(peer) {
                        continue;
                    }
                    self.drop_from_outbox(id);
                    new.push(id);
                }
                Some((true, _)) => {}
                None => new.push(id),
            }
            stored.read |= self.memory.account.message_index.take_read_before_load(id);
            put.push(stored.shown(CopyPlace::Servers));
        }
        self.insert_messages(put);
        if !new.is_empty() {
            self.outdate_search();
        }
        new
    }

    fn is_myself(&self, name: &Name) -> bool {
        self.account.as_ref().is_some_and(|one| one.name == *name)
    }

    /// A message has just arrived, or was sent.
    pub(super) fn arrived(&mut self, message: StoredMessage, commands: &mut Vec<Command>) {
        let Some(account) = &self.account else {
            return;
        };
        let is_own = message.direction == Direction::Sent || account.name == message.peer;
        let (peer, id, body) = (message.peer.clone(), message.id, message.body.clone());
        let title = self.title_of(&message);
        if self.insert_stored(vec![message]).is_empty() || is_own {
            return;
        }
        let muted = self.conversations.get(&peer).is_some_and(|one| one.muted);
        if self.focused || muted {
            return;
        }
        let body = match self.preferences.notifications {
            NotificationChoice::Off => return,
            NotificationChoice::WithoutText => "New message".to_owned(),
            NotificationChoice::WithText => body.chars().take(NOTIFIED_CHARACTERS).collect(),
        };
        self.attention += 1;
        commands.push(Command::Notify {
            peer,
            id,
            title,
            body,
        });
    }

    /// The title of a notification: who wrote, and which account of that name, where it is not the
    /// one that wrote last.
    fn title_of(&self, message: &StoredMessage) -> String {
        let known = self.conversations.get(&message.peer);
        let newest = known.and_then(|one| one.holders.newest());
        let note = match message.peer_since.zip(newest) {
            Some((since, newest)) if since < newest => EARLIER_ACCOUNT,
            Some((since, newest)) if since > newest => OTHER_ACCOUNT,
            _ => return message.peer.to_string(),
        };
        format!("{} ({note})", message.peer)
    }

    /// Messages were read, here or in another window.
    pub(super) fn were_read(&mut self, ids: &[MessageId]) {
        for id in ids {
            if let Some(hidden) = self.memory.account.hidden.get_mut(id) {
                become_read(hidden, true);
            } else if !self.change(*id, |message| become_read(message, true))
                && !self.memory.account.message_index.is_gone(*id)
            {
                let account = &mut self.memory.account;
                account.message_index.read_before_load(*id);
                account.unread_not_loaded = account.unread_not_loaded.saturating_sub(1);
            }
        }
    }

    /// The person has seen messages: all before the newest of them are read.
    pub(super) fn mark_seen(&mut self, ids: &[MessageId], commands: &mut Vec<Command>) {
        let seen = ids.iter().filter_map(|id| self.find(*id));
        let Some(newest) = seen.max_by_key(|message| message.sort_key) else {
            return;
        };
        let conversation = self.conversations.get(&newest.peer);
        let messages = conversation.map_or(&[][..], |one| one.messages.as_slice());
        let before = messages
            .iter()
            .take_while(|message| message.sort_key <= newest.sort_key)
            .filter(|message| message.is_unread());
        let unread: Vec<MessageId> = before.map(|message| message.id).collect();
        self.mark_read(&unread, commands);
    }

    pub(super) fn mark_read(&mut self, ids: &[MessageId], commands: &mut Vec<Command>) {
        let unread: Vec<MessageId> = ids
            .iter()
            .copied()
            .filter(|id| self.find(*id).is_some_and(Message::is_unread))
            .collect();
        if unread.is_empty() {
            return;
        }
        self.were_read(&unread);
        commands.push(Command::MarkRead(unread));
    }

    pub(super) fn mark_conversation_read(&mut self, peer: &Name, commands: &mut Vec<Command>) {
        let Some(conversation) = self.conversations.get(peer) else {
            return;
        };
        let unread: Vec<MessageId> = conversation
            .messages
            .iter()
            .filter(|message| message.is_unread())
            .map(|message| message.id)
            .collect();
        self.mark_read(&unread, commands);
    }

    /// Shows the oldest unread message; one that is not loaded comes from the servers.
    pub(super) fn open_oldest_unread(&mut self, commands: &mut Vec<Command>) {
        if self.account.is_none() {
            return;
        }
        if self.memory.account.unread_not_loaded > 0 {
            commands.push(Command::ReadNext(1));
            return;
        }
        let with_unread = self.conversations.values().filter(|one| one.unread > 0);
        let oldest = with_unread
            .filter_map(|one| one.messages.iter().find(|message| message.is_unread()))
            .min_by_key(|message| message.sort_key);
        match oldest {
            Some(message) => self.open_message(message.peer.clone(), message.id, commands),
            None => self.confirm("No unread messages."),
        }
    }

    /// The oldest unread ones, which are read now.
    pub(super) fn take_read_next(
        &mut self,
        messages: Vec<StoredMessage>,
        commands: &mut Vec<Command>,
    ) {
        if self.account.is_none() {
            return;
        }
        let ids: Vec<MessageId> = messages.iter().map(|message| message.id).collect();
        let oldest = messages.first().map(|one| (one.peer.clone(), one.id));
        let new = self.insert_stored(messages);
        let beyond = &mut self.memory.account.unread_not_loaded;
        *beyond = beyond.saturating_sub(new.len() as u64);
        self.were_read(&ids);
        match oldest {
            Some((peer, id)) => self.open_message(peer, id, commands),
            None => self.confirm("No unread messages."),
        }
    }

    pub(super) fn load_older(&mut self, commands: &mut Vec<Command>) {
        if self.more_to_load && !self.loading {
            self.loading = true;
            commands.push(Command::LoadOlder);
        }
    }

    pub(super) fn refresh(&mut self, commands: &mut Vec<Command>) {
        if self.account.is_some() && !self.loading {
            self.loading = true;
            commands.push(Command::Refresh);
        }
    }

    /// Keeps so many received messages on this device. If these are more than before, the servers are
    /// asked for them.
    pub(super) fn keep_messages(&mut self, kept: KeptMessages, commands: &mut Vec<Command>) {
        let before = std::mem::replace(&mut self.preferences.kept_messages, kept);
        commands.push(Command::SavePreferences(self.preferences.clone()));
        if kept > before {
            self.refresh(commands);
        }
        if kept == KeptMessages::None && before != kept {
            self.confirm("The messages are deleted from this device. The servers have them.");
        }
    }

    pub(super) fn set_muted(&mut self, peer: Name, muted: bool, commands: &mut Vec<Command>) {
        self.conversations.entry(peer.clone()).or_default().muted = muted;
        self.reorder(std::slice::from_ref(&peer));
        commands.push(Command::SaveMuted { peer, muted });
    }
}

/// What the servers report of a message that is here. What was read stays read.
fn confirm_stored(message: &mut Message, stored: &StoredMessage) {
    match &mut message.state {
        MessageState::Received { read, .. } => *read |= stored.read,
        MessageState::Sent {
            copy,
            recipient_since,
            ..
        } => {
            *copy = CopyPlace::Servers;
            *recipient_since = stored.peer_since;
        }
        MessageState::Pending(_) | MessageState::NotSent { .. } => {}
    }
}

/// What was read stays read.
fn become_read(message: &mut Message, now_read: bool) {
    if let MessageState::Received { read, .. } = &mut message.state {
        *read |= now_read;
    }
}
