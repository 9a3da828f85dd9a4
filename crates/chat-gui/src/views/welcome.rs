//! What the two pages before the chat have in common: a picture on the left that shows what this
//! is, and a column on the right where one types.
//!
//! Deliberately absent: anything to do with servers or accounts.

use egui::{
    Align2, Color32, CornerRadius, FontId, Frame, Mesh, Panel, Pos2, Rect, ScrollArea, Shape,
    Stroke, TextStyle, Ui,
};

use crate::theme::{self, palette, space};

/// The width of the column where one types.
const COLUMN_WIDTH: f32 = 380.0;

/// About how high what is typed there is; it is in the middle.
const CONTENT_HEIGHT: f32 = 440.0;

/// A window narrower than this, in points at normal text size, has no picture.
const PICTURE_FROM: f32 = 760.0;

/// The widest that the picture gets; it takes two fifths of a smaller window.
const PICTURE_WIDTH_MAX: f32 = 520.0;

/// Blue of the picture, from above to below; the same by day and by night.
const ABOVE: Color32 = Color32::from_rgb(0x3B, 0x3F, 0xC4);
const BELOW: Color32 = Color32::from_rgb(0x22, 0x24, 0x6B);
const FRONT: Color32 = Color32::WHITE;
const FAINT: Color32 = Color32::from_rgb(0xC9, 0xCC, 0xFF);

/// The picture, and `contents` beside it.
pub fn welcome_ui(ui: &mut Ui, contents: impl FnOnce(&mut Ui)) {
    let whole = ui.available_rect_before_wrap();
    if !theme::is_narrow(ui, PICTURE_FROM) {
        let width = (whole.width() * 0.4).min(PICTURE_WIDTH_MAX);
        Panel::left("picture")
            .exact_size(width)
            .resizable(false)
            .show_separator_line(false)
            .frame(Frame::NONE)
            .show(ui, picture_ui);
    }
    let fill = palette(ui).window;
    egui::CentralPanel::default()
        .frame(Frame::new().fill(fill))
        .show(ui, |ui| {
            ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
                let room = ui.available_width();
                let column = COLUMN_WIDTH.min(room - 2.0 * space::LARGE);
                let left = ((room - column) / 2.0).max(0.0);
                ui.add_space(((whole.height() - CONTENT_HEIGHT) / 2.0).max(space::LARGE));
                ui.horizontal_top(|ui| {
                    ui.add_space(left);
                    ui.vertical(|ui| {
                        ui.set_width(column);
                        ui.spacing_mut().item_spacing.y = space::MEDIUM;
                        contents(ui);
                        ui.add_space(space::LARGE);
                    });
                });
            });
        });
}

fn picture_ui(ui: &mut Ui) {
    let rect = ui.max_rect();
    let painter = ui.painter();
    let mut mesh = Mesh::default();
    for (corner, colour) in [
        (rect.left_top(), ABOVE),
        (rect.right_top(), ABOVE),
        (rect.right_bottom(), BELOW),
        (rect.left_bottom(), BELOW),
    ] {
        mesh.colored_vertex(corner, colour);
    }
    mesh.add_triangle(0, 1, 2);
    mesh.add_triangle(0, 2, 3);
    painter.add(Shape::mesh(mesh));

    nodes(
        ui,
        Rect::from_center_size(
            egui::pos2(rect.center().x, rect.top() + rect.height() * 0.36),
            egui::vec2(rect.width().min(360.0), 250.0),
        ),
    );
    let heading = FontId::new(26.0, TextStyle::Heading.resolve(ui.style()).family);
    let text = FontId::new(14.5, TextStyle::Body.resolve(ui.style()).family);
    let left = rect.left() + 36.0;
    let width = rect.width() - 72.0;
    let title = painter.layout(
        "Chat that keeps your messages".to_owned(),
        heading,
        FRONT,
        width,
    );
    let lines = painter.layout(
        "A tick means that most of the servers have stored your message. When a server fails, your messages wait here and are sent exactly once.".to_owned(),
        text,
        FAINT,
        width,
    );
    let top = rect.top() + rect.height() * 0.62;
    let below = top + title.size().y + space::MEDIUM;
    painter.galley(egui::pos2(left, top), title, FRONT);
    painter.galley(egui::pos2(left, below), lines, FAINT);
}

/// Three servers, of which two have the message.
fn nodes(ui: &Ui, place: Rect) {
    let painter = ui.painter();
    let at = |x: f32, y: f32| {
        Pos2::new(
            place.left() + x * place.width(),
            place.top() + y * place.height(),
        )
    };
    let (first, second, third) = (at(0.5, 0.2), at(0.22, 0.76), at(0.78, 0.76));
    let line = Stroke::new(2.0, FAINT.gamma_multiply(0.55));
    painter.line_segment([first, second], line);
    painter.line_segment([first, third], line);
    painter.line_segment([second, third], line);
    for (centre, stored) in [(first, true), (second, true), (third, false)] {
        painter.circle_filled(centre, 36.0, BELOW);
        painter.circle_stroke(centre, 36.0, Stroke::new(2.5, FAINT));
        let bubble = Rect::from_center_size(centre, egui::vec2(34.0, 24.0));
        let fill = if stored { FRONT } else { Color32::TRANSPARENT };
        painter.rect(
            bubble,
            CornerRadius::same(8),
            fill,
            Stroke::new(1.8, FAINT),
            egui::StrokeKind::Inside,
        );
        if stored {
            crate::views::icon::Icon::Check.paint(painter, bubble, 18.0, ABOVE);
        } else {
            painter.text(
                centre,
                Align2::CENTER_CENTER,
                "…",
                FontId::new(18.0, theme::strong().resolve(ui.style()).family),
                FAINT,
            );
        }
    }
}
