//! What other controls are placed on: rows, cards, message boxes, headers, and pages without
//! content. Deliberately absent: anything that knows the model.

use egui::accesskit::Role;
use egui::{
    Align, CornerRadius, Frame, Layout, Margin, RichText, Sense, Stroke, TextStyle, Ui, UiBuilder,
    Vec2,
};

use crate::theme::{self, palette, radius, space};
use crate::views::control::buttons::primary_button;
use crate::views::control::text::{heading, muted, with_code};
use crate::views::icon::Icon;

/// The width of pages that are read like a letter: longer lines tire.
pub const READING_WIDTH: f32 = 640.0;

/// A row narrower than this, in points at normal text size, has its value below.
const VALUE_BESIDE_FROM: f32 = 290.0;

/// Things beside one another, all in the middle of a row that is as high as a control.
pub fn row<R>(ui: &mut Ui, contents: impl FnOnce(&mut Ui) -> R) -> R {
    row_of(ui, theme::control_height(ui), contents)
}

/// The same in a row of another height. egui puts what comes first where it would be in the
/// middle of the least height, and does not move it when something higher follows.
pub fn row_of<R>(ui: &mut Ui, height: f32, contents: impl FnOnce(&mut Ui) -> R) -> R {
    ui.scope(|ui| {
        let text = std::mem::replace(&mut ui.spacing_mut().interact_size.y, height);
        ui.horizontal(|ui| {
            ui.spacing_mut().interact_size.y = text;
            contents(ui)
        })
        .inner
    })
    .inner
}

/// Things beside one another, or below where less than `points`, at normal text size, are left.
pub fn beside_or_below<R>(ui: &mut Ui, points: f32, contents: impl FnOnce(&mut Ui) -> R) -> R {
    if theme::is_narrow(ui, points) {
        ui.vertical(contents).inner
    } else {
        ui.horizontal(contents).inner
    }
}

/// What something is called, and its value at the right end of the row, or below where it is narrow.
pub fn value_row(ui: &mut Ui, name: impl FnOnce(&mut Ui), value: &str) {
    let value = RichText::new(value).text_style(theme::strong());
    if theme::is_narrow(ui, VALUE_BESIDE_FROM) {
        ui.horizontal_wrapped(name);
        ui.label(value);
        return;
    }
    ui.horizontal(|ui| {
        name(ui);
        let layout = Layout::right_to_left(Align::Center);
        ui.with_layout(layout, |ui| ui.label(value));
    });
}

/// A surface that lies on the page.
pub fn card<R>(ui: &mut Ui, contents: impl FnOnce(&mut Ui) -> R) -> R {
    let colours = palette(ui);
    Frame::new()
        .fill(colours.raised)
        .stroke(Stroke::new(1.0, colours.border))
        .corner_radius(CornerRadius::same(radius::CARD))
        .inner_margin(Margin::same(16))
        // A card may be in a column, whose own layout would stretch its lines.
        .show(ui, |ui| ui.vertical(contents).inner)
        .inner
}

/// What a message box is about; chooses colours and icon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// It went well.
    Good,
    /// It passes.
    Warn,
    /// It failed.
    Bad,
}

/// A sentence and what to do next, in a coloured box that a screen reader announces.
pub fn message_box(ui: &mut Ui, tone: Tone, sentence: &str, next_step: &str) {
    let colours = palette(ui);
    let (front, behind, icon) = match tone {
        Tone::Good => (colours.good, colours.good_soft, Icon::Check),
        Tone::Warn => (colours.warn, colours.warn_soft, Icon::Clock),
        Tone::Bad => (colours.bad, colours.bad_soft, Icon::Warning),
    };
    let region = UiBuilder::new()
        .accessibility_role(Role::Alert)
        .accessibility_label(sentence);
    ui.scope_builder(region, |ui| {
        Frame::new()
            .fill(behind)
            .corner_radius(CornerRadius::same(radius::CONTROL))
            .inner_margin(Margin::symmetric(12, 10))
            .show(ui, |ui| {
                ui.set_width(ui.available_width());
                ui.horizontal_top(|ui| {
                    icon.show(ui, 18.0, front);
                    ui.vertical(|ui| {
                        ui.spacing_mut().item_spacing.y = 2.0;
                        ui.label(RichText::new(sentence).text_style(theme::strong()));
                        if !next_step.is_empty() {
                            let text = with_code(ui, next_step, &TextStyle::Body, colours.text);
                            ui.label(text);
                        }
                    });
                });
            });
    });
}

/// A page that has nothing to show yet: shows why, and offers what to do next.
pub fn empty_state(ui: &mut Ui, icon: Icon, title: &str, text: &str, offer: Option<&str>) -> bool {
    let mut wanted = false;
    let height = 190.0;
    let space_above = ((ui.available_height() - height) / 2.5).max(space::LARGE);
    ui.vertical_centered(|ui| {
        ui.add_space(space_above);
        let colours = palette(ui);
        let (rect, _) = ui.allocate_exact_size(Vec2::splat(64.0), Sense::hover());
        ui.painter()
            .circle_filled(rect.center(), 32.0, colours.accent_soft);
        icon.paint(ui.painter(), rect, 28.0, colours.accent_text);
        ui.add_space(space::MEDIUM);
        heading(ui, title, theme::title());
        ui.scope(|ui| {
            ui.set_max_width(420.0_f32.min(ui.available_width()));
            muted(ui, text);
        });
        if let Some(offer) = offer {
            ui.add_space(space::SMALL);
            wanted = primary_button(ui, offer, true).clicked();
        }
    });
    wanted
}

/// The title of a page with one sentence below it, and `right` at the right end of the row.
pub fn page_header(ui: &mut Ui, title: &str, sentence: &str, right: impl FnOnce(&mut Ui)) {
    ui.horizontal(|ui| {
        ui.set_min_height(theme::control_height(ui));
        ui.vertical(|ui| {
            ui.spacing_mut().item_spacing.y = 2.0;
            heading(ui, title, TextStyle::Heading);
            if !sentence.is_empty() {
                muted(ui, sentence);
            }
        });
        ui.with_layout(Layout::right_to_left(Align::Center), right);
    });
    ui.add_space(space::SMALL);
}
