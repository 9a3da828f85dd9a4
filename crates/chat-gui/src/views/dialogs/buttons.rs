//! The row of buttons at the lower edge of a dialog.

use egui::Ui;

use crate::theme::{self, space};

/// A dialog narrower than this, in points at normal text size, has its buttons below each other.
const BESIDE_FROM: f32 = 300.0;

/// The lower edge of a dialog: its buttons, the important one on the right, or on top.
pub(super) fn buttons_ui(ui: &mut Ui, buttons: impl FnOnce(&mut Ui)) {
    ui.add_space(space::SMALL);
    if theme::is_narrow(ui, BESIDE_FROM) {
        ui.vertical_centered_justified(buttons);
        return;
    }
    let layout = egui::Layout::right_to_left(egui::Align::Center);
    let size = egui::vec2(ui.available_width(), theme::control_height(ui) + 4.0);
    ui.allocate_ui_with_layout(size, layout, buttons);
}
