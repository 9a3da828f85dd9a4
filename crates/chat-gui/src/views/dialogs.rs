//! What lies over a page and waits for an answer.
//!
//! Deliberately absent: more than one at a time; the model holds at most one.

pub mod account;
mod buttons;
pub mod chaos;
mod confirm;
mod connection;
mod date;
pub mod details;
pub mod guide;
pub mod members;
mod open_link;

use std::borrow::Cow;

use egui::accesskit::Role;
use egui::{Context, Id, Modal, Ui};

use crate::model::Model;
use crate::model::action::UserAction;
use crate::model::navigation::Dialog;
use crate::theme::{self, palette, space};
use crate::views::control::buttons::icon_button;
use crate::views::control::surfaces::row;
use crate::views::control::text::heading;
use crate::views::icon::Icon;
use crate::views::state::ViewState;

/// The dialog that is open, if one is.
pub fn dialog_ui(
    context: &Context,
    model: &Model,
    state: &mut ViewState,
    actions: &mut Vec<UserAction>,
) {
    let Some(dialog) = &model.dialog else {
        return;
    };
    let (title, width) = title_and_width(dialog);
    let dark = context.global_style().visuals.dark_mode;
    let backdrop = if dark {
        palette::DARK.backdrop
    } else {
        palette::LIGHT.backdrop
    };
    let shown = Modal::new(Id::unique("dialog"))
        .backdrop_color(backdrop)
        .frame(egui::Frame::window(&context.global_style()))
        .show(context, |ui| {
            let window = ui.ctx().content_rect();
            ui.set_width(f32::min(width, window.width() - 60.0));
            ui.set_max_height(window.height() - 80.0);
            title_ui(ui, &title, actions);
            match dialog {
                Dialog::Shortcuts => guide::guide_ui(ui),
                Dialog::DeleteAccount => account::delete_ui(ui, model, state, actions),
                Dialog::ChangePassword => account::password_ui(ui, model, state, actions),
                Dialog::MessageDetails(peer, id) => {
                    details::details_ui(ui, model, peer, *id, actions);
                }
                Dialog::DeleteChat(peer) => {
                    confirm::delete_chat_ui(ui, model, peer, state, actions);
                }
                Dialog::Connection => connection::connection_ui(ui, model, state, actions),
                Dialog::Quit => confirm::quit_ui(ui, model, state, actions),
                Dialog::GoToDate { peer, wrong } => {
                    date::date_ui(ui, model, (peer, wrong.as_deref()), state, actions);
                }
                Dialog::OpenLink(link) => open_link::open_link_ui(ui, link, state, actions),
                Dialog::Chaos(action) => chaos::chaos_ui(ui, model, *action, state, actions),
                Dialog::Members(action) => {
                    members::members_ui(ui, model, *action, state, actions);
                }
            }
        });
    context.accesskit_node_builder(shown.response.id, |node| {
        node.set_role(Role::Dialog);
        node.set_label(&*title);
    });
    if shown.should_close() {
        actions.push(UserAction::Back);
    }
}

fn title_and_width(dialog: &Dialog) -> (Cow<'static, str>, f32) {
    let (title, width) = match dialog {
        Dialog::Shortcuts => ("Keyboard shortcuts", 800.0),
        Dialog::DeleteAccount => ("Delete account", 440.0),
        Dialog::ChangePassword => ("Change password", 400.0),
        Dialog::MessageDetails(..) => ("Message", 500.0),
        Dialog::DeleteChat(peer) => return (format!("Delete chat with {peer}?").into(), 440.0),
        Dialog::Connection => ("Connection", 460.0),
        Dialog::Quit => ("Quit?", 420.0),
        Dialog::GoToDate { .. } => ("Go to date", 420.0),
        Dialog::OpenLink(_) => ("Open this link?", 460.0),
        Dialog::Members(action) => return (members::question(*action).into(), 460.0),
        Dialog::Chaos(action) => return (chaos::question(*action).into(), 460.0),
    };
    (title.into(), width)
}

fn title_ui(ui: &mut Ui, title: &str, actions: &mut Vec<UserAction>) {
    row(ui, |ui| {
        let layout = egui::Layout::right_to_left(egui::Align::Center);
        ui.with_layout(layout, |ui| {
            if icon_button(ui, Icon::Close, "Close").clicked() {
                actions.push(UserAction::Back);
            }
            let layout = egui::Layout::left_to_right(egui::Align::Center);
            ui.with_layout(layout.with_main_wrap(true), |ui| {
                heading(ui, title, theme::title());
            });
        });
    });
    let colour = palette(ui).border;
    let y = ui.cursor().top();
    ui.painter()
        .hline(ui.max_rect().x_range(), y, egui::Stroke::new(1.0, colour));
    ui.add_space(space::SMALL);
}
