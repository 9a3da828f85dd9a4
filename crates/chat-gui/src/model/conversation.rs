//! One conversation: everything with one person. Built by the reducer; views only read it.

use crate::model::message::Message;
use crate::model::names::{MessageId, Name};
use crate::model::time::Timestamp;
use crate::model::timeline::TimelineItem;

/// Everything with one person.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Conversation {
    /// In the order in which they are shown, oldest first.
    pub messages: Vec<Message>,
    /// What is shown, from top to bottom.
    pub timeline: Vec<TimelineItem>,
    /// How many received messages wait to be read.
    pub unread: usize,
    /// The oldest message that was unread when the conversation was opened; the line stands above
    /// it until the conversation is left.
    pub unread_line: Option<MessageId>,
    /// What is in the composer.
    pub draft: Draft,
    /// Whether new messages of this person raise no notification.
    pub muted: bool,
    /// Grows whenever `messages` or `timeline` change, so that who caches can tell.
    pub revision: u64,
}

/// Text that was written and not sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draft {
    /// The text.
    pub text: String,
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
    /// What we wrote last was refused.
    NotSent(&'a str),
}
