//! The search above the list of chats, used as a person would: chats, people and messages in one
//! list, with the keys and with the mouse.
//!
//! Deliberately absent: servers. Commands are recorded, and answered by the test.

use chat_gui::model::ScrollTarget;
use chat_gui::model::action::UserAction;
use chat_gui::model::command::Command;
use chat_gui::model::event::BackendEvent;
use chat_gui::model::failure::Failure;
use chat_gui::model::names::Name;
use chat_gui::model::navigation::Screen;
use egui::accesskit::Role;
use egui::{Event, Key, Modifiers, Vec2};
use egui_kittest::kittest::{NodeT, Queryable};

use crate::demo_window::{Test, enter, open, type_text};

fn press(harness: &mut Test, key: Key) {
    harness.key_press(key);
    harness.run();
}

fn press_control(harness: &mut Test, modifiers: Modifiers, key: Key) {
    harness.key_press_modifiers(Modifiers::COMMAND.plus(modifiers), key);
    harness.run();
}

/// Opens a page, goes to the field and types.
fn search(page: &str, text: &str) -> Test {
    let mut harness = open(page);
    press_control(&mut harness, Modifiers::NONE, Key::K);
    type_text(&mut harness, text);
    harness
}

/// The servers answer the search of people.
fn answer(harness: &mut Test, names: &[&str]) {
    let model = &mut harness.state_mut().model;
    let people = BackendEvent::People {
        pattern: model.people.pattern.clone(),
        names: names.iter().map(Name::new).collect(),
        next: None,
        continued: false,
    };
    model.receive(people, model.now);
    harness.run();
}

fn value(harness: &Test) -> String {
    harness.get_by_label("Search").value().unwrap_or_default()
}

fn is_shown(harness: &Test, label: &str) -> bool {
    harness.query_all_by_label_contains(label).next().is_some()
}

fn focused(harness: &Test) -> Option<String> {
    let all = harness.root().children_recursive();
    let mut focused = all.filter(egui_kittest::Node::is_focused);
    focused.next()?.accesskit_node().label()
}

fn open_peer(harness: &Test) -> Option<&str> {
    harness.state().model.open.as_deref()
}

/// Where headings and entries are, from the top.
fn sections(harness: &Test) -> Vec<String> {
    let all = harness.root().children_recursive();
    let found = all.filter_map(|node| {
        let named = node.accesskit_node();
        let label = named.label().or_else(|| named.value())?;
        let is_section = match node.accesskit_node().role() {
            Role::Heading => ["Chats", "People", "Messages"].contains(&&*label),
            Role::Button => ["Chat with ", "Message ", "Show all"]
                .iter()
                .any(|beginning| label.starts_with(beginning)),
            _ => false,
        };
        (is_section && node.rect().right() < 420.0).then(|| (node.rect().top(), label))
    });
    let mut found: Vec<(f32, String)> = found.collect();
    found.sort_by(|one, other| one.0.total_cmp(&other.0));
    let words = |label: String| {
        label
            .split([',', ':'])
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    found.into_iter().map(|(_, label)| words(label)).collect()
}

#[test]
fn chats_people_and_messages_are_in_one_list() {
    let mut harness = search("chat", "da");
    answer(&mut harness, &["Dagmar", "Daniel", "David"]);
    let expected = [
        "Chats",
        "Chat with David",
        "People",
        "Message Dagmar",
        "Message Daniel",
        "Messages",
        "Message with Benjamin",
        "Message with Charlotte",
        "Message with Eleanor",
        "Message with Eleanor",
    ];
    let shown = sections(&harness);
    assert_eq!(shown[..6], expected[..6]);
    assert!(
        shown[6..]
            .iter()
            .all(|entry| entry.starts_with("Message with "))
    );
    assert!(shown.len() > 6, "{shown:?}");
}

#[test]
fn arrows_go_through_all_sections_and_enter_opens() {
    let mut harness = search("chat", "da");
    answer(&mut harness, &["Dagmar"]);
    // The first is chosen: a chat.
    press(&mut harness, Key::Enter);
    assert_eq!(open_peer(&harness), Some("David"));
    assert_eq!(focused(&harness).as_deref(), Some("Message to David"));
    assert_eq!(value(&harness), "");

    // A person.
    let mut harness = search("chat", "da");
    answer(&mut harness, &["Dagmar"]);
    press(&mut harness, Key::ArrowDown);
    press(&mut harness, Key::Enter);
    assert_eq!(open_peer(&harness), Some("Dagmar"));
    assert_eq!(focused(&harness).as_deref(), Some("Message to Dagmar"));
    assert_eq!(value(&harness), "");

    // Messages, one after the other.
    let mut harness = search("chat", "da");
    answer(&mut harness, &["Dagmar"]);
    let hits = harness
        .state()
        .model
        .search()
        .expect("it is open")
        .hits
        .clone();
    assert!(hits.len() > 1);
    press(&mut harness, Key::ArrowDown);
    for hit in &hits {
        press(&mut harness, Key::ArrowDown);
        press(&mut harness, Key::Enter);
        assert_eq!(open_peer(&harness), Some(hit.peer.as_str()));
        let target = harness.state().model.scroll.target;
        assert_eq!(target, ScrollTarget::Message(hit.id));
        assert_eq!(focused(&harness).as_deref(), Some("Search"));
    }
    press(&mut harness, Key::Escape);
    assert_eq!(
        (value(&harness).as_str(), focused(&harness).as_deref()),
        ("", Some("Search"))
    );
    press(&mut harness, Key::Escape);
    assert_ne!(focused(&harness).as_deref(), Some("Search"));
    assert!(open_peer(&harness).is_some());
}

#[test]
fn what_is_chosen_stays_when_people_are_found_before_it() {
    let mut harness = search("chat", "dumpling");
    answer(&mut harness, &["dumpling-fan"]);
    press(&mut harness, Key::Enter);
    assert_eq!(open_peer(&harness), Some("David"));
}

#[test]
fn enter_in_the_frame_of_the_last_letter_opens_what_the_whole_text_finds() {
    let mut harness = search("chat", "e");
    let input = harness.input_mut();
    input.events.push(Event::Text("l".to_owned()));
    input.events.push(enter());
    harness.run();
    assert_eq!(open_peer(&harness), Some("Eleanor"));
}

#[test]
fn mouse_opens_entries_and_clears_the_search() {
    let mut harness = search("chat", "da");
    answer(&mut harness, &["Dagmar"]);
    let label = "Message with David: They have dumplings.";
    assert!(!is_shown(&harness, label));
    harness.get_by_label("Clear search").click();
    harness.run();
    assert_eq!(value(&harness), "");
    assert!(is_shown(&harness, "Chat with Charlotte"));
    type_text(&mut harness, "dumpl");
    harness.get_by_label_contains(label).click();
    harness.run();
    assert_eq!(open_peer(&harness), Some("David"));
    assert!(is_shown(&harness, label), "the list stays");
    harness.get_by_label("Clear search").click();
    harness.run();
    type_text(&mut harness, "da");
    answer(&mut harness, &["Dagmar"]);
    harness.get_by_label("Message Dagmar").click();
    harness.run();
    assert_eq!(open_peer(&harness), Some("Dagmar"));
}

#[test]
fn more_people_are_on_the_page_of_people() {
    let mut harness = search("chat", "x");
    answer(&mut harness, &["x1", "x2", "x3", "x4", "x5", "x6"]);
    assert!(is_shown(&harness, "Message x5"));
    assert!(!is_shown(&harness, "Message x6"));
    harness.get_by_label("Show all in People").click();
    harness.run();
    assert_eq!(harness.state().model.screen, Screen::People);
    let field = harness.get_by_label("Search people");
    assert_eq!(field.value().unwrap_or_default(), "x");
    assert!(is_shown(&harness, "Message x6"));
    // Other people are searched there; the field above the chats asks for its own again.
    harness.get_by_label("Search people").focus();
    harness.run();
    type_text(&mut harness, "y");
    press(&mut harness, Key::F2);
    assert_eq!(asked(&harness).last(), Some(&"[xX]*"));
}

fn asked(harness: &Test) -> Vec<&str> {
    let commands = harness.state().commands.iter();
    let patterns = commands.filter_map(|command| match command {
        Command::SearchPeople { pattern, .. } => Some(pattern.as_str()),
        _ => None,
    });
    patterns.collect()
}

#[test]
fn page_of_people_lists_all_at_once_and_typing_narrows() {
    let mut harness = open("chat");
    press(&mut harness, Key::F4);
    assert_eq!(asked(&harness), ["*"], "once");
    assert!(is_shown(&harness, "Loading people…"));
    answer(&mut harness, &["Albert", "Alice", "Bertha"]);
    assert!(is_shown(&harness, "3 people"));
    // Enter opens no one at random.
    press(&mut harness, Key::Enter);
    assert_eq!(harness.state().model.screen, Screen::People);
    type_text(&mut harness, "be");
    assert_eq!(asked(&harness), ["*", "[bB][eE]*"]);
    answer(&mut harness, &["Bertha"]);
    assert!(is_shown(&harness, "1 person"));
    press(&mut harness, Key::Enter);
    assert_eq!(open_peer(&harness), Some("Bertha"));
}

#[test]
fn page_of_people_loads_by_itself_once_online() {
    let mut harness = open("people-offline");
    assert!(is_shown(&harness, "People are shown here as soon as"));
    let model = &mut harness.state_mut().model;
    let failed = BackendEvent::PeopleFailed {
        pattern: "*".to_owned(),
        why: Failure::NoMajority,
    };
    model.receive(failed, model.now);
    harness.run();
    assert!(is_shown(&harness, "People are shown here as soon as"));
    answer(&mut harness, &["Albert"]);
    assert!(is_shown(&harness, "Message Albert"));
    let mut harness = open("people-more");
    assert!(is_shown(&harness, "16+ people"));
    harness.set_size(Vec2::new(1000.0, 1400.0));
    harness.run();
    harness.get_by_label("Show more").click();
    harness.run();
    assert!(matches!(
        harness.state().commands[..],
        [Command::SearchPeople { after: Some(_), .. }]
    ));
}

#[test]
fn offline_the_people_section_says_that_it_cannot_be_searched() {
    let mut harness = open("chat-search-offline");
    assert!(is_shown(&harness, "Can't search people right now."));
    assert!(is_shown(&harness, "Chat with Charlotte"));
    press_control(&mut harness, Modifiers::NONE, Key::K);
    type_text(&mut harness, "zz");
    assert!(is_shown(&harness, "No chats or messages found."));
    let harness = open("chat-search-nothing");
    assert!(is_shown(&harness, "Nothing found."));
}

#[test]
fn both_shortcuts_go_to_the_one_field() {
    let mut harness = open("chat");
    press_control(&mut harness, Modifiers::SHIFT, Key::F);
    assert_eq!(focused(&harness).as_deref(), Some("Search"));
    assert!(!is_shown(&harness, "Search all messages"));
    type_text(&mut harness, "cable");
    assert!(is_shown(&harness, "Message with Benjamin"));
    // The search in the chat takes its place.
    press_control(&mut harness, Modifiers::NONE, Key::F);
    let field = "Search messages with Benjamin";
    assert_eq!(focused(&harness).as_deref(), Some(field));
    assert_eq!(value(&harness), "");
}

#[test]
fn narrow_window_goes_from_a_hit_back_to_the_list() {
    let mut harness = open("chat");
    harness.set_size(Vec2::new(500.0, 700.0));
    harness.run();
    press_control(&mut harness, Modifiers::NONE, Key::K);
    type_text(&mut harness, "dumpl");
    press(&mut harness, Key::Enter);
    assert_eq!(open_peer(&harness), Some("David"));
    assert!(harness.query_by_label("Search").is_none());
    press(&mut harness, Key::Escape);
    assert_eq!(open_peer(&harness), None);
    assert_eq!(value(&harness), "dumpl");
    assert!(is_shown(&harness, "Message with David"));
    // A chat ends the search, so one step leads from it to the list of chats.
    press(&mut harness, Key::Escape);
    type_text(&mut harness, "dav");
    press(&mut harness, Key::Enter);
    assert_eq!(open_peer(&harness), Some("David"));
    press(&mut harness, Key::Escape);
    assert_eq!(open_peer(&harness), None);
    assert_eq!(value(&harness), "");
    assert!(is_shown(&harness, "Chat with Charlotte"));
}

#[test]
fn deleted_message_is_no_longer_listed() {
    let mut harness = search("chat", "dumpl");
    let hit = harness.state().model.search().expect("it is open").hits[0].id;
    let now = harness.state().model.now;
    let delete = UserAction::Delete(vec![hit]);
    harness.state_mut().model.act(delete, now);
    harness.run();
    assert!(!is_shown(&harness, "Message with David"));
}
