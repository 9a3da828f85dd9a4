//! All that a person can do in the window. Views return these actions and do nothing themselves;
//! the model carries them out.

use crate::model::chaos::FaultAction;
use crate::model::dates::DateChoice;
use crate::model::members_action::MembersAction;
use crate::model::names::{MessageId, Name, NoticeId, Password};
use crate::model::navigation::{Dialog, Screen, Step};
use crate::model::preferences::{
    KeptMessages, NotificationChoice, TextSize, ThemeChoice, WindowSize,
};

/// What a person wants.
#[derive(Clone, Debug, PartialEq)]
pub enum UserAction {
    /// Look for a cluster on this machine again.
    FindLocalCluster,
    /// Use the servers at these addresses, written with commas or spaces between them.
    UseServers(String),
    /// Use the cluster that was found on this machine.
    UseLocalCluster,
    /// Go back from signing in to the choice of servers.
    ChooseServers,
    /// Sign in.
    SignIn {
        /// As typed.
        name: String,
        /// As typed.
        password: Password,
    },
    /// The form is for something else now: what failed before no longer matters.
    ForgetSignInFailure,
    /// Create an account, and be signed in to it.
    SignUp {
        /// As typed.
        name: String,
        /// As typed.
        password: Password,
        /// As typed the second time; must be the same.
        repeated: Password,
    },
    /// End the session. What was not sent stays on this device.
    SignOut,
    /// Delete the account and all that is in it.
    DeleteAccount {
        /// The account's name as typed to confirm it; nothing happens when it is another one.
        typed_name: String,
    },
    /// Give the account another password.
    ChangePassword {
        /// The present one.
        password: Password,
        /// The new one.
        new_password: Password,
        /// The new one as typed the second time; must be the same.
        repeated: Password,
    },

    /// Show a page.
    Show(Screen),
    /// Lay a dialog over it.
    OpenDialog(Dialog),
    /// Leave what is open, the topmost first: dialog, search, selection, reply, conversation.
    Back,
    /// Show the conversation with a person, whether there is one yet or not.
    OpenConversation(Name),
    /// Show none.
    CloseConversation,
    /// Show the next conversation of the list, or the previous one.
    StepConversation(Step),
    /// The same among those with unread messages.
    StepUnread(Step),
    /// Show the conversation at this place of the list, counted from 0.
    OpenNth(usize),

    /// Reply to a message: the next one in its conversation names it.
    Reply(MessageId),
    /// The next message replies to none.
    CancelReply(Name),
    /// The composer's text is now this.
    EditDraft {
        /// Whose composer.
        peer: Name,
        /// All of it.
        text: String,
    },
    /// Send a text. White space around it is removed before it is sent.
    Send {
        /// To whom.
        peer: Name,
        /// What.
        text: String,
    },
    /// Try again to send a message that was rejected.
    Retry(MessageId),
    /// Discard a message that was rejected, or that is queued.
    Discard(MessageId),
    /// Move a message that was rejected, or that is queued, back into the composer.
    TakeBack(MessageId),
    /// Connect and send now instead of at the next attempt.
    TryNow,

    /// These messages have been in front of the person's eyes, and so have those before them.
    Seen(Vec<MessageId>),
    /// Show the oldest unread message.
    OpenOldestUnread,
    /// Show a message in its conversation.
    OpenMessage(Name, MessageId),
    /// Everything of a conversation is read.
    MarkRead(Name),
    /// Select a message, or remove it from the selection.
    ToggleSelected(MessageId),
    /// Select all messages of the open conversation.
    SelectAll,
    /// Select none.
    ClearSelection,
    /// Delete messages, with time to undo it. Own ones go from this device only.
    Delete(Vec<MessageId>),
    /// Delete what is selected, with time to undo it.
    DeleteSelected,
    /// Undo the deletion that a notice offers to undo.
    UndoDelete(NoticeId),
    /// Load older messages.
    LoadOlder,
    /// Fetch the whole inbox again.
    Refresh,
    /// Show the end of the open conversation.
    JumpToNewest,
    /// Show the first message of a chat that is of this day or later.
    GoToDate {
        /// With whom.
        peer: Name,
        /// Which day.
        date: DateChoice,
    },

    /// Search chats, people and messages; an empty text ends the search.
    Search(String),
    /// Search the messages of one conversation; an empty text finds nothing. The search stays open
    /// until [`UserAction::CloseSearch`].
    SearchIn {
        /// With whom.
        peer: Name,
        /// What for.
        text: String,
    },
    /// Show the next older hit, or the next newer one.
    StepHit(Step),
    /// Show this hit: a place in the list of hits.
    ShowHit(usize),
    /// End the search, whichever is open.
    CloseSearch,
    /// Search accounts whose names begin with this, or match it if it is a pattern.
    SearchPeople(String),
    /// More of them.
    MorePeople,

    /// Choose colours.
    SetTheme(ThemeChoice),
    /// Choose the size of text.
    SetTextSize(TextSize),
    /// Choose when notifications are raised.
    SetNotifications(NotificationChoice),
    /// Choose how many received messages are kept on this device.
    KeepMessages(KeptMessages),
    /// Raise no notifications for messages of one person, or raise them again.
    SetMuted {
        /// Of whom.
        peer: Name,
        /// Whether none are raised.
        muted: bool,
    },

    /// Keep a chat at the top of the list, or no longer.
    SetPinned {
        /// With whom.
        peer: Name,
        /// Whether it stays at the top.
        pinned: bool,
    },
    /// Show a chat as unread until it is opened.
    MarkUnread(Name),
    /// Delete all messages of a chat, with time to undo it.
    DeleteChat(Name),
    /// The window has this size; the next one opens with it.
    SetWindowSize(WindowSize),

    /// Something was copied; a notice confirms it.
    Copied,
    /// Dismiss a notice.
    DismissNotice(NoticeId),
    /// Cause a fault in the local cluster, or undo one.
    Chaos(FaultAction),
    /// Change the members of the local cluster.
    ChangeMembers(MembersAction),
    /// Compare what was acknowledged with what the servers have.
    CheckLedger,

    /// The window got or lost the keyboard.
    Focus(bool),
    /// Close the window, after a question if messages wait to be sent.
    Quit,
    /// Close the window; deletions that can still be undone are carried out first.
    QuitNow,
}
