//! The list of conversations. Above it is the field that searches everything; what that finds takes
//! the place of the list.
//!
//! Deliberately absent: the order, which the model decides; and how a line, and what is found, look.

use egui::{Frame, Key, Margin, Modifiers, Panel, ScrollArea, Ui};

use crate::model::action::UserAction;
use crate::model::conversation::ConversationLine;
use crate::model::found::Found;
use crate::model::navigation::Screen;
use crate::model::{InboxFreshness, Model};
use crate::theme::{self, space};
use crate::views::control::buttons::{choice, icon_button, link_button};
use crate::views::control::fields::{is_entered, search_field};
use crate::views::control::text;
use crate::views::control::text::grouped;
use crate::views::conversation::header_height;
use crate::views::conversation_line::{line_height, line_ui};
use crate::views::conversation_menu::conversation_menu_ui;
use crate::views::icon::Icon;
use crate::views::people::truncate;
use crate::views::search_results::{open_found, search_results_ui};
use crate::views::state::{ConversationFilter, Focus, ViewState};

/// A text to search for is at most so long; no one types more.
const SEARCH_BYTES_MAX: usize = 256;

/// All conversations, in the order of the model.
pub fn conversation_list_ui(
    ui: &mut Ui,
    model: &Model,
    state: &mut ViewState,
    actions: &mut Vec<UserAction>,
) {
    let header = Frame::new().inner_margin(Margin::symmetric(14, 0));
    Panel::top("list header")
        .exact_size(header_height(ui))
        .resizable(false)
        .show_separator_line(false)
        .frame(header)
        .show(ui, |ui| {
            ui.horizontal_centered(|ui| header_ui(ui, model, state, actions));
        });
    if let Some(results) = model.search_results() {
        search_results_ui(ui, model, &results, state, actions);
        return;
    }
    unread_ui(ui, model, state, actions);
    let lines = filtered_lines(model, state.filter.unread_only);
    if lines.is_empty() {
        no_chats_ui(ui, model, state.filter.unread_only);
        return;
    }
    let height = line_height(model);
    ui.spacing_mut().item_spacing.y = 2.0;
    let list = ScrollArea::vertical()
        .id_salt("conversations")
        .auto_shrink(false);
    list.show_rows(ui, height, lines.len(), |ui, rows| {
        for place in rows {
            let Some(line) = lines.get(place) else { break };
            let next = state.filter.shows_chosen(&Found::Chat(line.peer.clone()));
            let response = line_ui(ui, model, line, height, next);
            if next && std::mem::take(&mut state.filter.reveals_chosen) {
                response.scroll_to_me(None);
            }
            if response.clicked() {
                actions.push(UserAction::OpenConversation(line.peer.clone()));
            }
            conversation_menu_ui(&response, model, line.peer, actions);
        }
    });
}

/// All conversations, or those with unread messages. The open one stays when its last message is
/// read.
fn filtered_lines(model: &Model, unread_only: bool) -> Vec<ConversationLine<'_>> {
    let is_unread = |line: &ConversationLine<'_>| {
        line.conversation.unread > 0
            || model.marks.unread.contains(line.peer)
            || model.open.as_ref() == Some(line.peer)
    };
    model
        .conversation_lines()
        .filter(|line| !unread_only || is_unread(line))
        .collect()
}

fn header_ui(ui: &mut Ui, model: &Model, state: &mut ViewState, actions: &mut Vec<UserAction>) {
    let wants_focus = state.takes_focus(Focus::Search);
    let width = ui.available_width() - theme::control_height(ui) - ui.spacing().item_spacing.x;
    choose(ui, model, &mut state.filter);
    let field = search_field(ui, "Search", &mut state.filter.text, width);
    if wants_focus {
        field.request_focus();
    }
    if field.changed() {
        truncate(&mut state.filter.text, SEARCH_BYTES_MAX);
        state.filter.chosen = None;
        state.filter.is_entered = false;
        actions.push(UserAction::Search(state.filter.text.clone()));
    }
    if is_entered(ui, &field) {
        state.filter.is_entered = true;
        // A one-line field gives up the keyboard on Enter.
        field.request_focus();
    }
    state.filter.has_focus = field.has_focus();
    if state.filter.is_entered && is_searched(model, &state.filter) {
        state.filter.is_entered = false;
        if let Some(chosen) = state.filter.chosen.clone() {
            open_found(model, &chosen, state, actions);
        }
    }
    if state.filter.text.is_empty() {
        if icon_button(ui, Icon::Plus, "New message").clicked() {
            actions.push(UserAction::Show(Screen::People));
        }
    } else if icon_button(ui, Icon::Close, "Clear search").clicked() {
        state.clear_search(actions);
        state.send_focus(Focus::Search);
    }
}

/// Whether what is listed is what was found for the text in the field.
fn is_searched(model: &Model, filter: &ConversationFilter) -> bool {
    match model.search() {
        Some(search) => search.text == filter.text,
        None => filter.text.trim().is_empty(),
    }
}

/// Chooses the entry that Enter opens: with the arrow keys, else the first of what was found. It
/// stays the same when more is found before it.
fn choose(ui: &Ui, model: &Model, filter: &mut ConversationFilter) {
    if !filter.has_focus || !is_searched(model, filter) {
        return;
    }
    let results = model.search_results();
    let entries = match &results {
        Some(results) => results.entries(),
        None => {
            let lines = filtered_lines(model, filter.unread_only).into_iter();
            lines.map(|line| Found::Chat(line.peer.clone())).collect()
        }
    };
    let chosen = filter.chosen.as_ref();
    let place = chosen.and_then(|chosen| entries.iter().position(|entry| entry == chosen));
    let typed = |key| ui.input_mut(|input| input.consume_key(Modifiers::NONE, key));
    let (up, down) = (typed(Key::ArrowUp), typed(Key::ArrowDown));
    let next = match place {
        Some(place) if down => Some((place + 1).min(entries.len() - 1)),
        Some(place) if up => Some(place.saturating_sub(1)),
        Some(place) => Some(place),
        None => (results.is_some() || up || down).then_some(0),
    };
    filter.chosen = next.and_then(|next| entries.get(next).cloned());
    filter.reveals_chosen |= up || down;
}

/// All conversations, or those with unread messages.
fn unread_ui(ui: &mut Ui, model: &Model, state: &mut ViewState, actions: &mut Vec<UserAction>) {
    let unread_only = &mut state.filter.unread_only;
    ui.horizontal_wrapped(|ui| {
        ui.add_space(14.0);
        ui.spacing_mut().item_spacing.x = space::TINY;
        let unread = match model.unread {
            0 => "Unread".to_owned(),
            count => format!("Unread {}", grouped(count)),
        };
        for (value, name) in [(false, "All"), (true, &unread)] {
            if choice(ui, name, *unread_only == value).clicked() {
                *unread_only = value;
            }
        }
        if *unread_only && model.unread > 0 && link_button(ui, "Open oldest unread").clicked() {
            actions.push(UserAction::OpenOldestUnread);
        }
    });
    ui.add_space(space::TINY);
}

fn no_chats_ui(ui: &mut Ui, model: &Model, unread_only: bool) {
    ui.add_space(space::LARGE);
    ui.vertical_centered(|ui| {
        ui.set_max_width(ui.available_width() - 40.0);
        if model.inbox_state == InboxFreshness::Unknown {
            let (title, detail) = model.unknown_inbox_words();
            text::muted(ui, title);
            text::muted(ui, detail);
        } else if unread_only {
            text::muted(ui, "No unread chats.");
        } else {
            text::muted(ui, "No chats yet.");
        }
    });
}
