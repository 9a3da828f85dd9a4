//! The inbox: pages of it, what arrives, what is read here or elsewhere. The outcome does not
//! depend on the order of answers and events: what was read stays read, what is deleted stays
//! deleted.

use std::collections::BTreeSet;

use crate::model::command::Command;
use crate::model::event::{InboxPage, PagePlace, StoredInbox};
use crate::model::holder::{EARLIER_ACCOUNT, OTHER_ACCOUNT};
use crate::model::message::{Message, MessageState, Received, SortKey};
use crate::model::names::{MessageId, Name};
use crate::model::preferences::{KeptMessages, NotificationChoice};
use crate::model::{InboxFreshness, Model, RECEIVED_MAX};

/// The beginning of a text that a notification shows, in characters.
const NOTIFIED_CHARACTERS: usize = 120;

impl Model {
    /// Applies a page. Messages that were known before the first page and come on none of them were
    /// deleted.
    pub(super) fn take_page(&mut self, page: InboxPage) {
        if self.account.is_none() {
            return;
        }
        if page.place == PagePlace::First {
            self.memory.account.unconfirmed = Some(self.received_ids());
        }
        let oldest = page.messages.last().map(|message| message.commit.index.0);
        self.insert_received(page.messages);
        let full = self.memory.account.message_index.len() >= RECEIVED_MAX;
        self.more_to_load = page.more && !full;
        self.drop_unconfirmed(oldest, page.more);
        let loaded: usize = self.conversations.values().map(|one| one.unread).sum();
        self.memory.account.unread_not_loaded = if page.more {
            page.unread.saturating_sub(loaded as u64)
        } else {
            0
        };
        self.loading = false;
        self.restored_open_is_loaded();
        self.inbox_state = InboxFreshness::Current;
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
        self.insert_received(inbox.messages);
        self.more_to_load = inbox.more;
        self.memory.account.unread_not_loaded = inbox.unread_elsewhere;
    }

    /// The ids of all received messages that are shown or hidden.
    fn received_ids(&self) -> BTreeSet<MessageId> {
        let shown = self
            .conversations
            .values()
            .flat_map(|conversation| &conversation.messages);
        let hidden = self.memory.account.hidden.values();
        shown
            .chain(hidden)
            .filter(|message| !message.is_own())
            .map(|message| message.id)
            .collect()
    }

    /// Everything down to `oldest` has come by now; all there is, if no more follow.
    fn drop_unconfirmed(&mut self, oldest: Option<u64>, more: bool) {
        let Some(mut unconfirmed) = self.memory.account.unconfirmed.take() else {
            return;
        };
        let index = |id: &MessageId| {
            let message = self.find(*id).or(self.memory.account.hidden.get(id));
            message.map_or(0, |message| message.sort_key.index)
        };
        let limit = if more { oldest.unwrap_or(0) } else { 0 };
        let gone: Vec<MessageId> = unconfirmed
            .iter()
            .copied()
            .filter(|id| index(id) >= limit)
            .collect();
        for id in &gone {
            unconfirmed.remove(id);
        }
        self.were_deleted(&gone);
        self.memory.account.unconfirmed = (more && !unconfirmed.is_empty()).then_some(unconfirmed);
    }

    /// Puts messages of the inbox where they belong. Returns which ones are new.
    fn insert_received(&mut self, messages: Vec<Received>) -> Vec<MessageId> {
        let mut put = Vec::with_capacity(messages.len());
        let mut new = Vec::new();
        for received in messages {
            let id = received.id;
            let account = &mut self.memory.account;
            account.newest_index = account.newest_index.max(received.commit.index.0);
            if let Some(unconfirmed) = &mut account.unconfirmed {
                unconfirmed.remove(&id);
            }
            if let Some(hidden) = account.hidden.get_mut(&id) {
                become_read(hidden, received.read);
                continue;
            }
            if account.message_index.is_gone(id) {
                continue;
            }
            let known = self
                .find(id)
                .map(|message| (message.is_own(), &message.peer));
            match known {
                // A person who writes to themselves sees the message once.
                Some((true, peer)) if *peer == received.sender => self.drop_from_outbox(id),
                // One of our own ids under another sender's name is not trustworthy.
                Some((true, _)) => continue,
                Some((false, _)) => {
                    self.change(id, |message| become_read(message, received.read));
                    continue;
                }
                None => {}
            }
            let read = self.memory.account.message_index.take_read_before_load(id) || received.read;
            new.push(id);
            put.push(Message {
                id,
                peer: received.sender,
                body: received.body,
                at: received.at,
                sort_key: SortKey {
                    index: received.commit.index.0,
                    sequence: 0,
                },
                state: MessageState::Received {
                    commit: received.commit,
                    read,
                    sender_since: received.sender_since,
                },
            });
        }
        self.insert_messages(put);
        new
    }

    /// A message has just arrived.
    pub(super) fn arrived(&mut self, message: Received, commands: &mut Vec<Command>) {
        let Some(account) = &self.account else {
            return;
        };
        let from_self = account.name == message.sender;
        let (peer, id, body) = (message.sender.clone(), message.id, message.body.clone());
        let title = self.title_of(&message);
        if self.insert_received(vec![message]).is_empty() || from_self {
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
    fn title_of(&self, message: &Received) -> String {
        let known = self.conversations.get(&message.sender);
        let newest = known.and_then(|one| one.holders.newest());
        let note = match message.sender_since.zip(newest) {
            Some((since, newest)) if since < newest => EARLIER_ACCOUNT,
            Some((since, newest)) if since > newest => OTHER_ACCOUNT,
            _ => return message.sender.to_string(),
        };
        format!("{} ({note})", message.sender)
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
    pub(super) fn take_read_next(&mut self, messages: Vec<Received>, commands: &mut Vec<Command>) {
        if self.account.is_none() {
            return;
        }
        let ids: Vec<MessageId> = messages.iter().map(|message| message.id).collect();
        let oldest = messages.first().map(|one| (one.sender.clone(), one.id));
        let new = self.insert_received(messages);
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

/// What was read stays read.
fn become_read(message: &mut Message, now_read: bool) {
    if let MessageState::Received { read, .. } = &mut message.state {
        *read |= now_read;
    }
}
