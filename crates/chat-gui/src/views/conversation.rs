//! The open conversation: who it is with, its messages, and where one writes.
//!
//! Deliberately absent: how a message looks and where it is on the screen.

use std::borrow::Cow;

use egui::{
    CornerRadius, Event, Frame, Margin, Panel, Popup, Rect, RichText, Stroke, Ui, UiBuilder, Vec2,
};

use crate::message_list::{RowKeyPress, Shown};
use crate::model::action::UserAction;
use crate::model::conversation::Conversation;
use crate::model::holder::{EARLIER_ACCOUNT, Holder};
use crate::model::message::MessageState;
use crate::model::names::{MessageId, Name};
use crate::model::navigation::Dialog;
use crate::model::search::SearchScope;
use crate::model::{InboxFreshness, Model};
use crate::theme::{self, palette, space};
use crate::views::composer::composer_ui;
use crate::views::control::avatars;
use crate::views::control::avatars::avatar;
use crate::views::control::buttons;
use crate::views::control::buttons::{button, danger_button, icon_button};
use crate::views::control::surfaces;
use crate::views::control::text;
use crate::views::control::text::one_line;
use crate::views::icon::Icon;
use crate::views::message_search::message_search_ui;
use crate::views::notices::notices_ui;
use crate::views::quote::reply_ui;
use crate::views::state::{Focus, ViewState};
use crate::views::timeline_rows::TimelineRows;

/// The height of the bar above the messages at normal text size.
const HEADER_HEIGHT: f32 = 64.0;
/// The share of that height that the picture of the person takes.
const FACE_SHARE: f32 = 0.625;

/// The height of the bar above the messages; the list beside it has one of the same height.
pub fn header_height(ui: &Ui) -> f32 {
    HEADER_HEIGHT * (0.6 + 0.4 * theme::scale(ui).max(1.0))
}

/// The open conversation, or what to do when none is open.
pub fn conversation_ui(
    ui: &mut Ui,
    model: &Model,
    state: &mut ViewState,
    actions: &mut Vec<UserAction>,
) {
    let Some(peer) = &model.open else {
        notices_ui(ui, model, actions);
        nothing_open_ui(ui, model, actions);
        return;
    };
    let nothing_yet = Conversation::default();
    let conversation = model.open_conversation().unwrap_or(&nothing_yet);
    let colours = palette(ui);
    let margin = if state.one_pane { 10 } else { 20 };
    let bar = Frame::new()
        .fill(colours.window)
        .inner_margin(Margin::symmetric(margin, 0));
    Panel::top("conversation header")
        .exact_size(header_height(ui))
        .resizable(false)
        .frame(bar)
        .show(ui, |ui| {
            if model.selection.is_empty() {
                header_ui(ui, model, peer, conversation, state.one_pane, actions);
            } else {
                selection_ui(ui, model, state.one_pane, actions);
            }
        });
    if is_searched(model) {
        Panel::top("message search")
            .resizable(false)
            .frame(
                bar.fill(colours.sidebar)
                    .inner_margin(Margin::symmetric(margin, 8)),
            )
            .show(ui, |ui| message_search_ui(ui, model, state, actions));
    }
    let below = Frame::new()
        .fill(colours.window)
        .inner_margin(Margin::symmetric(margin, 14));
    Panel::bottom("composer")
        .resizable(false)
        .show_separator_line(false)
        .frame(below)
        .show(ui, |ui| {
            if is_typed_elsewhere(ui, model) {
                state.send_focus(Focus::Composer);
            }
            let before = actions.len();
            reply_ui(ui, model, peer, actions);
            composer_ui(ui, peer, state, actions);
            if actions.len() > before {
                state.notice_edit(model);
            }
        });
    notices_ui(ui, model, actions);
    let before = actions.len();
    messages_ui(ui, model, peer, conversation, state, actions);
    let replies = |action: &UserAction| matches!(action, UserAction::Reply(_));
    if actions.iter().skip(before).any(replies) {
        state.send_focus(Focus::Composer);
    }
}

/// Whether the messages of one conversation are searched.
fn is_searched(model: &Model) -> bool {
    let search = model.message_search.as_ref();
    search.is_some_and(|search| search.scope != SearchScope::Everywhere)
}

/// Whether the person types, and nothing that takes text has the keyboard.
fn is_typed_elsewhere(ui: &Ui, model: &Model) -> bool {
    if model.dialog.is_some() || ui.text_edit_focused() || Popup::is_any_open(ui) {
        return false;
    }
    ui.input(|input| {
        input.events.iter().any(|event| match event {
            // A space presses the button, or selects the message, that has the keyboard.
            Event::Text(text) | Event::Paste(text) => !text.trim().is_empty(),
            _ => false,
        })
    })
}

fn header_ui(
    ui: &mut Ui,
    model: &Model,
    peer: &Name,
    conversation: &Conversation,
    one_pane: bool,
    actions: &mut Vec<UserAction>,
) {
    ui.horizontal_centered(|ui| {
        if one_pane && icon_button(ui, Icon::Back, "Back to chats").clicked() {
            actions.push(UserAction::CloseConversation);
        }
        let face = Vec2::splat(header_height(ui) * FACE_SHARE);
        let (rect, _) = ui.allocate_exact_size(face, egui::Sense::hover());
        avatar(ui, rect, peer);
        let buttons = 3.0 * (theme::control_height(ui) + space::TINY);
        let room = ui.available_width() - buttons - space::MEDIUM;
        let text = if conversation.muted {
            "Muted"
        } else if conversation.unread > 0 {
            "New messages"
        } else {
            ""
        };
        names_ui(ui, peer, text, room);
        let layout = egui::Layout::right_to_left(egui::Align::Center);
        ui.with_layout(layout, |ui| {
            ui.spacing_mut().item_spacing.x = space::TINY;
            header_buttons(ui, model, peer, conversation, actions);
        });
    });
}

/// The name, with a few words below it where there are some.
fn names_ui(ui: &mut Ui, name: &str, below: &str, room: f32) {
    let colours = palette(ui);
    let name = one_line(ui, name, theme::title(), colours.text, room);
    let below = (!below.is_empty())
        .then(|| one_line(ui, below, egui::TextStyle::Small, colours.muted, room));
    ui.vertical(|ui| {
        ui.spacing_mut().item_spacing.y = 1.0;
        let height = name.size().y + below.as_ref().map_or(0.0, |text| text.size().y + 1.0);
        ui.add_space(((header_height(ui) - height) / 2.0).max(0.0));
        ui.label(name);
        if let Some(below) = below {
            ui.label(below);
        }
    });
}

fn header_buttons(
    ui: &mut Ui,
    model: &Model,
    peer: &Name,
    conversation: &Conversation,
    actions: &mut Vec<UserAction>,
) {
    let (icon, name) = if conversation.muted {
        (Icon::BellOff, "Unmute")
    } else {
        (Icon::Bell, "Mute")
    };
    if icon_button(ui, icon, name).clicked() {
        actions.push(UserAction::SetMuted {
            peer: peer.clone(),
            muted: !conversation.muted,
        });
    }
    if icon_button(ui, Icon::Search, "Search in this chat").clicked() {
        if is_searched(model) {
            actions.push(UserAction::CloseSearch);
        } else {
            actions.push(UserAction::SearchIn {
                peer: peer.clone(),
                text: String::new(),
            });
        }
    }
    if conversation.unread > 0 && icon_button(ui, Icon::Check, "Mark all as read").clicked() {
        actions.push(UserAction::MarkRead(peer.clone()));
    }
}

/// What can be done with the selected messages, in place of the header.
fn selection_ui(ui: &mut Ui, model: &Model, one_pane: bool, actions: &mut Vec<UserAction>) {
    ui.horizontal_centered(|ui| {
        if icon_button(ui, Icon::Close, "Clear selection").clicked() {
            actions.push(UserAction::ClearSelection);
        }
        let count = model.selection.len();
        let text = match count {
            _ if one_pane => text::grouped(count as u64),
            1 => "1 message selected".to_owned(),
            _ => format!("{} messages selected", text::grouped(count as u64)),
        };
        ui.label(RichText::new(text).text_style(theme::title()));
        let layout = egui::Layout::right_to_left(egui::Align::Center);
        ui.with_layout(layout, |ui| {
            if danger_button(ui, "Delete", true).clicked() {
                actions.push(UserAction::DeleteSelected);
            }
            if button(ui, "Copy").clicked() {
                ui.ctx().copy_text(selected_text(model));
                actions.push(UserAction::Copied);
            }
            if !one_pane && button(ui, "Select all").clicked() {
                actions.push(UserAction::SelectAll);
            }
        });
    });
}

/// The selected messages as text: time, name and text, one after the other.
fn selected_text(model: &Model) -> String {
    let Some((peer, conversation)) = model.open.as_ref().zip(model.open_conversation()) else {
        return String::new();
    };
    let own = model.account.as_ref().map_or("", |account| &*account.name);
    let lines: Vec<String> = conversation
        .messages
        .iter()
        .filter(|message| model.selection.contains(&message.id))
        .map(|message| {
            let holder = conversation.holder(message);
            let when = model.zone.date_and_time(message.at);
            let who = match (message.is_own(), holder) {
                (true, Holder::Present) => Cow::Borrowed(own),
                (true, Holder::Earlier) => Cow::Owned(format!("{own} to {EARLIER_ACCOUNT}")),
                (false, holder) => holder.named(peer),
            };
            format!("[{when}] {who}: {}", message.body)
        })
        .collect();
    lines.join("\n")
}

fn messages_ui(
    ui: &mut Ui,
    model: &Model,
    peer: &Name,
    conversation: &Conversation,
    state: &mut ViewState,
    actions: &mut Vec<UserAction>,
) {
    if conversation.messages.is_empty() {
        let text = format!("Write the first message to {peer} below.");
        surfaces::empty_state(ui, Icon::Chat, "No messages yet", &text, None);
        return;
    }
    let mut rows = TimelineRows {
        model,
        peer,
        conversation,
        scale: model.preferences.text_size.factor(),
        menu_to_open: state.menu_to_open.take(),
        actions,
    };
    let place = ui.available_rect_before_wrap();
    let name = format!("Messages with {peer}");
    let shown = state.messages.show(ui, &name, &mut rows);
    let pressed = shown
        .pressed
        .and_then(|(press, row)| Some((press, rows.message(row)?.0.id)));
    let unread: Vec<MessageId> = shown
        .seen
        .clone()
        .filter_map(|row| rows.message(row))
        .filter(|(message, _)| message.is_unread())
        .map(|(message, _)| message.id)
        .collect();
    if state.takes_focus(Focus::Messages) {
        shown.response.request_focus();
    }
    if !unread.is_empty() && model.focused && model.dialog.is_none() {
        actions.push(UserAction::Seen(unread));
    }
    if shown.near_top && model.more_to_load && !model.loading {
        actions.push(UserAction::LoadOlder);
    }
    match pressed {
        Some((RowKeyPress::Menu, id)) => {
            state.menu_to_open = Some(id);
            state.has_menu = true;
            ui.ctx().request_repaint();
        }
        Some((press, id)) => act_on(ui, model, peer, press, id, actions),
        None => return_from_menu(ui, model, state),
    }
    jump_button(ui, place, &shown, conversation, actions);
}

/// Once a menu that the keyboard opened is closed, the keyboard is in the messages again.
fn return_from_menu(ui: &Ui, model: &Model, state: &mut ViewState) {
    let opens = state.menu_to_open.is_some() || Popup::is_any_open(ui);
    if !opens && std::mem::take(&mut state.has_menu) && model.dialog.is_none() {
        state.send_focus(Focus::Messages);
        ui.ctx().request_repaint();
    }
}

fn act_on(
    ui: &Ui,
    model: &Model,
    peer: &Name,
    press: RowKeyPress,
    id: MessageId,
    actions: &mut Vec<UserAction>,
) {
    match press {
        RowKeyPress::Toggle => actions.push(UserAction::ToggleSelected(id)),
        RowKeyPress::Open => {
            let details = Dialog::MessageDetails(peer.clone(), id);
            actions.push(UserAction::OpenDialog(details));
        }
        RowKeyPress::Delete if model.selection.is_empty() => {
            let message = model.message(peer, id);
            let is_rejected = message
                .is_some_and(|message| matches!(message.state, MessageState::NotSent { .. }));
            actions.push(if is_rejected {
                UserAction::Discard(id)
            } else {
                UserAction::Delete(vec![id])
            });
        }
        RowKeyPress::Delete => actions.push(UserAction::DeleteSelected),
        RowKeyPress::Copy if model.selection.is_empty() => {
            if let Some(message) = model.message(peer, id) {
                ui.ctx().copy_text(message.body.to_string());
                actions.push(UserAction::Copied);
            }
        }
        RowKeyPress::Copy => {
            ui.ctx().copy_text(selected_text(model));
            actions.push(UserAction::Copied);
        }
        // Needs the row.
        RowKeyPress::Menu => {}
    }
}

/// Over the messages, while the newest is not in sight.
fn jump_button(
    ui: &mut Ui,
    place: Rect,
    shown: &Shown,
    conversation: &Conversation,
    actions: &mut Vec<UserAction>,
) {
    if shown.at_bottom {
        return;
    }
    let colours = palette(ui);
    let size = Vec2::splat(40.0);
    let rect = Rect::from_min_size(
        egui::pos2(
            place.right() - size.x - 24.0,
            place.bottom() - size.y - 12.0,
        ),
        size,
    );
    let mut ui = ui.new_child(UiBuilder::new().id_salt("jump").max_rect(rect));
    let response = ui.allocate_rect(rect, egui::Sense::click());
    let name = if conversation.unread > 0 {
        format!("Jump to newest message, {} unread", conversation.unread)
    } else {
        "Jump to newest message".to_owned()
    };
    response.widget_info(|| egui::WidgetInfo::labeled(egui::accesskit::Role::Button, true, &name));
    let fill = if response.hovered() {
        colours.hover
    } else {
        colours.raised
    };
    let shadow = ui.visuals().popup_shadow;
    ui.painter()
        .add(shadow.as_shape(rect, CornerRadius::same(20)));
    ui.painter().circle(
        rect.center(),
        20.0,
        fill,
        Stroke::new(1.0, colours.border_strong),
    );
    Icon::Newest.paint(ui.painter(), rect, 18.0, colours.text);
    if conversation.unread > 0 {
        let right = egui::pos2(rect.right() + 4.0, rect.top() + 2.0);
        avatars::badge(&ui, right, conversation.unread, false);
    }
    buttons::focus_ring(&ui, &response, 20);
    if response.on_hover_text(name).clicked() {
        actions.push(UserAction::JumpToNewest);
    }
}

fn nothing_open_ui(ui: &mut Ui, model: &Model, actions: &mut Vec<UserAction>) {
    if model.order.is_empty() && model.inbox_state == InboxFreshness::Unknown {
        let (title, text) = model.unknown_inbox_words();
        surfaces::empty_state(ui, Icon::Chat, title, text, None);
        return;
    }
    let (title, text, offer) = if model.order.is_empty() {
        (
            "No chats yet",
            "Find someone by name and write the first message.",
            "Find people",
        )
    } else {
        ("Select a chat", "Or press Ctrl+K to search.", "Find people")
    };
    if surfaces::empty_state(ui, Icon::Chat, title, text, Some(offer)) {
        actions.push(UserAction::Show(crate::model::navigation::Screen::People));
    }
}
