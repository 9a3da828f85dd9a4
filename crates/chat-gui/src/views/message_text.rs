//! The text of a message, laid out: its links look like links and are found under the pointer.
//!
//! Deliberately absent: what a click on a link leads to, and the bubble around the text.

use std::ops::Range;
use std::sync::Arc;

use egui::text::LayoutJob;
use egui::{Color32, FontSelection, Galley, Stroke, TextFormat, TextStyle, Ui, Vec2};

use crate::model::links::{self, Link};

/// The thickness of the line under a link, in points.
const UNDERLINE: f32 = 1.0;

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
        let font = FontSelection::Style(TextStyle::Body).resolve(ui.style());
        let plain = TextFormat::simple(font.clone(), colours.front);
        let linked = TextFormat {
            underline: Stroke::new(UNDERLINE, colours.link),
            ..TextFormat::simple(font, colours.link)
        };
        let mut job = LayoutJob::default();
        job.wrap.max_width = width;
        let mut links = Vec::new();
        let (mut bytes, mut characters) = (0, 0);
        for found in links::find(text) {
            let before = &text[bytes..found.range.start];
            append(&mut job, before, &plain);
            append(&mut job, found.link.written(), &linked);
            let start = characters + before.chars().count();
            characters = start + found.link.written().chars().count();
            bytes = found.range.end;
            links.push(PlacedLink {
                characters: start..characters,
                link: found.link,
            });
        }
        append(&mut job, &text[bytes..], &plain);
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

/// Empty sections would be drawn as nothing, and make the text of an empty message unlike others.
fn append(job: &mut LayoutJob, text: &str, format: &TextFormat) {
    if !text.is_empty() || job.sections.is_empty() {
        job.append(text, 0.0, format.clone());
    }
}
