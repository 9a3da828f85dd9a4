//! Fields to type into: with a label above them, or for searching.
//! Deliberately absent: anything that knows the model.

use egui::accesskit::Role;
use egui::{Align, Align2, Key, Margin, Rect, Response, RichText, TextEdit, Ui, Vec2};

use crate::theme::{self, palette, space};
use crate::views::icon::Icon;

/// A field with its name above it.
#[derive(Debug)]
pub struct Field<'a> {
    /// Above it, and for screen readers.
    pub label: &'a str,
    /// In it while it is empty.
    pub hint: &'a str,
    /// Whether what is typed is hidden.
    pub secret: bool,
}

impl Field<'_> {
    /// Shows it over the whole width.
    pub fn show(&self, ui: &mut Ui, text: &mut String) -> Response {
        ui.scope(|ui| {
            ui.spacing_mut().item_spacing.y = space::TINY;
            let label = ui.label(RichText::new(self.label).text_style(theme::small_strong()));
            let edit = TextEdit::singleline(text)
                .hint_text(self.hint.to_owned())
                .password(self.secret)
                .min_size(Vec2::new(0.0, theme::control_height(ui)))
                .vertical_align_middle()
                .desired_width(f32::INFINITY);
            ui.add(edit).labelled_by(label.id)
        })
        .inner
    }
}

/// Whether Enter was pressed in a one-line field, which gives up the keyboard then.
pub fn is_entered(ui: &Ui, field: &Response) -> bool {
    field.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter))
}

/// What egui calls by another name: text in the middle of a field that is higher than a line.
pub trait MiddleOfField {
    /// In the middle from top to bottom.
    #[must_use]
    fn vertical_align_middle(self) -> Self;
}

impl MiddleOfField for TextEdit<'_> {
    fn vertical_align_middle(self) -> Self {
        self.align(Align2([Align::Min, Align::Center]))
    }
}

/// A field for searching, with a glass in it. Its name is `name`.
pub fn search_field(ui: &mut Ui, name: &str, text: &mut String, width: f32) -> Response {
    let colours = palette(ui);
    let height = theme::control_height(ui);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a control is about as high as a line"
    )]
    let left = height as i8;
    let edit = TextEdit::singleline(text)
        .hint_text(name.to_owned())
        .vertical_align_middle()
        .margin(Margin {
            left,
            right: 10,
            top: 6,
            bottom: 6,
        })
        .min_size(Vec2::new(0.0, height))
        .desired_width(width);
    let response = ui.add(edit);
    let place = Rect::from_min_size(response.rect.min, Vec2::new(height, response.rect.height()));
    Icon::Search.paint(ui.painter(), place, height / 2.0, colours.muted);
    ui.ctx().accesskit_node_builder(response.id, |node| {
        node.set_role(Role::SearchInput);
        node.set_label(name);
    });
    response
}
