//! Addresses of web pages in a text: where each is, and which site it leads to.
//!
//! Deliberately absent: other schemes than `http` and `https`, addresses without a scheme, and
//! opening anything.

use std::ops::Range;

use url::Url;

/// The longest address that is a link, in bytes of UTF-8. A part of a longer one would lead
/// elsewhere, so a longer one is none.
pub const LINK_BYTES_MAX: usize = 2_048;
/// How many links of one text are found; more than a person follows. What comes later is text.
pub const LINKS_MAX: usize = 50;

/// What separates the scheme from the rest.
const SEPARATOR: &str = "://";
/// What a link does not end with: it belongs to the sentence.
const SENTENCE_MARKS: &[char] = &[
    '.', ',', ';', ':', '!', '?', '\'', '*', '_', '~', '…', '’', '”', '»', '›', '。', '、', '，',
    '；', '：', '！', '？', '」', '』', '）',
];
/// What a link ends with only if it has the opening one, too.
const BRACKETS: [(char, char); 2] = [('(', ')'), ('[', ']')];

/// An address of a web page that was found in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    written: String,
    url: Url,
}

/// A link and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundLink {
    /// Its bytes in the text.
    pub range: Range<usize>,
    /// What it is.
    pub link: Link,
}

impl Link {
    /// The link that this whole text is, if it is one.
    pub fn parse(text: &str) -> Option<Self> {
        let found = next_link(text, 0)?.found?;
        (found.range == (0..text.len())).then_some(found.link)
    }

    /// The address as it is written in the text.
    pub fn written(&self) -> &str {
        &self.written
    }

    /// The address as a browser reads it: only ASCII.
    pub fn address(&self) -> &str {
        self.url.as_str()
    }

    /// The site that it leads to, in ASCII: the name of a computer, or its number.
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// The host in the letters of its language, if that is something else than [`Self::host`].
    pub fn host_in_letters(&self) -> Option<String> {
        let letters = url::quirks::domain_to_unicode(self.host());
        (!letters.is_empty() && letters != self.host()).then_some(letters)
    }

    /// Whether something that looks like a site comes before the host, as in
    /// `https://bank.example@elsewhere.example`.
    pub fn has_user(&self) -> bool {
        !self.url.username().is_empty() || self.url.password().is_some()
    }

    /// The beginning of the address without its scheme, of at most `characters` characters.
    pub fn shortened(&self, characters: usize) -> String {
        let rest = self.written.split_once(SEPARATOR);
        let rest = rest.map_or(&*self.written, |(_, rest)| rest);
        let mut short: String = rest.chars().take(characters).collect();
        if short.len() < rest.len() {
            short.push('…');
        }
        short
    }
}

/// All links of a text in their order, at most [`LINKS_MAX`].
pub fn find(text: &str) -> Vec<FoundLink> {
    let mut links = Vec::new();
    let mut from = 0;
    while links.len() < LINKS_MAX {
        let Some(candidate) = next_link(text, from) else {
            break;
        };
        from = candidate.end;
        links.extend(candidate.found);
    }
    links
}

/// Something that begins like a link.
struct Candidate {
    /// Where the search goes on.
    end: usize,
    found: Option<FoundLink>,
}

/// The next place at or behind `from` that looks like the beginning of a link.
fn next_link(text: &str, from: usize) -> Option<Candidate> {
    let separator = from + text.get(from..)?.find(SEPARATOR)?;
    let behind = separator + SEPARATOR.len();
    let Some(start) = scheme_start(&text[from..separator]).map(|start| from + start) else {
        return Some(Candidate {
            end: behind,
            found: None,
        });
    };
    let length = text[behind..].find(ends_link);
    let end = length.map_or(text.len(), |length| behind + length);
    let written = without_sentence_marks(&text[start..end]);
    let found = link(written).map(|link| FoundLink {
        range: start..start + written.len(),
        link,
    });
    Some(Candidate { end, found })
}

/// Where in `before`, which ends at the separator, the scheme begins that makes a link.
fn scheme_start(before: &str) -> Option<usize> {
    let is_of_scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    let start = before.trim_end_matches(is_of_scheme).len();
    let scheme = &before[start..];
    let is_web = ["http", "https"]
        .iter()
        .any(|web| scheme.eq_ignore_ascii_case(web));
    let glued = before[..start]
        .chars()
        .next_back()
        .is_some_and(|c| matches!(c, '/' | '@' | '%' | '_'));
    (is_web && !glued).then_some(start)
}

/// What no address has in it: spaces, quotes, and what is not seen or turns the direction of text.
fn ends_link(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(
            c,
            '<' | '>' | '"' | '`' | '{' | '}' | '|' | '\\' | '^' | '“' | '„' | '«' | '「' | '『'
        )
        || matches!(
            c,
            '\u{AD}' | '\u{61C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
                | '\u{2060}'..='\u{206F}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFC}'
        )
}

/// Without what belongs to the sentence around the address. Looks at each character a few times only,
/// however many brackets there are: a person who writes them must not stop the reader's window.
fn without_sentence_marks(mut written: &str) -> &str {
    // How many brackets of a kind are closed and were never opened.
    let mut surplus = BRACKETS.map(|(open, close)| {
        let closed = written.matches(close).count();
        closed.saturating_sub(written.matches(open).count())
    });
    while let Some(last) = written.chars().next_back() {
        let bracket = BRACKETS.iter().position(|(_, close)| *close == last);
        let is_mark = match bracket.and_then(|place| surplus.get_mut(place)) {
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
            None => SENTENCE_MARKS.contains(&last),
        };
        if !is_mark {
            break;
        }
        written = &written[..written.len() - last.len_utf8()];
    }
    written
}

fn link(written: &str) -> Option<Link> {
    if written.len() > LINK_BYTES_MAX {
        return None;
    }
    // A browser would pass over further slashes, and read another host than a person does.
    let (_, rest) = written.split_once(SEPARATOR)?;
    if rest.starts_with('/') {
        return None;
    }
    let url = Url::parse(written).ok()?;
    let leads_somewhere = matches!(url.scheme(), "http" | "https")
        && url.host_str().is_some_and(|host| !host.is_empty())
        && url.as_str().len() <= LINK_BYTES_MAX * 3;
    leads_somewhere.then(|| Link {
        written: written.to_owned(),
        url,
    })
}

#[cfg(test)]
mod tests;
