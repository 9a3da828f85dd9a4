//! All received messages in one list, newest first: to read the next few, to select, to delete.
//!
//! Deliberately absent: what was sent; the servers keep no copy of that for its sender.

use egui::{CornerRadius, RichText, ScrollArea, Sense, TextEdit, TextStyle, Ui, UiBuilder, Vec2};

use crate::model::action::UserAction;
use crate::model::holder::Holder;
use crate::model::message::Message;
use crate::model::names::{Name, READ_NEXT_MAX};
use crate::model::{InboxFreshness, Model};
use crate::theme::{self, palette, radius, space};
use crate::views::control::avatars::{avatar, avatar_of_earlier};
use crate::views::control::buttons::{button, button_if, danger_button, icon_button};
use crate::views::control::surfaces::{empty_state, page_header, row};
use crate::views::control::text;
use crate::views::control::text::{grouped, one_line};
use crate::views::icon::Icon;
use crate::views::state::{InboxState, ViewState};

/// The height of a row at normal text size.
const ROW_HEIGHT: f32 = 62.0;

/// The page.
pub fn inbox_ui(ui: &mut Ui, model: &Model, state: &mut ViewState, actions: &mut Vec<UserAction>) {
    compute_rows(model, &mut state.inbox);
    let is_known = model.inbox_state != InboxFreshness::Unknown;
    let sentence = match model.unread {
        0 if !is_known => String::new(),
        0 => "All messages are read.".to_owned(),
        1 => "1 unread message.".to_owned(),
        more => format!("{} unread messages.", grouped(more)),
    };
    page_header(ui, "Inbox", &sentence, |ui| {
        if icon_button(ui, Icon::Refresh, "Refresh").clicked() {
            actions.push(UserAction::Refresh);
        }
    });
    if state.inbox.rows.is_empty() {
        if is_known {
            let text = "Messages from others are listed here, the newest first.";
            empty_state(ui, Icon::Inbox, "No messages", text, None);
        } else {
            let (title, text) = model.unknown_inbox_words();
            empty_state(ui, Icon::Inbox, title, text, None);
        }
        return;
    }
    tools_ui(ui, model, state, actions);
    ui.add_space(space::TINY);
    let height = ROW_HEIGHT * (0.6 + 0.4 * model.preferences.text_size.factor());
    let rows = &state.inbox.rows;
    ui.spacing_mut().item_spacing.y = 2.0;
    let list = ScrollArea::vertical().id_salt("inbox").auto_shrink(false);
    list.show_rows(ui, height, rows.len(), |ui, range| {
        if range.end + 20 >= rows.len() && model.more_to_load && !model.loading {
            actions.push(UserAction::LoadOlder);
        }
        for (peer, index) in rows.get(range).unwrap_or_default() {
            let message = model
                .conversations
                .get(peer)
                .and_then(|conversation| conversation.messages.get(*index));
            if let Some(message) = message {
                row_ui(ui, model, message, height, actions);
            }
        }
    });
}

/// Sorts all received messages, if anything changed since the last frame.
fn compute_rows(model: &Model, inbox: &mut InboxState) {
    let all = model.conversations.values();
    let from = all.fold((0, 0_u64), |(count, revisions), conversation| {
        (
            count + conversation.messages.len(),
            revisions.wrapping_add(conversation.revision),
        )
    });
    if inbox.computed_from == Some(from) {
        return;
    }
    inbox.computed_from = Some(from);
    let mut rows: Vec<(&Name, usize, &Message)> = model
        .conversations
        .iter()
        .flat_map(|(peer, conversation)| {
            let messages = conversation.messages.iter().enumerate();
            messages
                .filter(|(_, message)| !message.is_own())
                .map(move |(index, message)| (peer, index, message))
        })
        .collect();
    rows.sort_by_key(|(_, _, message)| std::cmp::Reverse(message.sort_key));
    inbox.rows = rows
        .into_iter()
        .map(|(peer, index, _)| (peer.clone(), index))
        .collect();
}

/// Reading the next few on the left, the selection on the right.
fn tools_ui(ui: &mut Ui, model: &Model, state: &mut ViewState, actions: &mut Vec<UserAction>) {
    row(ui, |ui| {
        read_next_ui(ui, model, &mut state.inbox, actions);
        let layout = egui::Layout::right_to_left(egui::Align::Center);
        ui.with_layout(layout, |ui| {
            let selected = model.selection.len();
            if selected == 0 {
                if button(ui, "Select all").clicked() {
                    actions.push(UserAction::SelectAll);
                }
                return;
            }
            if danger_button(ui, &format!("Delete {}", grouped(selected as u64)), true).clicked() {
                actions.push(UserAction::DeleteSelected);
            }
            if button(ui, "Clear").clicked() {
                actions.push(UserAction::ClearSelection);
            }
        });
    });
}

fn read_next_ui(ui: &mut Ui, model: &Model, inbox: &mut InboxState, actions: &mut Vec<UserAction>) {
    let label = ui.label("Read the next");
    let edit = TextEdit::singleline(&mut inbox.read_next)
        .hint_text("1")
        .align(egui::Align2::CENTER_CENTER)
        .char_limit(3)
        .min_size(Vec2::new(0.0, theme::CONTROL_HEIGHT))
        .desired_width(52.0);
    let field = ui.add(edit).labelled_by(label.id);
    let wanted = read_next_number(&inbox.read_next);
    let entered = field.lost_focus() && ui.input(|input| input.key_pressed(egui::Key::Enter));
    let ready = wanted.is_some() && model.unread > 0;
    let pressed = button_if(ui, "Read oldest unread", ready).clicked();
    if (entered || pressed)
        && ready
        && let Some(number) = wanted
    {
        actions.push(UserAction::ReadNext(number));
    }
    if wanted.is_none() {
        let text = format!("1 to {READ_NEXT_MAX}");
        let colour = palette(ui).bad;
        ui.label(RichText::new(text).small().color(colour));
    }
}

/// How many are meant: 1 if nothing was typed; `None` if it is not a number from 1 to the limit, or
/// begins with a zero.
fn read_next_number(text: &str) -> Option<u16> {
    let text = text.trim();
    if text.is_empty() {
        return Some(1);
    }
    if text.starts_with('0') || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse()
        .ok()
        .filter(|number| (1..=READ_NEXT_MAX).contains(number))
}

fn row_ui(
    ui: &mut Ui,
    model: &Model,
    message: &Message,
    height: f32,
    actions: &mut Vec<UserAction>,
) {
    let size = Vec2::new(ui.available_width(), height);
    let (rect, hover) = ui.allocate_exact_size(size, Sense::hover());
    let mut ui = ui.new_child(
        UiBuilder::new()
            .id_salt(message.id.0)
            .max_rect(rect)
            .layout(egui::Layout::left_to_right(egui::Align::Center)),
    );
    let colours = palette(&ui);
    let selected = model.selection.contains(&message.id);
    let fill = if selected {
        colours.accent_soft
    } else if hover.contains_pointer() {
        colours.hover
    } else {
        colours.sidebar
    };
    ui.painter()
        .rect_filled(rect, CornerRadius::same(radius::CONTROL), fill);
    ui.add_space(space::SMALL);
    let (peer, holder) = (&message.peer, model.holder(message));
    let named = holder.named(peer);
    let time = model.zone.date_and_time(message.at);
    let mut ticked = selected;
    let tick = ui.checkbox(&mut ticked, "");
    ui.ctx().accesskit_node_builder(tick.id, |node| {
        node.set_label(format!("Select the message of {named}, {time}"));
    });
    if tick.clicked() {
        actions.push(UserAction::ToggleSelected(message.id));
    }
    let (face, _) = ui.allocate_exact_size(Vec2::splat(36.0), Sense::hover());
    match holder {
        Holder::Present => avatar(&ui, face, peer),
        Holder::Earlier => avatar_of_earlier(&ui, face, peer),
    }

    let layout = egui::Layout::right_to_left(egui::Align::Center);
    ui.with_layout(layout, |ui| {
        ui.add_space(space::SMALL);
        if icon_button(
            ui,
            Icon::Chat,
            &format!("Open the conversation with {peer}"),
        )
        .clicked()
        {
            actions.push(UserAction::OpenConversation(peer.clone()));
        }
        text::caption(ui, time);
        texts_ui(ui, &named, message, height);
    });
}

fn texts_ui(ui: &mut Ui, named: &str, message: &Message, height: f32) {
    let colours = palette(ui);
    let width = ui.available_width();
    let unread = message.is_unread();
    let text = if unread {
        // The original hides what was not read yet; "read the next" shows it.
        format!("Not read yet, {} characters", message.body.chars().count())
    } else {
        message.body.to_string()
    };
    let name_style = if unread {
        theme::strong()
    } else {
        TextStyle::Body
    };
    let name = one_line(ui, named, name_style, colours.text, width - 80.0);
    let colour = if unread {
        colours.accent_text
    } else {
        colours.muted
    };
    let body = one_line(ui, &text, TextStyle::Body, colour, width);
    let layout = egui::Layout::top_down(egui::Align::Min);
    ui.allocate_ui_with_layout(Vec2::new(width, height), layout, |ui| {
        ui.spacing_mut().item_spacing.y = 2.0;
        ui.add_space((height - name.size().y - body.size().y - 2.0) / 2.0);
        ui.label(name);
        ui.label(body);
    });
}

#[cfg(test)]
mod tests {
    use super::read_next_number;

    #[test]
    fn read_next_number_is_1_to_100_without_leading_zeros() {
        let cases = [
            ("", Some(1)),
            (" 7 ", Some(7)),
            ("100", Some(100)),
            ("101", None),
            ("0", None),
            ("07", None),
            ("-1", None),
            ("x", None),
        ];
        for (text, number) in cases {
            assert_eq!(read_next_number(text), number, "{text:?}");
        }
    }
}
