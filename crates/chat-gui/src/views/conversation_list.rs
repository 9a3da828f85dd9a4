//! The list of conversations: who, the last message and its time, and how many are unread.
//!
//! Deliberately absent: the order, which the model decides.

use egui::accesskit::Role;
use egui::{
    CornerRadius, Frame, Key, Margin, Modifiers, Panel, Rect, Response, ScrollArea, Sense,
    TextStyle, Ui, Vec2, WidgetInfo,
};

use crate::model::action::UserAction;
use crate::model::conversation::{ConversationLine, Preview};
use crate::model::holder::{EARLIER_ACCOUNT, Holder};
use crate::model::names::Name;
use crate::model::navigation::Screen;
use crate::model::search::SearchScope;
use crate::model::time::Timestamp;
use crate::model::{InboxFreshness, Model};
use crate::theme::{self, palette, radius, space};
use crate::views::control::avatars::{avatar, badge};
use crate::views::control::buttons;
use crate::views::control::buttons::{choice, focus_ring, icon_button, link_button};
use crate::views::control::fields::{is_entered, search_field};
use crate::views::control::text;
use crate::views::control::text::{grouped, one_line};
use crate::views::conversation::header_height;
use crate::views::conversation_menu::conversation_menu_ui;
use crate::views::icon::Icon;
use crate::views::state::{ConversationFilter, Focus, ViewState};

/// The height of a line at normal text size.
const ROW_HEIGHT: f32 = 66.0;

/// The share of a line's height that the picture of the person takes.
const FACE_SHARE: f32 = 0.64;
/// The width of a small picture beside the preview.
const ICON_ROOM: f32 = 20.0;

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
    unread_ui(ui, model, state, actions);
    let lines = filtered_lines(model, &state.filter);
    let chosen = chosen_line(&state.filter, lines.len());
    if lines.is_empty() {
        no_one_found_ui(ui, model, state, actions);
        return;
    }
    let height = ROW_HEIGHT * (0.6 + 0.4 * model.preferences.text_size.factor());
    ui.spacing_mut().item_spacing.y = 2.0;
    let list = ScrollArea::vertical()
        .id_salt("conversations")
        .auto_shrink(false);
    list.show_rows(ui, height, lines.len(), |ui, rows| {
        for place in rows {
            let Some(line) = lines.get(place) else { break };
            let response = line_ui(ui, model, line, height, chosen == Some(place));
            if response.clicked() {
                actions.push(UserAction::OpenConversation(line.peer.clone()));
            }
            conversation_menu_ui(&response, model, line.peer, actions);
        }
    });
}

/// The conversations that the filter lets through. The open one stays when its last message is
/// read.
fn filtered_lines<'a>(model: &'a Model, filter: &ConversationFilter) -> Vec<ConversationLine<'a>> {
    let wanted = filter.text.trim().to_lowercase();
    let is_unread = |line: &ConversationLine<'_>| {
        line.conversation.unread > 0
            || model.marks.unread.contains(line.peer)
            || model.open.as_ref() == Some(line.peer)
    };
    model
        .conversation_lines()
        .filter(|line| wanted.is_empty() || line.peer.to_lowercase().contains(&wanted))
        .filter(|line| !filter.unread_only || is_unread(line))
        .collect()
}

/// The line that Enter opens while the keyboard is in the field: the first, unless the arrow keys
/// have moved on.
fn chosen_line(filter: &ConversationFilter, count: usize) -> Option<usize> {
    let first = (!filter.text.trim().is_empty()).then_some(0);
    let chosen = filter.chosen.or(first).filter(|_| filter.has_focus)?;
    (count > 0).then(|| chosen.min(count - 1))
}

fn header_ui(ui: &mut Ui, model: &Model, state: &mut ViewState, actions: &mut Vec<UserAction>) {
    let wants_focus = state.takes_focus(Focus::ConversationFilter);
    let buttons = 2.0 * (theme::control_height(ui) + ui.spacing().item_spacing.x);
    let width = ui.available_width() - buttons;
    take_arrows(ui, model, &mut state.filter);
    let field = search_field(ui, "Search", &mut state.filter.text, width);
    if wants_focus {
        field.request_focus();
    }
    if field.changed() {
        state.filter.chosen = None;
    }
    if is_entered(ui, &field) {
        enter(model, state, actions);
    }
    state.filter.has_focus = field.has_focus();
    if icon_button(ui, Icon::SearchMessages, "Search all messages").clicked() {
        actions.push(UserAction::SearchMessages {
            scope: SearchScope::Everywhere,
            text: String::new(),
        });
    }
    if icon_button(ui, Icon::Plus, "New message").clicked() {
        actions.push(UserAction::Show(Screen::People));
    }
}

/// Up and Down go through the lines while the keyboard is in the field.
fn take_arrows(ui: &Ui, model: &Model, filter: &mut ConversationFilter) {
    if !filter.has_focus {
        return;
    }
    let typed = |key| ui.input_mut(|input| input.consume_key(Modifiers::NONE, key));
    let (up, down) = (typed(Key::ArrowUp), typed(Key::ArrowDown));
    if !up && !down {
        return;
    }
    let count = filtered_lines(model, filter).len();
    let next = match chosen_line(filter, count) {
        Some(now) if down => now + 1,
        Some(now) => now.saturating_sub(1),
        None => 0,
    };
    filter.chosen = (count > 0).then(|| next.min(count - 1));
}

/// Enter opens the chosen line; where none is left it searches all people.
fn enter(model: &Model, state: &mut ViewState, actions: &mut Vec<UserAction>) {
    let lines = filtered_lines(model, &state.filter);
    let chosen = chosen_line(&state.filter, lines.len());
    if let Some(line) = chosen.and_then(|place| lines.get(place)) {
        actions.push(UserAction::OpenConversation(line.peer.clone()));
        state.filter.text.clear();
        state.filter.chosen = None;
        state.send_focus(Focus::Composer);
    } else if lines.is_empty() {
        search_people(state, actions);
    } else {
        state.send_focus(Focus::ConversationFilter);
    }
}

fn search_people(state: &mut ViewState, actions: &mut Vec<UserAction>) {
    let wanted = state.filter.text.trim();
    if wanted.is_empty() {
        return;
    }
    let pattern = format!("*{wanted}*");
    state.people_text.clone_from(&pattern);
    actions.push(UserAction::Show(Screen::People));
    actions.push(UserAction::SearchPeople(pattern));
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

fn no_one_found_ui(
    ui: &mut Ui,
    model: &Model,
    state: &mut ViewState,
    actions: &mut Vec<UserAction>,
) {
    ui.add_space(space::LARGE);
    ui.vertical_centered(|ui| {
        ui.set_max_width(ui.available_width() - 40.0);
        if state.filter.text.trim().is_empty() {
            if model.inbox_state == InboxFreshness::Unknown {
                let (title, detail) = model.unknown_inbox_words();
                text::muted(ui, title);
                text::muted(ui, detail);
            } else if state.filter.unread_only {
                text::muted(ui, "No unread chats.");
            } else {
                text::muted(ui, "No chats yet.");
            }
            return;
        }
        text::muted(ui, "No chats found.");
        if buttons::button(ui, "Search people").clicked() {
            search_people(state, actions);
        }
    });
}

/// One line; `next` is the one that Enter opens.
fn line_ui(
    ui: &mut Ui,
    model: &Model,
    line: &ConversationLine<'_>,
    height: f32,
    next: bool,
) -> Response {
    let size = Vec2::new(ui.available_width(), height);
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    let chosen = model.open.as_ref() == Some(line.peer);
    let label = line_label(model, line);
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, chosen, &label));
    if response.gained_focus() || next {
        response.scroll_to_me(None);
    }

    let colours = palette(ui);
    let inner = rect.shrink2(egui::vec2(8.0, 1.0));
    let fill = if chosen {
        Some(colours.accent_soft)
    } else if next || response.hovered() || response.has_focus() {
        Some(colours.hover)
    } else {
        None
    };
    if let Some(fill) = fill {
        ui.painter()
            .rect_filled(inner, CornerRadius::same(radius::CONTROL), fill);
    }
    let ring = response.clone().with_new_rect(inner);
    focus_ring(ui, &ring, radius::CONTROL);

    let size = height * FACE_SHARE;
    let face = Rect::from_center_size(
        egui::pos2(inner.left() + 8.0 + size / 2.0, inner.center().y),
        Vec2::splat(size),
    );
    avatar(ui, face, line.peer);
    let text = Rect::from_min_max(
        egui::pos2(face.right() + 12.0, inner.top()),
        egui::pos2(inner.right() - 10.0, inner.bottom()),
    );
    texts(ui, model, line, text);
    response
}

/// Name and time above, preview and badge below.
fn texts(ui: &Ui, model: &Model, line: &ConversationLine<'_>, place: Rect) {
    let colours = palette(ui);
    let unread = line.conversation.unread;
    let when = line.last_at.map(|at| when(model, at)).unwrap_or_default();
    let time_colour = if unread > 0 {
        colours.accent_text
    } else {
        colours.muted
    };
    let time = one_line(ui, &when, TextStyle::Small, time_colour, place.width());
    let room = place.width() - time.size().x - space::SMALL;
    let name = one_line(ui, line.peer, theme::strong(), colours.text, room);

    let is_marked = unread == 0 && model.marks.unread.contains(line.peer);
    let badge_room = if unread > 0 || is_marked { 44.0 } else { 0.0 };
    let icons = [
        (line.conversation.muted, Icon::BellOff),
        (model.marks.pinned.contains(line.peer), Icon::Pin),
    ];
    let icons = icons.into_iter().filter(|(shown, _)| *shown);
    let icons_room = icons.clone().count() as f32 * ICON_ROOM;
    let (text, colour) = preview(line, colours);
    let style = TextStyle::Body;
    let below = one_line(
        ui,
        &text,
        style,
        colour,
        place.width() - badge_room - icons_room,
    );

    let total = name.size().y + 3.0 + below.size().y;
    let top = place.center().y - total / 2.0;
    let below_top = top + name.size().y + 3.0;
    let below_middle = below_top + below.size().y / 2.0;
    let time_top = top + (name.size().y - time.size().y) / 2.0;
    let time_place = egui::pos2(place.right() - time.size().x, time_top);
    if let Some(at) = line.last_at {
        let rect = Rect::from_min_size(time_place, time.size());
        let id = ui.unique_id().with(("time", line.peer));
        ui.interact(rect, id, Sense::hover()).on_hover_ui(|ui| {
            ui.label(model.zone.date_and_time(at));
        });
    }
    ui.painter().galley(time_place, time, time_colour);
    ui.painter()
        .galley(egui::pos2(place.left(), top), name, colours.text);
    ui.painter()
        .galley(egui::pos2(place.left(), below_top), below, colour);
    let mut right = place.right();
    if unread > 0 {
        let quiet = line.conversation.muted;
        right -= badge(ui, egui::pos2(right, below_middle), unread, quiet) + 4.0;
    } else if is_marked {
        ui.painter()
            .circle_filled(egui::pos2(right - 8.0, below_middle), 6.0, colours.accent);
        right -= ICON_ROOM;
    }
    for (_, icon) in icons {
        let rect = Rect::from_center_size(egui::pos2(right - 8.0, below_middle), Vec2::splat(16.0));
        icon.paint(ui.painter(), rect, 14.0, colours.muted);
        right -= ICON_ROOM;
    }
}

fn preview(line: &ConversationLine<'_>, colours: &theme::Palette) -> (String, egui::Color32) {
    let beginning = |text: &str| text.chars().take(160).collect::<String>();
    match line.preview {
        Preview::Received(text) if line.holder == Holder::Earlier => {
            let text = beginning(text);
            (format!("Earlier account: {text}"), colours.muted)
        }
        Preview::Sent(text) if line.holder == Holder::Earlier => {
            let text = beginning(text);
            (format!("You to an earlier account: {text}"), colours.muted)
        }
        Preview::Empty => ("No messages yet".to_owned(), colours.muted),
        Preview::Draft(text) => (format!("Draft: {}", beginning(text)), colours.warn),
        Preview::Received(text) if line.conversation.unread > 0 => (beginning(text), colours.text),
        Preview::Received(text) => (beginning(text), colours.muted),
        Preview::Sent(text) => (format!("You: {}", beginning(text)), colours.muted),
        Preview::Pending(text) => (format!("Sending: {}", beginning(text)), colours.muted),
        Preview::NotSent(text) => (format!("Not sent: {}", beginning(text)), colours.bad),
    }
}

/// The time of day today, then the day, then the date.
pub fn when(model: &Model, at: Timestamp) -> String {
    let (day, today) = (model.zone.date(at), model.zone.date(model.now.wall));
    let ago = today.since(day).map_or(i32::MAX, |span| span.get_days());
    match ago {
        i32::MIN..=0 => model.zone.hours_and_minutes(at),
        1 => "Yesterday".to_owned(),
        2..=6 => day.strftime("%a").to_string(),
        _ if day.year() == today.year() => day.strftime("%-d %b").to_string(),
        _ => day.strftime("%-d %b %Y").to_string(),
    }
}

/// What a screen reader reads for a line.
fn line_label(model: &Model, line: &ConversationLine<'_>) -> String {
    let marks = &model.marks;
    let unread = match line.conversation.unread {
        0 if marks.unread.contains(line.peer) => ", marked as unread".to_owned(),
        0 => String::new(),
        1 => ", 1 unread message".to_owned(),
        more => format!(", {more} unread messages"),
    };
    let when = line
        .last_at
        .map(|at| format!(", {}", when(model, at)))
        .unwrap_or_default();
    let name: &Name = line.peer;
    let of_earlier = match line.holder {
        Holder::Present => String::new(),
        Holder::Earlier => format!(", the last message is with {EARLIER_ACCOUNT}"),
    };
    let pinned = if marks.pinned.contains(line.peer) {
        ", pinned"
    } else {
        ""
    };
    format!("Chat with {name}{unread}{pinned}{when}{of_earlier}")
}
