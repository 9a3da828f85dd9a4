//! The row of buttons at the lower edge of a dialog.

use egui::Ui;

use crate::theme::{self, space};

/// The lower edge of a dialog: its buttons, the important one on the right.
pub(super) fn buttons_ui(ui: &mut Ui, buttons: impl FnOnce(&mut Ui)) {
    ui.add_space(space::SMALL);
    let layout = egui::Layout::right_to_left(egui::Align::Center);
    let size = egui::vec2(ui.available_width(), theme::CONTROL_HEIGHT + 4.0);
    ui.allocate_ui_with_layout(size, layout, buttons);
}
