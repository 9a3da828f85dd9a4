//! What the views keep between frames and the model does not know: text being edited, where the
//! lists are scrolled to, and where the keyboard is to go next.
//!
//! Deliberately absent: anything that must survive a restart; that is in the model, and a draft is
//! there after each keystroke.

use egui::Context;

use crate::message_list::MessageList;
use crate::model::Model;
use crate::model::action::UserAction;
use crate::model::failure::Failure;
use crate::model::found::Found;
use crate::model::names::{MessageId, Name, NoticeId};
use crate::model::navigation::{Dialog, Screen};
use crate::model::preferences::Preferences;
use crate::model::search::SearchScope;
use crate::model::sign_in::LocalCluster;
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
    /// Where the search that is open searches.
    search_scope: Option<SearchScope>,
    scroll_number: u64,
    /// What the keyboard is to go to, as soon as it is drawn.
    focus: Option<Focus>,

    /// Signing in.
    pub sign_in: SignInForm,
    /// The field for addresses.
    pub addresses: AddressForm,
    /// The search above the list of conversations, and what the list is narrowed to.
    pub filter: ConversationFilter,
    /// Whether the window is too narrow for the list beside a conversation.
    pub one_pane: bool,
    /// What is being written.
    pub composer: Composer,
    /// The open conversation.
    pub messages: MessageList,
    /// The message whose menu the keyboard opens now.
    pub menu_to_open: Option<MessageId>,
    /// Whether the keyboard opened a menu, to which it belongs until that is closed.
    pub has_menu: bool,
    /// The search in one conversation.
    pub search_text: String,
    /// The search of accounts.
    pub people_text: String,
    /// Dialogs.
    pub forms: Forms,
    /// The entry of the cluster's feed that is pointed at.
    pub feed_entry: Option<u64>,
}

/// Something that can get the focus of the keyboard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Focus {
    /// A field of the page for signing in.
    SignIn(SignInField),
    /// The field for addresses.
    Addresses,
    /// The button that uses the cluster of this machine.
    LocalCluster,
    /// The field above the list of conversations.
    Search,
    /// Where one writes.
    Composer,
    /// The messages of the open conversation.
    Messages,
    /// The search in one conversation.
    MessageSearch,
    /// The search of accounts.
    People,
    /// The first control of a dialog.
    Dialog,
    /// A field of the dialog for another password.
    Password(PasswordField),
}

/// A field of the page for signing in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignInField {
    /// The name.
    Name,
    /// The password.
    Password,
    /// The password once more.
    Repeated,
}

/// A field of the dialog for another password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordField {
    /// The present one.
    Current,
    /// The new one.
    New,
    /// The new one once more.
    Repeated,
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
    /// Whether it was submitted and the outcome is not known.
    pub submitted: bool,
}

/// What is typed to choose servers.
#[derive(Debug, Default)]
pub struct AddressForm {
    /// The addresses.
    pub text: String,
    /// Whether it was submitted and the outcome is not known.
    pub submitted: bool,
    is_cluster_found: bool,
}

/// The search above the list of conversations, and what the list is narrowed to.
#[derive(Debug, Default)]
pub struct ConversationFilter {
    /// What is searched for.
    pub text: String,
    /// Whether only conversations with unread messages are listed.
    pub unread_only: bool,
    /// The entry that Enter opens.
    pub chosen: Option<Found>,
    /// Whether the list is to be scrolled to that entry.
    pub reveals_chosen: bool,
    /// Whether Enter was pressed, and the search for the text is not done yet.
    pub is_entered: bool,
    /// Whether the keyboard was in the field in the last frame.
    pub has_focus: bool,
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
    /// The newest deletion when the text was changed last: Ctrl+Z is about the text since then.
    edited_after: Option<NoticeId>,
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
    /// The day of a chat to go to.
    pub date: String,
    /// Whether it was submitted and the outcome is not known.
    pub submitted: bool,
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
                Screen::FirstRun => {
                    self.addresses.is_cluster_found = false;
                    Some(Focus::Addresses)
                }
                Screen::SignIn => {
                    self.begin_sign_in(model);
                    Some(Focus::SignIn(self.sign_in.first_field()))
                }
                Screen::People => Some(Focus::People),
                Screen::Chat if model.open.is_some() => Some(Focus::Composer),
                Screen::Chat => Some(Focus::Search),
                Screen::Cluster | Screen::Settings => None,
            };
        }
        if self.open != model.open {
            self.open.clone_from(&model.open);
            self.messages = MessageList::default();
            self.focus = match &model.open {
                // The arrow keys and Enter go on to another hit.
                Some(_) if is_showing_hits(model) && !self.one_pane => Some(Focus::Search),
                Some(_) => Some(Focus::Composer),
                None => self.focus,
            };
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
        self.follow_forms(model);
    }

    /// After a failure the keyboard is in the field to repair.
    fn follow_forms(&mut self, model: &Model) {
        let is_found = matches!(model.servers.local, LocalCluster::Running { .. });
        let was_found = std::mem::replace(&mut self.addresses.is_cluster_found, is_found);
        if model.screen == Screen::FirstRun
            && is_found
            && !was_found
            && self.addresses.text.is_empty()
        {
            self.focus = Some(Focus::LocalCluster);
        }
        if self.addresses.submitted && !model.servers.busy {
            self.addresses.submitted = false;
            if model.servers.failure.is_some() {
                self.focus = Some(Focus::Addresses);
            }
        }
        if self.sign_in.submitted && model.sign_in.busy.is_none() {
            self.sign_in.submitted = false;
            if let Some(failure) = &model.sign_in.failure {
                let field = self.sign_in.field_to_repair(failure);
                self.focus = Some(Focus::SignIn(field));
            }
        }
        let account = model.account.as_ref();
        if let Some(account) = account.filter(|one| self.forms.submitted && one.busy.is_none()) {
            self.forms.submitted = false;
            if let Some(failure) = &account.failure {
                self.focus = Some(match model.dialog {
                    Some(Dialog::ChangePassword) => {
                        Focus::Password(self.forms.field_to_repair(failure))
                    }
                    _ => Focus::Dialog,
                });
            }
        }
    }

    fn begin_sign_in(&mut self, model: &Model) {
        if !self.sign_in.name.is_empty() {
            return;
        }
        match &model.sign_in.remembered {
            Some(name) => self.sign_in.name = name.to_string(),
            // Who was never signed in here most likely has no account yet.
            None => self.sign_in.creating = true,
        }
    }

    fn follow_search(&mut self, model: &Model) {
        let scope = model.message_search.as_ref().map(|search| &search.scope);
        if self.search_scope.as_ref() == scope {
            return;
        }
        let was_everywhere = self.search_scope == Some(SearchScope::Everywhere);
        self.search_scope = scope.cloned();
        if was_everywhere {
            self.filter.text.clear();
            self.filter.chosen = None;
        }
        let Some(search) = &model.message_search else {
            if model.open.is_some() && !was_everywhere {
                self.focus = Some(Focus::Composer);
            }
            return;
        };
        if search.scope != SearchScope::Everywhere {
            self.search_text.clone_from(&search.text);
            self.focus = Some(Focus::MessageSearch);
        } else if self.filter.text != search.text {
            self.filter.text.clone_from(&search.text);
            self.focus = Some(Focus::Search);
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
                edited_after: None,
            };
        }
    }

    /// Whether Ctrl+Z brings deleted messages back: the person has typed nothing since.
    pub fn undoes_deletion(&self, model: &Model) -> Option<NoticeId> {
        let newest = model.deletions.back()?.notice;
        (self.composer.edited_after != Some(newest)).then_some(newest)
    }

    /// Notices that the person typed in the composer.
    pub fn notice_edit(&mut self, model: &Model) {
        self.composer.edited_after = model.deletions.back().map(|deletion| deletion.notice);
    }

    /// Goes back one step in the search above the list of conversations: from a hit to the list,
    /// then the search is cleared, then its field is left. Returns whether there was a step.
    pub fn leave_search(&mut self, model: &Model, actions: &mut Vec<UserAction>) -> bool {
        let is_covered =
            model.dialog.is_some() || !model.selection.is_empty() || model.screen != Screen::Chat;
        let is_searching = model.search().is_some();
        if is_covered || (model.message_search.is_some() && !is_searching) {
            return false;
        }
        if is_searching && self.one_pane && model.open.is_some() {
            actions.push(UserAction::CloseConversation);
            return true;
        }
        if is_searching || !self.filter.text.is_empty() {
            let to = match model.open {
                Some(_) if !self.filter.has_focus => Focus::Composer,
                _ => Focus::Search,
            };
            self.clear_search(actions);
            self.focus = Some(to);
            return true;
        }
        // In a narrow window the field is not there while a conversation is open.
        let leaves_field = self.filter.has_focus && model.open.is_some() && !self.one_pane;
        if leaves_field {
            self.focus = Some(Focus::Composer);
        }
        leaves_field
    }

    /// Ends the search above the list of conversations.
    pub fn clear_search(&mut self, actions: &mut Vec<UserAction>) {
        self.filter.text.clear();
        self.filter.chosen = None;
        self.filter.is_entered = false;
        actions.push(UserAction::Search(String::new()));
    }

    /// Moves the focus of the keyboard to something, as soon as that is drawn.
    pub fn send_focus(&mut self, to: Focus) {
        self.focus = Some(to);
    }

    /// Whether the keyboard is to go to `what`, which is being drawn; returns it once.
    pub fn takes_focus(&mut self, what: Focus) -> bool {
        self.take_focus_in(|focus| (focus == what).then_some(()))
            .is_some()
    }

    /// The same for one of several things that are being drawn: `pick` finds which.
    pub fn take_focus_in<T>(&mut self, pick: impl FnOnce(Focus) -> Option<T>) -> Option<T> {
        let found = self.focus.and_then(pick);
        if found.is_some() {
            self.focus = None;
        }
        found
    }
}

impl ConversationFilter {
    /// Whether this is the entry that Enter opens.
    pub fn shows_chosen(&self, entry: &Found) -> bool {
        self.has_focus && self.chosen.as_ref() == Some(entry)
    }
}

impl SignInForm {
    /// Where one begins to type. A new account wants another name than the remembered one.
    pub fn first_field(&self) -> SignInField {
        if self.creating || self.name.is_empty() {
            SignInField::Name
        } else {
            SignInField::Password
        }
    }

    /// The first field that has nothing in it.
    pub fn first_empty(&self) -> Option<SignInField> {
        if self.name.trim().is_empty() {
            Some(SignInField::Name)
        } else if self.password.is_empty() {
            Some(SignInField::Password)
        } else if self.creating && self.repeated.is_empty() {
            Some(SignInField::Repeated)
        } else {
            None
        }
    }

    fn field_to_repair(&self, failure: &Failure) -> SignInField {
        match failure {
            Failure::NameTaken | Failure::NameNotAllowed(_) => SignInField::Name,
            // All fields are filled in, so the two passwords differ.
            Failure::Incomplete(_) => self.first_empty().unwrap_or(SignInField::Repeated),
            _ => SignInField::Password,
        }
    }
}

impl Forms {
    /// The first field of another password that has nothing in it.
    pub fn first_empty(&self) -> Option<PasswordField> {
        let fields = [
            (&self.password, PasswordField::Current),
            (&self.new_password, PasswordField::New),
            (&self.repeated, PasswordField::Repeated),
        ];
        let mut empty = fields.into_iter().filter(|(text, _)| text.is_empty());
        empty.next().map(|(_, field)| field)
    }

    fn field_to_repair(&self, failure: &Failure) -> PasswordField {
        match failure {
            Failure::Incomplete(_) => self.first_empty().unwrap_or(PasswordField::Repeated),
            _ => PasswordField::Current,
        }
    }
}

/// Whether the person goes from hit to hit through all conversations.
fn is_showing_hits(model: &Model) -> bool {
    model
        .search()
        .is_some_and(|search| search.current.is_some())
}
