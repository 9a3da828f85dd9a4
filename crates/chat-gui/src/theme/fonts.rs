//! The typefaces: Inter for text, in two weights, and what egui brings for the rest.
//!
//! Deliberately absent: sizes, which belong to [`crate::theme`], and the system's own fonts, which
//! the window's toolkit adds behind these for scripts that none of them has.

use egui::{FontData, FontDefinitions, FontFamily};

use std::sync::Arc;

/// The name of the family of headings, names and buttons.
const SEMIBOLD: &str = "semibold";

/// The family of headings, names and buttons; text is in [`FontFamily::Proportional`].
pub fn semibold() -> FontFamily {
    FontFamily::Name(SEMIBOLD.into())
}

/// All fonts of the window, the same on every machine.
pub fn definitions() -> FontDefinitions {
    let mut fonts = FontDefinitions::default();
    let regular = FontData::from_static(include_bytes!("../../fonts/Inter-Regular.otf"));
    let heavier = FontData::from_static(include_bytes!("../../fonts/Inter-SemiBold.otf"));
    fonts
        .font_data
        .insert("Inter".to_owned(), Arc::new(regular));
    fonts
        .font_data
        .insert("Inter SemiBold".to_owned(), Arc::new(heavier));

    let fallbacks = fonts
        .families
        .get(&FontFamily::Proportional)
        .cloned()
        .unwrap_or_default();
    let behind = |first: &str| {
        let mut names = vec![first.to_owned()];
        names.extend(fallbacks.iter().cloned());
        names
    };
    let text = behind("Inter");
    let headings = behind("Inter SemiBold");
    fonts.families.insert(FontFamily::Proportional, text);
    fonts.families.insert(semibold(), headings);
    fonts
}
