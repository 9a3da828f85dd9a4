//! What the window shows beside its content: confirmations that fade, errors that stay until they
//! are dismissed, and what can still be undone.

use crate::model::action::UserAction;
use crate::model::names::NoticeId;
use crate::model::time::Moment;

/// How many errors are kept; an older one gives way. A person does not read more than three.
pub const ERRORS_MAX: usize = 3;

/// One notice.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// Names it in [`UserAction::DismissNotice`].
    pub id: NoticeId,
    /// How it is shown.
    pub kind: NoticeKind,
    /// One sentence.
    pub text: String,
    /// What to do next; may be empty.
    pub detail: String,
    /// What a button offers.
    pub action: Option<NoticeAction>,
    /// When it goes by itself; `None` when it stays until it is dismissed.
    pub until: Option<Moment>,
}

/// How a notice is shown and announced to a screen reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeKind {
    /// It worked.
    Confirmation,
    /// It did not work.
    Error,
    /// It will happen unless it is undone.
    Undo,
}

/// A button on a notice.
#[derive(Clone, Debug, PartialEq)]
pub struct NoticeAction {
    /// Its text.
    pub label: &'static str,
    /// What pressing it does.
    pub action: Box<UserAction>,
}
