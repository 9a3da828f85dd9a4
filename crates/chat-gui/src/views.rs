//! What the window looks like. Views borrow the model, draw it, and push what the person wants into
//! a list; they change nothing but the text that is being edited.
//!
//! Deliberately absent: carrying out actions, and fetching data.

pub mod banner;
pub mod bubble;
pub mod cluster;
pub mod composer;
pub mod control;
pub mod conversation;
pub mod conversation_list;
pub mod dialogs;
pub mod first_run;
pub mod icon;
pub mod inbox;
pub mod message_hits;
pub mod message_search;
pub mod navigation;
pub mod notices;
pub mod people;
pub mod settings;
pub mod sign_in;
pub mod state;
pub mod timeline_rows;
pub mod welcome;

use egui::{CentralPanel, Frame, Margin, Panel, Ui};

use crate::model::Model;
use crate::model::action::UserAction;
use crate::model::navigation::Screen;
use crate::model::search::SearchScope;
use crate::shortcuts;
use crate::theme::palette;
pub use state::ViewState;

/// Draws the whole window, and returns what the person wants, in order.
pub fn window_ui(ui: &mut Ui, model: &Model, state: &mut ViewState) -> Vec<UserAction> {
    let mut actions = Vec::new();
    state.follow(ui.ctx(), model);
    shortcuts::take(ui.ctx(), model, state, &mut actions);
    match model.screen {
        Screen::FirstRun => first_run::first_run_ui(ui, model, state, &mut actions),
        Screen::SignIn => sign_in::sign_in_ui(ui, model, state, &mut actions),
        Screen::Chat | Screen::Inbox | Screen::People | Screen::Cluster | Screen::Settings => {
            signed_in_ui(ui, model, state, &mut actions);
        }
    }
    notices::notices_ui(ui, model, &mut actions);
    dialogs::dialog_ui(ui.ctx(), model, state, &mut actions);
    actions
}

fn signed_in_ui(ui: &mut Ui, model: &Model, state: &mut ViewState, actions: &mut Vec<UserAction>) {
    let colours = palette(ui);
    let rail = Frame::new()
        .fill(colours.sidebar)
        .inner_margin(Margin::symmetric(6, 0));
    Panel::left("rail")
        .exact_size(navigation::RAIL_WIDTH)
        .resizable(false)
        .frame(rail)
        .show(ui, |ui| navigation::navigation_ui(ui, model, actions));
    banner::banner_ui(ui, model, actions);
    if model.screen == Screen::Chat {
        chat_ui(ui, model, state, actions);
        return;
    }
    let page = Frame::new()
        .fill(colours.window)
        .inner_margin(Margin::symmetric(24, 18));
    CentralPanel::default()
        .frame(page)
        .show(ui, |ui| match model.screen {
            Screen::Inbox => inbox::inbox_ui(ui, model, state, actions),
            Screen::People => people::people_ui(ui, model, state, actions),
            Screen::Cluster => cluster::cluster_ui(ui, model, state, actions),
            Screen::Settings => settings::settings_ui(ui, model, actions),
            Screen::FirstRun | Screen::SignIn | Screen::Chat => {}
        });
}

fn chat_ui(ui: &mut Ui, model: &Model, state: &mut ViewState, actions: &mut Vec<UserAction>) {
    let colours = palette(ui);
    let wide = (ui.available_width() * 0.28).clamp(240.0, 330.0);
    Panel::left("conversations")
        .default_size(wide)
        .size_range(220.0..=420.0)
        .resizable(true)
        .frame(Frame::new().fill(colours.sidebar))
        .show(ui, |ui| {
            let everywhere = model
                .message_search
                .as_ref()
                .filter(|search| search.scope == SearchScope::Everywhere);
            match everywhere {
                Some(search) => message_hits::message_hits_ui(ui, model, search, state, actions),
                None => conversation_list::conversation_list_ui(ui, model, state, actions),
            }
        });
    CentralPanel::default()
        .frame(Frame::new().fill(colours.window))
        .show(ui, |ui| {
            conversation::conversation_ui(ui, model, state, actions);
        });
}
