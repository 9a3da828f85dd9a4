//! The line at the lower edge of the window: the state of the connection to the servers. It is
//! always there, so that nothing moves when the state changes.
//!
//! Deliberately absent: the words, which are the model's; and errors that a person has to do
//! something about, which are notices.

use egui::accesskit::{Live, Role};
use egui::{Frame, Margin, Panel, RichText, TextStyle, Ui, Vec2};

use crate::model::Model;
use crate::model::action::UserAction;
use crate::model::connection::Connection;
use crate::model::navigation::Dialog;
use crate::theme::{self, Palette, palette, space};

/// Above and below the text.
const MARGIN: f32 = 6.0;
/// A line narrower than this, in points at normal text size, has one button.
const BOTH_BUTTONS_FROM: f32 = 560.0;

/// What the line looks like.
struct Look {
    dot: egui::Color32,
    fill: egui::Color32,
    text: egui::Color32,
}

/// The line.
pub fn status_bar_ui(ui: &mut Ui, model: &Model, actions: &mut Vec<UserAction>) {
    let colours = palette(ui);
    let urgent = model.connection_sentence();
    let is_urgent = urgent.is_some();
    let look = look(model, is_urgent, colours);
    let sentence = urgent
        .or_else(|| model.online_sentence())
        .unwrap_or_else(|| quiet_words(&model.connection).to_owned());
    let height = ui.text_style_height(&TextStyle::Small) + 2.0 * MARGIN;
    let frame = Frame::new()
        .fill(look.fill)
        .inner_margin(Margin::symmetric(16, 0));
    Panel::bottom("status bar")
        .exact_size(height)
        .resizable(false)
        .frame(frame)
        .show(ui, |ui| {
            ui.horizontal_centered(|ui| {
                let (dot, _) = ui.allocate_exact_size(Vec2::splat(10.0), egui::Sense::hover());
                ui.painter().circle_filled(dot.center(), 4.5, look.dot);
                let layout = egui::Layout::right_to_left(egui::Align::Center);
                ui.with_layout(layout, |ui| {
                    ui.spacing_mut().button_padding = egui::vec2(space::SMALL, 1.0);
                    buttons_ui(ui, model, is_urgent, actions);
                    let layout = egui::Layout::left_to_right(egui::Align::Center);
                    ui.with_layout(layout, |ui| sentence_ui(ui, &sentence, look.text));
                });
            });
        });
}

/// What a person can do about an interruption. A narrow window has the second one in the dialog of
/// the first.
fn buttons_ui(ui: &mut Ui, model: &Model, urgent: bool, actions: &mut Vec<UserAction>) {
    if !urgent || model.connection.since().is_none() {
        return;
    }
    let has_room = !theme::is_narrow(ui, BOTH_BUTTONS_FROM);
    if small_button(ui, "Details") {
        actions.push(UserAction::OpenDialog(Dialog::Connection));
    }
    if has_room && model.connection.why().is_some() && small_button(ui, "Try now") {
        actions.push(UserAction::TryNow);
    }
}

fn small_button(ui: &mut Ui, text: &str) -> bool {
    let text = RichText::new(text).small();
    ui.add(egui::Button::new(text)).clicked()
}

/// While the model has no sentence: for an interruption that may be over at once it has none.
fn quiet_words(connection: &Connection) -> &'static str {
    match connection {
        Connection::Idle => "Not signed in",
        Connection::Online { .. } => "Online",
        Connection::Connecting { .. }
        | Connection::Reconnecting { .. }
        | Connection::Offline { .. } => "Connecting…",
    }
}

fn sentence_ui(ui: &mut Ui, sentence: &str, colour: egui::Color32) {
    let text = RichText::new(sentence).small().color(colour);
    let shown = ui.add(egui::Label::new(text).truncate());
    ui.ctx().accesskit_node_builder(shown.id, |node| {
        node.set_role(Role::Status);
        // The text of a label is its value; other roles are named.
        node.set_label(sentence);
        node.set_live(Live::Polite);
    });
}

fn look(model: &Model, urgent: bool, colours: &Palette) -> Look {
    let (front, soft) = match model.connection {
        Connection::Offline { .. } => (colours.bad, colours.bad_soft),
        Connection::Online { .. } => (colours.good, colours.good_soft),
        Connection::Idle => (colours.border_strong, colours.sidebar),
        Connection::Connecting { .. } | Connection::Reconnecting { .. } => {
            (colours.warn, colours.warn_soft)
        }
    };
    Look {
        dot: front,
        fill: if urgent { soft } else { colours.sidebar },
        text: if urgent { colours.text } else { colours.muted },
    }
}
