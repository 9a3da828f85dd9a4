//! The figures of the ledger: acknowledged, stored, shown, lost, doubled.
//!
//! Deliberately absent: any figure that does not come from the servers.

use egui::{RichText, Ui};

use crate::model::Model;
use crate::model::action::UserAction;
use crate::model::ledger::{LEDGER_CHECK_MAX, Ledger};
use crate::model::time::duration_words;
use crate::theme::{self, palette, space};
use crate::views::control::buttons::button_if;
use crate::views::control::surfaces::row;
use crate::views::control::text::{caption, card_title, grouped, muted};

/// The ledger.
pub fn ledger_ui(ui: &mut Ui, model: &Model, actions: &mut Vec<UserAction>) {
    ui.set_width(ui.available_width());
    let ledger = &model.ledger;
    row(ui, |ui| {
        card_title(ui, "Ledger");
        let layout = egui::Layout::right_to_left(egui::Align::Center);
        ui.with_layout(layout, |ui| {
            let text = if ledger.checking.is_some() {
                "Checking…"
            } else {
                "Check now"
            };
            if button_if(ui, text, ledger.checking.is_none()).clicked() {
                actions.push(UserAction::CheckLedger);
            }
        });
    });
    if let Some(covered) = ledger.checking {
        caption(ui, format!("{} messages checked so far", grouped(covered)));
    } else if let Some(failure) = &ledger.failure {
        let colour = palette(ui).bad;
        ui.label(RichText::new(format!("The last check failed: {failure}")).color(colour));
    }
    let Some(checked_at) = ledger.checked_at else {
        muted(
            ui,
            "Checks that the servers still have every message that they acknowledged to this device.",
        );
        return;
    };
    figures_ui(ui, ledger);
    let ago = duration_words(model.now.moment.since(checked_at));
    caption(
        ui,
        format!(
            "Checked {ago} ago: at most your newest {LEDGER_CHECK_MAX} sent messages, and the whole inbox."
        ),
    );
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
        ("Lost", ledger.lost, verdict(ledger.lost)),
        ("Doubled", ledger.doubled, verdict(ledger.doubled)),
    ];
    ui.columns_const(|columns: &mut [Ui; 5]| {
        for (ui, (word, count, colour)) in columns.iter_mut().zip(figures) {
            ui.spacing_mut().item_spacing.y = 0.0;
            let number = RichText::new(grouped(count))
                .text_style(theme::title())
                .color(colour);
            ui.label(number);
            caption(ui, word);
        }
    });
    ui.add_space(space::TINY);
    let inbox = format!(
        "Inbox: {} stored, {} shown.",
        grouped(ledger.inbox_stored),
        grouped(ledger.inbox_shown)
    );
    ui.label(inbox);
}
