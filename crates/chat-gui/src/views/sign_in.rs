//! The page that asks who you are: signing in, and creating an account.
//!
//! Deliberately absent: what a name or a password must be like; the servers check that, and their
//! answer is shown below the fields.

use egui::{Key, TextStyle, Ui};

use crate::model::Model;
use crate::model::action::UserAction;
use crate::model::names::Password;
use crate::model::sign_in::SignInStep;
use crate::theme::{palette, space};
use crate::views::control::buttons::{link_button, primary_button};
use crate::views::control::fields::Field;
use crate::views::control::surfaces::{Tone, message_box};
use crate::views::control::text::{caption, heading, muted};
use crate::views::state::{Focus, ViewState};
use crate::views::welcome::welcome_ui;

/// The page.
pub fn sign_in_ui(
    ui: &mut Ui,
    model: &Model,
    state: &mut ViewState,
    actions: &mut Vec<UserAction>,
) {
    welcome_ui(ui, |ui| {
        let creating = state.sign_in.creating;
        let (title, sentence) = if creating {
            ("Create an account", "Others find you by your name.")
        } else {
            ("Sign in", "Welcome back.")
        };
        heading(ui, title, TextStyle::Heading);
        muted(ui, sentence);
        ui.add_space(space::TINY);
        let entered = fields_ui(ui, state);
        if let Some(failure) = &model.sign_in.failure {
            message_box(ui, Tone::Bad, &failure.sentence(), &failure.next_step());
        }
        submit_ui(ui, model, state, entered, actions);
        ui.add_space(space::TINY);
        switch_ui(ui, state);
        servers_ui(ui, model, actions);
    });
}

/// The fields; whether Enter was pressed in the last one.
fn fields_ui(ui: &mut Ui, state: &mut ViewState) -> bool {
    let wants_focus = state.takes_focus(Focus::SignIn);
    let form = &mut state.sign_in;
    let name = Field {
        label: "Name",
        hint: "",
        secret: false,
    }
    .show(ui, &mut form.name);
    let password = Field {
        label: "Password",
        hint: "",
        secret: !form.shown,
    }
    .show(ui, &mut form.password);
    // A new account wants another name than the remembered one.
    if wants_focus && (form.creating || form.name.is_empty()) {
        name.request_focus();
    } else if wants_focus {
        password.request_focus();
    }
    let mut last = password;
    if form.creating {
        last = Field {
            label: "Repeat the password",
            hint: "",
            secret: !form.shown,
        }
        .show(ui, &mut form.repeated);
    }
    ui.checkbox(&mut form.shown, "Show the password");
    last.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter))
}

fn submit_ui(
    ui: &mut Ui,
    model: &Model,
    state: &ViewState,
    entered: bool,
    actions: &mut Vec<UserAction>,
) {
    let form = &state.sign_in;
    let text = match model.sign_in.busy {
        Some(SignInStep::Resuming) => "Signing you in…",
        Some(SignInStep::SigningIn) => "Signing in…",
        Some(SignInStep::SigningUp) => "Creating the account…",
        None if form.creating => "Create the account",
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

fn switch_ui(ui: &mut Ui, state: &mut ViewState) {
    ui.horizontal(|ui| {
        let (question, answer) = if state.sign_in.creating {
            ("Already have an account?", "Sign in")
        } else {
            ("New here?", "Create an account")
        };
        muted(ui, question);
        if link_button(ui, answer).clicked() {
            let form = &mut state.sign_in;
            form.creating = !form.creating;
            form.repeated.clear();
            state.send_focus(Focus::SignIn);
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
    ui.horizontal_wrapped(|ui| {
        let addresses = model.servers.addresses.join(", ");
        caption(ui, format!("Servers: {addresses}"));
        if link_button(ui, "Change").clicked() {
            actions.push(UserAction::ChooseServers);
        }
    });
}
