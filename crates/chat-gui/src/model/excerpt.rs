//! A part of a text around what was searched for, and where that is in it. Upper and lower case are
//! the same, letter by letter.

use std::ops::Range;

/// Letters before what was found: enough to see what it is about, and few enough that what was found
/// is in sight in a narrow list.
const BEFORE: usize = 16;
/// Letters in all; no line is longer.
const LETTERS_MAX: usize = 200;

/// A part of a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Excerpt {
    /// One line of text, with an ellipsis where something before it is left out.
    pub text: String,
    /// Which bytes of it were searched for; empty if that is not in it.
    pub found: Range<usize>,
}

impl Excerpt {
    /// The part of a text around what was searched for, which is written in small letters.
    pub fn new(body: &str, wanted: &str) -> Self {
        let found = find(body, wanted).unwrap_or_default();
        let before = body[..found.start].chars().count();
        let skipped = before.saturating_sub(BEFORE);
        let mut excerpt = Self::default();
        if skipped > 0 {
            excerpt.text.push('…');
        }
        let letters = body.char_indices().skip(skipped).take(LETTERS_MAX);
        for (place, letter) in letters {
            if place == found.start {
                excerpt.found.start = excerpt.text.len();
            }
            let shown = if letter.is_control() { ' ' } else { letter };
            excerpt.text.push(shown);
            if found.contains(&place) {
                excerpt.found.end = excerpt.text.len();
            }
        }
        if excerpt.found.end == 0 {
            excerpt.found = 0..0;
        }
        excerpt
    }
}

/// The bytes of the first place where this is, in upper or lower case.
fn find(body: &str, wanted: &str) -> Option<Range<usize>> {
    if wanted.is_empty() {
        return None;
    }
    let mut starts = body.char_indices();
    starts.find_map(|(start, _)| {
        let end = start + length_of_match(&body[start..], wanted)?;
        Some(start..end)
    })
}

/// How many bytes at the beginning of a text are this, in upper or lower case.
fn length_of_match(text: &str, wanted: &str) -> Option<usize> {
    let mut wanted = wanted.chars().peekable();
    for (place, letter) in text.char_indices() {
        if wanted.peek().is_none() {
            return Some(place);
        }
        // A letter may become several small ones.
        for small in letter.to_lowercase() {
            if wanted.next() != Some(small) {
                return None;
            }
        }
    }
    wanted.peek().is_none().then_some(text.len())
}

#[cfg(test)]
mod tests {
    use super::{Excerpt, LETTERS_MAX};

    /// The excerpt, with brackets around what was found.
    fn marked(body: &str, wanted: &str) -> String {
        let Excerpt { text, found } = Excerpt::new(body, wanted);
        let (before, rest) = text.split_at(found.start);
        let (within, after) = rest.split_at(found.len());
        format!("{before}[{within}]{after}")
    }

    #[test]
    fn excerpt_begins_shortly_before_what_was_found() {
        let long = format!("{}WORD at last", "x".repeat(100));
        let shortened = format!("…{}[WORD] at last", "x".repeat(16));
        let cases = [
            ("short Word", "word", "short [Word]"),
            (&*long, "word", &*shortened),
            ("Jörg kauft STRASSE", "straße", "[]Jörg kauft STRASSE"),
            ("ÄÖÜ äöü", "öü", "Ä[ÖÜ] äöü"),
            ("two\nlines", "two", "[two] lines"),
            ("two\nlines", "lines", "two [lines]"),
            ("İstanbul", "i\u{307}st", "[İst]anbul"),
            ("İstanbul", "stan", "İ[stan]bul"),
            ("", "a", "[]"),
            ("a", "", "[]a"),
        ];
        for (body, wanted, expected) in cases {
            assert_eq!(marked(body, wanted), expected, "{body:?} {wanted:?}");
        }
    }

    #[test]
    fn excerpt_of_a_long_text_is_limited() {
        let excerpt = Excerpt::new(&"ä".repeat(5_000), &"ä".repeat(1_000));
        assert_eq!(excerpt.text.chars().count(), LETTERS_MAX);
        assert_eq!(excerpt.found, 0..excerpt.text.len());
    }
}
