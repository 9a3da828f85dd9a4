//! What happened, in plain words, the newest first.
//!
//! Deliberately absent: the words themselves; the model has them.

use egui::accesskit::Role;
use egui::{CornerRadius, RichText, ScrollArea, Ui, UiBuilder};

use crate::model::Model;
use crate::model::feed::{FeedEntry, FeedEvent};
use crate::theme::{self, Palette, palette};
use crate::views::control::text::{card_title, muted};
use crate::views::state::ViewState;

/// How high the list is at most.
const HEIGHT: f32 = 420.0;
/// A list narrower than this, in points at normal text size, has no times.
const TIME_FROM: f32 = 160.0;
/// Above and below the text of an entry together.
const ROW_MARGIN: f32 = 7.0;

/// The feed.
pub fn feed_ui(ui: &mut Ui, model: &Model, state: &mut ViewState) {
    ui.set_width(ui.available_width());
    card_title(ui, "Events");
    let feed = &model.cluster.feed;
    if feed.is_empty() {
        muted(ui, "Nothing yet.");
        return;
    }
    let region = UiBuilder::new()
        .accessibility_role(Role::Log)
        .accessibility_label("Events of the cluster");
    ui.scope_builder(region, |ui| {
        ui.spacing_mut().item_spacing.y = 0.0;
        let list = ScrollArea::vertical().id_salt("feed").max_height(HEIGHT);
        let height = row_height(ui);
        list.show_rows(ui, height, feed.len(), |ui, rows| {
            ui.set_width(ui.available_width());
            for entry in feed.range(rows) {
                entry_ui(ui, model, entry, state);
            }
        });
    });
}

fn row_height(ui: &Ui) -> f32 {
    ui.text_style_height(&egui::TextStyle::Body) + ROW_MARGIN
}

fn entry_ui(ui: &mut Ui, model: &Model, entry: &FeedEntry, state: &mut ViewState) {
    let colours = palette(ui);
    let shown = ui.allocate_ui(egui::vec2(ui.available_width(), row_height(ui)), |ui| {
        let rect = ui.max_rect();
        if state.feed_entry == Some(entry.number) {
            ui.painter()
                .rect_filled(rect, CornerRadius::same(5), colours.accent_soft);
        }
        ui.horizontal_centered(|ui| {
            let dot = egui::pos2(rect.left() + 5.0, rect.center().y);
            ui.add_space(18.0);
            ui.painter()
                .circle_filled(dot, 4.0, colour(&entry.event, colours));
            let at = model.zone.date_and_time(entry.at.wall);
            // The day is not worth its room here; the whole is shown on hovering.
            let time = at.split(' ').next_back().unwrap_or(&at).to_owned();
            let time = RichText::new(time).monospace().color(colours.muted);
            if !theme::is_narrow(ui, TIME_FROM) {
                ui.label(time).on_hover_text(&at);
            }
            ui.add(egui::Label::new(entry.event.sentence()).truncate());
        });
    });
    if shown.response.contains_pointer() {
        state.feed_entry = Some(entry.number);
    }
}

fn colour(event: &FeedEvent, colours: &Palette) -> egui::Color32 {
    match event {
        FeedEvent::NodeLost(_) | FeedEvent::LeaderLost(..) | FeedEvent::StorageTrouble(..) => {
            colours.bad
        }
        FeedEvent::Candidate(..) | FeedEvent::NodeRestarted(_) => colours.warn,
        FeedEvent::NodeBack(_) | FeedEvent::SendingAgain(_) => colours.good,
        FeedEvent::Elected(..) => colours.text,
        FeedEvent::FaultAction(_) | FeedEvent::MembersAction(_) => colours.accent_text,
    }
}
