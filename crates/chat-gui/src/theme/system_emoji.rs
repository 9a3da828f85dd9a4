//! The system's font of colour emoji, if it has one that can be drawn here.
//!
//! Deliberately absent: waiting for it where no window is opened; tests look the same on every
//! machine.

use std::thread::{self, JoinHandle};

use egui::FontData;
use fontique::{
    Collection, CollectionOptions, GenericFamily, QueryFamily, QueryFont, QueryStatus, SourceCache,
    SourceCacheOptions,
};
use skrifa::{FontRef, GlyphId, MetadataProvider, instance::Size};

/// What every font of emoji has.
const SAMPLE: char = '😀';

/// A search that goes on while the window is being opened: with many fonts it takes a while.
#[derive(Debug)]
pub struct SystemEmoji(Option<JoinHandle<Option<FontData>>>);

impl SystemEmoji {
    /// Begins to search.
    pub fn search() -> Self {
        let thread = thread::Builder::new().name("emoji font".to_owned());
        // Without a thread there is no colour, and nothing else is missing.
        Self(thread.spawn(colour_font).ok())
    }

    /// The font, once the search is over; a search that failed found none.
    pub fn found(self) -> Option<FontData> {
        self.0?.join().ok().flatten()
    }
}

/// The first font that the system has for emoji and that has colours. Its file is mapped into
/// memory, not read.
fn colour_font() -> Option<FontData> {
    let mut fonts = Collection::new(CollectionOptions {
        shared: false,
        system_fonts: true,
    });
    let mut sources = SourceCache::new(SourceCacheOptions::default());
    let mut query = fonts.query(&mut sources);
    query.set_families([QueryFamily::Generic(GenericFamily::Emoji)]);
    let mut found = None;
    query.matches_with(|font| {
        if !is_coloured(font) {
            return QueryStatus::Continue;
        }
        found = Some(font.clone());
        QueryStatus::Stop
    });
    let font = found?;
    let (bytes, _id) = font.blob.into_raw_parts();
    Some(FontData::from_blob(bytes, font.index))
}

/// Whether egui draws this font's emoji in colour: from layers or from bitmaps.
fn is_coloured(font: &QueryFont) -> bool {
    let Some(glyph) = font.charmap().and_then(|map| map.map(SAMPLE)) else {
        return false;
    };
    let Ok(read) = FontRef::from_index(font.blob.as_ref(), font.index) else {
        return false;
    };
    let glyph = GlyphId::new(glyph);
    let bitmaps = read.bitmap_strikes();
    read.color_glyphs().get(glyph).is_some()
        || bitmaps.glyph_for_size(Size::unscaled(), glyph).is_some()
}
