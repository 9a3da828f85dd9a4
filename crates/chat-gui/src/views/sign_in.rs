//! The page that asks who you are: signing in, and creating an account.
//!
//! Deliberately absent: what a name or a password must be like; the servers check that, and their
//! answer is shown below the fields.

use egui::{TextStyle, Ui};

use crate::model::Model;
use crate::model::action::UserAction;
use crate::model::names::Password;
use crate::model::sign_in::SignInStep;
use crate::theme::{palette, space};
use crate::views::control::buttons::{link_button, primary_button};
use crate::views::control::fields::{Field, is_entered};
use crate::views::control::surfaces::{Tone, beside_or_below, message_box};
use crate::views::control::text::{caption, heading, muted};
use crate::views::state::{Focus, SignInField, ViewState};
use crate::views::welcome::welcome_ui;

/// A column narrower than this, in points at normal text size, has the link below the question.
const QUESTION_BESIDE_FROM: f32 = 300.0;

/// The page.
pub fn sign_in_ui(
    ui: &mut Ui,
    model: &Model,
    state: &mut ViewState,
    actions: &mut Vec<UserAction>,
) {
    welcome_ui(ui, |ui| {
        let creating = state.sign_in.creating;
        let title = if creating {
            "Create account"
        } else {
            "Sign in"
        };
        heading(ui, title, TextStyle::Heading);
        if creating {
            muted(ui, "Others find you by your name.");
        }
        ui.add_space(space::TINY);
        let entered = fields_ui(ui, state);
        if let Some(failure) = &model.sign_in.failure {
            message_box(ui, Tone::Bad, &failure.sentence(), &failure.next_step());
        }
        submit_ui(ui, model, state, entered, actions);
        ui.add_space(space::TINY);
        switch_ui(ui, state, actions);
        servers_ui(ui, model, actions);
    });
}

/// The fields; whether Enter was pressed in one of them and nothing is missing.
fn fields_ui(ui: &mut Ui, state: &mut ViewState) -> bool {
    let wanted = state.take_focus_in(|focus| match focus {
        Focus::SignIn(field) => Some(field),
        _ => None,
    });
    let form = &mut state.sign_in;
    let secret = !form.shown;
    let mut fields = vec![
        ("Name", false, SignInField::Name, &mut form.name),
        (
            "Password",
            secret,
            SignInField::Password,
            &mut form.password,
        ),
    ];
    if form.creating {
        let repeated = &mut form.repeated;
        fields.push(("Confirm password", secret, SignInField::Repeated, repeated));
    }
    let mut entered = None;
    for (label, secret, field, text) in fields {
        let hint = "";
        let response = Field {
            label,
            hint,
            secret,
        }
        .show(ui, text);
        if wanted == Some(field) {
            response.request_focus();
        }
        if is_entered(ui, &response) {
            entered = Some(response);
        }
    }
    ui.checkbox(&mut form.shown, "Show password");
    let Some(response) = entered else {
        return false;
    };
    match form.first_empty() {
        Some(field) => state.send_focus(Focus::SignIn(field)),
        None => response.request_focus(),
    }
    state.sign_in.first_empty().is_none()
}

fn submit_ui(
    ui: &mut Ui,
    model: &Model,
    state: &mut ViewState,
    entered: bool,
    actions: &mut Vec<UserAction>,
) {
    let form = &mut state.sign_in;
    let text = match model.sign_in.busy {
        Some(SignInStep::Resuming) => "Signing you in…",
        Some(SignInStep::SigningIn) => "Signing in…",
        Some(SignInStep::SigningUp) => "Creating account…",
        None if form.creating => "Create account",
        None => "Sign in",
    };
    let ready = model.sign_in.busy.is_none();
    let pressed = ui
        .scope(|ui| {
            ui.set_width(ui.available_width());
            ui.vertical_centered_justified(|ui| primary_button(ui, text, ready).clicked())
                .inner
        })
        .inner;
    if !(ready && (entered || pressed)) {
        return;
    }
    form.submitted = true;
    let name = form.name.trim().to_owned();
    let password = Password::new(form.password.clone());
    actions.push(if form.creating {
        UserAction::SignUp {
            name,
            password,
            repeated: Password::new(form.repeated.clone()),
        }
    } else {
        UserAction::SignIn { name, password }
    });
}

fn switch_ui(ui: &mut Ui, state: &mut ViewState, actions: &mut Vec<UserAction>) {
    beside_or_below(ui, QUESTION_BESIDE_FROM, |ui| {
        let (question, answer) = if state.sign_in.creating {
            ("Already have an account?", "Sign in")
        } else {
            ("New here?", "Create account")
        };
        muted(ui, question);
        if link_button(ui, answer).clicked() {
            let form = &mut state.sign_in;
            form.creating = !form.creating;
            // It may be the wrong one of another account.
            form.password.clear();
            form.repeated.clear();
            let first = form.first_field();
            state.send_focus(Focus::SignIn(first));
            actions.push(UserAction::ForgetSignInFailure);
        }
    });
}

fn servers_ui(ui: &mut Ui, model: &Model, actions: &mut Vec<UserAction>) {
    let colours = palette(ui);
    ui.add_space(space::SMALL);
    ui.painter().hline(
        ui.max_rect().x_range(),
        ui.cursor().top(),
        egui::Stroke::new(1.0, colours.border),
    );
    ui.add_space(space::SMALL);
    let addresses = model.servers.addresses.join(", ");
    caption(ui, format!("Servers: {addresses}"));
    if link_button(ui, "Change servers").clicked() {
        actions.push(UserAction::ChooseServers);
    }
}
