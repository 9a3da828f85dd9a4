//! Buttons: the most likely action, the irreversible one, icons, and the ring of the keyboard.
//! Deliberately absent: anything that knows the model.

use egui::accesskit::Role;
use egui::{
    Button, Color32, CornerRadius, Response, RichText, Sense, Stroke, StrokeKind, Ui, Vec2,
    WidgetInfo,
};

use crate::theme::{self, FOCUS_RING, palette, radius};
use crate::views::icon::Icon;

/// The button of what the person most likely wants; at most one on a page.
pub fn primary_button(ui: &mut Ui, text: &str, enabled: bool) -> Response {
    let colours = palette(ui);
    filled_button(ui, text, enabled, colours.accent, colours.on_accent)
}

/// The button of something that cannot be undone.
pub fn danger_button(ui: &mut Ui, text: &str, enabled: bool) -> Response {
    let colours = palette(ui);
    filled_button(ui, text, enabled, colours.danger, colours.on_danger)
}

fn filled_button(
    ui: &mut Ui,
    text: &str,
    enabled: bool,
    fill: Color32,
    front: Color32,
) -> Response {
    let colours = palette(ui);
    let (fill, front) = if enabled {
        (fill, front)
    } else {
        (colours.hover, colours.muted)
    };
    let text = RichText::new(text).text_style(theme::strong()).color(front);
    let button = Button::new(text)
        .fill(fill)
        .stroke(Stroke::NONE)
        .min_size(Vec2::new(0.0, theme::control_height(ui)));
    // Not `add_enabled`: fading would take the text below the contrast that it needs.
    let response = ui.scope(|ui| {
        if !enabled {
            ui.visuals_mut().disabled_alpha = 1.0;
        }
        ui.add_enabled(enabled, button)
    });
    focus_ring(ui, &response.inner, radius::CONTROL);
    response.inner
}

/// A button like any other.
pub fn button(ui: &mut Ui, text: &str) -> Response {
    ui.add(Button::new(text).min_size(Vec2::new(0.0, theme::control_height(ui))))
}

/// A button like any other, which cannot be pressed now if `enabled` is not set.
pub fn button_if(ui: &mut Ui, text: &str, enabled: bool) -> Response {
    ui.add_enabled(
        enabled,
        Button::new(text).min_size(Vec2::new(0.0, theme::control_height(ui))),
    )
}

/// One of several choices side by side, of which one holds.
pub fn choice(ui: &mut Ui, name: &str, chosen: bool) -> Response {
    let colours = palette(ui);
    let mut text = RichText::new(name);
    if chosen {
        text = text.text_style(theme::strong()).color(colours.accent_text);
    }
    let mut button = Button::new(text);
    if chosen {
        button = button.fill(colours.accent_soft);
    }
    let response = ui.add(button);
    ui.ctx().accesskit_node_builder(response.id, |node| {
        node.set_role(Role::RadioButton);
        node.set_toggled(chosen.into());
    });
    response
}

/// A button that looks like a link.
pub fn link_button(ui: &mut Ui, text: &str) -> Response {
    let colours = palette(ui);
    let text = RichText::new(text)
        .text_style(theme::strong())
        .color(colours.accent_text);
    let response = ui.add(Button::new(text).frame(false));
    focus_ring(ui, &response, radius::BUBBLE_JOINED);
    response.on_hover_cursor(egui::CursorIcon::PointingHand)
}

/// A square button with an icon; `name` is what a screen reader reads and what hovering shows.
pub fn icon_button(ui: &mut Ui, icon: Icon, name: &str) -> Response {
    icon_button_if(ui, icon, name, true)
}

/// The same, which cannot be pressed now if `enabled` is not set.
pub fn icon_button_if(ui: &mut Ui, icon: Icon, name: &str, enabled: bool) -> Response {
    let colours = palette(ui);
    let sense = if enabled {
        Sense::click()
    } else {
        Sense::hover()
    };
    let (rect, response) = ui.allocate_exact_size(Vec2::splat(theme::control_height(ui)), sense);
    response.widget_info(|| WidgetInfo::labeled(Role::Button, enabled, name));
    let front = if !enabled {
        colours.border_strong
    } else if response.hovered() || response.has_focus() {
        colours.text
    } else {
        colours.muted
    };
    if enabled && (response.hovered() || response.has_focus()) {
        ui.painter()
            .rect_filled(rect, CornerRadius::same(radius::CONTROL), colours.hover);
    }
    icon.paint(ui.painter(), rect, rect.height() * 0.6, front);
    focus_ring(ui, &response, radius::CONTROL);
    response.on_hover_text(name)
}

/// Paints the ring of the keyboard around a control that has it and does not show it itself.
pub fn focus_ring(ui: &Ui, response: &Response, corner: u8) {
    if response.has_focus() {
        ui.painter().rect_stroke(
            response.rect.expand(1.0),
            CornerRadius::same(corner + 1),
            Stroke::new(FOCUS_RING, palette(ui).accent_text),
            StrokeKind::Outside,
        );
    }
}
