//! The list of conversations: who, the last message and its time, and how many are unread.
//!
//! Deliberately absent: the order, which the model decides.

use egui::accesskit::Role;
use egui::{
    CornerRadius, Frame, Margin, Panel, Rect, ScrollArea, Sense, TextStyle, Ui, Vec2, WidgetInfo,
};

use crate::model::action::UserAction;
use crate::model::conversation::{ConversationLine, Preview};
use crate::model::holder::{EARLIER_ACCOUNT, Holder};
use crate::model::names::Name;
use crate::model::navigation::Screen;
use crate::model::time::Timestamp;
use crate::model::{InboxFreshness, Model};
use crate::theme::{self, palette, radius, space};
use crate::views::control::avatars::{avatar, badge};
use crate::views::control::buttons;
use crate::views::control::buttons::{focus_ring, icon_button};
use crate::views::control::fields::search_field;
use crate::views::control::text;
use crate::views::control::text::one_line;
use crate::views::icon::Icon;
use crate::views::state::{Focus, ViewState};

/// The height of a line at normal text size.
const ROW_HEIGHT: f32 = 66.0;

/// All conversations, in the order of the model.
pub fn conversation_list_ui(
    ui: &mut Ui,
    model: &Model,
    state: &mut ViewState,
    actions: &mut Vec<UserAction>,
) {
    let header = Frame::new().inner_margin(Margin::symmetric(14, 0));
    Panel::top("list header")
        .exact_size(crate::views::conversation::HEADER_HEIGHT)
        .resizable(false)
        .show_separator_line(false)
        .frame(header)
        .show(ui, |ui| {
            ui.horizontal_centered(|ui| header_ui(ui, state, actions));
        });
    let wanted = state.conversation_filter.trim().to_lowercase();
    let lines: Vec<ConversationLine<'_>> = model
        .conversation_lines()
        .filter(|line| wanted.is_empty() || line.peer.to_lowercase().contains(&wanted))
        .collect();
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
        for line in lines.get(rows).unwrap_or_default() {
            if line_ui(ui, model, line, height) {
                actions.push(UserAction::OpenConversation(line.peer.clone()));
            }
        }
    });
}

fn header_ui(ui: &mut Ui, state: &mut ViewState, actions: &mut Vec<UserAction>) {
    let wants_focus = state.takes_focus(Focus::ConversationFilter);
    let width = ui.available_width() - theme::CONTROL_HEIGHT - space::SMALL;
    let field = search_field(ui, "Find a chat", &mut state.conversation_filter, width);
    if wants_focus {
        field.request_focus();
    }
    if icon_button(ui, Icon::Plus, "Write to a new person").clicked() {
        actions.push(UserAction::Show(Screen::People));
    }
}

fn no_one_found_ui(ui: &mut Ui, model: &Model, state: &ViewState, actions: &mut Vec<UserAction>) {
    ui.add_space(space::LARGE);
    ui.vertical_centered(|ui| {
        ui.set_max_width(ui.available_width() - 40.0);
        let wanted = state.conversation_filter.trim();
        if wanted.is_empty() {
            if model.inbox_state == InboxFreshness::Unknown {
                let (title, detail) = model.unknown_inbox_words();
                text::muted(ui, title);
                text::muted(ui, detail);
            } else {
                text::muted(ui, "Your conversations will be listed here.");
            }
            return;
        }
        text::muted(ui, "No conversation with such a name.");
        if buttons::button(ui, "Search all people").clicked() {
            actions.push(UserAction::Show(Screen::People));
            actions.push(UserAction::SearchPeople(format!("*{wanted}*")));
        }
    });
}

/// One line; whether it was clicked.
fn line_ui(ui: &mut Ui, model: &Model, line: &ConversationLine<'_>, height: f32) -> bool {
    let size = Vec2::new(ui.available_width(), height);
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    let chosen = model.open.as_ref() == Some(line.peer);
    let label = line_label(model, line);
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, chosen, &label));
    if response.gained_focus() {
        response.scroll_to_me(None);
    }

    let colours = palette(ui);
    let inner = rect.shrink2(egui::vec2(8.0, 1.0));
    let fill = if chosen {
        Some(colours.accent_soft)
    } else if response.hovered() || response.has_focus() {
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

    let face = Rect::from_center_size(
        egui::pos2(inner.left() + 8.0 + 21.0, inner.center().y),
        Vec2::splat(42.0),
    );
    avatar(ui, face, line.peer);
    let text = Rect::from_min_max(
        egui::pos2(face.right() + 12.0, inner.top()),
        egui::pos2(inner.right() - 10.0, inner.bottom()),
    );
    texts(ui, model, line, text);
    response.clicked()
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

    let badge_room = if unread > 0 { 44.0 } else { 0.0 };
    let muted_room = if line.conversation.muted { 20.0 } else { 0.0 };
    let (text, colour) = preview(line, colours);
    let style = TextStyle::Body;
    let below = one_line(
        ui,
        &text,
        style,
        colour,
        place.width() - badge_room - muted_room,
    );

    let total = name.size().y + 3.0 + below.size().y;
    let top = place.center().y - total / 2.0;
    let below_top = top + name.size().y + 3.0;
    let below_middle = below_top + below.size().y / 2.0;
    let time_top = top + (name.size().y - time.size().y) / 2.0;
    ui.painter().galley(
        egui::pos2(place.right() - time.size().x, time_top),
        time,
        time_colour,
    );
    ui.painter()
        .galley(egui::pos2(place.left(), top), name, colours.text);
    ui.painter()
        .galley(egui::pos2(place.left(), below_top), below, colour);
    let mut right = place.right();
    if unread > 0 {
        let quiet = line.conversation.muted;
        right -= badge(ui, egui::pos2(right, below_middle), unread, quiet) + 4.0;
    }
    if line.conversation.muted {
        let rect = Rect::from_center_size(egui::pos2(right - 8.0, below_middle), Vec2::splat(16.0));
        Icon::BellOff.paint(ui.painter(), rect, 14.0, colours.muted);
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
    let unread = match line.conversation.unread {
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
    format!("Conversation with {name}{unread}{when}{of_earlier}")
}
