//! What a search in all messages found, in place of the list of conversations.
//!
//! Deliberately absent: searching, and the conversation around a hit, which opens beside the list.

use egui::accesskit::Role;
use egui::{
    CornerRadius, Frame, Margin, Panel, ScrollArea, Sense, TextStyle, Ui, Vec2, WidgetInfo,
};

use crate::model::Model;
use crate::model::action::UserAction;
use crate::model::navigation::Step;
use crate::model::search::{MessageSearch, SearchScope};
use crate::theme::{self, palette, radius, space};
use crate::views::control::buttons::{focus_ring, icon_button};
use crate::views::control::fields::{is_entered, search_field};
use crate::views::control::text::{caption, one_line};
use crate::views::conversation::header_height;
use crate::views::conversation_list::when;
use crate::views::icon::Icon;
use crate::views::message_search::count;
use crate::views::state::{Focus, ViewState};

/// Around the two lines of a hit.
const ROW_MARGIN: f32 = 24.0;

/// The field, and what was found.
pub fn message_hits_ui(
    ui: &mut Ui,
    model: &Model,
    search: &MessageSearch,
    state: &mut ViewState,
    actions: &mut Vec<UserAction>,
) {
    let header = Frame::new().inner_margin(Margin::symmetric(14, 0));
    Panel::top("hits header")
        .exact_size(header_height(ui))
        .resizable(false)
        .show_separator_line(false)
        .frame(header)
        .show(ui, |ui| {
            ui.horizontal_centered(|ui| field_ui(ui, state, actions));
        });
    ui.horizontal(|ui| {
        ui.add_space(16.0);
        caption(ui, count(search));
    });
    ui.spacing_mut().item_spacing.y = 2.0;
    let list = ScrollArea::vertical().id_salt("hits").auto_shrink(false);
    let height = 2.0 * ui.text_style_height(&TextStyle::Body) + ROW_MARGIN;
    list.show_rows(ui, height, search.hits.len(), |ui, rows| {
        for place in rows {
            hit_ui(ui, model, search, (place, height), actions);
        }
    });
}

fn field_ui(ui: &mut Ui, state: &mut ViewState, actions: &mut Vec<UserAction>) {
    let wants_focus = state.takes_focus(Focus::MessageSearch);
    let width = ui.available_width() - theme::control_height(ui) - space::SMALL;
    let field = search_field(ui, "Search all messages", &mut state.search_text, width);
    if wants_focus {
        field.request_focus();
    }
    if field.changed() {
        actions.push(UserAction::SearchMessages {
            scope: SearchScope::Everywhere,
            text: state.search_text.clone(),
        });
    }
    if is_entered(ui, &field) {
        actions.push(UserAction::StepHit(Step::Previous));
        field.request_focus();
    }
    if icon_button(ui, Icon::Close, "Close search").clicked() {
        actions.push(UserAction::CloseSearch);
    }
}

fn hit_ui(
    ui: &mut Ui,
    model: &Model,
    search: &MessageSearch,
    (place, height): (usize, f32),
    actions: &mut Vec<UserAction>,
) {
    let Some(hit) = search.hits.get(place) else {
        return;
    };
    let size = Vec2::new(ui.available_width(), height);
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    let Some(message) = model.message(&hit.peer, hit.id) else {
        return;
    };
    let chosen = search.current == Some(place);
    let named = model.holder(message).named(&hit.peer);
    let label = format!("Message with {named}: {}", message.body);
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, chosen, &label));
    let colours = palette(ui);
    let inner = rect.shrink2(egui::vec2(8.0, 1.0));
    if chosen || response.hovered() || response.has_focus() {
        let fill = if chosen {
            colours.accent_soft
        } else {
            colours.hover
        };
        ui.painter()
            .rect_filled(inner, CornerRadius::same(radius::CONTROL), fill);
    }
    let ring = response.clone().with_new_rect(inner);
    focus_ring(ui, &ring, radius::CONTROL);
    let text = inner.shrink2(egui::vec2(10.0, 8.0));
    let time = when(model, message.at);
    let time = one_line(ui, &time, TextStyle::Small, colours.muted, text.width());
    let room = text.width() - time.size().x - space::SMALL;
    let name = one_line(ui, &named, theme::strong(), colours.text, room);
    let excerpt = excerpt(&message.body, &search.text);
    let body = one_line(ui, &excerpt, TextStyle::Body, colours.muted, text.width());
    let below = egui::pos2(text.left(), text.bottom() - body.size().y);
    let right = egui::pos2(text.right() - time.size().x, text.top() + 2.0);
    ui.painter().galley(text.left_top(), name, colours.text);
    ui.painter().galley(right, time, colours.muted);
    ui.painter().galley(below, body, colours.muted);
    if response.clicked() {
        actions.push(UserAction::ShowHit(place));
    }
}

/// The part of a text around what was searched for.
fn excerpt(body: &str, wanted: &str) -> String {
    /// Letters before the hit: enough to see what it is about.
    const BEFORE: usize = 16;
    let lower = body.to_lowercase();
    let at = lower
        .find(&wanted.trim().to_lowercase())
        .map_or(0, |at| lower[..at].chars().count());
    if at <= BEFORE {
        return body.chars().take(200).collect();
    }
    let rest: String = body.chars().skip(at - BEFORE).take(200).collect();
    format!("…{rest}")
}

#[cfg(test)]
mod tests {
    use super::excerpt;

    #[test]
    fn excerpt_begins_shortly_before_the_hit() {
        assert_eq!(excerpt("short Word", "word"), "short Word");
        let long = format!("{}WORD at last", "x".repeat(100));
        assert_eq!(
            excerpt(&long, "word"),
            format!("…{}WORD at last", "x".repeat(16))
        );
    }
}
