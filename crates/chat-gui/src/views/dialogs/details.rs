//! All that is known of one message, above all its position in the log.
//!
//! Deliberately absent: the rest of its text, which is visible behind the dialog.

use egui::{Grid, RichText, Ui};

use crate::model::Model;
use crate::model::action::UserAction;
use crate::model::message::{Message, MessageState};
use crate::model::names::{MessageId, Name};
use crate::model::time::duration_words;
use crate::theme::{self, palette, space};
use crate::views::control::buttons::{button, danger_button, primary_button};
use crate::views::control::surfaces::{Tone, message_box};
use crate::views::control::text::{caption, grouped, muted};
use crate::views::dialogs::buttons::buttons_ui;

/// The details of a message.
pub fn details_ui(
    ui: &mut Ui,
    model: &Model,
    peer: &Name,
    id: MessageId,
    actions: &mut Vec<UserAction>,
) {
    let Some(message) = model.message(peer, id) else {
        muted(ui, "This message was deleted.");
        return;
    };
    state_ui(ui, model, message);
    ui.add_space(space::SMALL);
    facts_ui(ui, model, message);
    if message.is_own() {
        ui.add_space(space::TINY);
        caption(
            ui,
            "This copy is kept on this device; the servers keep only the recipient's.",
        );
    }
    buttons_ui(ui, |ui| {
        match message.state {
            MessageState::NotSent { .. } => {
                if primary_button(ui, "Retry", true).clicked() {
                    actions.push(UserAction::Retry(id));
                    actions.push(UserAction::Back);
                }
            }
            MessageState::Pending(_) => {
                if button(ui, "Move back to the composer").clicked() {
                    actions.push(UserAction::TakeBack(id));
                    actions.push(UserAction::Back);
                }
            }
            MessageState::Received { .. } | MessageState::Sent { .. } => {
                if danger_button(ui, "Delete", true).clicked() {
                    actions.push(UserAction::Delete(vec![id]));
                    actions.push(UserAction::Back);
                }
            }
        }
        if button(ui, "Copy the text").clicked() {
            ui.ctx().copy_text(message.body.to_string());
        }
    });
}

/// Who, when and where in the log.
fn facts_ui(ui: &mut Ui, model: &Model, message: &Message) {
    let named = model.holder(message).named(&message.peer);
    Grid::new("details")
        .num_columns(2)
        .spacing(egui::vec2(space::LARGE, space::SMALL))
        .show(ui, |ui| {
            let (from, to) = if message.is_own() {
                ("you", &*named)
            } else {
                (&*named, "you")
            };
            fact(ui, "From", from);
            fact(ui, "To", to);
            fact(ui, "Time", &model.zone.date_and_time(message.at));
            if let MessageState::Received {
                sender_since: Some(since),
                ..
            } = message.state
            {
                fact(ui, "Sender's account since index", &grouped(since.0));
            }
            if let Some(commit) = message.commit() {
                fact(ui, "Committed at index", &grouped(commit.index.0));
                fact(ui, "In term", &grouped(commit.term.0));
            }
            fact(
                ui,
                "Length",
                &format!("{} bytes", grouped(message.body.len() as u64)),
            );
            fact(ui, "Name", &message.id.0.to_string());
        });
}

/// What became of it, in a sentence.
fn state_ui(ui: &mut Ui, model: &Model, message: &Message) {
    match &message.state {
        MessageState::Received { .. } => message_box(
            ui,
            Tone::Good,
            "Received.",
            "It is stored on a majority of the servers.",
        ),
        MessageState::Sent { .. } => message_box(
            ui,
            Tone::Good,
            "Sent.",
            "It is stored permanently on a majority of the servers, exactly once.",
        ),
        MessageState::Pending(pending) => {
            let since = duration_words(model.now.moment.since(pending.since));
            let sentence = format!("Sending for {since}, attempt {}.", pending.attempts);
            let why = pending.delayed.as_ref().map_or_else(
                || {
                    "The app sends it again with the same id until it is stored; it cannot arrive twice."
                        .to_owned()
                },
                |why| {
                    format!(
                        "{} The app tries again by itself; the message cannot arrive twice.",
                        why.sentence()
                    )
                },
            );
            message_box(ui, Tone::Warn, &sentence, &why);
        }
        MessageState::NotSent { reason } => {
            let sentence = format!("Not sent. {}", reason.sentence());
            message_box(ui, Tone::Bad, &sentence, &reason.next_step());
        }
    }
}

fn fact(ui: &mut Ui, what: &str, value: &str) {
    let colours = palette(ui);
    ui.label(RichText::new(what).color(colours.muted));
    ui.label(RichText::new(value).text_style(theme::strong()));
    ui.end_row();
}
