//! What the window looks like. Views borrow the model, draw it, and push what the person wants into
//! a list; they change nothing but the text that is being edited.
//!
//! Deliberately absent: carrying out actions, and fetching data.

pub mod bubble;
pub mod cluster;
pub mod composer;
pub mod control;
pub mod conversation;
pub mod conversation_line;
pub mod conversation_list;
mod conversation_menu;
mod copy_button;
pub mod dialogs;
pub mod first_run;
pub mod icon;
mod menu_key;
mod message_menu;
pub mod message_search;
pub mod message_text;
pub mod navigation;
pub mod notices;
pub mod people;
pub mod quote;
pub mod search_results;
pub mod settings;
pub mod sign_in;
pub mod state;
pub mod status_bar;
pub mod timeline_rows;
pub mod welcome;

use egui::{CentralPanel, Frame, Margin, Panel, Ui};

use crate::model::Model;
use crate::model::action::UserAction;
use crate::model::navigation::Screen;
use crate::shortcuts;
use crate::theme::{self, palette};
use conversation_list::conversation_list_ui;
pub use state::ViewState;

/// A window narrower than this, in points at normal text size, shows the list or a conversation.
const ONE_PANE_BELOW: f32 = 800.0;

/// Draws the whole window, and returns what the person wants, in order.
pub fn window_ui(ui: &mut Ui, model: &Model, state: &mut ViewState) -> Vec<UserAction> {
    let mut actions = Vec::new();
    state.follow(ui.ctx(), model);
    shortcuts::take(ui.ctx(), model, state, &mut actions);
    match model.screen {
        Screen::FirstRun => {
            notices::notices_ui(ui, model, &mut actions);
            first_run::first_run_ui(ui, model, state, &mut actions);
        }
        Screen::SignIn => {
            notices::notices_ui(ui, model, &mut actions);
            sign_in::sign_in_ui(ui, model, state, &mut actions);
        }
        Screen::Chat | Screen::People | Screen::Cluster | Screen::Settings => {
            signed_in_ui(ui, model, state, &mut actions);
        }
    }
    dialogs::dialog_ui(ui.ctx(), model, state, &mut actions);
    let undone = |action: &UserAction| matches!(action, UserAction::UndoDelete(_));
    if model.open.is_some() && actions.iter().any(undone) {
        // The button that had the keyboard is gone.
        state.send_focus(state::Focus::Composer);
    }
    actions
}

fn signed_in_ui(ui: &mut Ui, model: &Model, state: &mut ViewState, actions: &mut Vec<UserAction>) {
    let colours = palette(ui);
    state.one_pane = ui.available_width() < ONE_PANE_BELOW * theme::scale(ui).max(1.0);
    status_bar::status_bar_ui(ui, model, actions);
    let in_conversation = model.screen == Screen::Chat && model.open.is_some();
    // A single conversation needs the width, and leads back to the list.
    if !(state.one_pane && in_conversation) {
        let rail = Frame::new()
            .fill(colours.sidebar)
            .inner_margin(Margin::symmetric(6, 0));
        Panel::left("rail")
            .exact_size(navigation::rail_width(ui))
            .resizable(false)
            .frame(rail)
            .show(ui, |ui| navigation::navigation_ui(ui, model, actions));
    }
    if model.screen == Screen::Chat {
        chat_ui(ui, model, state, actions);
        return;
    }
    notices::notices_ui(ui, model, actions);
    let margin = if state.one_pane { 12 } else { 24 };
    let page = Frame::new()
        .fill(colours.window)
        .inner_margin(Margin::symmetric(margin, 18));
    CentralPanel::default()
        .frame(page)
        .show(ui, |ui| match model.screen {
            Screen::People => people::people_ui(ui, model, state, actions),
            Screen::Cluster => cluster::cluster_ui(ui, model, state, actions),
            Screen::Settings => settings::settings_ui(ui, model, actions),
            Screen::FirstRun | Screen::SignIn | Screen::Chat => {}
        });
}

fn chat_ui(ui: &mut Ui, model: &Model, state: &mut ViewState, actions: &mut Vec<UserAction>) {
    let colours = palette(ui);
    if state.one_pane {
        one_pane_ui(ui, model, state, actions);
        return;
    }
    let wide = (ui.available_width() * 0.28).clamp(240.0, 330.0);
    Panel::left("conversations")
        .default_size(wide)
        .size_range(220.0..=420.0)
        .resizable(true)
        .frame(Frame::new().fill(colours.sidebar))
        .show(ui, |ui| conversation_list_ui(ui, model, state, actions));
    CentralPanel::default()
        .frame(Frame::new().fill(colours.window))
        .show(ui, |ui| {
            conversation::conversation_ui(ui, model, state, actions);
        });
}

/// The open conversation, or the list.
fn one_pane_ui(ui: &mut Ui, model: &Model, state: &mut ViewState, actions: &mut Vec<UserAction>) {
    let colours = palette(ui);
    let (fill, is_open) = match model.open {
        Some(_) => (colours.window, true),
        None => (colours.sidebar, false),
    };
    CentralPanel::default()
        .frame(Frame::new().fill(fill))
        .show(ui, |ui| {
            if is_open {
                conversation::conversation_ui(ui, model, state, actions);
            } else {
                notices::notices_ui(ui, model, actions);
                conversation_list_ui(ui, model, state, actions);
            }
        });
}
