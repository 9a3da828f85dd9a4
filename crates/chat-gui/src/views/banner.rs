//! One quiet line above everything while it is not all well with the servers, and for a moment
//! after: how long nothing could be sent.
//!
//! Deliberately absent: errors that a person has to do something about; those are notices.

use egui::accesskit::{Live, Role};
use egui::{Frame, Margin, Panel, RichText, Ui};

use crate::intention::UserAction;
use crate::model::Model;
use crate::model::connection::Connection;
use crate::model::time::duration_words;
use crate::theme::palette;
use crate::views::control::button;
use crate::views::icon::Icon;

/// The banner, if there is something to say.
pub fn banner_ui(ui: &mut Ui, model: &Model, actions: &mut Vec<UserAction>) {
    let colours = palette(ui);
    let recovered = recovery_sentence(model);
    let (sentence, front, behind, icon) = match (model.connection_sentence(), recovered) {
        (Some(sentence), _) if matches!(model.connection, Connection::Offline { .. }) => {
            (sentence, colours.bad, colours.bad_soft, Icon::Warning)
        }
        (Some(sentence), _) => (sentence, colours.warn, colours.warn_soft, Icon::Clock),
        (None, Some(sentence)) => (sentence, colours.good, colours.good_soft, Icon::Check),
        (None, None) => return,
    };
    let frame = Frame::new()
        .fill(behind)
        .inner_margin(Margin::symmetric(16, 7));
    let waiting = model.connection_sentence().is_some()
        && !matches!(model.connection, Connection::Connecting { .. });
    Panel::top("banner")
        .resizable(false)
        .show_separator_line(false)
        .frame(frame)
        .show(ui, |ui| {
            ui.horizontal(|ui| {
                icon.show(ui, 16.0, front);
                let layout = egui::Layout::right_to_left(egui::Align::Center);
                ui.with_layout(layout, |ui| {
                    ui.spacing_mut().interact_size.y = 26.0;
                    ui.spacing_mut().button_padding.y = 2.0;
                    if waiting && button(ui, "Try now").clicked() {
                        actions.push(UserAction::TryNow);
                    }
                    let layout = egui::Layout::left_to_right(egui::Align::Center);
                    ui.with_layout(layout, |ui| {
                        let text = RichText::new(&sentence).color(colours.text);
                        let said = ui.add(egui::Label::new(text).truncate());
                        ui.ctx().accesskit_node_builder(said.id, |node| {
                            node.set_role(Role::Status);
                            node.set_live(Live::Polite);
                        });
                    });
                });
            });
        });
}

/// What is told when it is over.
fn recovery_sentence(model: &Model) -> Option<String> {
    let recovery = model.recovery?;
    let lasted = duration_words(recovery.lasted);
    Some(match recovery.delivered {
        0 => format!("Online again. Nothing could be sent for {lasted}; nothing was lost."),
        1 => format!(
            "Online again. Nothing could be sent for {lasted}; the message that waited is sent."
        ),
        more => {
            format!(
                "Online again. Nothing could be sent for {lasted}; the {more} messages that waited are sent."
            )
        }
    })
}
