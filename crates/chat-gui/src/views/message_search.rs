//! The bar of the search in one conversation: what for, how many were found, and from one to the
//! next.
//!
//! Deliberately absent: searching.

use egui::{Modifiers, TextStyle, Ui};

use crate::model::Model;
use crate::model::action::UserAction;
use crate::model::navigation::Step;
use crate::model::search::{MessageSearch, SearchScope};
use crate::theme::{self, palette, space};
use crate::views::control::buttons::{icon_button, icon_button_if};
use crate::views::control::fields::{is_entered, search_field};
use crate::views::control::text::one_line;
use crate::views::icon::Icon;
use crate::views::state::{Focus, ViewState};

/// The bar, while a search is open.
pub fn message_search_ui(
    ui: &mut Ui,
    model: &Model,
    state: &mut ViewState,
    actions: &mut Vec<UserAction>,
) {
    let Some(search) = &model.message_search else {
        return;
    };
    let SearchScope::Conversation(peer) = &search.scope else {
        return;
    };
    ui.horizontal(|ui| {
        let name = format!("Search messages with {peer}");
        let wants_focus = state.takes_focus(Focus::MessageSearch);
        let colour = palette(ui).muted;
        let count = one_line(ui, &count(search), TextStyle::Small, colour, f32::INFINITY);
        let buttons = 3.0 * (theme::control_height(ui) + space::SMALL) + 2.0 * space::SMALL;
        let width = (ui.available_width() - buttons - count.size().x).clamp(60.0, 420.0);
        let field = search_field(ui, &name, &mut state.search_text, width);
        if wants_focus {
            field.request_focus();
        }
        if field.changed() {
            actions.push(UserAction::SearchIn {
                peer: peer.clone(),
                text: state.search_text.clone(),
            });
        }
        // A one-line field gives up the keyboard on Enter; here Enter goes on to the next hit.
        if is_entered(ui, &field) {
            let back = ui.input(|input| input.modifiers.contains(Modifiers::SHIFT));
            let step = if back { Step::Next } else { Step::Previous };
            actions.push(UserAction::StepHit(step));
            field.request_focus();
        }
        let found = !search.hits.is_empty();
        ui.spacing_mut().item_spacing.x = space::TINY;
        if icon_button_if(ui, Icon::ChevronUp, "Previous hit", found).clicked() {
            actions.push(UserAction::StepHit(Step::Previous));
        }
        if icon_button_if(ui, Icon::ChevronDown, "Next hit", found).clicked() {
            actions.push(UserAction::StepHit(Step::Next));
        }
        ui.label(count);
        let layout = egui::Layout::right_to_left(egui::Align::Center);
        ui.with_layout(layout, |ui| {
            if icon_button(ui, Icon::Close, "Close search").clicked() {
                actions.push(UserAction::CloseSearch);
            }
        });
    });
}

/// How many were found, and which is shown.
fn count(search: &MessageSearch) -> String {
    if search.text.trim().is_empty() {
        return "Type to search".to_owned();
    }
    let more = if search.more { "+" } else { "" };
    match (search.current, search.hits.len()) {
        (_, 0) => "Nothing found".to_owned(),
        (Some(current), all) => format!("{} of {all}{more}", current + 1),
        (None, all) => format!("{all}{more} found"),
    }
}
