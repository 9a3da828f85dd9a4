//! What the outside world tells the model. In the order in which it happened; bounded, and each one
//! wakes the window.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::model::chaos::{FaultAction, Process};
use crate::model::cluster::NodeStatus;
use crate::model::failure::Failure;
use crate::model::message::{Outgoing, Received, SentCopy};
use crate::model::names::{Commit, MessageId, Name, NodeId};
use crate::model::preferences::Preferences;
use crate::model::sign_in::LocalCluster;
use crate::model::time::Timestamp;

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub enum BackendEvent {
    /// The backend runs. Always the first.
    Started(Started),
    /// What was found on this machine.
    LocalCluster(LocalCluster),
    /// These addresses are in use from now on.
    ServersChosen(Vec<String>),
    /// They are not; the ones before still are.
    ServersRefused(Failure),
    /// Somebody is signed in. What follows is about their account.
    SignedIn(StoredAccount),
    /// Nobody is.
    SignInFailed(Failure),
    /// The session is over, wanted or not. Nothing more follows about its account.
    SignedOut(SignedOut),
    /// What was wanted of the account as a whole was not done.
    AccountFailed(Failure),
    /// The password is another one now.
    PasswordChanged,

    /// A page of the inbox.
    Inbox(InboxPage),
    /// A message arrived.
    Arrived(Received),
    /// Messages were read, somewhere.
    Read(Vec<MessageId>),
    /// Messages were deleted, somewhere.
    Deleted(Vec<MessageId>),
    /// A page of accounts.
    People {
        /// What was asked for.
        pattern: String,
        /// Who matches, on this page.
        names: Vec<Name>,
        /// Where the next page goes on.
        next: Option<String>,
        /// Whether this goes on behind an earlier page.
        continued: bool,
    },
    /// There is no such page.
    PeopleFailed {
        /// What was asked for.
        pattern: String,
        /// Why.
        why: Failure,
    },

    /// A message is being delivered for the given time.
    SendStarted {
        /// Which.
        id: MessageId,
        /// Counted from 1.
        attempt: u32,
    },
    /// An attempt did not succeed; there will be another one.
    SendDelayed {
        /// Which.
        id: MessageId,
        /// Why.
        why: Failure,
        /// When it is tried again, from now.
        next_try: Duration,
    },
    /// A message is on a majority of disks.
    SendAcknowledged {
        /// Which.
        id: MessageId,
        /// By the leader's clock.
        at: Timestamp,
        /// Its place in the log.
        commit: Commit,
    },
    /// A message was refused, and would be again.
    SendRefused {
        /// Which.
        id: MessageId,
        /// Why.
        why: Failure,
    },
    /// A message is out of the outbox, and certainly was not sent.
    Withdrawn(MessageId),
    /// A message may have been sent already, so it stays in the outbox until it certainly is.
    WithdrawRefused(MessageId),
    /// The oldest unread messages, oldest first; they are read now.
    ReadNext(Vec<Received>),
    /// Something that was wanted of messages of the inbox was refused.
    InboxFailed(Failure),

    /// How it stands between us and the servers.
    Link(Link),
    /// All nodes were asked how they are. Told when something has changed, and each time while
    /// somebody looks at the cluster.
    Status {
        /// Every node, in the order of the addresses.
        nodes: Vec<NodeReport>,
        /// How long ago they were asked before, told or not; what was seen then was what had been
        /// told last.
        since_previous: Option<Duration>,
    },
    /// What the supervisor of the local cluster says of its processes; `None` when there is none.
    Processes(Option<BTreeMap<NodeId, Process>>),
    /// The supervisor answered.
    FaultActionCompleted {
        /// To what.
        action: FaultAction,
        /// Its own sentence.
        answer: String,
    },
    /// The supervisor refused, or did not answer.
    FaultActionFailed {
        /// What.
        action: FaultAction,
        /// Why.
        why: Failure,
    },
    /// A message of the ledger was asked for again.
    LedgerEntry {
        /// Which.
        id: MessageId,
        /// Where the servers have it; `None` when they do not.
        commit: Option<Commit>,
    },
    /// A message of the ledger cannot be asked for: the check leaves it out.
    LedgerSkipped(MessageId),
    /// The whole inbox as the servers have it, as far as messages are kept in memory at all.
    LedgerInbox(Vec<(MessageId, Commit)>),
    /// The check of the ledger is over, or could not go on.
    LedgerEnded(Result<(), Failure>),
    /// What should have been kept on this device was not.
    LocalStorageFailed(Failure),
}

/// What is known when the window opens.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Started {
    /// What the person has chosen.
    pub preferences: Preferences,
    /// The servers that were used last, or named when the program was started; may be empty.
    pub addresses: Vec<String>,
    /// Who was signed in here last.
    pub remembered: Option<Name>,
    /// Whether their session is taken up again: `SignedIn` or `SignInFailed` follows.
    pub resuming: bool,
}

/// What this device keeps of an account.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredAccount {
    /// Whose it is.
    pub name: Name,
    /// What is in the composers.
    pub drafts: BTreeMap<Name, Arc<str>>,
    /// What is not acknowledged, in the order of writing.
    pub outbox: Vec<Outgoing>,
    /// What is, newest last.
    pub sent: Vec<SentCopy>,
    /// Who is muted.
    pub muted: BTreeSet<Name>,
}

/// Why nobody is signed in any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignedOut {
    /// The person wanted it.
    Wanted,
    /// The account is deleted.
    AccountDeleted,
    /// The servers do not accept the session any more.
    SessionEnded,
}

/// A page of the inbox.
#[derive(Clone, Debug, PartialEq)]
pub struct InboxPage {
    /// Newest first.
    pub messages: Vec<Received>,
    /// How many messages of the whole inbox are unread.
    pub unread: u64,
    /// Where it stands among the pages.
    pub place: PagePlace,
    /// Whether older ones follow.
    pub more: bool,
}

/// Where a page of the inbox stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PagePlace {
    /// The newest messages: what was known before and does not come again is gone.
    First,
    /// It goes on behind the page before.
    Next,
}

/// How it stands between us and the servers.
#[derive(Clone, Debug, PartialEq)]
pub enum Link {
    /// Changes are being told to us.
    Up {
        /// By the node at this address.
        address: String,
    },
    /// Nobody tells us of changes at the moment; somebody else is asked.
    Broken(Failure),
    /// Nobody could be asked; the next try is later.
    Waiting {
        /// What happened.
        why: Failure,
        /// When it is tried again, from now.
        next_try: Duration,
    },
}

/// What one node said, or that it did not.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeReport {
    /// Where it was asked.
    pub address: String,
    /// Its words, or why there are none.
    pub status: Result<NodeStatus, String>,
    /// How long that took.
    pub round_trip: Duration,
}
