//! What the outside world reports to the model. In the order in which it happened; bounded, and
//! each one wakes the window.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::model::chaos::{FaultAction, Process};
use crate::model::cluster::NodeStatus;
use crate::model::failure::Failure;
use crate::model::marks::ChatMarks;
use crate::model::members_action::MembersReport;
use crate::model::message::{CopyPlace, OutboxMessage, StoredMessage};
use crate::model::names::{Commit, LogIndex, MessageId, Name, NodeId};
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
    /// New addresses were rejected; the earlier ones are still in use.
    ServersRefused(Failure),
    /// An account is signed in. What follows is about this account.
    SignedIn(StoredAccount),
    /// Signing in failed.
    SignInFailed(Failure),
    /// The session is over, requested or not. Nothing more follows about its account.
    SignedOut(SignedOut),
    /// A change of the account as a whole failed.
    AccountFailed(Failure),
    /// The password is another one now.
    PasswordChanged,

    /// The whole box is fetched from here on: what is in it comes on pages or with the watch.
    FetchBegan,
    /// A page of the box.
    Inbox(InboxPage),
    /// What was shown is what the servers have: everything has been reported since this device was
    /// connected before.
    CaughtUp,
    /// A message arrived, or was sent with a copy, here or on another device.
    Arrived(StoredMessage),
    /// Messages were read, somewhere.
    Read(Vec<MessageId>),
    /// Messages were deleted, somewhere.
    Deleted(Vec<MessageId>),
    /// A page of accounts.
    People {
        /// The pattern of the search.
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
        /// The pattern of the search.
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
        /// Where our copy of it is.
        copy: CopyPlace,
    },
    /// A message was rejected permanently.
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
    ReadNext(Vec<StoredMessage>),
    /// The person clicked the notification about a message.
    NotificationOpened {
        /// Who wrote it.
        peer: Name,
        /// Which message.
        id: MessageId,
    },
    /// A change of the inbox was rejected.
    InboxFailed(Failure),

    /// The state of the connection to the servers changed.
    Link(Link),
    /// All nodes were polled. Sent when something has changed, and after each poll
    /// while the cluster page is shown.
    Status {
        /// Every node, in the order of the addresses.
        nodes: Vec<NodeReport>,
        /// The time since the previous poll, whether that was reported or not; its result was the
        /// one that was reported last.
        since_previous: Option<Duration>,
    },
    /// What the supervisor of the local cluster reports about its processes; `None` without one.
    Processes(Option<BTreeMap<NodeId, Process>>),
    /// The supervisor completed an action.
    FaultActionCompleted {
        /// To what.
        action: FaultAction,
        /// Its answer, in its own words.
        answer: String,
    },
    /// The supervisor rejected an action, or did not answer.
    FaultActionFailed {
        /// What.
        action: FaultAction,
        /// Why.
        why: Failure,
    },
    /// How far a change of the members of the local cluster is, or why it is not done.
    Members(Result<MembersReport, Failure>),
    /// Where the servers have the sent messages of the ledger, of those that they have.
    LedgerStored(Vec<StoredPlace>),
    /// The box as the servers have it, as far as the check covers it.
    LedgerBox(Vec<(MessageId, Commit)>),
    /// The check of the ledger is over, or could not go on.
    LedgerEnded(Result<(), Failure>),
    /// Something could not be stored on this device.
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
    /// The id of the cluster that has the account: 32 hexadecimal digits.
    pub cluster_id: String,
    /// What is in the composers.
    pub drafts: BTreeMap<Name, StoredDraft>,
    /// What is not acknowledged, in the order of writing.
    pub outbox: Vec<OutboxMessage>,
    /// What was sent and only this device has, oldest first.
    pub sent: Vec<StoredMessage>,
    /// Who is muted.
    pub muted: BTreeSet<Name>,
    /// What the person has marked about the chats.
    pub marks: ChatMarks,
    /// The copy of the box.
    pub inbox: StoredInbox,
    /// What was deleted and the servers may still have.
    pub deleted: Vec<MessageId>,
}

/// What is kept of a composer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredDraft {
    /// The text.
    pub text: Arc<str>,
    /// The message that it replies to.
    pub reply_to: Option<MessageId>,
}

/// What this device keeps of the box: received messages, and copies of sent ones.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StoredInbox {
    /// Oldest first.
    pub messages: Vec<StoredMessage>,
    /// Whether this is the whole box down to the oldest of them, as of the last connection.
    pub is_complete: bool,
    /// Whether the servers have older ones.
    pub more: bool,
    /// How many of those are unread.
    pub unread_elsewhere: u64,
}

/// Where the servers have a message that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredPlace {
    /// Which message.
    pub id: MessageId,
    /// Its place in the log.
    pub commit: Commit,
    /// Whether it is in the account's box.
    pub in_box: bool,
}

/// Why the session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignedOut {
    /// The person wanted it.
    Wanted,
    /// The account is deleted.
    AccountDeleted,
    /// The servers no longer accept the session.
    SessionEnded,
}

/// A page of the box.
#[derive(Clone, Debug, PartialEq)]
pub struct InboxPage {
    /// Newest first; without those whose deletion the person has requested.
    pub messages: Vec<StoredMessage>,
    /// Everything that the servers have from this index on has come with this page or before it; 0 if
    /// they have nothing older.
    pub reaches: LogIndex,
    /// How many messages of the whole inbox are unread.
    pub unread: u64,
    /// Whether the servers have older ones.
    pub more: bool,
    /// Whether the fetch ends with this page.
    pub is_last: bool,
}

/// The state of the connection to the servers.
#[derive(Clone, Debug, PartialEq)]
pub enum Link {
    /// A node sends us changes.
    Up {
        /// The address of that node.
        address: String,
    },
    /// No node sends us changes at the moment; another node is tried.
    Broken(Failure),
    /// No node could be reached; the next attempt comes later.
    Waiting {
        /// What happened.
        why: Failure,
        /// When it is tried again, from now.
        next_try: Duration,
    },
}

/// The status of one node, or why there is none.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeReport {
    /// Its address.
    pub address: String,
    /// Its number, once it or another node has reported it.
    pub id: Option<NodeId>,
    /// Its status, or why there is none.
    pub status: Result<NodeStatus, String>,
    /// How long that took.
    pub round_trip: Duration,
}
