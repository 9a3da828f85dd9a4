//! All that is known of one message, above all its position in the log.
//!
//! Deliberately absent: the rest of its text, which is visible behind the dialog.

use egui::{Grid, RichText, Ui};

use crate::model::Model;
use crate::model::action::UserAction;
use crate::model::message::{CopyPlace, Message, MessageState};
use crate::model::names::{Commit, MessageId, Name};
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
    if let MessageState::Sent { copy, .. } = message.state {
        ui.add_space(space::TINY);
        caption(ui, copy_words(copy, peer));
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
                if button(ui, "Cancel sending and edit").clicked() {
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
        if button(ui, "Copy text").clicked() {
            ui.ctx().copy_text(message.body.to_string());
            actions.push(UserAction::Copied);
        }
    });
}

/// A dialog narrower than this, in points at normal text size, has each fact below its name.
const BESIDE_FROM: f32 = 420.0;

/// Who, when and where in the log.
fn facts_ui(ui: &mut Ui, model: &Model, message: &Message) {
    let facts = facts(model, message);
    if theme::is_narrow(ui, BESIDE_FROM) {
        for (what, value) in facts {
            fact_ui(ui, what, value);
        }
        return;
    }
    Grid::new("details")
        .num_columns(2)
        .spacing(egui::vec2(space::LARGE, space::SMALL))
        .show(ui, |ui| {
            for (what, value) in facts {
                fact_ui(ui, what, value);
                ui.end_row();
            }
        });
}

fn facts(model: &Model, message: &Message) -> Vec<(&'static str, String)> {
    let named = model.holder(message).named(&message.peer).to_string();
    let you = "you".to_owned();
    let (from, to) = if message.is_own() {
        (you, named)
    } else {
        (named, you)
    };
    let mut facts = vec![("From", from), ("To", to)];
    let has_place = message.commit().is_some();
    if let Some(written) = message.written_at {
        facts.push(("Written", model.zone.date_and_time(written)));
    }
    if has_place {
        facts.push(("Stored", model.zone.date_and_time(message.at)));
    }
    if let MessageState::Received {
        sender_since: Some(since),
        ..
    } = message.state
    {
        let since = format!("Log position {}", grouped(since.0));
        facts.push(("Sender's account since", since));
    }
    if let Some(commit) = message.commit() {
        let place = format!("{}, term {}", grouped(commit.index.0), commit.term);
        facts.push(("Log position", place));
    }
    let length = format!("{} bytes", grouped(message.body.len() as u64));
    facts.push(("Length", length));
    facts.push(("Message ID", message.id.0.to_string()));
    facts
}

/// Where the copy of a sent message is, and what deleting it means.
fn copy_words(copy: CopyPlace, peer: &Name) -> String {
    match copy {
        CopyPlace::Servers => {
            format!("On all your devices. Deleting it here deletes it there, too; {peer} keeps it.")
        }
        CopyPlace::Device => format!("On this device only. If you delete it, {peer} keeps it."),
    }
}

/// What became of it, in a sentence.
fn state_ui(ui: &mut Ui, model: &Model, message: &Message) {
    let stored = |commit: &Commit| model.cluster.stored_sentence(commit.index);
    match &message.state {
        MessageState::Received { commit, .. } => {
            message_box(ui, Tone::Good, "Received", &stored(commit));
        }
        MessageState::Sent { commit, .. } => {
            message_box(ui, Tone::Good, "Sent", &stored(commit));
        }
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

fn fact_ui(ui: &mut Ui, what: &str, value: String) {
    let colours = palette(ui);
    ui.label(RichText::new(what).color(colours.muted));
    ui.label(RichText::new(value).text_style(theme::strong()));
}
