//! The text of a message, laid out: its emoji are in colour if there are some, its links look like
//! links and are found under the pointer.
//!
//! Deliberately absent: what a click on a link leads to, and the bubble around the text.

use std::ops::Range;
use std::sync::Arc;

use egui::text::LayoutJob;
use egui::{Color32, FontId, FontSelection, Galley, Stroke, TextFormat, TextStyle, Ui, Vec2};

use crate::model::emoji;
use crate::model::links::{self, Link};
use crate::theme::fonts;

/// The thickness of the line under a link, in points.
const UNDERLINE: f32 = 1.0;

/// How much larger a few emoji are that are all of a message.
pub const FEW_EMOJI: f32 = 2.4;

/// A text with its links.
#[derive(Debug)]
pub struct MessageText {
    /// How it is painted.
    pub galley: Arc<Galley>,
    links: Vec<PlacedLink>,
}

/// A link and its place in the text.
#[derive(Debug)]
struct PlacedLink {
    /// Counted in characters, as egui does.
    characters: Range<usize>,
    link: Link,
}

/// What a text is painted in.
#[derive(Debug, Clone, Copy)]
pub struct TextColours {
    /// The text itself.
    pub front: Color32,
    /// Its links.
    pub link: Color32,
}

impl MessageText {
    /// Lays the text out in lines of at most `width` points.
    pub fn lay_out(ui: &Ui, text: &str, colours: TextColours, width: f32) -> Self {
        let formats = Formats::new(ui, text, colours);
        let mut job = LayoutJob::default();
        job.wrap.max_width = width;
        let mut links = Vec::new();
        let (mut bytes, mut characters) = (0, 0);
        for found in links::find(text) {
            let before = &text[bytes..found.range.start];
            formats.append_text(&mut job, before);
            job.append(found.link.written(), 0.0, formats.link.clone());
            let start = characters + before.chars().count();
            characters = start + found.link.written().chars().count();
            bytes = found.range.end;
            links.push(PlacedLink {
                characters: start..characters,
                link: found.link,
            });
        }
        formats.append_text(&mut job, &text[bytes..]);
        if job.sections.is_empty() {
            // An empty text is as high as a line.
            job.append("", 0.0, formats.text.clone());
        }
        Self {
            galley: ui.fonts_mut(|fonts| fonts.layout_job(job)),
            links,
        }
    }

    /// The links in their order.
    pub fn links(&self) -> impl Iterator<Item = &Link> {
        self.links.iter().map(|placed| &placed.link)
    }

    /// The link at this place, counted from the upper left corner of the text.
    pub fn link_under(&self, place: Vec2) -> Option<&Link> {
        if self.links.is_empty() {
            return None;
        }
        let character = self.character_at(place)?;
        let mut links = self.links.iter();
        links
            .find(|placed| placed.characters.contains(&character))
            .map(|placed| &placed.link)
    }

    /// The character whose letter is at this place; none beside the lines.
    fn character_at(&self, place: Vec2) -> Option<usize> {
        let mut before = 0;
        for row in &self.galley.rows {
            if row.min_y() <= place.y && place.y < row.max_y() {
                let x = place.x - row.pos.x;
                let mut glyphs = row.glyphs.iter();
                let column = glyphs
                    .position(|glyph| glyph.pos.x <= x && x < glyph.pos.x + glyph.advance_width)?;
                return Some(before + column);
            }
            before += row.char_count_including_newline().0;
        }
        None
    }
}

/// How the parts of a text are painted.
struct Formats {
    text: TextFormat,
    emoji: TextFormat,
    link: TextFormat,
}

impl Formats {
    fn new(ui: &Ui, text: &str, colours: TextColours) -> Self {
        let mut font = FontSelection::Style(TextStyle::Body).resolve(ui.style());
        // A font of emoji has higher lines; one emoji in a text must not move the lines apart.
        let mut line_height = ui.fonts_mut(|fonts| fonts.row_height(&font));
        if emoji::are_few_alone(text) {
            font.size *= FEW_EMOJI;
            line_height *= FEW_EMOJI;
        }
        let of_emoji = FontId::new(font.size, fonts::emoji());
        Self {
            text: TextFormat::simple(font.clone(), colours.front),
            emoji: TextFormat {
                line_height: Some(line_height),
                ..TextFormat::simple(of_emoji, colours.front)
            },
            link: TextFormat {
                underline: Stroke::new(UNDERLINE, colours.link),
                ..TextFormat::simple(font, colours.link)
            },
        }
    }

    /// Adds a text without links.
    fn append_text(&self, job: &mut LayoutJob, text: &str) {
        for run in emoji::runs(text) {
            let format = if run.emoji { &self.emoji } else { &self.text };
            job.append(run.text, 0.0, format.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{FEW_EMOJI, MessageText, TextColours};

    use egui::{Color32, Context, Ui, vec2};

    use crate::theme;

    fn with_ui(check: impl Fn(&Ui)) {
        let context = Context::default();
        theme::install(&context);
        let mut output = context.run_ui(egui::RawInput::default(), |ui| check(ui));
        output.textures_delta.clear();
    }

    fn lay_out(ui: &Ui, text: &str) -> MessageText {
        let colours = TextColours {
            front: Color32::BLACK,
            link: Color32::BLUE,
        };
        MessageText::lay_out(ui, text, colours, 400.0)
    }

    #[test]
    fn links_are_found_behind_emoji_and_in_other_lines() {
        with_ui(|ui| {
            let (before, first) = ("😀👩‍👩‍👧 é ", "https://example.org");
            let text = format!("{before}{first} x\nhttps://b.example");
            let laid_out = lay_out(ui, &text);
            let start = lay_out(ui, before).galley.size().x;
            let end = lay_out(ui, &format!("{before}{first}")).galley.size().x;
            let line = laid_out.galley.rows[0].max_y();
            let under = |x: f32, y: f32| {
                let link = laid_out.link_under(vec2(x, y));
                link.map(|link| link.host().to_owned())
            };
            let (one, other) = (Some("example.org".to_owned()), Some("b.example".to_owned()));
            for (x, y, expected) in [
                (start - 3.0, 2.0, None),
                (start + 3.0, 2.0, one.clone()),
                (end - 3.0, 2.0, one),
                (end + 3.0, 2.0, None),
                (end + 200.0, 2.0, None),
                (3.0, line + 2.0, other),
                (3.0, -2.0, None),
                (3.0, line * 4.0, None),
            ] {
                assert_eq!(under(x, y), expected, "at {x} {y}");
            }
        });
    }

    #[test]
    fn emoji_do_not_move_lines_apart_unless_they_are_alone() {
        with_ui(|ui| {
            let height = |text: &str| lay_out(ui, text).galley.size().y;
            let line = height("text");
            for text in ["text 😀", "😀😀😀😀", "❤\u{FE0F} x", ""] {
                assert!((height(text) - line).abs() < 1.0, "{text:?}");
            }
            for text in ["😀", "👍🏽", "❤\u{FE0F}🎉🚀"] {
                assert!((height(text) - line * FEW_EMOJI).abs() < 2.0, "{text:?}");
            }
        });
    }
}
