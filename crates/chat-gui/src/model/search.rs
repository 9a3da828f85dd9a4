//! The two searches: accounts on the servers, by pattern, and messages in this window, by text.
//! Deliberately absent: what is shown of both in one list, which is in `found`.

use crate::model::excerpt::Excerpt;
use crate::model::failure::Failure;
use crate::model::names::{MessageId, Name, PATTERN_BYTES_MAX};
use crate::model::time::Timestamp;

/// How many accounts are listed at most; a longer pattern finds the others.
pub const PEOPLE_MAX: usize = 1_000;
/// How many messages a search finds at most.
pub const HITS_MAX: usize = 1_000;

/// The search of accounts. What is being typed is the view's.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PeopleSearch {
    /// What was typed for the last search; `None` before the first one. A view that has another
    /// text asks for it.
    pub text: Option<String>,
    /// The pattern that this became.
    pub pattern: String,
    /// Whether an answer is waited for.
    pub busy: bool,
    /// Whether the last request was for a further page.
    pub continues: bool,
    /// Who matches, so far.
    pub names: Vec<Name>,
    /// The pattern that these match: the last one, or the one before it until the answer comes.
    pub listed: Option<String>,
    /// Where the next page goes on; `None` when all are listed.
    pub next: Option<String>,
    /// Why there is no answer.
    pub failure: Option<Failure>,
}

/// What the servers search for when a person types `text`: the pattern, if it is one, else the
/// names that begin so, in upper or lower case as far as that fits into a pattern. No text is the
/// beginning of all names.
pub fn pattern_of(text: &str) -> String {
    let text = text.trim();
    if text.contains(['*', '?', '[']) {
        return text.to_owned();
    }
    let either_case: String = text.chars().map(either_case).collect();
    [either_case + "*", format!("{text}*")]
        .into_iter()
        .find(|pattern| pattern.len() <= PATTERN_BYTES_MAX)
        .unwrap_or_else(|| text.to_owned())
}

/// A class of both cases of a letter; the letter itself, if it has no other one.
fn either_case(letter: char) -> String {
    let (lower, upper) = (letter.to_lowercase(), letter.to_uppercase());
    if lower.len() == 1 && upper.len() == 1 && !lower.clone().eq(upper.clone()) {
        format!("[{lower}{upper}]")
    } else {
        letter.to_string()
    }
}

/// A search in messages, while it is open.
#[derive(Clone, Debug, PartialEq)]
pub struct MessageSearch {
    /// Where.
    pub scope: SearchScope,
    /// What for; upper and lower case are the same.
    pub text: String,
    /// What was found, newest first.
    pub hits: Vec<Hit>,
    /// Whether there are more than are listed.
    pub more: bool,
    /// Which one is shown: a place in `hits`.
    pub current: Option<usize>,
}

impl MessageSearch {
    /// Lists other hits. The one that is shown stays the same, if it is among them.
    pub(super) fn replace_hits(&mut self, hits: Vec<Hit>) {
        let current = self.current.and_then(|place| self.hits.get(place));
        let current = current.map(|hit| hit.id);
        self.current = hits.iter().position(|hit| Some(hit.id) == current);
        self.hits = hits;
    }
}

/// Where is searched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SearchScope {
    /// In one conversation.
    Conversation(Name),
    /// In all of them: part of the search above the list of conversations.
    Everywhere,
}

/// A message that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// In which conversation.
    pub peer: Name,
    /// Which message.
    pub id: MessageId,
    /// The other one's name, with a note if it is an earlier account of it.
    pub named: String,
    /// When it was sent.
    pub at: Timestamp,
    /// The text around what was searched for.
    pub excerpt: Excerpt,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_without_wildcards_becomes_a_prefix_pattern() {
        let long = "x".repeat(PATTERN_BYTES_MAX);
        let cases = [
            (" ", "*"),
            ("bo", "[bB][oO]*"),
            ("Bo ", "[bB][oO]*"),
            ("jörg-2", "[jJ][öÖ][rR][gG]-2*"),
            ("straße", "[sS][tT][rR][aA]ß[eE]*"),
            ("b*", "b*"),
            ("?ob", "?ob"),
            ("[a-c]x", "[a-c]x"),
            ("seventeen-letters", "seventeen-letters*"),
            (&long[..63], &format!("{}*", &long[..63])),
            (&long, &long),
        ];
        for (text, pattern) in cases {
            assert_eq!(pattern_of(text), pattern, "{text}");
        }
    }
}
