//! What the reducer remembers between two inputs and no view shows. Deliberately absent: what is
//! done with it, which is in `reduce`.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::dates::SoughtDay;
use crate::model::event::Link;
use crate::model::failure::Failure;
use crate::model::ledger_check::LedgerCheck;
use crate::model::message::Message;
use crate::model::message_index::MessageIndex;
use crate::model::names::{LogIndex, MessageId, Name, NodeId, Password, RequestId, Term};
use crate::model::time::Moment;

/// What the reducer remembers and the views do not show.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Of the account that is signed in.
    pub(super) account: AccountMemory,
    pub(super) notices: u64,
    pub(super) feed: u64,
    pub(super) observation: Observation,
    /// What an account is being created with, until it is known whether it was: it is tried again
    /// as the same request.
    pub(super) sign_up: Option<(Name, Password, RequestId)>,
    pub(super) password_change: Option<(Password, Password, RequestId)>,
}

/// What is remembered about the account that is signed in, and forgotten with it.
#[derive(Debug, Default)]
pub(super) struct AccountMemory {
    pub(super) message_index: MessageIndex,
    /// Hidden until their deletion is due or undone.
    pub(super) hidden: BTreeMap<MessageId, Message>,
    /// Numbers own messages that are not in the log.
    pub(super) sequence: u64,
    /// The highest index of a message that was received.
    pub(super) newest_index: u64,
    /// What was known when the fetch began and has not come yet.
    pub(super) unconfirmed: Option<BTreeSet<MessageId>>,
    /// Whether pages of the whole box are on their way.
    pub(super) is_fetching: bool,
    /// Every message of the box from this index on is loaded, once no pages are on their way.
    pub(super) loaded_from: u64,
    /// The day that older messages are loaded for.
    pub(super) sought_day: Option<SoughtDay>,
    /// Unread messages that are not loaded.
    pub(super) unread_not_loaded: u64,
    /// Drafts that are not kept yet, and when they will be.
    pub(super) unsaved_drafts: BTreeMap<Name, Moment>,
    /// Messages that go back into the composer once they are out of the outbox.
    pub(super) restoring_to_draft: BTreeSet<MessageId>,
    /// Whether the open conversation is the one of the last time, and its messages have not come.
    pub(super) restored_open: bool,
    /// When the open search in messages is repeated.
    pub(super) search_due: Option<Moment>,
    /// Whether the search of accounts was repeated although the servers answered.
    pub(super) people_repeated: bool,
    /// Whether something that this device keeps could not be read or written since signing in.
    pub(super) storage_failed: bool,
    pub(super) link: LinkMemory,
    pub(super) ledger_check: LedgerCheck,
}

/// What is known of the connection to the servers.
#[derive(Debug, Default)]
pub(super) struct LinkMemory {
    pub(super) link: Option<Link>,
    /// When the next try is.
    pub(super) next_try: Option<Moment>,
    /// Whether it was ever up since signing in.
    pub(super) was_up: bool,
    /// Whether a node led when the connection was looked at last.
    pub(super) was_led: bool,
    /// Since when sending is not possible, as far as we know.
    pub(super) blocked_since: Option<Moment>,
    /// The attempt that is under way, and since when.
    pub(super) attempt: Option<(MessageId, Moment)>,
    /// The last acknowledgement: by the leader of which term, and when.
    pub(super) acknowledged: Option<(Term, Moment)>,
    /// Why the first queued message was delayed.
    pub(super) delayed: Option<Failure>,
}

/// What earlier polls of the cluster showed.
#[derive(Debug, Default)]
pub(super) struct Observation {
    /// The leader at the last poll; kept while there is none.
    pub(super) leader: Option<(NodeId, Term)>,
    /// The poll before the first one that this leader did not answer, while it does not.
    pub(super) silent_since: Option<Moment>,
    /// The end of the new leader's log when it was first seen to lead. A leader begins its term
    /// with an entry: once this is committed, something of the new term is.
    pub(super) log_end: Option<LogIndex>,
    /// The last term whose candidate was reported.
    pub(super) reported_candidate: Term,
    /// The last node that a fault was caused in from this window, and when the supervisor confirmed
    /// it.
    pub(super) last_fault: Option<(NodeId, Moment)>,
}
