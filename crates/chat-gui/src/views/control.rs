//! Buttons, fields, cards and the like: what several pages are made of.
//!
//! Deliberately absent: anything that knows the model.

use egui::accesskit::Role;
use egui::{
    Align, Align2, Button, Color32, CornerRadius, FontSelection, Frame, Galley, Layout, Margin,
    Rect, Response, RichText, Sense, Stroke, StrokeKind, TextEdit, TextStyle, Ui, UiBuilder, Vec2,
    WidgetInfo, text::LayoutJob, text::TextWrapping,
};

use std::sync::Arc;

use crate::theme::{self, CONTROL_HEIGHT, FOCUS_RING, palette, radius, space};
use crate::views::icon::Icon;

/// The width of pages that are read like a letter: longer lines tire.
pub const READING_WIDTH: f32 = 640.0;

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
        .min_size(Vec2::new(0.0, CONTROL_HEIGHT));
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
    ui.add(Button::new(text).min_size(Vec2::new(0.0, CONTROL_HEIGHT)))
}

/// A button like any other, which cannot be pressed now if `enabled` is not set.
pub fn button_if(ui: &mut Ui, text: &str, enabled: bool) -> Response {
    ui.add_enabled(
        enabled,
        Button::new(text).min_size(Vec2::new(0.0, CONTROL_HEIGHT)),
    )
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

/// A square button with an icon; `name` is what a screen reader says and what hovering shows.
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
    let (rect, response) = ui.allocate_exact_size(Vec2::splat(CONTROL_HEIGHT), sense);
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
    icon.paint(ui.painter(), rect, 20.0, front);
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

/// Things beside one another, all in the middle of a row that is as high as a control.
pub fn row<R>(ui: &mut Ui, contents: impl FnOnce(&mut Ui) -> R) -> R {
    row_of(ui, CONTROL_HEIGHT, contents)
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

/// Text in which what stands between backquotes is to be typed, and looks so.
pub fn with_code(ui: &Ui, text: &str, style: &TextStyle, colour: Color32) -> LayoutJob {
    let mut job = LayoutJob::default();
    let font = style.resolve(ui.style());
    let mut code = TextStyle::Monospace.resolve(ui.style());
    code.size = code.size.min(font.size);
    for (place, part) in text.split('`').enumerate() {
        let font = if place % 2 == 1 { &code } else { &font };
        let format = egui::TextFormat::simple(font.clone(), colour);
        job.append(part, 0.0, format);
    }
    job
}

/// A surface that lies on the page.
pub fn card<R>(ui: &mut Ui, contents: impl FnOnce(&mut Ui) -> R) -> R {
    let colours = palette(ui);
    Frame::new()
        .fill(colours.raised)
        .stroke(Stroke::new(1.0, colours.border))
        .corner_radius(CornerRadius::same(radius::CARD))
        .inner_margin(Margin::same(16))
        // A card may stand in a column, whose own layout would stretch its lines.
        .show(ui, |ui| ui.vertical(contents).inner)
        .inner
}

/// The title of a card, for the eye and for a screen reader.
pub fn card_title(ui: &mut Ui, text: &str) -> Response {
    heading(ui, text, theme::title())
}

/// A heading in the given style.
pub fn heading(ui: &mut Ui, text: &str, style: TextStyle) -> Response {
    let response = ui.label(RichText::new(text).text_style(style));
    ui.ctx()
        .accesskit_node_builder(response.id, |node| node.set_role(Role::Heading));
    response
}

/// Text that matters less.
pub fn muted(ui: &mut Ui, text: impl Into<String>) -> Response {
    let colour = palette(ui).muted;
    ui.label(RichText::new(text).color(colour))
}

/// Small text that matters less.
pub fn caption(ui: &mut Ui, text: impl Into<String>) -> Response {
    let colour = palette(ui).muted;
    ui.label(RichText::new(text).color(colour).small())
}

/// A few words in a coloured pill.
pub fn chip(ui: &mut Ui, text: &str, front: Color32, behind: Color32) -> Response {
    let text = RichText::new(text)
        .text_style(theme::small_strong())
        .color(front);
    Frame::new()
        .fill(behind)
        .corner_radius(CornerRadius::same(10))
        .inner_margin(Margin::symmetric(8, 2))
        .show(ui, |ui| ui.add(egui::Label::new(text).extend()))
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
                .min_size(Vec2::new(0.0, CONTROL_HEIGHT))
                .vertical_align_middle()
                .desired_width(f32::INFINITY);
            ui.add(edit).labelled_by(label.id)
        })
        .inner
    }
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
    let edit = TextEdit::singleline(text)
        .hint_text(name.to_owned())
        .vertical_align_middle()
        .margin(Margin {
            left: 34,
            right: 10,
            top: 6,
            bottom: 6,
        })
        .min_size(Vec2::new(0.0, CONTROL_HEIGHT))
        .desired_width(width);
    let response = ui.add(edit);
    let place = Rect::from_min_size(
        response.rect.min,
        Vec2::new(CONTROL_HEIGHT, response.rect.height()),
    );
    Icon::Search.paint(ui.painter(), place, 16.0, colours.muted);
    ui.ctx().accesskit_node_builder(response.id, |node| {
        node.set_role(Role::SearchInput);
        node.set_label(name);
    });
    response
}

/// Initials on a colour that always is the same for the same name.
pub fn avatar(ui: &Ui, rect: Rect, name: &str) {
    let colours = palette(ui);
    let hue = colours.hues[hue_of(name, colours.hues.len())];
    paint_avatar(ui, rect, name, (colours.on_hue, hue));
}

/// The same without its colour, for an account that had the name before: it is somebody else.
pub fn avatar_of_earlier(ui: &Ui, rect: Rect, name: &str) {
    let colours = palette(ui);
    paint_avatar(ui, rect, name, (colours.muted, colours.hover));
}

fn paint_avatar(ui: &Ui, rect: Rect, name: &str, (front, behind): (Color32, Color32)) {
    ui.painter()
        .circle_filled(rect.center(), rect.width() / 2.0, behind);
    let initials: String = name
        .chars()
        .filter(|c| c.is_alphanumeric())
        .take(1)
        .flat_map(char::to_uppercase)
        .collect();
    let mut font = theme::strong().resolve(ui.style());
    font.size = rect.width() * 0.42;
    ui.painter()
        .text(rect.center(), Align2::CENTER_CENTER, initials, font, front);
}

/// The same for the same name everywhere: FNV-1a, whose upper bits are the well-mixed ones.
fn hue_of(name: &str, hues: usize) -> usize {
    let hash = name.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    });
    usize::try_from(hash >> 33).unwrap_or(0) % hues
}

/// A number in a filled pill, painted so that its right end is at `right`; returns its width.
pub fn badge(ui: &Ui, right: egui::Pos2, number: usize, quiet: bool) -> f32 {
    let colours = palette(ui);
    let (front, behind) = if quiet {
        (colours.muted, colours.hover)
    } else {
        (colours.on_accent, colours.accent)
    };
    // A longer one would hide what it is on.
    let text = if number > 99 {
        "99+".to_owned()
    } else {
        number.to_string()
    };
    let font = theme::small_strong().resolve(ui.style());
    let galley = ui.painter().layout_no_wrap(text, font, front);
    let size = Vec2::new((galley.size().x + 12.0).max(20.0), 20.0);
    let rect = Rect::from_min_max(
        egui::pos2(right.x - size.x, right.y - size.y / 2.0),
        egui::pos2(right.x, right.y + size.y / 2.0),
    );
    ui.painter()
        .rect_filled(rect, CornerRadius::same(10), behind);
    ui.painter()
        .galley(rect.center() - galley.size() / 2.0, galley, front);
    size.x
}

/// Text laid out in one line of at most `width` points, cut with an ellipsis.
pub fn one_line(ui: &Ui, text: &str, style: TextStyle, colour: Color32, width: f32) -> Arc<Galley> {
    let font = FontSelection::Style(style).resolve(ui.style());
    let text: String = text
        .chars()
        .take(ONE_LINE_CHARACTERS)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let mut job = LayoutJob::simple_singleline(text, font, colour);
    job.wrap = TextWrapping {
        max_width: width.max(0.0),
        max_rows: 1,
        break_anywhere: true,
        overflow_character: Some('…'),
    };
    ui.fonts_mut(|fonts| fonts.layout_job(job))
}

/// More characters than fit into any line; the rest of a long text is not even looked at.
const ONE_LINE_CHARACTERS: usize = 240;

/// A page that has nothing to show yet: says why, and offers what to do next.
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
        ui.set_min_height(CONTROL_HEIGHT);
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

/// A number with its thousands apart, such as `1,204`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn thousands_are_set_apart() {
        let cases = [
            (0, "0"),
            (999, "999"),
            (1_204, "1,204"),
            (1_000_000, "1,000,000"),
        ];
        for (number, text) in cases {
            assert_eq!(grouped(number), text);
        }
    }
}
