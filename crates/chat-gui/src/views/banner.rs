//! One quiet line above everything while it is not all well with the servers, and for a moment
//! after: how long nothing could be sent.
//!
//! Deliberately absent: errors that a person has to do something about; those are notices.

use egui::accesskit::{Live, Role};
use egui::{Frame, Margin, Panel, RichText, Ui};

use crate::model::Model;
use crate::model::action::UserAction;
use crate::model::connection::Connection;
use crate::theme::palette;
use crate::views::control::surfaces::row_of;
use crate::views::icon::Icon;

/// The height of the button in the banner, which is lower than others: the line is quiet.
const BUTTON_HEIGHT: f32 = 24.0;

/// The banner, if there is something to show.
pub fn banner_ui(ui: &mut Ui, model: &Model, actions: &mut Vec<UserAction>) {
    let colours = palette(ui);
    let Some(sentence) = model.connection_sentence() else {
        return;
    };
    let (front, behind, icon) = match model.connection {
        Connection::Offline { .. } => (colours.bad, colours.bad_soft, Icon::Warning),
        Connection::Online { .. } => (colours.good, colours.good_soft, Icon::Check),
        _ => (colours.warn, colours.warn_soft, Icon::Clock),
    };
    let frame = Frame::new()
        .fill(behind)
        .inner_margin(Margin::symmetric(16, 7));
    let waiting = matches!(
        model.connection,
        Connection::Reconnecting { .. } | Connection::Offline { .. }
    );
    Panel::top("banner")
        .resizable(false)
        .show_separator_line(false)
        .frame(frame)
        .show(ui, |ui| {
            row_of(ui, BUTTON_HEIGHT, |ui| {
                icon.show(ui, 16.0, front);
                let layout = egui::Layout::right_to_left(egui::Align::Center);
                ui.with_layout(layout, |ui| {
                    ui.spacing_mut().button_padding.y = 3.0;
                    if waiting && ui.button("Try now").clicked() {
                        actions.push(UserAction::TryNow);
                    }
                    let layout = egui::Layout::left_to_right(egui::Align::Center);
                    ui.with_layout(layout, |ui| {
                        let text = RichText::new(&sentence).color(colours.text);
                        let shown = ui.add(egui::Label::new(text).truncate());
                        ui.ctx().accesskit_node_builder(shown.id, |node| {
                            node.set_role(Role::Status);
                            // The text of a label is its value; other roles are named.
                            node.set_label(sentence.as_str());
                            node.set_live(Live::Polite);
                        });
                    });
                });
            });
        });
}
