//! Both searches: messages among those that are loaded, accounts on the servers.

use std::time::Duration;

use crate::model::command::Command;
use crate::model::conversation::Conversation;
use crate::model::event::BackendEvent;
use crate::model::excerpt::Excerpt;
use crate::model::failure::Failure;
use crate::model::message::Message;
use crate::model::names::{Name, PATTERN_BYTES_MAX};
use crate::model::navigation::Step;
use crate::model::search::{
    HITS_MAX, Hit, MessageSearch, PEOPLE_MAX, PeopleSearch, SearchScope, pattern_of,
};
use crate::model::{Model, ScrollTarget};

/// From the moment at which messages come to the search in them: many come at once.
const SEARCH_DELAY: Duration = Duration::from_millis(300);

impl Model {
    /// Searches chats, people and messages. Nothing typed is no search.
    pub(super) fn search_everywhere(&mut self, text: String, commands: &mut Vec<Command>) {
        if text.trim().is_empty() {
            if self.search().is_some() {
                self.message_search = None;
            }
            return;
        }
        self.search_people(&text, commands);
        let scope = SearchScope::Everywhere;
        let (hits, more) = self.find_hits(&scope, &text);
        self.message_search = Some(MessageSearch {
            scope,
            hits,
            more,
            text,
            current: None,
        });
    }

    /// Searches the messages of one conversation, and shows the newest hit.
    pub(super) fn search_in(&mut self, peer: Name, text: String) {
        let scope = SearchScope::Conversation(peer);
        let (hits, more) = self.find_hits(&scope, &text);
        let newest = hits.first().map(|hit| hit.id);
        if let Some(newest) = newest {
            self.scroll_to(ScrollTarget::Message(newest));
        }
        self.message_search = Some(MessageSearch {
            scope,
            text,
            hits,
            more,
            current: newest.map(|_| 0),
        });
    }

    /// Messages have come while a search is open: it is repeated soon.
    pub(super) fn outdate_search(&mut self) {
        if self.message_search.is_some() {
            let due = self.now.moment.plus(SEARCH_DELAY);
            self.memory.account.search_due.get_or_insert(due);
        }
    }

    /// Searches what was searched for again. The hit that is shown stays the same.
    pub(super) fn run_due_search(&mut self) {
        let due = self.memory.account.search_due;
        if due.is_none_or(|due| due > self.now.moment) {
            return;
        }
        self.memory.account.search_due = None;
        if let Some(mut search) = self.message_search.take() {
            let (hits, more) = self.find_hits(&search.scope, &search.text);
            search.more = more;
            search.replace_hits(hits);
            self.message_search = Some(search);
        }
    }

    /// What is found of a text, newest first, and whether there is more than is listed.
    fn find_hits(&self, scope: &SearchScope, text: &str) -> (Vec<Hit>, bool) {
        let found = match scope {
            SearchScope::Everywhere => matching(self.conversations.iter(), text),
            SearchScope::Conversation(peer) => {
                let conversation = self.conversations.get_key_value(peer);
                matching(conversation.into_iter(), text)
            }
        };
        (hits(&found, text), found.len() > HITS_MAX)
    }

    /// Leaves out hits whose messages were deleted since.
    pub(super) fn drop_gone_hits(&mut self) {
        let Some(search) = &mut self.message_search else {
            return;
        };
        let places = &self.memory.account.message_index.places;
        let is_there = |hit: &Hit| places.contains_key(&hit.id);
        if search.hits.iter().all(is_there) {
            return;
        }
        let hits = search.hits.iter().filter(|hit| is_there(hit));
        search.replace_hits(hits.cloned().collect());
    }

    pub(super) fn step_hit(&mut self, step: Step, commands: &mut Vec<Command>) {
        let Some(search) = &self.message_search else {
            return;
        };
        let count = search.hits.len();
        if count == 0 {
            return;
        }
        // The hits are newest first: upwards is the next of them.
        let next = match (search.current, step) {
            (None, Step::Previous) => 0,
            (None, Step::Next) => count - 1,
            (Some(current), Step::Previous) => (current + 1) % count,
            (Some(current), Step::Next) => (current + count - 1) % count,
        };
        self.show_hit(next, commands);
    }

    pub(super) fn show_hit(&mut self, place: usize, commands: &mut Vec<Command>) {
        let Some(search) = &mut self.message_search else {
            return;
        };
        let Some(hit) = search.hits.get(place).cloned() else {
            return;
        };
        search.current = Some(place);
        self.open_conversation_with(hit.peer, commands);
        self.scroll_to(ScrollTarget::Message(hit.id));
    }

    pub(super) fn search_people(&mut self, text: &str, commands: &mut Vec<Command>) {
        if self.account.is_none() {
            return;
        }
        let pattern = pattern_of(text);
        if pattern.len() > PATTERN_BYTES_MAX {
            self.people = PeopleSearch {
                text: Some(text.to_owned()),
                failure: Some(Failure::Incomplete("This pattern is too long.")),
                pattern,
                ..PeopleSearch::default()
            };
            return;
        }
        self.memory.account.people_repeated = false;
        // What lasts was about the earlier text.
        self.people.failure = self.people.failure.take().filter(Failure::may_pass);
        self.people.text = Some(text.to_owned());
        self.people.pattern = pattern.clone();
        self.people.busy = true;
        self.people.continues = false;
        commands.push(Command::SearchPeople {
            pattern,
            after: None,
        });
    }

    /// The page of people, which comes into sight now, asks for its list again: there may be new
    /// accounts.
    pub(super) fn outdate_people(&mut self) {
        self.people.text = None;
    }

    /// Repeats a search that failed for a reason that has passed.
    pub(super) fn repeat_people_search(&mut self, commands: &mut Vec<Command>) {
        let people = &mut self.people;
        if people.failure.as_ref().is_some_and(Failure::may_pass) && !people.busy {
            people.failure = None;
            people.busy = true;
            commands.push(Command::SearchPeople {
                pattern: people.pattern.clone(),
                after: people.next.clone().filter(|_| people.continues),
            });
        }
    }

    pub(super) fn more_people(&mut self, commands: &mut Vec<Command>) {
        let people = &mut self.people;
        if let (Some(after), false) = (people.next.clone(), people.busy) {
            people.busy = true;
            people.continues = true;
            people.failure = None;
            commands.push(Command::SearchPeople {
                pattern: people.pattern.clone(),
                after: Some(after),
            });
        }
    }

    /// An answer; one to an earlier pattern is dropped.
    pub(super) fn take_people(&mut self, event: BackendEvent, commands: &mut Vec<Command>) {
        match event {
            BackendEvent::People {
                pattern,
                names,
                next,
                continued,
            } if pattern == self.people.pattern => {
                let people = &mut self.people;
                people.busy = false;
                people.failure = None;
                people.listed = Some(pattern);
                if continued {
                    people.names.extend(names);
                } else {
                    people.names = names;
                }
                let full = people.names.len() >= PEOPLE_MAX;
                people.names.truncate(PEOPLE_MAX);
                people.next = next.filter(|_| !full);
            }
            BackendEvent::PeopleFailed { pattern, why } if pattern == self.people.pattern => {
                self.people.busy = false;
                self.people.failure = Some(why);
                // It began before the servers were back.
                if self.connection.is_online() && !self.memory.account.people_repeated {
                    self.memory.account.people_repeated = true;
                    self.repeat_people_search(commands);
                }
            }
            _ => {}
        }
    }
}

/// The messages with this text, newest first; one more than are listed, if there are more.
fn matching<'a>(
    conversations: impl Iterator<Item = (&'a Name, &'a Conversation)>,
    text: &str,
) -> Vec<Match<'a>> {
    let wanted = text.trim().to_lowercase();
    if wanted.is_empty() {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (peer, conversation) in conversations {
        let newest_first = conversation.messages.iter().rev();
        let matching = newest_first.filter(|message| message.body.to_lowercase().contains(&wanted));
        let matching = matching.take(HITS_MAX + 1);
        found.extend(matching.map(|message| Match {
            peer,
            conversation,
            message,
        }));
    }
    found.sort_by_key(|found| std::cmp::Reverse(found.message.sort_key));
    found.truncate(HITS_MAX + 1);
    found
}

/// What is shown of the messages that were found.
fn hits(found: &[Match<'_>], text: &str) -> Vec<Hit> {
    let wanted = text.trim().to_lowercase();
    let listed = found.iter().take(HITS_MAX);
    let hit = |found: &Match<'_>| Hit {
        peer: found.peer.clone(),
        id: found.message.id,
        named: found
            .conversation
            .holder(found.message)
            .named(found.peer)
            .into_owned(),
        at: found.message.at,
        excerpt: Excerpt::new(&found.message.body, &wanted),
    };
    listed.map(hit).collect()
}

/// A message that was found, and where.
struct Match<'a> {
    peer: &'a Name,
    conversation: &'a Conversation,
    message: &'a Message,
}
