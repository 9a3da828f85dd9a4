//! The search of accounts: by the beginning of a name or a pattern, while one types.
//!
//! Deliberately absent: requests to the servers; each keystroke is an action, and the model spares
//! them the ones that are overtaken.

use egui::accesskit::Role;
use egui::{CornerRadius, Rect, Response, RichText, ScrollArea, Sense, Ui, Vec2, WidgetInfo};

use crate::model::Model;
use crate::model::action::UserAction;
use crate::model::names::{Name, PATTERN_BYTES_MAX};
use crate::theme::{self, palette, radius, space};
use crate::views::control::avatars::avatar;
use crate::views::control::buttons::{button, focus_ring};
use crate::views::control::fields::{is_entered, search_field};
use crate::views::control::surfaces::{Tone, empty_state, message_box, page_header, row};
use crate::views::control::text::{caption, muted, one_line};
use crate::views::icon::Icon;
use crate::views::state::{Focus, ViewState};

/// The height of a row.
pub(super) const ROW_HEIGHT: f32 = 52.0;

/// Patterns to try, and what they find.
const EXAMPLES: [(&str, &str); 4] = [
    ("*", "all names"),
    ("al", "names that begin with al, or Al"),
    ("?ob", "any letter, then ob"),
    ("[a-c]*", "names from a to c"),
];

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
        actions.push(UserAction::SearchPeople(state.people_text.clone()));
    }
    let entered = is_entered(ui, &field);
    if entered && let Some(first) = model.people.names.first() {
        actions.push(UserAction::OpenConversation(first.clone()));
    }
    ui.add_space(space::TINY);
    if let Some(failure) = &model.people.failure {
        message_box(ui, Tone::Bad, &failure.sentence(), &failure.next_step());
    } else if state.people_text.trim().is_empty() && model.people.names.is_empty() {
        examples_ui(ui, state, actions);
    } else if model.people.names.is_empty() && model.people.busy {
        muted(ui, "Searching…");
    } else if model.people.names.is_empty() {
        let text = "Use * and ? as wildcards.";
        empty_state(ui, Icon::People, "No one found", text, None);
    } else {
        found_ui(ui, model, actions);
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

fn examples_ui(ui: &mut Ui, state: &mut ViewState, actions: &mut Vec<UserAction>) {
    ui.add_space(space::SMALL);
    muted(ui, "For example:");
    for (pattern, meaning) in EXAMPLES {
        row(ui, |ui| {
            let size = Vec2::new(90.0, theme::control_height(ui));
            let text = RichText::new(pattern).monospace();
            if ui.add(egui::Button::new(text).min_size(size)).clicked() {
                pattern.clone_into(&mut state.people_text);
                actions.push(UserAction::SearchPeople(pattern.to_owned()));
            }
            ui.add(egui::Label::new(meaning).wrap());
        });
    }
}

fn found_ui(ui: &mut Ui, model: &Model, actions: &mut Vec<UserAction>) {
    let people = &model.people;
    let more = if people.next.is_some() { "+" } else { "" };
    let count = match people.names.len() {
        1 => "1 person".to_owned(),
        many => format!("{many}{more} people"),
    };
    ui.horizontal(|ui| {
        caption(ui, count);
        if people.busy {
            caption(ui, "Searching…");
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
