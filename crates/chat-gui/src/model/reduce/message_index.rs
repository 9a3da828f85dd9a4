//! Where each message is: puts messages into conversations, finds them by id, and takes them out,
//! so that none is there twice. Decides nothing about what a message becomes.

use std::collections::BTreeMap;

use crate::model::Model;
use crate::model::message::{Message, SortKey};
use crate::model::names::{MessageId, Name};

impl Model {
    /// A message by its id.
    pub(super) fn find(&self, id: MessageId) -> Option<&Message> {
        let (peer, place) = self.memory.account.message_index.places.get(&id)?;
        self.conversations.get(peer)?.at(*place, id)
    }

    /// Changes a message in place. Returns whether there is such a message.
    pub(super) fn change(&mut self, id: MessageId, change: impl FnOnce(&mut Message)) -> bool {
        let Some((peer, place)) = self.memory.account.message_index.places.get(&id) else {
            return false;
        };
        let conversation = self.conversations.get_mut(peer);
        conversation.is_some_and(|conversation| conversation.change(*place, id, change))
    }

    /// Puts messages into their conversations, each in its place. Those that are there already
    /// are moved.
    pub(super) fn insert_messages(&mut self, messages: Vec<Message>) {
        let mut known = Vec::new();
        for message in &messages {
            if let Some((peer, place)) = self.memory.account.message_index.places.get(&message.id)
                && (*place != message.sort_key || *peer != message.peer)
            {
                known.push(message.id);
            }
        }
        self.remove_messages(&known);
        let mut by_peer: BTreeMap<Name, Vec<Message>> = BTreeMap::new();
        for message in messages {
            let place = (message.peer.clone(), message.sort_key);
            self.memory
                .account
                .message_index
                .places
                .insert(message.id, place);
            by_peer
                .entry(message.peer.clone())
                .or_default()
                .push(message);
        }
        let peers: Vec<Name> = by_peer.keys().cloned().collect();
        for (peer, messages) in by_peer {
            let conversation = self.conversations.entry(peer).or_default();
            conversation.insert(messages, &self.zone);
        }
        self.reorder(&peers);
    }

    /// Takes messages out of their conversations.
    pub(super) fn remove_messages(&mut self, ids: &[MessageId]) -> Vec<Message> {
        let mut by_peer: BTreeMap<Name, Vec<(SortKey, MessageId)>> = BTreeMap::new();
        for id in ids {
            if let Some((peer, place)) = self.memory.account.message_index.places.remove(id) {
                by_peer.entry(peer).or_default().push((place, *id));
            }
            self.selection.remove(id);
        }
        let mut removed = Vec::new();
        let peers: Vec<Name> = by_peer.keys().cloned().collect();
        for (peer, gone) in by_peer {
            if let Some(conversation) = self.conversations.get_mut(&peer) {
                removed.append(&mut conversation.remove(&gone, &self.zone));
            }
        }
        self.reorder(&peers);
        removed
    }

    /// Puts these conversations where they belong in the list: those that are pinned, then the
    /// others, the latest first. One in which
    /// nothing is left but a draft stays; one without anything goes, unless it is open.
    pub(super) fn reorder(&mut self, peers: &[Name]) {
        for peer in peers {
            let is_open = self.open.as_ref() == Some(peer);
            let is_empty = self.conversations.get(peer).is_some_and(|conversation| {
                conversation.messages.is_empty()
                    && conversation.draft.text.is_empty()
                    && !conversation.muted
                    && !self.marks.pinned.contains(peer)
            });
            if is_empty && !is_open {
                self.conversations.remove(peer);
            }
        }
        let mut order: Vec<Name> = self.conversations.keys().cloned().collect();
        let conversations = &self.conversations;
        // The log's order is the same for all, and what is not in the log is the latest.
        order.sort_by_key(|peer| {
            let last = conversations[peer].messages.last();
            let is_pinned = self.marks.pinned.contains(peer);
            std::cmp::Reverse((is_pinned, last.map(|message| message.sort_key)))
        });
        self.order = order;
    }
}
