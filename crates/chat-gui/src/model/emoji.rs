//! Which parts of a text are emoji, as Unicode counts them: a face with its tone of skin is one, a
//! flag is one, and a digit is none.
//!
//! Deliberately absent: which font draws them, and how large.

use unicode_properties::UnicodeEmoji;
use unicode_properties::emoji::EmojiStatus;
use unicode_segmentation::UnicodeSegmentation;

/// So many emoji without anything else are a message that is drawn larger.
pub const ALONE_MAX: usize = 3;
/// The longest of such a message in bytes of UTF-8: families are long, and more is no emoji.
const ALONE_BYTES_MAX: usize = ALONE_MAX * 64;

/// What follows wants the emoji of a character that is a letter otherwise.
const AS_EMOJI: char = '\u{FE0F}';
/// What follows wants the letter.
const AS_TEXT: char = '\u{FE0E}';

/// A part of a text that is all emoji, or has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run<'a> {
    /// The part.
    pub text: &'a str,
    /// Whether it is all emoji.
    pub emoji: bool,
}

/// The parts of a text in their order; together they are the text.
pub fn runs(text: &str) -> Vec<Run<'_>> {
    if text.is_ascii() {
        let whole = Run { text, emoji: false };
        return if text.is_empty() {
            Vec::new()
        } else {
            vec![whole]
        };
    }
    let mut runs = Vec::new();
    let mut start = 0;
    let mut emoji = None;
    for (place, cluster) in text.grapheme_indices(true) {
        let is = is_emoji(cluster);
        if let Some(before) = emoji
            && before != is
        {
            runs.push(Run {
                text: &text[start..place],
                emoji: before,
            });
            start = place;
        }
        emoji = Some(is);
    }
    runs.push(Run {
        text: &text[start..],
        emoji: emoji.unwrap_or(false),
    });
    runs
}

/// Whether a text is nothing but a few emoji.
pub fn are_few_alone(text: &str) -> bool {
    if text.is_empty() || text.is_ascii() || text.len() > ALONE_BYTES_MAX {
        return false;
    }
    let clusters: Vec<&str> = text.graphemes(true).take(ALONE_MAX + 1).collect();
    clusters.len() <= ALONE_MAX && clusters.into_iter().all(is_emoji)
}

/// Whether what a person sees as one character is an emoji.
fn is_emoji(cluster: &str) -> bool {
    if cluster.is_ascii() || cluster.contains(AS_TEXT) {
        return false;
    }
    let as_emoji = cluster.contains(AS_EMOJI) && cluster.starts_with(|c: char| c.is_emoji_char());
    as_emoji || cluster.contains(is_emoji_by_itself)
}

fn is_emoji_by_itself(c: char) -> bool {
    !c.is_ascii()
        && matches!(
            c.emoji_status(),
            EmojiStatus::EmojiPresentation
                | EmojiStatus::EmojiPresentationAndModifierBase
                | EmojiStatus::EmojiPresentationAndEmojiComponent
                | EmojiStatus::EmojiPresentationAndModifierAndEmojiComponent
        )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{are_few_alone, runs};

    /// The parts of a text; emoji are in brackets.
    fn check(text: &str, expected: &str) {
        let marked: Vec<String> = runs(text)
            .into_iter()
            .map(|run| match run.emoji {
                true => format!("[{}]", run.text),
                false => run.text.to_owned(),
            })
            .collect();
        assert_eq!(marked.concat(), expected);
    }

    #[test]
    fn emoji_are_apart_from_text() {
        check("", "");
        check("plain 1 # *", "plain 1 # *");
        check("so 😀🎉 it is", "so [😀🎉] it is");
        check("👍🏽👩‍👩‍👧🇫🇷x", "[👍🏽👩‍👩‍👧🇫🇷]x");
        check("bücher → ©", "bücher → ©");
        // The same characters as letters and as emoji.
        check("❤ ❤\u{FE0E} ❤\u{FE0F}", "❤ ❤\u{FE0E} [❤\u{FE0F}]");
        check("1 1\u{FE0F}\u{20E3}", "1 [1\u{FE0F}\u{20E3}]");
        check("☝ ☝🏽", "☝ [☝🏽]");
        // A request for an emoji where there is none changes nothing.
        check("a\u{FE0F}", "a\u{FE0F}");
    }

    #[test]
    fn only_a_few_emoji_alone_are_larger() {
        for text in ["😀", "👍🏽🎉❤\u{FE0F}", "👩‍👩‍👧", "🇫🇷"] {
            assert!(are_few_alone(text), "{text}");
        }
        for text in ["", "a", "123", "😀 😀", "😀😀😀😀", "😀!", "ok 👍", "❤"] {
            assert!(!are_few_alone(text), "{text}");
        }
        let zalgo = format!("😀{}", "\u{301}".repeat(500));
        assert!(!are_few_alone(&zalgo));
    }

    proptest! {
        #[test]
        fn runs_are_the_text_and_alternate(text in any::<String>()) {
            let runs = runs(&text);
            let joined: String = runs.iter().map(|run| run.text).collect();
            prop_assert_eq!(&joined, &text);
            for pair in runs.windows(2) {
                prop_assert_ne!(pair[0].emoji, pair[1].emoji);
            }
            prop_assert!(runs.iter().all(|run| !run.text.is_empty()));
        }
    }
}
