//! What the views keep between frames and the model does not know: text being edited, where the
//! lists are scrolled to, and where the keyboard is to go next.
//!
//! Deliberately absent: anything that must survive a restart; that is in the model, and a draft is
//! there after each keystroke.

use egui::Context;

use crate::message_list::MessageList;
use crate::model::Model;
use crate::model::names::Name;
use crate::model::navigation::{Dialog, Screen};
use crate::model::preferences::Preferences;
use crate::theme;

/// What the views keep between frames.
#[derive(Debug, Default)]
pub struct ViewState {
    session_number: Option<u64>,
    /// The choice of colours and sizes that is in force.
    preferences: Option<Preferences>,
    screen: Option<Screen>,
    dialog: Option<Dialog>,
    open: Option<Name>,
    searching: bool,
    scroll_number: u64,
    /// What the keyboard is to go to, as soon as it is drawn.
    focus: Option<Focus>,

    /// Signing in.
    pub sign_in: SignInForm,
    /// The field for addresses.
    pub addresses: String,
    /// What the list of conversations is narrowed to.
    pub conversation_filter: String,
    /// What is being written.
    pub composer: Composer,
    /// The open conversation.
    pub messages: MessageList,
    /// The search in messages.
    pub search_text: String,
    /// The search of accounts.
    pub people_text: String,
    /// The received messages.
    pub inbox: InboxState,
    /// Dialogs.
    pub forms: Forms,
    /// The entry of the cluster's feed that is pointed at.
    pub feed_entry: Option<u64>,
}

/// Something that can get the focus of the keyboard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Focus {
    /// The first field of the page for signing in.
    SignIn,
    /// The field for addresses.
    Addresses,
    /// The field above the list of conversations.
    ConversationFilter,
    /// Where one writes.
    Composer,
    /// The messages of the open conversation.
    Messages,
    /// The search in messages.
    MessageSearch,
    /// The search of accounts.
    People,
    /// The first control of a dialog.
    Dialog,
}

/// What is typed to sign in or up.
#[derive(Debug, Default)]
pub struct SignInForm {
    /// Whether an account is to be created.
    pub creating: bool,
    /// The name.
    pub name: String,
    /// The password.
    pub password: String,
    /// The password once more.
    pub repeated: String,
    /// Whether the passwords can be read.
    pub shown: bool,
}

/// What is being written, and to whom.
#[derive(Debug, Default)]
pub struct Composer {
    /// To whom.
    pub peer: Option<Name>,
    /// The model's number of the text; a higher one means it was changed there.
    pub revision: u64,
    /// The text.
    pub text: String,
}

/// What the page of received messages keeps between frames.
#[derive(Debug, Default)]
pub struct InboxState {
    /// How many of the oldest unread messages are to be read next, as typed.
    pub read_next: String,
    /// What is shown, newest first: whose conversation, and which of its messages.
    pub rows: Vec<(Name, usize)>,
    /// What `rows` was computed from.
    pub computed_from: Option<(usize, u64)>,
}

/// What is typed in dialogs.
#[derive(Debug, Default)]
pub struct Forms {
    /// The account's name, to confirm that it is to be deleted.
    pub typed_name: String,
    /// The current password.
    pub password: String,
    /// The new one.
    pub new_password: String,
    /// The new one once more.
    pub repeated: String,
}

impl ViewState {
    /// Notices what changed in the model since the last frame, and where the keyboard goes then.
    pub fn follow(&mut self, context: &Context, model: &Model) {
        let session_number = self.session_number.replace(model.session_number);
        if session_number.is_some_and(|before| before != model.session_number) {
            // Nothing that one person typed is shown to the next.
            *self = Self {
                session_number: Some(model.session_number),
                preferences: self.preferences.take(),
                ..Self::default()
            };
        }
        if self.preferences.as_ref() != Some(&model.preferences) {
            self.preferences = Some(model.preferences.clone());
            theme::follow(context, &model.preferences);
        }
        if self.screen != Some(model.screen) {
            self.screen = Some(model.screen);
            self.focus = match model.screen {
                Screen::FirstRun => Some(Focus::Addresses),
                Screen::SignIn => {
                    self.begin_sign_in(model);
                    Some(Focus::SignIn)
                }
                Screen::People => Some(Focus::People),
                Screen::Chat if model.open.is_some() => Some(Focus::Composer),
                Screen::Chat => Some(Focus::ConversationFilter),
                Screen::Inbox | Screen::Cluster | Screen::Settings => None,
            };
        }
        if self.open != model.open {
            self.open.clone_from(&model.open);
            self.messages = MessageList::default();
            self.focus = model.open.is_some().then_some(Focus::Composer);
        }
        if self.scroll_number != model.scroll.number {
            self.scroll_number = model.scroll.number;
            self.messages.go_to(model.scroll.target);
        }
        self.follow_search(model);
        if self.dialog != model.dialog {
            self.forms = Forms::default();
            self.focus = match (&self.dialog, &model.dialog) {
                (_, Some(_)) => Some(Focus::Dialog),
                (_, None) if model.screen == Screen::Chat => Some(Focus::Composer),
                (_, None) => None,
            };
            self.dialog.clone_from(&model.dialog);
        }
        self.follow_draft(model);
    }

    fn begin_sign_in(&mut self, model: &Model) {
        if let Some(name) = &model.sign_in.remembered
            && self.sign_in.name.is_empty()
        {
            self.sign_in.name = name.to_string();
        }
    }

    fn follow_search(&mut self, model: &Model) {
        let searching = model.message_search.is_some();
        if self.searching != searching {
            self.searching = searching;
            match &model.message_search {
                Some(search) => {
                    self.search_text.clone_from(&search.text);
                    self.focus = Some(Focus::MessageSearch);
                }
                None if model.open.is_some() => self.focus = Some(Focus::Composer),
                None => {}
            }
        }
    }

    fn follow_draft(&mut self, model: &Model) {
        let draft = model.open_conversation().map(|open| &open.draft);
        let revision = draft.map_or(0, |draft| draft.revision);
        if self.composer.peer != model.open || self.composer.revision < revision {
            self.composer = Composer {
                peer: model.open.clone(),
                revision,
                text: draft.map(|draft| draft.text.clone()).unwrap_or_default(),
            };
        }
    }

    /// Moves the focus of the keyboard to something, as soon as that is drawn.
    pub fn send_focus(&mut self, to: Focus) {
        self.focus = Some(to);
    }

    /// Whether the keyboard is to go to `what`, which is being drawn; returns it once.
    pub fn takes_focus(&mut self, what: Focus) -> bool {
        let wanted = self.focus == Some(what);
        if wanted {
            self.focus = None;
        }
        wanted
    }
}
