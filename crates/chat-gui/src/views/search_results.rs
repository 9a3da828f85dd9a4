//! What the search above the list of conversations found, in place of the list: chats, people and
//! messages.
//!
//! Deliberately absent: searching, and which entry is chosen.

use std::sync::Arc;

use egui::accesskit::Role;
use egui::text::{LayoutJob, TextFormat};
use egui::{
    Align, CornerRadius, Galley, IdSalt, Layout, Rect, Response, ScrollArea, Sense, TextStyle, Ui,
    UiBuilder, Vec2, WidgetInfo,
};

use crate::model::action::UserAction;
use crate::model::conversation::ConversationLine;
use crate::model::excerpt::Excerpt;
use crate::model::found::{Found, PeopleState, SearchResults};
use crate::model::names::Name;
use crate::model::navigation::Screen;
use crate::model::search::{HITS_MAX, Hit};
use crate::model::{InboxFreshness, Model};
use crate::theme::{self, palette, radius, space};
use crate::views::control::buttons::focus_ring;
use crate::views::control::text::{grouped, heading, in_one_line, muted, one_line};
use crate::views::conversation_line::{line_height, line_ui, when};
use crate::views::conversation_menu::conversation_menu_ui;
use crate::views::people;
use crate::views::people::{ask_for_people, person_ui};
use crate::views::state::{Focus, ViewState};

/// Around the two lines of a message.
const MESSAGE_MARGIN: f32 = 24.0;
/// Above and below a line of text.
const LINE_MARGIN: f32 = 8.0;
/// Beside text; rows have as much around what is in them.
const SIDE: f32 = 18.0;
/// Beside the background of a row.
const ROW_SIDE: f32 = 8.0;
/// Between two rows.
const BETWEEN: f32 = 2.0;

/// A row of the list.
enum Row<'a> {
    Heading(&'static str),
    Note(String),
    Chat(ConversationLine<'a>),
    Person(&'a Name),
    AllPeople,
    /// A message, and its place among those that were found.
    Message(usize, &'a Hit),
}

/// All that was found. Only the rows that are in sight are drawn.
pub(super) fn search_results_ui(
    ui: &mut Ui,
    model: &Model,
    results: &SearchResults<'_>,
    state: &mut ViewState,
    actions: &mut Vec<UserAction>,
) {
    ask_for_people(model, results.text, actions);
    let rows = rows(model, results);
    let width = ui.available_width();
    let heights: Vec<f32> = rows
        .iter()
        .map(|row| row_height(ui, model, row, width))
        .collect();
    let total: f32 = heights.iter().map(|height| height + BETWEEN).sum();
    let list = ScrollArea::vertical().id_salt("found").auto_shrink(false);
    let list_id = ui.scope_id().with("found");
    list.show_viewport(ui, |ui, sight| {
        ui.set_height(total);
        let place = ui.max_rect();
        let mut top = 0.0;
        for (row, height) in rows.iter().zip(heights) {
            let (from, to) = (top, top + height);
            top = to + BETWEEN;
            let rect = Rect::from_min_size(
                egui::pos2(place.left(), place.top() + from),
                Vec2::new(place.width(), height),
            );
            let next = entry(row).is_some_and(|entry| state.filter.shows_chosen(&entry));
            if next && std::mem::take(&mut state.filter.reveals_chosen) {
                ui.scroll_to_rect(rect, None);
            }
            if to >= sight.top() && from <= sight.bottom() {
                // The same wherever the list is scrolled to, or the row would lose the keyboard.
                let id = list_id.with(row_id(row));
                let builder = UiBuilder::new()
                    .scope_id(id)
                    .max_rect(rect)
                    .layout(Layout::top_down(Align::Min));
                let mut ui = ui.new_child(builder);
                row_ui(&mut ui, model, row, next, state, actions);
            }
        }
    });
}

fn rows<'a>(model: &Model, results: &SearchResults<'a>) -> Vec<Row<'a>> {
    let mut rows = Vec::new();
    if !results.chats.is_empty() {
        rows.push(Row::Heading("Chats"));
        rows.extend(results.chats.iter().cloned().map(Row::Chat));
    }
    let people = &results.people;
    let note = match people.state {
        PeopleState::Known => None,
        PeopleState::Searching => Some("Searching…"),
        PeopleState::Unavailable => Some("Can't search people right now."),
    };
    if !people.names.is_empty() || people.more || note.is_some() {
        rows.push(Row::Heading("People"));
        rows.extend(people.names.iter().copied().map(Row::Person));
        rows.extend(people.more.then_some(Row::AllPeople));
        rows.extend(note.map(|note| Row::Note(note.to_owned())));
    }
    if !results.messages.is_empty() {
        rows.push(Row::Heading("Messages"));
        let hits = results.messages.iter().enumerate();
        rows.extend(hits.map(|(place, hit)| Row::Message(place, hit)));
    }
    if results.more_messages {
        let count = grouped(HITS_MAX as u64);
        rows.push(Row::Note(format!("Only the newest {count} are listed.")));
    }
    if results.chats.is_empty() && results.messages.is_empty() && people.names.is_empty() {
        let note = match people.state {
            _ if model.inbox_state == InboxFreshness::Unknown => {
                "Your messages are not loaded yet."
            }
            PeopleState::Known => "Nothing found.",
            _ => "No chats or messages found.",
        };
        rows.push(Row::Note(note.to_owned()));
    }
    if model.more_to_load {
        let note = "Older messages that are not loaded are not searched.";
        rows.push(Row::Note(note.to_owned()));
    }
    rows
}

fn entry(row: &Row<'_>) -> Option<Found> {
    match row {
        Row::Heading(_) | Row::Note(_) => None,
        Row::Chat(line) => Some(Found::Chat(line.peer.clone())),
        Row::Person(name) => Some(Found::Person((*name).clone())),
        Row::AllPeople => Some(Found::AllPeople),
        Row::Message(_, hit) => Some(Found::Message(hit.id)),
    }
}

/// The same for the same row, wherever it is.
fn row_id(row: &Row<'_>) -> IdSalt {
    match row {
        Row::Heading(text) => IdSalt::new(("heading", *text)),
        Row::Note(text) => IdSalt::new(("note", text)),
        Row::Chat(line) => IdSalt::new(("chat", line.peer)),
        Row::Person(name) => IdSalt::new(("person", *name)),
        Row::AllPeople => IdSalt::new("all people"),
        Row::Message(_, hit) => IdSalt::new(("message", hit.id)),
    }
}

fn row_height(ui: &Ui, model: &Model, row: &Row<'_>, width: f32) -> f32 {
    let line = |style: TextStyle| ui.text_style_height(&style);
    match row {
        Row::Heading(_) => line(theme::small_strong()) + 2.0 * LINE_MARGIN,
        Row::Note(text) => {
            let font = TextStyle::Body.resolve(ui.style());
            let colour = palette(ui).muted;
            let text = ui
                .painter()
                .layout(text.clone(), font, colour, width - 2.0 * SIDE);
            text.size().y + 2.0 * LINE_MARGIN
        }
        Row::Chat(_) => line_height(model),
        Row::Person(_) => people::ROW_HEIGHT,
        Row::AllPeople => theme::control_height(ui) + LINE_MARGIN,
        Row::Message(..) => 2.0 * line(TextStyle::Body) + MESSAGE_MARGIN,
    }
}

fn row_ui(
    ui: &mut Ui,
    model: &Model,
    row: &Row<'_>,
    next: bool,
    state: &mut ViewState,
    actions: &mut Vec<UserAction>,
) {
    let (response, found) = match row {
        Row::Heading(text) => {
            text_ui(ui, |ui| heading(ui, text, theme::small_strong()));
            return;
        }
        Row::Note(text) => {
            text_ui(ui, |ui| muted(ui, text.as_str()));
            return;
        }
        Row::Chat(line) => {
            let response = line_ui(ui, model, line, line_height(model), next);
            conversation_menu_ui(&response, model, line.peer, actions);
            (response, Found::Chat(line.peer.clone()))
        }
        Row::Person(name) => {
            let place = ui.max_rect().shrink2(egui::vec2(ROW_SIDE, 0.0));
            let mut ui = ui.new_child(UiBuilder::new().max_rect(place));
            let response = person_ui(&mut ui, model, name, next);
            (response, Found::Person((*name).clone()))
        }
        Row::AllPeople => (all_people_ui(ui, next), Found::AllPeople),
        Row::Message(place, hit) => {
            let is_open = model
                .search()
                .is_some_and(|one| one.current == Some(*place));
            let response = message_ui(ui, model, hit, (is_open, next));
            (response, Found::Message(hit.id))
        }
    };
    if response.clicked() {
        state.filter.chosen = Some(found.clone());
        open_found(model, &found, state, actions);
    }
}

/// Opens what was found. Another message can be opened after a message, so the search stays then.
pub(super) fn open_found(
    model: &Model,
    found: &Found,
    state: &mut ViewState,
    actions: &mut Vec<UserAction>,
) {
    match found {
        Found::Chat(name) | Found::Person(name) => {
            actions.push(UserAction::OpenConversation(name.clone()));
            state.clear_search(actions);
            state.send_focus(Focus::Composer);
        }
        Found::AllPeople => {
            state.people_text = state.filter.text.trim().to_owned();
            actions.push(UserAction::Show(Screen::People));
        }
        Found::Message(id) => {
            let mut hits = model.search().into_iter().flat_map(|search| &search.hits);
            if let Some(place) = hits.position(|hit| hit.id == *id) {
                actions.push(UserAction::ShowHit(place));
            }
        }
    }
}

fn text_ui(ui: &mut Ui, text: impl FnOnce(&mut Ui) -> Response) {
    let place = ui.max_rect().shrink2(egui::vec2(SIDE, LINE_MARGIN));
    text(&mut ui.new_child(UiBuilder::new().max_rect(place)));
}

fn all_people_ui(ui: &mut Ui, next: bool) -> Response {
    let (rect, response) = ui.allocate_exact_size(ui.max_rect().size(), Sense::click());
    let text = "Show all in People";
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, text));
    let inner = rect.shrink2(egui::vec2(ROW_SIDE, 1.0));
    row_background(ui, &response, inner, (false, next));
    let colour = palette(ui).accent_text;
    let room = rect.width() - 2.0 * SIDE;
    let text = one_line(ui, text, theme::strong(), colour, room);
    let place = egui::pos2(rect.left() + SIDE, rect.center().y - text.size().y / 2.0);
    ui.painter().galley(place, text, colour);
    response
}

/// A message: with whom and when, and the text around what was searched for.
fn message_ui(ui: &mut Ui, model: &Model, hit: &Hit, look: (bool, bool)) -> Response {
    let (rect, response) = ui.allocate_exact_size(ui.max_rect().size(), Sense::click());
    let time = when(model, hit.at);
    let label = format!("Message with {}: {}, {time}", hit.named, hit.excerpt.text);
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, look.0, &label));
    let colours = palette(ui);
    let inner = rect.shrink2(egui::vec2(ROW_SIDE, 1.0));
    row_background(ui, &response, inner, look);
    let text = inner.shrink2(egui::vec2(10.0, 8.0));
    let time = one_line(ui, &time, TextStyle::Small, colours.muted, text.width());
    let room = text.width() - time.size().x - space::SMALL;
    let name = one_line(ui, &hit.named, theme::strong(), colours.text, room);
    let body = excerpt_line(ui, &hit.excerpt, text.width());
    let below = egui::pos2(text.left(), text.bottom() - body.size().y);
    let right = egui::pos2(text.right() - time.size().x, text.top() + 2.0);
    ui.painter().galley(text.left_top(), name, colours.text);
    ui.painter().galley(right, time, colours.muted);
    ui.painter().galley(below, body, colours.muted);
    response.on_hover_text(model.zone.date_and_time(hit.at))
}

/// Behind a row: whether it is shown beside the list, and whether Enter opens it.
fn row_background(ui: &Ui, response: &Response, rect: Rect, (is_open, next): (bool, bool)) {
    let colours = palette(ui);
    let fill = if next || response.hovered() || response.has_focus() {
        Some(colours.hover)
    } else {
        is_open.then_some(colours.accent_soft)
    };
    if let Some(fill) = fill {
        let corner = CornerRadius::same(radius::CONTROL);
        ui.painter().rect_filled(rect, corner, fill);
    }
    if response.gained_focus() {
        response.scroll_to_me(None);
    }
    let ring = response.clone().with_new_rect(rect);
    focus_ring(ui, &ring, radius::CONTROL);
}

/// One line of text in which what was searched for is marked.
fn excerpt_line(ui: &Ui, excerpt: &Excerpt, width: f32) -> Arc<Galley> {
    let colours = palette(ui);
    let font = TextStyle::Body.resolve(ui.style());
    let plain = TextFormat::simple(font.clone(), colours.muted);
    let marked = TextFormat {
        background: colours.found,
        ..TextFormat::simple(font, colours.on_found)
    };
    let (start, end) = (excerpt.found.start, excerpt.found.end);
    let parts = [
        (&excerpt.text[..start], &plain),
        (&excerpt.text[start..end], &marked),
        (&excerpt.text[end..], &plain),
    ];
    let mut job = LayoutJob::default();
    for (text, format) in parts {
        job.append(text, 0.0, format.clone());
    }
    in_one_line(ui, job, width)
}
