//! Text in the styles of the window: headings, captions, pills, code, one line with an ellipsis,
//! and numbers. Deliberately absent: anything that knows the model.

use std::sync::Arc;

use egui::accesskit::Role;
use egui::text::LayoutJob;
use egui::text::TextWrapping;
use egui::{
    Color32, CornerRadius, FontSelection, Galley, Response, RichText, Sense, TextStyle, Ui, Vec2,
    WidgetInfo,
};

use crate::theme::{self, palette};

/// Text in which the parts between backquotes are to be typed, and look so.
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

/// A few words in a coloured pill, which is never broken.
pub fn chip(ui: &mut Ui, text: &str, front: Color32, behind: Color32) -> Response {
    let words = one_line(ui, text, theme::small_strong(), front, f32::INFINITY);
    let size = words.size() + Vec2::new(16.0, 4.0);
    let (rect, response) = ui.allocate_exact_size(size, Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, text));
    ui.painter()
        .rect_filled(rect, CornerRadius::same(10), behind);
    ui.painter()
        .galley(rect.min + Vec2::new(8.0, 2.0), words, front);
    response
}

/// Text laid out in one line of at most `width` points, shortened with an ellipsis.
pub fn one_line(ui: &Ui, text: &str, style: TextStyle, colour: Color32, width: f32) -> Arc<Galley> {
    let font = FontSelection::Style(style).resolve(ui.style());
    let text: String = text
        .chars()
        .take(ONE_LINE_CHARACTERS)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let job = LayoutJob::simple_singleline(text, font, colour);
    in_one_line(ui, job, width)
}

/// The same for text in several formats.
pub fn in_one_line(ui: &Ui, mut job: LayoutJob, width: f32) -> Arc<Galley> {
    job.wrap = TextWrapping {
        max_width: width.max(0.0),
        max_rows: 1,
        break_anywhere: true,
        overflow_character: Some('…'),
    };
    ui.fonts_mut(|fonts| fonts.layout_job(job))
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

/// More characters than fit into any line; the rest of a long text is not even looked at.
pub const ONE_LINE_CHARACTERS: usize = 240;

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn thousands_are_separated() {
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
