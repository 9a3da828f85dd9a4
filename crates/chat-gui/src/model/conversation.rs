//! One conversation: everything with one person, in the order of the log, and what it looks like
//! from top to bottom. Decides nothing about what is sent or deleted.

use crate::model::holder::{Holder, Holders};
use crate::model::message::{Message, SortKey};
use crate::model::names::{MessageId, Name};
use crate::model::time::{Timestamp, Zone};
use crate::model::timeline::{self, Drawn, TimelineItem};

/// Everything with one person.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Conversation {
    /// In the order in which they are shown, oldest first.
    pub messages: Vec<Message>,
    /// What is shown, from top to bottom.
    pub timeline: Vec<TimelineItem>,
    /// The number of unread messages.
    pub unread: usize,
    /// The oldest message that was unread when the conversation was opened; the line is drawn above
    /// it until the conversation is left.
    pub unread_line: Option<MessageId>,
    /// The accounts that have had the other one's name.
    pub holders: Holders,
    /// What is in the composer.
    pub draft: Draft,
    /// Whether new messages of this person raise no notification.
    pub muted: bool,
    /// Grows whenever `messages` or `timeline` change, so that caches can be compared with it.
    pub revision: u64,
}

/// Text that was written and not sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draft {
    /// The text.
    pub text: String,
    /// The message that it replies to.
    pub reply_to: Option<MessageId>,
    /// Grows whenever the model itself changes the text; an editor that shows an older one takes
    /// the text from here.
    pub revision: u64,
}

/// A line of the list of conversations.
#[derive(Clone, Debug, PartialEq)]
pub struct ConversationLine<'a> {
    /// With whom.
    pub peer: &'a Name,
    /// What it holds.
    pub conversation: &'a Conversation,
    /// What is shown beneath the name.
    pub preview: Preview<'a>,
    /// Which account of the name the last message is of.
    pub holder: Holder,
    /// When something happened there last.
    pub last_at: Option<Timestamp>,
}

/// What is shown beneath a name in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preview<'a> {
    /// Nothing yet.
    Empty,
    /// Text in the composer.
    Draft(&'a str),
    /// What they wrote last.
    Received(&'a str),
    /// What we wrote last.
    Sent(&'a str),
    /// What we wrote last is on its way.
    Pending(&'a str),
    /// What we wrote last was rejected.
    NotSent(&'a str),
}

impl Conversation {
    /// The message with this sort key and id.
    pub fn at(&self, sort_key: SortKey, id: MessageId) -> Option<&Message> {
        let index = self.position(sort_key, id).ok()?;
        Some(&self.messages[index])
    }

    /// Which account of the other one's name a message is from or for.
    pub fn holder(&self, message: &Message) -> Holder {
        self.holders.holder(message)
    }

    /// Changes what a message is without moving it. Returns whether it is there.
    pub(super) fn change(
        &mut self,
        sort_key: SortKey,
        id: MessageId,
        change: impl FnOnce(&mut Message),
    ) -> bool {
        let Ok(index) = self.position(sort_key, id) else {
            return false;
        };
        let message = &mut self.messages[index];
        self.unread -= usize::from(message.is_unread());
        change(message);
        self.unread += usize::from(message.is_unread());
        assert!(
            message.sort_key == sort_key && message.id == id,
            "a change moves no message"
        );
        self.revision += 1;
        true
    }

    /// Puts messages in their places. One that is there already is replaced.
    pub(super) fn insert(&mut self, messages: Vec<Message>, zone: &Zone) {
        let learned = self.holders.learn(&messages);
        let mut first = if learned { 0 } else { self.messages.len() };
        let mut at_once = Vec::new();
        for message in messages {
            self.unread += usize::from(message.is_unread());
            match self.position(message.sort_key, message.id) {
                Ok(index) => {
                    self.unread -= usize::from(self.messages[index].is_unread());
                    self.messages[index] = message;
                    first = first.min(index);
                }
                Err(index) if index == self.messages.len() => self.messages.push(message),
                Err(index) => {
                    first = first.min(index);
                    at_once.push(message);
                }
            }
        }
        if !at_once.is_empty() {
            self.messages.append(&mut at_once);
            self.messages
                .sort_by_key(|message| (message.sort_key, message.id));
            self.messages
                .dedup_by_key(|message| (message.sort_key, message.id));
            self.unread = self
                .messages
                .iter()
                .filter(|message| message.is_unread())
                .count();
        }
        self.rebuild_from(first, zone);
    }

    /// Takes messages out.
    pub(super) fn remove(&mut self, gone: &[(SortKey, MessageId)], zone: &Zone) -> Vec<Message> {
        let mut places: Vec<usize> = gone
            .iter()
            .filter_map(|(sort_key, id)| self.position(*sort_key, *id).ok())
            .collect();
        places.sort_unstable();
        places.dedup();
        let Some(first) = places.first().copied() else {
            return Vec::new();
        };
        let mut removed = Vec::with_capacity(places.len());
        let mut kept = Vec::with_capacity(self.messages.len() - places.len());
        let mut next = places.into_iter().peekable();
        for (index, message) in std::mem::take(&mut self.messages).into_iter().enumerate() {
            if next.next_if_eq(&index).is_some() {
                self.unread -= usize::from(message.is_unread());
                removed.push(message);
            } else {
                kept.push(message);
            }
        }
        self.messages = kept;
        self.rebuild_from(first, zone);
        removed
    }

    /// Draws the unread line above the oldest unread message, or nowhere if there is none.
    pub(super) fn draw_unread_line(&mut self, zone: &Zone) {
        let oldest = self.messages.iter().find(|message| message.is_unread());
        self.move_unread_line(oldest.map(|message| message.id), zone);
    }

    /// Takes the unread line away.
    pub(super) fn clear_unread_line(&mut self, zone: &Zone) {
        self.move_unread_line(None, zone);
    }

    fn move_unread_line(&mut self, line: Option<MessageId>, zone: &Zone) {
        if self.unread_line == line {
            return;
        }
        let places = [self.unread_line, line].map(|id| {
            let mut messages = self.messages.iter();
            messages.position(|message| Some(message.id) == id)
        });
        self.unread_line = line;
        if let Some(first) = places.into_iter().flatten().min() {
            self.rebuild_from(first, zone);
        }
    }

    /// Draws the timeline again from this message on; what is above it stays.
    pub(super) fn rebuild_from(&mut self, index: usize, zone: &Zone) {
        timeline::rebuild(
            &mut self.timeline,
            &Drawn {
                messages: &self.messages,
                holders: &self.holders,
                unread_line: self.unread_line,
                zone,
            },
            index,
        );
        self.revision += 1;
    }

    fn position(&self, sort_key: SortKey, id: MessageId) -> Result<usize, usize> {
        // Nearly everything happens at the end.
        if self
            .messages
            .last()
            .is_none_or(|last| (last.sort_key, last.id) < (sort_key, id))
        {
            return Err(self.messages.len());
        }
        self.messages
            .binary_search_by_key(&(sort_key, id), |message| (message.sort_key, message.id))
    }
}
