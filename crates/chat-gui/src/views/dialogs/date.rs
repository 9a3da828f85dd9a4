//! Asks which day of a chat to go to.
//!
//! Deliberately absent: a calendar, and finding the message.

use egui::Ui;

use crate::model::Model;
use crate::model::action::UserAction;
use crate::model::dates::DateChoice;
use crate::model::names::Name;
use crate::theme::space;
use crate::views::control::buttons::{button, primary_button};
use crate::views::control::fields::{Field, is_entered};
use crate::views::control::surfaces::{Tone, message_box};
use crate::views::control::text::caption;
use crate::views::dialogs::buttons::buttons_ui;
use crate::views::state::{Focus, ViewState};

/// What most people want.
const CHOICES: [(&str, DateChoice); 4] = [
    ("Today", DateChoice::DaysAgo(0)),
    ("Yesterday", DateChoice::DaysAgo(1)),
    ("A week ago", DateChoice::DaysAgo(7)),
    ("The beginning", DateChoice::Beginning),
];

/// A field for the day, and some days to choose; `wrong` is what was typed and is no day.
pub(super) fn date_ui(
    ui: &mut Ui,
    model: &Model,
    (peer, wrong): (&Name, Option<&str>),
    state: &mut ViewState,
    actions: &mut Vec<UserAction>,
) {
    let today = model.zone.date(model.now.wall);
    let wants_focus = state.takes_focus(Focus::Dialog);
    if let (true, Some(wrong)) = (wants_focus, wrong) {
        wrong.clone_into(&mut state.forms.date);
    }
    let hint = today.to_string();
    let field = Field {
        label: "Date (year-month-day)",
        hint: &hint,
        secret: false,
    }
    .show(ui, &mut state.forms.date);
    let entered = is_entered(ui, &field);
    if wants_focus || entered {
        field.request_focus();
    }
    if wrong.is_some() {
        let next_step = format!("Write it as year-month-day, for example {today}.");
        message_box(ui, Tone::Bad, "This is not a date.", &next_step);
    }
    let mut go = |date: DateChoice| {
        let peer = peer.clone();
        actions.push(UserAction::GoToDate { peer, date });
    };
    ui.add_space(space::TINY);
    ui.horizontal_wrapped(|ui| {
        for (name, choice) in CHOICES {
            if button(ui, name).clicked() {
                go(choice);
            }
        }
    });
    if model.more_to_load {
        ui.add_space(space::TINY);
        caption(
            ui,
            "Older messages that are not loaded are only on the servers.",
        );
    }
    let ready = !state.forms.date.trim().is_empty();
    let mut cancelled = false;
    buttons_ui(ui, |ui| {
        let pressed = primary_button(ui, "Go", ready).clicked();
        if (pressed || entered) && ready {
            go(DateChoice::Typed(state.forms.date.clone()));
        }
        cancelled = button(ui, "Cancel").clicked();
    });
    if cancelled {
        actions.push(UserAction::Back);
    }
}
