//! The button beside a message that copies it, while the pointer is on its row.
//!
//! Deliberately absent: a place in the order of Tab. The message's menu has the same for the
//! keyboard.

use egui::{CornerRadius, CursorIcon, Rect, Sense, Ui, Vec2};

use crate::theme::{self, palette, radius};
use crate::views::bubble::{GUTTER, RIGHT_EDGE};
use crate::views::icon::Icon;

/// How large it is at normal text size, in points.
const SIZE: f32 = 28.0;
/// It grows with the text up to this factor, as other buttons do.
const SCALE_MAX: f32 = 1.5;
/// Between it and the bubble.
const GAP: f32 = 6.0;

/// Draws it beside the bubble if the pointer is on the row, where nothing else is; returns whether
/// it was pressed.
pub(super) fn copy_button_ui(ui: &Ui, bubble: Rect, own: bool, hovered: bool) -> bool {
    let Some(place) = place(ui, bubble, own) else {
        return false;
    };
    let response = ui.interact(place, ui.unique_id().with("copy"), Sense::CLICK);
    if !(hovered || response.hovered()) {
        return false;
    }
    let colours = palette(ui);
    let front = if response.hovered() {
        ui.painter()
            .rect_filled(place, CornerRadius::same(radius::CONTROL), colours.hover);
        colours.text
    } else {
        colours.muted
    };
    Icon::Copy.paint(ui.painter(), place, place.height() * 0.6, front);
    response
        .on_hover_cursor(CursorIcon::PointingHand)
        .on_hover_text("Copy")
        .clicked()
}

/// On the free side of the bubble, near its first lines.
fn place(ui: &Ui, bubble: Rect, own: bool) -> Option<Rect> {
    let size = SIZE * theme::scale(ui).clamp(1.0, SCALE_MAX);
    let row = ui.max_rect();
    let (left, right) = (row.left() + GUTTER, row.right() - RIGHT_EDGE);
    let x = if own {
        bubble.left() - GAP - size / 2.0
    } else {
        bubble.right() + GAP + size / 2.0
    };
    let y = bubble.top() + (bubble.height() / 2.0).min(size);
    let place = Rect::from_center_size(egui::pos2(x, y), Vec2::splat(size));
    (left <= place.left() && place.right() <= right).then_some(place)
}
