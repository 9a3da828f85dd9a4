//! Deleting the account, and giving it another password.
//!
//! Deliberately absent: deciding whether that is allowed.

use egui::Ui;

use crate::model::Model;
use crate::model::action::UserAction;
use crate::model::names::Password;
use crate::model::sign_in::AccountStep;
use crate::views::control::buttons::{button, danger_button, primary_button};
use crate::views::control::fields::{Field, is_entered};
use crate::views::control::surfaces::{Tone, message_box};
use crate::views::dialogs::buttons::buttons_ui;
use crate::views::state::{Focus, PasswordField, ViewState};

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
    let entered = is_entered(ui, &field);
    if wants_focus || entered {
        field.request_focus();
    }
    failure_ui(ui, model);
    let busy = account.busy == Some(AccountStep::Deleting);
    let same = *state.forms.typed_name == *account.name;
    let ready = same && account.busy.is_none();
    buttons_ui(ui, |ui| {
        let text = if busy {
            "Deleting…"
        } else {
            "Delete account"
        };
        let pressed = danger_button(ui, text, ready).clicked();
        if (pressed || entered) && ready {
            state.forms.submitted = true;
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
    let entered = password_fields_ui(ui, state);
    let forms = &mut state.forms;
    failure_ui(ui, model);
    let busy = model
        .account
        .as_ref()
        .is_some_and(|account| account.busy.is_some());
    let complete = !forms.password.is_empty() && !forms.new_password.is_empty();
    buttons_ui(ui, |ui| {
        let text = if busy {
            "Changing…"
        } else {
            "Change password"
        };
        let pressed = primary_button(ui, text, complete && !busy).clicked();
        if pressed || (entered && !busy) {
            forms.submitted = true;
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

/// The fields; whether Enter was pressed in one of them and nothing is missing.
fn password_fields_ui(ui: &mut Ui, state: &mut ViewState) -> bool {
    let wanted = state.take_focus_in(|focus| match focus {
        Focus::Dialog => Some(PasswordField::Current),
        Focus::Password(field) => Some(field),
        _ => None,
    });
    let forms = &mut state.forms;
    let fields = [
        (
            "Current password",
            PasswordField::Current,
            &mut forms.password,
        ),
        ("New password", PasswordField::New, &mut forms.new_password),
        (
            "Confirm new password",
            PasswordField::Repeated,
            &mut forms.repeated,
        ),
    ];
    let mut entered = None;
    for (label, field, text) in fields {
        let response = Field {
            label,
            hint: "",
            secret: true,
        }
        .show(ui, text);
        if wanted == Some(field) {
            response.request_focus();
        }
        if is_entered(ui, &response) {
            entered = Some(response);
        }
    }
    let Some(response) = entered else {
        return false;
    };
    match forms.first_empty() {
        Some(field) => state.send_focus(Focus::Password(field)),
        None => response.request_focus(),
    }
    state.forms.first_empty().is_none()
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
