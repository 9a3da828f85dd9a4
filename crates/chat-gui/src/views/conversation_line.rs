//! One line of the list of conversations: who, the last message and its time, and how many are
//! unread.
//!
//! Deliberately absent: the list, and what a click does.

use egui::accesskit::Role;
use egui::{CornerRadius, Rect, Response, Sense, TextStyle, Ui, Vec2, WidgetInfo};

use crate::model::Model;
use crate::model::conversation::{ConversationLine, Preview};
use crate::model::holder::{EARLIER_ACCOUNT, Holder};
use crate::model::names::Name;
use crate::model::time::Timestamp;
use crate::theme::{self, palette, radius, space};
use crate::views::control::avatars::{avatar, badge};
use crate::views::control::buttons::focus_ring;
use crate::views::control::text::one_line;
use crate::views::icon::Icon;

/// The height of a line at normal text size.
const ROW_HEIGHT: f32 = 66.0;
/// The share of a line's height that the picture of the person takes.
const FACE_SHARE: f32 = 0.64;
/// The width of a small picture beside the preview.
const ICON_ROOM: f32 = 20.0;

/// The height of a line at the present text size.
pub(super) fn line_height(model: &Model) -> f32 {
    ROW_HEIGHT * (0.6 + 0.4 * model.preferences.text_size.factor())
}

/// One line; `next` is the one that Enter opens.
pub(super) fn line_ui(
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
    if response.gained_focus() {
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
