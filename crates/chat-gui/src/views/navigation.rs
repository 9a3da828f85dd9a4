//! The rail on the left: the pages, and the keys.
//!
//! Deliberately absent: the pages themselves.

use egui::accesskit::Role;
use egui::{Align2, CornerRadius, FontId, Rect, Sense, TextStyle, Ui, Vec2, WidgetInfo};

use crate::model::Model;
use crate::model::action::UserAction;
use crate::model::navigation::{Dialog, Screen};
use crate::theme::{self, palette, radius};
use crate::views::control::avatars::badge;
use crate::views::control::buttons::focus_ring;
use crate::views::icon::Icon;

/// How wide the rail is.
pub const RAIL_WIDTH: f32 = 76.0;

/// The height of one entry.
const ENTRY_HEIGHT: f32 = 58.0;

/// The rail.
pub fn navigation_ui(ui: &mut Ui, model: &Model, actions: &mut Vec<UserAction>) {
    ui.spacing_mut().item_spacing.y = 4.0;
    ui.add_space(10.0);
    let unread = usize::try_from(model.unread).unwrap_or(usize::MAX);
    let pages = [
        (Screen::Chat, Icon::Chat, "Chats", unread),
        (Screen::People, Icon::People, "People", 0),
        (Screen::Cluster, Icon::Cluster, "Cluster", 0),
        (Screen::Settings, Icon::Settings, "Settings", 0),
    ];
    for (screen, icon, name, count) in pages {
        if entry_ui(ui, icon, name, model.screen == screen, count) {
            actions.push(UserAction::Show(screen));
        }
    }
    let layout = egui::Layout::bottom_up(egui::Align::Center);
    ui.with_layout(layout, |ui| {
        ui.add_space(10.0);
        if entry_ui(ui, Icon::Keyboard, "Shortcuts", false, 0) {
            actions.push(UserAction::OpenDialog(Dialog::Shortcuts));
        }
    });
}

fn entry_ui(ui: &mut Ui, icon: Icon, name: &str, chosen: bool, count: usize) -> bool {
    let size = Vec2::new(RAIL_WIDTH - 12.0, ENTRY_HEIGHT);
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    let label = if count > 0 {
        format!("{name}, {count} unread")
    } else {
        name.to_owned()
    };
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, chosen, &label));
    let colours = palette(ui);
    let (fill, front) = if chosen {
        (Some(colours.accent_soft), colours.accent_text)
    } else if response.hovered() || response.has_focus() {
        (Some(colours.hover), colours.text)
    } else {
        (None, colours.muted)
    };
    if let Some(fill) = fill {
        ui.painter()
            .rect_filled(rect, CornerRadius::same(radius::CARD), fill);
    }
    focus_ring(ui, &response, radius::CARD);
    let picture = Rect::from_center_size(
        egui::pos2(rect.center().x, rect.top() + 21.0),
        Vec2::splat(22.0),
    );
    icon.paint(ui.painter(), picture, 22.0, front);
    let family = if chosen {
        theme::small_strong()
    } else {
        TextStyle::Small
    };
    // The rail does not grow, so neither does its text.
    let font = FontId::new(11.0, family.resolve(ui.style()).family);
    ui.painter().text(
        egui::pos2(rect.center().x, rect.bottom() - 13.0),
        Align2::CENTER_CENTER,
        name,
        font,
        front,
    );
    if count > 0 {
        let right = egui::pos2(rect.right() - 2.0, rect.top() + 12.0);
        badge(ui, right, count, false);
    }
    response.clicked()
}
