//! The page about the servers: how they are, what happened, and what can be tried out.
//!
//! Deliberately absent: requests. Every figure is the model's, and the model has it from what
//! servers answer.

pub mod chaos;
pub mod failover;
pub mod feed;
pub mod ledger;
pub mod node_card;
mod term_colour;
pub mod term_timeline;

use egui::accesskit::{Live, Role};
use egui::{RichText, ScrollArea, Ui};

use crate::model::Model;
use crate::model::action::UserAction;
use crate::model::cluster::HealthLevel;
use crate::theme::{self, palette, space};
use crate::views::control::surfaces;
use crate::views::control::surfaces::{card, page_header};
use crate::views::control::text::muted;
use crate::views::state::ViewState;

/// The sentence about the cluster is below its word in a window narrower than this.
const SENTENCE_BESIDE_FROM: f32 = 660.0;
/// A window narrower than this has one column instead of two.
const TWO_COLUMNS_FROM: f32 = 860.0;

/// The page.
pub fn cluster_ui(
    ui: &mut Ui,
    model: &Model,
    state: &mut ViewState,
    actions: &mut Vec<UserAction>,
) {
    if state.one_pane {
        page_header(ui, "Cluster", "", |_| {});
        ui.horizontal_wrapped(|ui| chaos::chaos_buttons_ui(ui, model, actions));
        chaos::chaos_text_ui(ui, model);
    } else {
        page_header(ui, "Cluster", "", |ui| {
            let layout = egui::Layout::right_to_left(egui::Align::Center);
            ui.with_layout(layout, |ui| {
                chaos::chaos_buttons_ui(ui, model, actions);
                chaos::chaos_text_ui(ui, model);
            });
        });
    }
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        ui.set_max_width(ui.available_width() - space::MEDIUM);
        ui.spacing_mut().item_spacing.y = space::MEDIUM;
        health_ui(ui, model);
        card(ui, |ui| ledger::ledger_ui(ui, model, actions));
        node_card::node_cards_ui(ui, model, actions);
        card(ui, |ui| term_timeline::term_timeline_ui(ui, model, state));
        if ui.available_width() >= TWO_COLUMNS_FROM * theme::scale(ui) {
            ui.columns_const(|[left, right]: &mut [Ui; 2]| {
                left.spacing_mut().item_spacing.y = space::MEDIUM;
                card(left, |ui| failover::failovers_ui(ui, model));
                card(right, |ui| feed::feed_ui(ui, model, state));
            });
        } else {
            card(ui, |ui| failover::failovers_ui(ui, model));
            card(ui, |ui| feed::feed_ui(ui, model, state));
        }
        ui.add_space(space::MEDIUM);
    });
}

/// One sentence, with a colour and a word for it.
fn health_ui(ui: &mut Ui, model: &Model) {
    let colours = palette(ui);
    let health = model.cluster.health();
    let (front, behind, word) = match health.level {
        HealthLevel::Unknown => (colours.muted, colours.hover, "Unknown"),
        HealthLevel::Offline => (colours.bad, colours.bad_soft, "Offline"),
        HealthLevel::Healthy => (colours.good, colours.good_soft, "Healthy"),
        HealthLevel::Degraded => (colours.warn, colours.warn_soft, "Degraded"),
        HealthLevel::NoLeader => (colours.bad, colours.bad_soft, "No leader"),
    };
    surfaces::beside_or_below(ui, SENTENCE_BESIDE_FROM, |ui| {
        crate::views::control::text::chip(ui, word, front, behind);
        let sentence = RichText::new(&health.sentence).text_style(theme::strong());
        // A row does not break its text by itself.
        let shown = ui.add(egui::Label::new(sentence).wrap());
        ui.ctx().accesskit_node_builder(shown.id, |node| {
            node.set_role(Role::Status);
            node.set_label(health.sentence.as_str());
            node.set_live(Live::Polite);
        });
    });
    muted(ui, model.cluster.members_sentence());
}
