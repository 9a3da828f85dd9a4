//! Preferences, and what can be done with the account as a whole.
//!
//! Deliberately absent: where preferences are kept.

use egui::{Align, Layout, ScrollArea, Ui};

use crate::model::Model;
use crate::model::action::UserAction;
use crate::model::names::Name;
use crate::model::navigation::Dialog;
use crate::model::preferences::{KeptMessages, NotificationChoice, TextSize, ThemeChoice};
use crate::model::sign_in::AccountStep;
use crate::theme::{self, space};
use crate::views::control::buttons::{button, button_if, choice, danger_button};
use crate::views::control::surfaces::{
    READING_WIDTH, Tone, card, message_box, page_header, row_of,
};
use crate::views::control::text::{caption, card_title};

/// The page.
pub fn settings_ui(ui: &mut Ui, model: &Model, actions: &mut Vec<UserAction>) {
    page_header(ui, "Settings", "Kept on this device.", |_| {});
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        ui.set_max_width(READING_WIDTH.min(ui.available_width() - space::SMALL));
        ui.spacing_mut().item_spacing.y = space::MEDIUM;
        card(ui, |ui| appearance_ui(ui, model, actions));
        card(ui, |ui| notifications_ui(ui, model, actions));
        card(ui, |ui| messages_ui(ui, model, actions));
        card(ui, |ui| account_ui(ui, model, actions));
        ui.add_space(space::MEDIUM);
    });
}

/// A card narrower than this, in points at normal text size, has choices below what they are about.
const BESIDE_FROM: f32 = 460.0;

/// One line of a card: what it is about on the left, the choice on the right, or below it.
fn line_ui(ui: &mut Ui, label: &str, explanation: &str, choice: impl FnOnce(&mut Ui)) {
    if ui.available_width() < BESIDE_FROM * theme::scale(ui) {
        ui.label(label);
        if !explanation.is_empty() {
            caption(ui, explanation);
        }
        ui.horizontal_wrapped(choice);
        ui.add_space(space::TINY);
        return;
    }
    // The label and its explanation together are about as high as a control.
    let height = if explanation.is_empty() {
        theme::control_height(ui)
    } else {
        theme::control_height(ui) + 4.0
    };
    row_of(ui, height, |ui| {
        ui.vertical(|ui| {
            ui.spacing_mut().item_spacing.y = 1.0;
            let line = ui.text_style_height(&egui::TextStyle::Body);
            let below = ui.text_style_height(&egui::TextStyle::Small) + 1.0;
            let text = if explanation.is_empty() {
                line
            } else {
                line + below
            };
            ui.add_space(((height - text) / 2.0).max(0.0));
            ui.label(label);
            if !explanation.is_empty() {
                caption(ui, explanation);
            }
        });
        ui.with_layout(Layout::right_to_left(Align::Center), choice);
    });
}

/// Several choices of which one holds, side by side; the one that was pressed.
fn choice_ui<T: Copy + PartialEq>(ui: &mut Ui, now: T, choices: &[(T, &str)]) -> Option<T> {
    let mut pressed = None;
    ui.spacing_mut().item_spacing.x = space::TINY;
    for (value, name) in in_order(ui, choices) {
        let chosen = *value == now;
        if choice(ui, name, chosen).clicked() && !chosen {
            pressed = Some(*value);
        }
    }
    pressed
}

/// In a row that runs from right to left, the last one comes first.
fn in_order<'a, T>(ui: &Ui, items: &'a [T]) -> Vec<&'a T> {
    if ui.layout().prefer_right_to_left() {
        items.iter().rev().collect()
    } else {
        items.iter().collect()
    }
}

fn appearance_ui(ui: &mut Ui, model: &Model, actions: &mut Vec<UserAction>) {
    ui.set_width(ui.available_width());
    card_title(ui, "Appearance");
    let preferences = &model.preferences;
    line_ui(ui, "Theme", "", |ui| {
        let choices = [
            (ThemeChoice::System, "System"),
            (ThemeChoice::Light, "Light"),
            (ThemeChoice::Dark, "Dark"),
        ];
        if let Some(theme) = choice_ui(ui, preferences.theme, &choices) {
            actions.push(UserAction::SetTheme(theme));
        }
    });
    line_ui(ui, "Text size", "Ctrl and plus or minus", |ui| {
        let size = preferences.text_size;
        let sizes = [
            ("Smaller", size > TextSize::MIN, size.smaller()),
            ("Larger", size < TextSize::MAX, size.larger()),
        ];
        for (name, enabled, wanted) in in_order(ui, &sizes) {
            if button_if(ui, name, *enabled).clicked() {
                actions.push(UserAction::SetTextSize(*wanted));
            }
        }
        ui.label(format!("{} %", size.percent()));
    });
}

fn notifications_ui(ui: &mut Ui, model: &Model, actions: &mut Vec<UserAction>) {
    ui.set_width(ui.available_width());
    card_title(ui, "Notifications");
    line_ui(
        ui,
        "New messages",
        "While the window is not in front",
        |ui| {
            let choices = [
                (NotificationChoice::Off, "Off"),
                (NotificationChoice::WithoutText, "Name only"),
                (NotificationChoice::WithText, "With text"),
            ];
            if let Some(choice) = choice_ui(ui, model.preferences.notifications, &choices) {
                actions.push(UserAction::SetNotifications(choice));
            }
        },
    );
    let muted: Vec<&Name> = model
        .conversations
        .iter()
        .filter(|(_, conversation)| conversation.muted)
        .map(|(peer, _)| peer)
        .collect();
    if muted.is_empty() {
        caption(ui, "To mute one person, press the bell above the chat.");
    }
    for peer in muted {
        line_ui(ui, &format!("{peer} is muted"), "", |ui| {
            let name = format!("Unmute {peer}");
            if button(ui, &name).clicked() {
                actions.push(UserAction::SetMuted {
                    peer: peer.clone(),
                    muted: false,
                });
            }
        });
    }
}

/// How much of the inbox is kept on this device.
fn messages_ui(ui: &mut Ui, model: &Model, actions: &mut Vec<UserAction>) {
    ui.set_width(ui.available_width());
    card_title(ui, "Messages on this device");
    let kept = model.preferences.kept_messages;
    line_ui(ui, "Received messages", "The newest, also offline", |ui| {
        let choices = [
            (KeptMessages::None, "None"),
            (KeptMessages::Thousand, "1,000"),
            (KeptMessages::TenThousand, "10,000"),
            (KeptMessages::HundredThousand, "100,000"),
        ];
        if let Some(choice) = choice_ui(ui, kept, &choices) {
            actions.push(UserAction::KeepMessages(choice));
        }
    });
    line_ui(ui, "Delete them here", "The servers keep them", |ui| {
        let any = kept != KeptMessages::None;
        if button_if(ui, "Forget messages on this device", any).clicked() {
            actions.push(UserAction::KeepMessages(KeptMessages::None));
        }
    });
}

fn account_ui(ui: &mut Ui, model: &Model, actions: &mut Vec<UserAction>) {
    ui.set_width(ui.available_width());
    let Some(account) = &model.account else {
        return;
    };
    card_title(ui, "Account");
    let free = account.busy.is_none();
    let sentence = format!("You are signed in as {}.", account.name);
    let servers = format!("Servers: {}", model.servers.addresses.join(", "));
    line_ui(ui, &sentence, &servers, |ui| {
        let text = if account.busy == Some(AccountStep::SigningOut) {
            "Signing out…"
        } else {
            "Sign out"
        };
        if button_if(ui, text, free).clicked() {
            actions.push(UserAction::SignOut);
        }
    });
    if let Some(failure) = &account.failure
        && model.dialog.is_none()
    {
        message_box(ui, Tone::Bad, &failure.sentence(), &failure.next_step());
    }
    line_ui(ui, "Password", "", |ui| {
        if button_if(ui, "Change…", free).clicked() {
            actions.push(UserAction::OpenDialog(Dialog::ChangePassword));
        }
    });
    ui.separator();
    let lost = "Your name and all messages you have received are lost.";
    line_ui(ui, "Delete account", lost, |ui| {
        if danger_button(ui, "Delete…", free).clicked() {
            actions.push(UserAction::OpenDialog(Dialog::DeleteAccount));
        }
    });
    caption(ui, format!("Version {}", env!("CARGO_PKG_VERSION")));
}
