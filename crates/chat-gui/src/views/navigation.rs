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

/// How wide the rail is at normal text size, in points.
const RAIL_WIDTH: f32 = 76.0;
/// The share of a window that the rail may take.
const WIDTH_SHARE: f32 = 0.2;

/// The height of one entry at normal text size.
const ENTRY_HEIGHT: f32 = 58.0;
/// What all entries need of the window's height at normal text size, with the bar below the rail.
const ENTRIES_HEIGHT: f32 = 5.0 * (ENTRY_HEIGHT + GAP) + LEDGER_HEIGHT + GAP + 60.0;
/// The height of the line of the ledger at normal text size, and of the mark in it.
const LEDGER_HEIGHT: f32 = 24.0;
const LEDGER_ICON: f32 = 13.0;
/// Between entries.
const GAP: f32 = 4.0;
/// On both sides of an entry.
const MARGIN: f32 = 6.0;
/// The size of an entry's icon and of its name at normal text size.
const ICON: f32 = 22.0;
const NAME: f32 = 11.0;

/// How wide the rail is.
pub fn rail_width(ui: &Ui) -> f32 {
    (RAIL_WIDTH * growth(ui)).round()
}

/// How much larger all of the rail is than at normal text size: as much as the text, as far as the
/// window has room.
fn growth(ui: &Ui) -> f32 {
    let window = ui.ctx().content_rect();
    let wide = window.width() * WIDTH_SHARE / RAIL_WIDTH;
    let high = window.height() / ENTRIES_HEIGHT;
    theme::scale(ui).min(wide).min(high).max(1.0)
}

/// The rail.
pub fn navigation_ui(ui: &mut Ui, model: &Model, actions: &mut Vec<UserAction>) {
    ui.spacing_mut().item_spacing.y = GAP;
    // The number at an entry is as large as the entry.
    let growth = growth(ui) / theme::scale(ui);
    let styles = &mut ui.style_mut().text_styles;
    if let Some(font) = styles.get_mut(&theme::small_strong()) {
        font.size *= growth;
    }
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
        ledger_ui(ui, model, actions);
    });
}

/// The last check of the ledger in one line, which leads to all of it.
fn ledger_ui(ui: &mut Ui, model: &Model, actions: &mut Vec<UserAction>) {
    let (Some(sentence), Some(is_whole)) = (model.ledger_sentence(), model.ledger.is_whole())
    else {
        return;
    };
    let growth = growth(ui);
    let size = Vec2::new(rail_width(ui) - 2.0 * MARGIN, LEDGER_HEIGHT * growth);
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    let label = format!("Ledger: {sentence}");
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, &label));
    let colours = palette(ui);
    if response.hovered() || response.has_focus() {
        ui.painter()
            .rect_filled(rect, CornerRadius::same(radius::CONTROL), colours.hover);
    }
    focus_ring(ui, &response, radius::CONTROL);
    let (icon, front) = if is_whole {
        (Icon::Check, colours.good)
    } else {
        (Icon::Warning, colours.bad)
    };
    let mark = Rect::from_center_size(
        egui::pos2(rect.left() + 12.0 * growth, rect.center().y),
        Vec2::splat(LEDGER_ICON * growth),
    );
    icon.paint(ui.painter(), mark, LEDGER_ICON * growth, front);
    let font = FontId::new(NAME * growth, TextStyle::Small.resolve(ui.style()).family);
    ui.painter().text(
        egui::pos2(mark.right() + 3.0 * growth, rect.center().y),
        Align2::LEFT_CENTER,
        model.ledger_words(),
        font,
        front,
    );
    if response.on_hover_text(sentence).clicked() {
        actions.push(UserAction::Show(Screen::Cluster));
    }
}

fn entry_ui(ui: &mut Ui, icon: Icon, name: &str, chosen: bool, count: usize) -> bool {
    let growth = growth(ui);
    let size = Vec2::new(rail_width(ui) - 2.0 * MARGIN, ENTRY_HEIGHT * growth);
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
        egui::pos2(rect.center().x, rect.top() + 21.0 * growth),
        Vec2::splat(ICON * growth),
    );
    icon.paint(ui.painter(), picture, ICON * growth, front);
    let family = if chosen {
        theme::small_strong()
    } else {
        TextStyle::Small
    };
    let font = FontId::new(NAME * growth, family.resolve(ui.style()).family);
    ui.painter().text(
        egui::pos2(rect.center().x, rect.bottom() - 13.0 * growth),
        Align2::CENTER_CENTER,
        name,
        font,
        front,
    );
    if count > 0 {
        let right = egui::pos2(rect.right() - 2.0, rect.top() + 12.0 * growth);
        badge(ui, right, count, false);
    }
    response.clicked()
}
