//! The search above the list of conversations, and the one in a conversation.

use super::{Window, id, page, received, up};
use crate::model::ScrollTarget;
use crate::model::action::UserAction;
use crate::model::command::Command;
use crate::model::event::{BackendEvent, Link};
use crate::model::failure::Failure;
use crate::model::found::{FOUND_PEOPLE_MAX, Found, PeopleState};
use crate::model::names::{MessageId, Name};
use crate::model::navigation::{Screen, Step};

fn search(window: &mut Window, text: &str) -> Vec<Command> {
    window.act(UserAction::Search(text.to_owned()))
}

/// Answers the last search of people.
fn answer(window: &mut Window, names: &[&str], next: Option<&str>) {
    window.receive(BackendEvent::People {
        pattern: window.model.people.pattern.clone(),
        names: names.iter().map(Name::new).collect(),
        next: next.map(str::to_owned),
        continued: false,
    });
}

/// `chat bob`, `person bo`, `all people`, `message 12`: what is listed, from the top.
fn listed(window: &Window) -> Vec<String> {
    let Some(results) = window.model.search_results() else {
        return Vec::new();
    };
    let entries = results.entries().into_iter();
    entries
        .map(|entry| match entry {
            Found::Chat(name) => format!("chat {name}"),
            Found::Person(name) => format!("person {name}"),
            Found::AllPeople => "all people".to_owned(),
            Found::Message(MessageId(id)) => format!("message {}", id.as_u128() >> 64),
        })
        .collect()
}

fn people_state(window: &Window) -> PeopleState {
    window.model.search_results().unwrap().people.state
}

/// Chats with bob and carol.
fn window() -> Window {
    let mut window = Window::of_alice();
    let messages = vec![
        received(21, "carol", true),
        received(12, "bob", true),
        received(2, "bob", true),
    ];
    window.receive(page(messages, false));
    window
}

#[test]
fn chats_people_and_messages_are_listed_in_this_order() {
    let mut window = window();
    window.receive(BackendEvent::Arrived(received(30, "a-m", true)));
    window.receive(BackendEvent::Arrived(received(31, "tom", true)));
    window.receive(BackendEvent::Arrived(received(29, "max", true)));
    let commands = search(&mut window, " M");
    let expected = Command::SearchPeople {
        pattern: "[mM]*".to_owned(),
        after: None,
    };
    assert_eq!(commands, [expected]);
    answer(&mut window, &["Mary", "max", "mo"], None);
    let expected = [
        "chat max",
        "chat a-m",
        "chat tom",
        "person Mary",
        "person mo",
        "message 31",
        "message 30",
        "message 29",
        "message 21",
        "message 12",
        "message 2",
    ];
    assert_eq!(listed(&window), expected);
    search(&mut window, "  ");
    assert!(window.model.search().is_none());
}

#[test]
fn few_people_are_listed_and_the_page_has_all() {
    let mut window = window();
    search(&mut window, "p");
    let names: Vec<String> = (0..=FOUND_PEOPLE_MAX)
        .map(|number| format!("p{number}"))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut expected: Vec<String> = names.iter().map(|name| format!("person {name}")).collect();
    expected.truncate(FOUND_PEOPLE_MAX);
    answer(&mut window, &names[..FOUND_PEOPLE_MAX], None);
    assert_eq!(listed(&window), expected);
    expected.push("all people".to_owned());
    answer(&mut window, &names, None);
    assert_eq!(listed(&window), expected);
    // There may be more on the servers.
    answer(&mut window, &names[..1], Some("p0"));
    assert_eq!(listed(&window), ["person p0", "all people"]);
}

#[test]
fn people_of_an_earlier_text_are_listed_only_while_they_match() {
    let mut window = window();
    search(&mut window, "p");
    assert_eq!(people_state(&window), PeopleState::Searching);
    answer(&mut window, &["paul", "Peter"], None);
    assert_eq!(people_state(&window), PeopleState::Known);
    search(&mut window, "pe");
    assert_eq!(people_state(&window), PeopleState::Searching);
    assert_eq!(listed(&window), ["person Peter"]);
    // Meanwhile the page of people has asked for others.
    window.act(UserAction::SearchPeople("x".to_owned()));
    answer(&mut window, &["xaver"], None);
    assert_eq!(people_state(&window), PeopleState::Searching);
    assert_eq!(listed(&window), [""; 0]);
}

#[test]
fn people_cannot_be_searched_offline_and_are_found_once_online() {
    let mut window = window();
    let failed = |window: &Window, why| BackendEvent::PeopleFailed {
        pattern: window.model.people.pattern.clone(),
        why,
    };
    window.receive(BackendEvent::Link(Link::Broken(Failure::Interrupted)));
    search(&mut window, "m1");
    assert_eq!(people_state(&window), PeopleState::Unavailable);
    assert_eq!(listed(&window), ["message 12"]);
    window.receive(failed(&window, Failure::Interrupted));
    assert_eq!(people_state(&window), PeopleState::Unavailable);
    let commands = window.receive(BackendEvent::Link(up()));
    assert!(matches!(commands[..], [Command::SearchPeople { .. }]));
    assert_eq!(people_state(&window), PeopleState::Searching);
    answer(&mut window, &["m1"], None);
    assert_eq!(listed(&window), ["person m1", "message 12"]);
    // No name is so long.
    search(&mut window, &"m".repeat(100));
    assert_eq!(people_state(&window), PeopleState::Known);
    assert_eq!(listed(&window), [""; 0]);
}

#[test]
fn found_message_is_opened_and_its_hit_is_marked() {
    let mut window = window();
    search(&mut window, "M");
    window.act(UserAction::ShowHit(2));
    assert_eq!(window.model.open, Some(Name::new("bob")));
    assert_eq!(window.model.scroll.target, ScrollTarget::Message(id(2)));
    let hit = |window: &Window| {
        let search = window.model.message_search.as_ref().unwrap();
        search.current.map(|place| search.hits[place].id)
    };
    assert_eq!(hit(&window), Some(id(2)));
    // Of a message that is deleted nothing is listed.
    window.receive(BackendEvent::Deleted(vec![id(12)]));
    assert_eq!(listed(&window), ["message 21", "message 2"]);
    assert_eq!(hit(&window), Some(id(2)));
    window.receive(BackendEvent::Deleted(vec![id(2)]));
    assert_eq!(hit(&window), None);
}

#[test]
fn search_in_a_conversation_takes_the_place_of_the_other_one() {
    let mut window = window();
    search(&mut window, "m");
    window.act(UserAction::OpenConversation(Name::new("bob")));
    window.act(UserAction::SearchIn {
        peer: Name::new("bob"),
        text: " M".to_owned(),
    });
    assert!(window.model.search().is_none());
    let hits = |window: &Window| {
        let search = window.model.message_search.as_ref().unwrap();
        search.hits.iter().map(|hit| hit.id).collect::<Vec<_>>()
    };
    assert_eq!(hits(&window), [id(12), id(2)]);
    assert_eq!(window.model.scroll.target, ScrollTarget::Message(id(12)));
    window.act(UserAction::StepHit(Step::Previous));
    assert_eq!(window.model.scroll.target, ScrollTarget::Message(id(2)));
    // Nothing typed above the list ends no other search.
    search(&mut window, "");
    assert!(window.model.message_search.is_some());
    window.act(UserAction::Back);
    assert_eq!(window.model.message_search, None);
    assert_eq!(window.model.screen, Screen::Chat);
}

fn all_people(after: Option<&str>) -> Command {
    Command::SearchPeople {
        pattern: "*".to_owned(),
        after: after.map(str::to_owned),
    }
}

#[test]
fn people_are_listed_without_a_text_and_again_when_their_page_is_shown() {
    let mut window = window();
    window.act(UserAction::Show(Screen::People));
    assert_eq!(window.model.people.text, None, "the page asks");
    let ask = UserAction::SearchPeople(String::new());
    assert_eq!(window.act(ask.clone()), [all_people(None)]);
    assert_eq!(window.model.people_state(""), PeopleState::Searching);
    answer(&mut window, &["alice", "bob"], None);
    assert_eq!(window.model.people_state(""), PeopleState::Known);
    assert_eq!(window.model.people.names.len(), 2);
    window.act(UserAction::Show(Screen::Chat));
    window.act(UserAction::Show(Screen::People));
    assert_eq!(window.model.people.text, None, "there may be new accounts");
    assert_eq!(window.act(ask), [all_people(None)]);
    assert_eq!(
        window.model.people.names.len(),
        2,
        "the list stays until then"
    );
}

#[test]
fn page_of_people_that_failed_is_loaded_once_online() {
    let mut window = window();
    let failed = |window: &mut Window| {
        window.receive(BackendEvent::Link(Link::Broken(Failure::Interrupted)));
        window.receive(BackendEvent::PeopleFailed {
            pattern: "*".to_owned(),
            why: Failure::Interrupted,
        });
        assert_eq!(window.model.people_state(""), PeopleState::Unavailable);
    };
    window.act(UserAction::SearchPeople(String::new()));
    failed(&mut window);
    let commands = window.receive(BackendEvent::Link(up()));
    assert_eq!(commands, [all_people(None)]);
    answer(&mut window, &["alice", "bob"], Some("bob"));

    // The same with a further page: those that are listed stay.
    assert_eq!(
        window.act(UserAction::MorePeople),
        [all_people(Some("bob"))]
    );
    failed(&mut window);
    assert_eq!(window.model.people.names.len(), 2);
    let commands = window.receive(BackendEvent::Link(up()));
    assert_eq!(commands, [all_people(Some("bob"))]);
    window.receive(BackendEvent::People {
        pattern: "*".to_owned(),
        names: vec![Name::new("carol")],
        next: None,
        continued: true,
    });
    assert_eq!(window.model.people.names.len(), 3);
    assert_eq!(window.model.people_state(""), PeopleState::Known);
}

/// What is listed is what is there, also when messages come after the last letter was typed.
#[test]
fn open_search_takes_in_messages_that_come_later_and_keeps_the_hit_that_is_shown() {
    let mut window = window();
    search(&mut window, "m3");
    assert_eq!(listed(&window), [""; 0]);
    window.receive(BackendEvent::Arrived(received(30, "bob", true)));
    window.wait(299);
    assert_eq!(listed(&window), [""; 0], "many come at once");
    window.wait(1);
    assert_eq!(listed(&window), ["message 30"]);

    window.act(UserAction::SearchIn {
        peer: Name::new("bob"),
        text: "m".to_owned(),
    });
    window.act(UserAction::StepHit(Step::Previous));
    let shown = |window: &Window| {
        let search = window.model.message_search.as_ref().unwrap();
        search.hits[search.current.unwrap()].id
    };
    assert_eq!(shown(&window), id(12));
    window.receive(BackendEvent::Arrived(received(31, "bob", true)));
    window.wait(300);
    assert_eq!(shown(&window), id(12));
    let hits = window.model.message_search.as_ref().unwrap().hits.len();
    assert_eq!(hits, 4);
}
