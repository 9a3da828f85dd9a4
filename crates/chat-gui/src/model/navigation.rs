//! Where a person is in the window: the page, the dialog over it, and the direction of a step.
//! Deliberately absent: how a page is left or entered, which is the reducer's.

use crate::model::chaos::FaultAction;
use crate::model::links::Link;
use crate::model::members_action::MembersAction;
use crate::model::names::{MessageId, Name};

/// The pages of the window; exactly one is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Screen {
    /// Which servers? Shown when none are known.
    #[default]
    FirstRun,
    /// Who are you?
    SignIn,
    /// Conversations.
    Chat,
    /// The search of accounts.
    People,
    /// The cluster, and what can be done to it.
    Cluster,
    /// Preferences and the account.
    Settings,
}

/// What lies over the page; at most one does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dialog {
    /// All keys.
    Shortcuts,
    /// Deleting the account: asks for its name and shows what is lost.
    DeleteAccount,
    /// Another password.
    ChangePassword,
    /// All that is known of one message.
    MessageDetails(Name, MessageId),
    /// Whether that is really to be done, and what to expect.
    Chaos(FaultAction),
    /// Whether the members of the local cluster are really to be changed, and what to expect.
    Members(MembersAction),
    /// Whether the whole chat with a person is to be deleted.
    DeleteChat(Name),
    /// All that is known of the connection to the servers.
    Connection,
    /// Whether to close the window although messages wait to be sent.
    Quit,
    /// Which day of a chat to go to.
    GoToDate {
        /// With whom.
        peer: Name,
        /// What was typed and is no day.
        wrong: Option<String>,
    },
    /// Whether to open a link of a message, and where it leads.
    OpenLink(Link),
}

/// One of two ways through a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Towards the top, or the older.
    Previous,
    /// Towards the bottom, or the newer.
    Next,
}
