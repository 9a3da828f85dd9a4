//! Both searches: messages among those that are loaded, accounts on the servers.

use crate::model::command::Command;
use crate::model::conversation::Conversation;
use crate::model::event::BackendEvent;
use crate::model::failure::Failure;
use crate::model::names::{Name, PATTERN_BYTES_MAX};
use crate::model::navigation::Step;
use crate::model::search::{
    HITS_MAX, Hit, MessageSearch, PEOPLE_MAX, PeopleSearch, SearchScope, pattern_of,
};
use crate::model::{Model, ScrollTarget};

impl Model {
    pub(super) fn search_messages(&mut self, scope: SearchScope, text: String) {
        let wanted = text.trim().to_lowercase();
        let mut found: Vec<(u64, Hit)> = Vec::new();
        if !wanted.is_empty() {
            match &scope {
                SearchScope::Conversation(peer) => {
                    if let Some(conversation) = self.conversations.get(peer) {
                        search(peer, conversation, &wanted, &mut found);
                    }
                }
                SearchScope::Everywhere => {
                    for (peer, conversation) in &self.conversations {
                        search(peer, conversation, &wanted, &mut found);
                    }
                }
            }
        }
        found.sort_by_key(|(index, _)| std::cmp::Reverse(*index));
        let more = found.len() > HITS_MAX;
        found.truncate(HITS_MAX);
        let current =
            (!found.is_empty() && matches!(scope, SearchScope::Conversation(_))).then_some(0);
        let hits: Vec<Hit> = found.into_iter().map(|(_, hit)| hit).collect();
        if current.is_some() {
            self.scroll_to(ScrollTarget::Message(hits[0].id));
        }
        self.message_search = Some(MessageSearch {
            scope,
            text,
            hits,
            more,
            current,
        });
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
        if text.trim().is_empty() {
            self.people = PeopleSearch::default();
            return;
        }
        let pattern = pattern_of(text);
        if pattern.len() > PATTERN_BYTES_MAX {
            self.people = PeopleSearch {
                failure: Some(Failure::Incomplete("This pattern is too long.")),
                pattern,
                ..PeopleSearch::default()
            };
            return;
        }
        self.memory.account.people_repeated = false;
        self.people.pattern = pattern.clone();
        self.people.busy = true;
        commands.push(Command::SearchPeople {
            pattern,
            after: None,
        });
    }

    /// Repeats a search that failed for a reason that has passed.
    pub(super) fn repeat_people_search(&mut self, commands: &mut Vec<Command>) {
        let people = &mut self.people;
        if people.failure.as_ref().is_some_and(Failure::may_pass) && !people.busy {
            people.failure = None;
            people.busy = true;
            commands.push(Command::SearchPeople {
                pattern: people.pattern.clone(),
                after: None,
            });
        }
    }

    pub(super) fn more_people(&mut self, commands: &mut Vec<Command>) {
        let people = &mut self.people;
        if let (Some(after), false) = (people.next.clone(), people.busy) {
            people.busy = true;
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

fn search(peer: &Name, conversation: &Conversation, wanted: &str, found: &mut Vec<(u64, Hit)>) {
    let matching = conversation
        .messages
        .iter()
        .rev()
        .filter(|message| message.body.to_lowercase().contains(wanted))
        .map(|message| {
            let hit = Hit {
                peer: peer.clone(),
                id: message.id,
            };
            (message.sort_key.index, hit)
        });
    found.extend(matching.take(HITS_MAX + 1));
}
