//! The two searches: accounts on the servers, by pattern, and messages in this window, by text.

use crate::model::failure::Failure;
use crate::model::names::{MessageId, Name};

/// How many accounts are listed at most; more are asked for by a longer pattern.
pub const PEOPLE_MAX: usize = 1_000;
/// How many messages a search finds at most.
pub const HITS_MAX: usize = 1_000;

/// The search of accounts. What is being typed is the view's.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PeopleSearch {
    /// What was asked for; empty before the first search.
    pub pattern: String,
    /// Whether an answer is waited for.
    pub busy: bool,
    /// Who matches, so far.
    pub names: Vec<Name>,
    /// Where the next page goes on; `None` when all are listed.
    pub next: Option<String>,
    /// Why there is no answer.
    pub failure: Option<Failure>,
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

/// Where is searched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SearchScope {
    /// In one conversation.
    Conversation(Name),
    /// In all of them.
    Everywhere,
}

/// A message that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// In which conversation.
    pub peer: Name,
    /// Which message.
    pub id: MessageId,
}
