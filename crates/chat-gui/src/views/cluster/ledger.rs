//! The figures of the ledger: acknowledged, stored, shown, lost, doubled.
//!
//! Deliberately absent: any figure that does not come from the servers.

use egui::accesskit::Role;
use egui::{Color32, RichText, Sense, TextStyle, Ui, Vec2, WidgetInfo};

use crate::model::Model;
use crate::model::action::UserAction;
use crate::model::ledger::Ledger;
use crate::theme::{self, palette, space};
use crate::views::control::buttons::{button, button_if};
use crate::views::control::surfaces::row;
use crate::views::control::text::{caption, card_title, grouped, muted, one_line};

/// A card narrower than this, in points at normal text size, has its button below its title.
const BUTTON_BESIDE_FROM: f32 = 200.0;

/// The ledger.
pub fn ledger_ui(ui: &mut Ui, model: &Model, actions: &mut Vec<UserAction>) {
    ui.set_width(ui.available_width());
    let ledger = &model.ledger;
    if theme::is_narrow(ui, BUTTON_BESIDE_FROM) {
        card_title(ui, "Ledger");
        check_ui(ui, ledger, actions);
    } else {
        row(ui, |ui| {
            card_title(ui, "Ledger");
            let layout = egui::Layout::right_to_left(egui::Align::Center);
            ui.with_layout(layout, |ui| check_ui(ui, ledger, actions));
        });
    }
    if let Some(failure) = &ledger.failure {
        let colour = palette(ui).bad;
        ui.label(RichText::new(format!("The last check failed: {failure}")).color(colour));
    }
    let Some(last) = ledger.last else {
        let text = if ledger.checking.is_some() {
            "Checking that the servers have every message that they acknowledged…"
        } else {
            "Checks that the servers still have every message that they acknowledged."
        };
        muted(ui, text);
        return;
    };
    figures_ui(ui, ledger);
    ui.add_space(space::TINY);
    caption(ui, model.last_check_words(&last));
    if button(ui, "Copy as text").clicked() {
        ui.ctx().copy_text(model.ledger_text());
        actions.push(UserAction::Copied);
    }
}

fn check_ui(ui: &mut Ui, ledger: &Ledger, actions: &mut Vec<UserAction>) {
    let text = if ledger.checking.is_some() {
        "Checking…"
    } else {
        "Check now"
    };
    if button_if(ui, text, ledger.checking.is_none()).clicked() {
        actions.push(UserAction::CheckLedger);
    }
}

fn figures_ui(ui: &mut Ui, ledger: &Ledger) {
    let colours = palette(ui);
    let verdict = |count: u64| {
        if count == 0 {
            colours.good
        } else {
            colours.bad
        }
    };
    let figures = [
        ("Sent", ledger.acknowledged, colours.text),
        ("Stored", ledger.stored, colours.text),
        ("Shown", ledger.shown, colours.text),
        ("All messages", ledger.box_stored, colours.text),
        ("Shown", ledger.box_shown, colours.text),
        ("Lost", ledger.lost, verdict(ledger.lost)),
        ("Doubled", ledger.doubled, verdict(ledger.doubled)),
    ];
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = space::HUGE;
        for (word, count, colour) in figures {
            figure_ui(ui, word, count, colour);
        }
    });
}

/// A number above its word, as one thing that is never broken.
fn figure_ui(ui: &mut Ui, word: &str, count: u64, colour: Color32) {
    let muted = palette(ui).muted;
    let count = grouped(count);
    let number = one_line(ui, &count, theme::title(), colour, f32::INFINITY);
    let name = one_line(ui, word, TextStyle::Small, muted, f32::INFINITY);
    let size = Vec2::new(
        number.size().x.max(name.size().x),
        number.size().y + name.size().y,
    );
    let (rect, response) = ui.allocate_exact_size(size, Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, format!("{word}: {count}")));
    let below = rect.left_top() + Vec2::new(0.0, number.size().y);
    ui.painter().galley(rect.left_top(), number, colour);
    ui.painter().galley(below, name, muted);
}
