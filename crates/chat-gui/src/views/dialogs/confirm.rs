//! Questions before something that a person may regret: deleting a whole chat, and closing the
//! window while messages wait.
//!
//! Deliberately absent: doing it.

use egui::Ui;

use crate::model::Model;
use crate::model::action::UserAction;
use crate::model::names::Name;
use crate::views::control::buttons::{button, danger_button, primary_button};
use crate::views::control::text::grouped;
use crate::views::dialogs::buttons::buttons_ui;
use crate::views::state::{Focus, ViewState};

/// Deletes all messages of a chat.
pub(super) fn delete_chat_ui(
    ui: &mut Ui,
    model: &Model,
    peer: &Name,
    state: &mut ViewState,
    actions: &mut Vec<UserAction>,
) {
    ui.label(format!(
        "What you received from {peer} is deleted from the servers, and what you sent from this device. {peer} keeps a copy of what you sent."
    ));
    if model.more_to_load {
        ui.label("Older messages that are not loaded are not deleted.");
    }
    let wants_focus = state.takes_focus(Focus::Dialog);
    buttons_ui(ui, |ui| {
        if danger_button(ui, "Delete chat", true).clicked() {
            actions.push(UserAction::Back);
            actions.push(UserAction::DeleteChat(peer.clone()));
        }
        let cancel = button(ui, "Cancel");
        if wants_focus {
            cancel.request_focus();
        }
        if cancel.clicked() {
            actions.push(UserAction::Back);
        }
    });
}

/// Says what still waits.
pub(super) fn quit_ui(
    ui: &mut Ui,
    model: &Model,
    state: &mut ViewState,
    actions: &mut Vec<UserAction>,
) {
    let waiting = model.outbox.iter().filter(|line| line.waiting).count();
    let what = match waiting {
        1 => "1 message is waiting to be sent. It is kept on this device and sent".to_owned(),
        more => format!(
            "{} messages are waiting to be sent. They are kept on this device and sent",
            grouped(more as u64)
        ),
    };
    ui.label(format!("{what} when you open the app again."));
    let wants_focus = state.takes_focus(Focus::Dialog);
    buttons_ui(ui, |ui| {
        let quit = primary_button(ui, "Quit", true);
        if wants_focus {
            quit.request_focus();
        }
        if quit.clicked() {
            actions.push(UserAction::QuitNow);
        }
        if button(ui, "Cancel").clicked() {
            actions.push(UserAction::Back);
        }
    });
}
