//! Deleting the account, and giving it another password.
//!
//! Deliberately absent: deciding whether that is allowed.

use egui::Ui;

use crate::model::Model;
use crate::model::action::UserAction;
use crate::model::names::Password;
use crate::model::sign_in::AccountStep;
use crate::views::control::buttons::{button, danger_button, primary_button};
use crate::views::control::fields::Field;
use crate::views::control::surfaces::{Tone, message_box};
use crate::views::dialogs::buttons::buttons_ui;
use crate::views::state::{Focus, ViewState};

/// Shows what is lost, and asks for the name to be typed.
pub fn delete_ui(ui: &mut Ui, model: &Model, state: &mut ViewState, actions: &mut Vec<UserAction>) {
    let Some(account) = &model.account else {
        return;
    };
    message_box(
        ui,
        Tone::Bad,
        "This cannot be undone.",
        "Your name becomes free for others. The servers delete all messages that you have received, read or not. This device deletes your drafts, your queued messages and the copies of what you sent. Others keep the messages that they received from you.",
    );
    ui.add_space(4.0);
    let wants_focus = state.takes_focus(Focus::Dialog);
    let field = Field {
        label: &format!("Type {} to confirm", account.name),
        hint: "",
        secret: false,
    }
    .show(ui, &mut state.forms.typed_name);
    if wants_focus {
        field.request_focus();
    }
    failure_ui(ui, model);
    let busy = account.busy == Some(AccountStep::Deleting);
    let same = *state.forms.typed_name == *account.name;
    buttons_ui(ui, |ui| {
        let text = if busy {
            "Deleting…"
        } else {
            "Delete the account"
        };
        if danger_button(ui, text, same && account.busy.is_none()).clicked() {
            actions.push(UserAction::DeleteAccount {
                typed_name: state.forms.typed_name.clone(),
            });
        }
        if button(ui, "Cancel").clicked() {
            actions.push(UserAction::Back);
        }
    });
}

/// Asks for the current password and, twice, for a new one.
pub fn password_ui(
    ui: &mut Ui,
    model: &Model,
    state: &mut ViewState,
    actions: &mut Vec<UserAction>,
) {
    let wants_focus = state.takes_focus(Focus::Dialog);
    let forms = &mut state.forms;
    let secret = |label| Field {
        label,
        hint: "",
        secret: true,
    };
    let first = secret("Current password").show(ui, &mut forms.password);
    if wants_focus {
        first.request_focus();
    }
    secret("New password").show(ui, &mut forms.new_password);
    secret("Repeat the new password").show(ui, &mut forms.repeated);
    failure_ui(ui, model);
    let busy = model
        .account
        .as_ref()
        .is_some_and(|account| account.busy.is_some());
    let complete = !forms.password.is_empty() && !forms.new_password.is_empty();
    buttons_ui(ui, |ui| {
        let text = if busy { "Changing…" } else { "Change it" };
        if primary_button(ui, text, complete && !busy).clicked() {
            actions.push(UserAction::ChangePassword {
                password: Password::new(forms.password.clone()),
                new_password: Password::new(forms.new_password.clone()),
                repeated: Password::new(forms.repeated.clone()),
            });
        }
        if button(ui, "Cancel").clicked() {
            actions.push(UserAction::Back);
        }
    });
}

fn failure_ui(ui: &mut Ui, model: &Model) {
    let failure = model
        .account
        .as_ref()
        .and_then(|account| account.failure.as_ref());
    if let Some(failure) = failure {
        message_box(ui, Tone::Bad, &failure.sentence(), &failure.next_step());
    }
}
