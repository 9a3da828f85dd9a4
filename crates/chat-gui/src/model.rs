//! Everything the window shows, as values. Knows no toolkit, no files, no sockets and no clock:
//! time comes in with each input, and what is to be done outside comes out as commands.

pub mod action;
pub mod availability;
pub mod chaos;
pub mod cluster;
pub mod command;
pub mod connection;
pub mod conversation;
mod copies;
pub mod dates;
pub mod emoji;
pub mod event;
pub mod excerpt;
pub mod failover;
pub mod failure;
pub mod feed;
pub mod found;
pub mod holder;
pub mod ledger;
mod ledger_check;
mod ledger_words;
pub mod links;
pub mod marks;
pub mod members_action;
pub mod membership;
mod memory;
pub mod message;
mod message_index;
pub mod names;
pub mod navigation;
pub mod notice;
pub mod obstacle;
pub mod preferences;
mod query;
mod reduce;
pub mod search;
pub mod sign_in;
pub mod term_timeline;
pub mod time;
pub mod timeline;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::model::cluster::Cluster;
use crate::model::connection::{Connection, Recovery};
use crate::model::conversation::Conversation;
use crate::model::ledger::Ledger;
use crate::model::marks::ChatMarks;
use crate::model::memory::Memory;
use crate::model::names::NoticeId;
use crate::model::names::{IdSource, MessageId, Name};
use crate::model::navigation::{Dialog, Screen};
use crate::model::notice::Notice;
use crate::model::preferences::Preferences;
use crate::model::search::{MessageSearch, PeopleSearch};
use crate::model::sign_in::{Account, Servers, SignIn};
use crate::model::time::{Moment, Now, Zone};

/// Received messages that are kept in memory at most; older ones stay on the servers.
pub const RECEIVED_MAX: usize = 200_000;
/// Own messages in the outbox at most; more are rejected.
pub const OUTBOX_MAX: usize = 1_000;

/// Everything the window shows.
#[derive(Debug)]
pub struct Model {
    /// Which page.
    pub screen: Screen,
    /// What lies over it.
    pub dialog: Option<Dialog>,
    /// Which servers.
    pub servers: Servers,
    /// The state of the sign-in page.
    pub sign_in: SignIn,
    /// Who is signed in.
    pub account: Option<Account>,
    /// Grows with each sign-in and sign-out; editors drop all their text then.
    pub session_number: u64,

    /// By the other one's name.
    pub conversations: BTreeMap<Name, Conversation>,
    /// The list of conversations, the latest first: who, in order.
    pub order: Vec<Name>,
    /// Which conversation is shown on the chat page.
    pub open: Option<Name>,
    /// Which message the open conversation is to be scrolled to.
    pub scroll: ScrollRequest,
    /// What the person has marked about the chats.
    pub marks: ChatMarks,
    /// Selected messages.
    pub selection: BTreeSet<MessageId>,
    /// Unread messages of the whole inbox, also those that are not loaded.
    pub unread: u64,
    /// Whether the servers have older messages than those that are loaded.
    pub more_to_load: bool,
    /// Whether messages are being loaded.
    pub loading: bool,
    /// How much of the inbox is known: an inbox of which nothing is known is not empty.
    pub inbox_state: InboxFreshness,
    /// Deletions that can still be undone: which messages are hidden, and until when.
    pub deletions: VecDeque<Deletion>,
    /// Own messages that are queued or were rejected, in the order of writing.
    pub outbox: VecDeque<OutboxLine>,

    /// The search in messages, while it is open: of one conversation, or the part of the search above
    /// the list of conversations that is about messages.
    pub message_search: Option<MessageSearch>,
    /// The search of accounts.
    pub people: PeopleSearch,
    /// Notices beside the content; newest last.
    pub notices: VecDeque<Notice>,

    /// The state of the connection to the servers.
    pub connection: Connection,
    /// The last interruption, while it is recent enough to be shown.
    pub recovery: Option<Recovery>,
    /// The cluster.
    pub cluster: Cluster,
    /// What was promised, and kept.
    pub ledger: Ledger,

    /// What the person has chosen.
    pub preferences: Preferences,
    /// Whether the window has the keyboard.
    pub focused: bool,
    /// Grows whenever the desktop should point the person to the window.
    pub attention: u64,
    /// Grows whenever the window should come to the front.
    pub focus_requests: u64,
    /// Whether the window is to close: the commands that come before have been sent.
    pub closing: bool,
    /// Where the person is, as far as the time of day goes.
    pub zone: Zone,
    /// The last time that was passed in.
    pub now: Now,
    ids: IdSource,
    /// What the reducer remembers and the views do not show.
    memory: Memory,
}

/// How much of the inbox is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InboxFreshness {
    /// Nothing: this device has no copy, and the servers have not answered yet.
    #[default]
    Unknown,
    /// What this device keeps, as of the last connection.
    Copy,
    /// What the servers have.
    Current,
}

/// Which message a conversation is to be scrolled to; carried out once for each number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScrollRequest {
    /// Grows with each request.
    pub number: u64,
    /// Where to.
    pub target: ScrollTarget,
}

/// Where a conversation is scrolled to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ScrollTarget {
    /// The end.
    #[default]
    Newest,
    /// The unread line, or the end if there is none.
    Unread,
    /// A message.
    Message(MessageId),
}

/// A deletion that can still be undone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deletion {
    /// The notice that offers it.
    pub notice: NoticeId,
    /// What is hidden and will be deleted.
    pub messages: Vec<MessageId>,
    /// When.
    pub due: Moment,
}

/// An own message that is queued or was rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxLine {
    /// Which.
    pub id: MessageId,
    /// In which conversation it is.
    pub peer: Name,
    /// Whether it is queued; otherwise it was rejected.
    pub waiting: bool,
}
