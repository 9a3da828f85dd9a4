//! What the search above the list of conversations shows: chats, people and messages, in one list.
//!
//! Deliberately absent: the search in messages and the requests to the servers, which are the
//! reducer's.

use crate::model::Model;
use crate::model::connection::Connection;
use crate::model::conversation::ConversationLine;
use crate::model::names::{MessageId, Name};
use crate::model::search::{Hit, MessageSearch, SearchScope};

/// How many people are listed; the page of people has all of them.
pub const FOUND_PEOPLE_MAX: usize = 5;

/// An entry of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// The chat with a person.
    Chat(Name),
    /// A person with whom there is no chat yet.
    Person(Name),
    /// More people than are listed.
    AllPeople,
    /// A message.
    Message(MessageId),
}

/// Everything that was found, in the order in which it is shown.
#[derive(Debug)]
pub struct SearchResults<'a> {
    /// What for.
    pub text: &'a str,
    /// Chats by name, those that match best first.
    pub chats: Vec<ConversationLine<'a>>,
    /// People with whom there is no chat yet.
    pub people: FoundPeople<'a>,
    /// Messages, newest first.
    pub messages: &'a [Hit],
    /// Whether there are more messages than are listed.
    pub more_messages: bool,
}

/// People with whom there is no chat yet.
#[derive(Debug)]
pub struct FoundPeople<'a> {
    /// Who, [`FOUND_PEOPLE_MAX`] at most.
    pub names: Vec<&'a Name>,
    /// Whether there are more.
    pub more: bool,
    /// How much of the answer is known.
    pub state: PeopleState,
}

/// How much is known of the people who match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeopleState {
    /// The servers have answered.
    Known,
    /// The answer is on its way.
    Searching,
    /// The servers cannot be asked right now.
    Unavailable,
}

impl Model {
    /// The search above the list of conversations, while it is open.
    pub fn search(&self) -> Option<&MessageSearch> {
        let search = self.message_search.as_ref();
        search.filter(|search| search.scope == SearchScope::Everywhere)
    }

    /// What the search above the list of conversations has found, while it is open.
    pub fn search_results(&self) -> Option<SearchResults<'_>> {
        let search = self.search()?;
        Some(SearchResults {
            text: &search.text,
            chats: self.found_chats(&search.text),
            people: self.found_people(&search.text),
            messages: &search.hits,
            more_messages: search.more,
        })
    }

    fn found_chats(&self, text: &str) -> Vec<ConversationLine<'_>> {
        let wanted = text.trim().to_lowercase();
        let mut ranked: Vec<(Rank, ConversationLine<'_>)> = self
            .conversation_lines()
            .filter_map(|line| Some((rank(line.peer, &wanted)?, line)))
            .collect();
        // The latest first among those that match equally well.
        ranked.sort_by_key(|(rank, _)| *rank);
        ranked.into_iter().map(|(_, line)| line).collect()
    }

    /// How much is known of the people who match a text.
    pub fn people_state(&self, text: &str) -> PeopleState {
        let people = &self.people;
        let is_answered = people.text.as_deref() == Some(text) && !people.busy;
        let is_offline = matches!(
            self.connection,
            Connection::Reconnecting { .. } | Connection::Offline { .. }
        );
        if self.are_people_refused(text) || (is_answered && people.failure.is_none()) {
            PeopleState::Known
        } else if is_answered || is_offline {
            PeopleState::Unavailable
        } else {
            PeopleState::Searching
        }
    }

    /// Whether a text cannot be searched for, such as one that is too long: no name is like it.
    fn are_people_refused(&self, text: &str) -> bool {
        let failure = self.people.failure.as_ref();
        let is_current = self.people.text.as_deref() == Some(text);
        is_current && failure.is_some_and(|why| !why.may_pass())
    }

    fn found_people(&self, text: &str) -> FoundPeople<'_> {
        let people = &self.people;
        let state = self.people_state(text);
        let is_refused = self.are_people_refused(text);
        let wanted = text.trim().to_lowercase();
        // Until the answer comes, those of the earlier answer that still match.
        let matches =
            |name: &&Name| state == PeopleState::Known || name.to_lowercase().starts_with(&wanted);
        let mut names: Vec<&Name> = people
            .names
            .iter()
            .filter(|name| !is_refused && !self.conversations.contains_key(*name))
            .filter(matches)
            .take(FOUND_PEOPLE_MAX + 1)
            .collect();
        let known = state == PeopleState::Known && !is_refused;
        let more = names.len() > FOUND_PEOPLE_MAX || (known && people.next.is_some());
        names.truncate(FOUND_PEOPLE_MAX);
        FoundPeople { names, more, state }
    }
}

impl SearchResults<'_> {
    /// All entries, from the top to the bottom.
    pub fn entries(&self) -> Vec<Found> {
        let chats = self.chats.iter();
        let chats = chats.map(|line| Found::Chat(line.peer.clone()));
        let people = self.people.names.iter();
        let people = people.map(|name| Found::Person((*name).clone()));
        let all_people = self.people.more.then_some(Found::AllPeople);
        let messages = self.messages.iter().map(|hit| Found::Message(hit.id));
        chats
            .chain(people)
            .chain(all_people)
            .chain(messages)
            .collect()
    }
}

/// How well a name matches; the best is the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// It is the name.
    Whole,
    /// The name begins so.
    Beginning,
    /// A word of the name begins so.
    Word,
    /// It is somewhere in the name.
    Within,
}

/// How well a name matches a text in small letters; `None` if it does not.
fn rank(name: &str, wanted: &str) -> Option<Rank> {
    let name = name.to_lowercase();
    let mut places = name.match_indices(wanted).map(|(place, _)| place);
    let first = places.next()?;
    if name == wanted {
        return Some(Rank::Whole);
    }
    if first == 0 {
        return Some(Rank::Beginning);
    }
    let begins_word = |place: usize| {
        let before = name[..place].chars().next_back();
        before.is_none_or(|letter| !letter.is_alphanumeric())
    };
    if begins_word(first) || places.any(begins_word) {
        Some(Rank::Word)
    } else {
        Some(Rank::Within)
    }
}

#[cfg(test)]
mod tests {
    use super::{Rank, rank};

    #[test]
    fn names_are_ranked_by_where_the_text_is() {
        for (name, wanted, expected) in [
            ("Bob", "bob", Some(Rank::Whole)),
            ("Bobby", "bob", Some(Rank::Beginning)),
            ("jim-bob", "bob", Some(Rank::Word)),
            ("kabob Bob", "bob", Some(Rank::Word)),
            ("kabob", "bob", Some(Rank::Within)),
            ("alice", "bob", None),
            ("ÄRGER", "är", Some(Rank::Beginning)),
        ] {
            assert_eq!(rank(name, wanted), expected, "{name} {wanted}");
        }
    }
}
