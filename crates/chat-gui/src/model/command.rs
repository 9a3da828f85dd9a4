//! What the model requests of the backend. Commands are handled on the backend's thread, in the
//! order in which they were sent; the answers are `BackendEvent`s.

use crate::model::chaos::FaultAction;
use crate::model::event::StoredDraft;
use crate::model::ledger::LedgerScope;
use crate::model::marks::ChatMarks;
use crate::model::members_action::MembersAction;
use crate::model::message::OutboxMessage;
use crate::model::names::{MessageId, Name, Password, RequestId};
use crate::model::preferences::Preferences;

/// Something to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Look for a cluster on this machine.
    FindLocalCluster,
    /// Try these addresses, and use them from now on if a node answers.
    UseServers(Vec<String>),
    /// Open a session.
    SignIn {
        /// Whose.
        name: Name,
        /// Proves it.
        password: Password,
    },
    /// Create an account and open a session of it.
    SignUp {
        /// Its name.
        name: Name,
        /// What will prove it.
        password: Password,
        /// The same when it is tried again with the same name and password, so that an account
        /// whose creation was not confirmed is still ours.
        request_id: RequestId,
    },
    /// End the session, here and on the servers.
    SignOut,
    /// Delete the account, and what this device keeps of it.
    DeleteAccount,
    /// Give the account another password.
    ChangePassword {
        /// The present one.
        password: Password,
        /// The new one.
        new_password: Password,
        /// The same when it is tried again.
        request_id: RequestId,
    },

    /// Keep what is in a composer; an empty text without a message to reply to removes it.
    SaveDraft {
        /// Whose composer.
        peer: Name,
        /// All of it.
        draft: StoredDraft,
    },
    /// Store a message in the outbox, then send it after those before it. A draft of the same
    /// conversation goes in the same write.
    Enqueue(Box<OutboxMessage>),
    /// Send a rejected message again: after those in the queue.
    Requeue(MessageId),
    /// Remove a message from the outbox, unless it is being sent or may have been: `Withdrawn` or
    /// `WithdrawRefused` answers it.
    Withdraw(MessageId),
    /// Try again now instead of at the next attempt.
    TryNow,

    /// Mark messages of the inbox as read; tried until it is done.
    MarkRead(Vec<MessageId>),
    /// Delete messages of the box and from this device; tried until it is done.
    Delete(Vec<MessageId>),
    /// Read so many of the oldest unread messages of the whole inbox: `ReadNext` returns them.
    ReadNext(u16),
    /// Fetch the next older page of the inbox.
    LoadOlder,
    /// Fetch the inbox again from the newest.
    Refresh,
    /// Fetch a page of accounts.
    SearchPeople {
        /// SQLite's `GLOB`.
        pattern: String,
        /// Behind an earlier page.
        after: Option<String>,
    },

    /// Keep what the person has chosen.
    SavePreferences(Preferences),
    /// Keep whether a person is muted.
    SaveMuted {
        /// Who.
        peer: Name,
        /// Whether.
        muted: bool,
    },
    /// Keep what the person has marked about the chats.
    SaveMarks(ChatMarks),
    /// Raise a notification of the desktop; `NotificationOpened` follows when it is clicked.
    Notify {
        /// Who wrote the message.
        peer: Name,
        /// Which message it is.
        id: MessageId,
        /// The first line.
        title: String,
        /// The text below it; may be empty.
        body: String,
    },
    /// Cause a fault in the local cluster, or undo one.
    Chaos(FaultAction),
    /// Change the members of the local cluster: `Members` reports how far it is, and what became of it.
    ChangeMembers(MembersAction),
    /// Poll the status of the nodes more often while the cluster page is shown, or as usual again.
    WatchCluster(bool),
    /// Ask the servers which of these sent messages they have, at most [`LEDGER_CHECK_MAX`], and what is
    /// in the box.
    ///
    /// [`LEDGER_CHECK_MAX`]: crate::model::ledger::LEDGER_CHECK_MAX
    CheckLedger {
        /// The sent messages.
        ids: Vec<MessageId>,
        /// How much of the box.
        scope: LedgerScope,
    },
    /// Finish what was begun, then end.
    Quit,
}
