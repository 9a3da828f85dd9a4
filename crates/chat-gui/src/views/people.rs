//! All accounts, and the search among them: by the beginning of a name or a pattern, while one types.
//!
//! Deliberately absent: requests to the servers; each keystroke is an action, and the backend ends
//! the ones that are overtaken.

use egui::accesskit::Role;
use egui::{CornerRadius, Rect, Response, ScrollArea, Sense, Ui, Vec2, WidgetInfo};

use crate::model::Model;
use crate::model::action::UserAction;
use crate::model::found::PeopleState;
use crate::model::names::{Name, PATTERN_BYTES_MAX};
use crate::model::search::PEOPLE_MAX;
use crate::theme::{self, palette, radius, space};
use crate::views::control::avatars::avatar;
use crate::views::control::buttons::{button, focus_ring};
use crate::views::control::fields::{is_entered, search_field};
use crate::views::control::surfaces::{Tone, empty_state, message_box, page_header};
use crate::views::control::text::{caption, grouped, muted, one_line};
use crate::views::icon::Icon;
use crate::views::state::{Focus, ViewState};

/// The height of a row.
pub(super) const ROW_HEIGHT: f32 = 52.0;

/// The page.
pub fn people_ui(ui: &mut Ui, model: &Model, state: &mut ViewState, actions: &mut Vec<UserAction>) {
    let sentence = "Find people by name.";
    page_header(ui, "People", sentence, |_| {});
    let wants_focus = state.takes_focus(Focus::People);
    let width = ui.available_width().min(520.0);
    let field = search_field(ui, "Search people", &mut state.people_text, width);
    if wants_focus {
        field.request_focus();
    }
    if field.changed() {
        truncate(&mut state.people_text, PATTERN_BYTES_MAX);
    }
    let text = &state.people_text;
    ask_for_people(model, text, actions);
    let (people, known) = (&model.people, model.people_state(text));
    if is_entered(ui, &field) {
        match people.names.first() {
            Some(first) if known == PeopleState::Known && !text.trim().is_empty() => {
                actions.push(UserAction::OpenConversation(first.clone()));
            }
            _ => field.request_focus(),
        }
    }
    ui.add_space(space::TINY);
    let is_listed = people.listed.as_ref() == Some(&people.pattern) && !people.names.is_empty();
    let refused = people.failure.as_ref().filter(|why| !why.may_pass());
    if let Some(refused) = refused {
        message_box(ui, Tone::Bad, &refused.sentence(), &refused.next_step());
    } else if is_listed {
        found_ui(ui, model, known, actions);
    } else if known == PeopleState::Unavailable {
        let detail = "People are shown here as soon as you are back online.";
        empty_state(ui, Icon::People, unavailable_words(text), detail, None);
    } else if known == PeopleState::Searching {
        muted(ui, "Loading people…");
    } else {
        let detail = "Use * and ? as wildcards.";
        empty_state(ui, Icon::People, "No one found", detail, None);
    }
}

fn unavailable_words(text: &str) -> &'static str {
    if text.trim().is_empty() {
        "Can't load people right now."
    } else {
        "Can't search people right now."
    }
}

/// Asks for the people who are called so, unless they were asked for last.
pub(super) fn ask_for_people(model: &Model, text: &str, actions: &mut Vec<UserAction>) {
    if model.people.text.as_deref() != Some(text) {
        actions.push(UserAction::SearchPeople(text.to_owned()));
    }
}

/// Shortens a text to so many bytes, between two letters.
pub(super) fn truncate(text: &mut String, bytes_max: usize) {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
}

fn found_ui(ui: &mut Ui, model: &Model, known: PeopleState, actions: &mut Vec<UserAction>) {
    let people = &model.people;
    let more = if people.next.is_some() { "+" } else { "" };
    let count = match people.names.len() {
        1 => "1 person".to_owned(),
        PEOPLE_MAX => format!("The first {} people", grouped(PEOPLE_MAX as u64)),
        many => format!("{}{more} people", grouped(many as u64)),
    };
    ui.horizontal_wrapped(|ui| {
        caption(ui, count);
        match known {
            PeopleState::Known => {}
            PeopleState::Searching => {
                caption(ui, "Loading…");
            }
            PeopleState::Unavailable => {
                caption(ui, "Can't load people right now.");
            }
        }
    });
    let rows = people.names.len() + usize::from(people.next.is_some());
    ui.spacing_mut().item_spacing.y = 2.0;
    let list = ScrollArea::vertical().id_salt("people").auto_shrink(false);
    list.show_rows(ui, ROW_HEIGHT, rows, |ui, range| {
        for index in range {
            match people.names.get(index) {
                Some(name) => {
                    if person_ui(ui, model, name, false).clicked() {
                        actions.push(UserAction::OpenConversation(name.clone()));
                    }
                }
                None => {
                    if button(ui, "Show more").clicked() {
                        actions.push(UserAction::MorePeople);
                    }
                }
            }
        }
    });
}

/// One person; `next` is whether Enter chooses it.
pub(super) fn person_ui(ui: &mut Ui, model: &Model, name: &Name, next: bool) -> Response {
    let size = Vec2::new(ui.available_width().min(520.0), ROW_HEIGHT);
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    let own = model.account.as_ref().is_some_and(|own| own.name == *name);
    let label = format!("Message {name}");
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, &label));
    if response.gained_focus() {
        response.scroll_to_me(None);
    }
    let colours = palette(ui);
    if next || response.hovered() || response.has_focus() {
        ui.painter()
            .rect_filled(rect, CornerRadius::same(radius::CONTROL), colours.hover);
    }
    let inner = response.clone().with_new_rect(rect.shrink(2.0));
    focus_ring(ui, &inner, radius::CONTROL);
    let face = Rect::from_center_size(
        egui::pos2(rect.left() + 28.0, rect.center().y),
        Vec2::splat(36.0),
    );
    avatar(ui, face, name);
    let left = face.right() + 12.0;
    let galley = one_line(
        ui,
        name,
        theme::strong(),
        colours.text,
        rect.right() - left - 110.0,
    );
    let place = egui::pos2(left, rect.center().y - galley.size().y / 2.0);
    ui.painter().galley(place, galley, colours.text);
    let hint = if own {
        "you"
    } else if model.conversations.contains_key(name) {
        "in your chats"
    } else {
        ""
    };
    let hint = one_line(ui, hint, egui::TextStyle::Small, colours.muted, 90.0);
    let place = egui::pos2(
        rect.right() - hint.size().x - 12.0,
        rect.center().y - hint.size().y / 2.0,
    );
    ui.painter().galley(place, hint, colours.muted);
    response
}

#[cfg(test)]
mod tests {
    use super::{PATTERN_BYTES_MAX, truncate};

    #[test]
    fn long_pattern_is_shortened_between_letters() {
        let mut text = "ä".repeat(40);
        truncate(&mut text, PATTERN_BYTES_MAX);
        assert_eq!(text.len(), PATTERN_BYTES_MAX);
        assert!(text.chars().all(|letter| letter == 'ä'));
    }
}
