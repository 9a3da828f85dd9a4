//! The typefaces: Inter for text, in two weights, emoji, and what egui brings for the rest.
//!
//! Deliberately absent: sizes, which belong to [`crate::theme`], and the system's own fonts of
//! other scripts, which the window's toolkit adds behind these when a text needs them.

use egui::{FontData, FontDefinitions, FontFamily};

use std::sync::Arc;

/// The name of the family of headings, names and buttons.
const SEMIBOLD: &str = "semibold";
/// The name of the family of what is an emoji for certain.
const EMOJI: &str = "emoji";

/// What the system's font of colour emoji is called here.
const COLOUR_EMOJI: &str = "colour emoji";
/// What egui calls its emoji of one colour.
const PLAIN_EMOJI: [&str; 2] = ["NotoEmoji-Regular", "emoji-icon-font"];

/// The family of headings, names and buttons; text is in [`FontFamily::Proportional`].
pub fn semibold() -> FontFamily {
    FontFamily::Name(SEMIBOLD.into())
}

/// The family of emoji. The fonts of text have a few of them too, as letters: a heart, a sun.
pub fn emoji() -> FontFamily {
    FontFamily::Name(EMOJI.into())
}

/// All fonts of the window, the same on every machine but for the system's `colour_emoji`, which
/// come before those of one colour. The system's fonts of other scripts come last: some have
/// emoji of one colour, too.
pub fn definitions(colour_emoji: Option<FontData>) -> FontDefinitions {
    let mut fonts = FontDefinitions::default();
    let regular = FontData::from_static(include_bytes!("../../fonts/Inter-Regular.otf"));
    let heavier = FontData::from_static(include_bytes!("../../fonts/Inter-SemiBold.otf"));
    fonts
        .font_data
        .insert("Inter".to_owned(), Arc::new(regular));
    fonts
        .font_data
        .insert("Inter SemiBold".to_owned(), Arc::new(heavier));

    let mut emoji_fonts: Vec<String> = PLAIN_EMOJI.map(str::to_owned).to_vec();
    if let Some(data) = colour_emoji {
        let name = COLOUR_EMOJI.to_owned();
        emoji_fonts.insert(0, name.clone());
        fonts.font_data.insert(name, Arc::new(data));
    }
    for family in fonts.families.values_mut() {
        family.retain(|name| !PLAIN_EMOJI.contains(&&**name));
        family.extend(emoji_fonts.iter().cloned());
    }
    let fallbacks = fonts
        .families
        .get(&FontFamily::Proportional)
        .cloned()
        .unwrap_or_default();
    let behind = |first: &[String]| {
        let mut names = first.to_vec();
        names.extend(fallbacks.iter().cloned());
        names
    };
    let text = behind(&["Inter".to_owned()]);
    let headings = behind(&["Inter SemiBold".to_owned()]);
    emoji_fonts.push("Inter".to_owned());
    let emoji_first = behind(&emoji_fonts);
    fonts.families.insert(FontFamily::Proportional, text);
    fonts.families.insert(semibold(), headings);
    fonts.families.insert(emoji(), emoji_first);
    fonts
}

#[cfg(test)]
mod tests {
    use super::{COLOUR_EMOJI, PLAIN_EMOJI, definitions, emoji, semibold};

    use egui::{FontData, FontFamily};

    /// The fonts of a family in the order in which they are asked for a character.
    fn chain(colour: bool, family: &FontFamily) -> Vec<String> {
        let any = FontData::from_static(include_bytes!("../../fonts/Inter-Regular.otf"));
        definitions(colour.then_some(any)).families[family].clone()
    }

    fn place(chain: &[String], name: &str) -> Option<usize> {
        chain.iter().position(|font| font == name)
    }

    #[test]
    fn colour_emoji_come_before_plain_ones_and_after_text() {
        for family in [
            FontFamily::Proportional,
            FontFamily::Monospace,
            semibold(),
            emoji(),
        ] {
            let chain = chain(true, &family);
            let colour = place(&chain, COLOUR_EMOJI).expect("every family has it");
            for plain in PLAIN_EMOJI {
                assert!(Some(colour) < place(&chain, plain), "{family:?}");
            }
            let is_emoji = family == emoji();
            assert_eq!(colour == 0, is_emoji, "{family:?}: {chain:?}");
        }
    }

    #[test]
    fn emoji_of_one_colour_are_there_without_others() {
        for family in [FontFamily::Proportional, semibold(), emoji()] {
            let chain = chain(false, &family);
            assert_eq!(place(&chain, COLOUR_EMOJI), None);
            for plain in PLAIN_EMOJI {
                assert!(place(&chain, plain).is_some(), "{family:?}");
            }
        }
    }
}
