//! A conversation used as a person would: by role, by name, and by keys.
//!
//! Deliberately absent: servers. The commands of the model are recorded, and not answered.

use chat_gui::model::action::UserAction;
use chat_gui::model::command::Command;
use chat_gui::model::event::BackendEvent;
use chat_gui::model::message::{Direction, MessageState, StoredMessage};
use chat_gui::model::names::{Commit, LogIndex, MessageId, Name, Term};
use egui::accesskit::Role;
use egui::{Event, ImeEvent, Key, Modifiers};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT, Queryable};

use crate::demo_window::{Window, enter, open, type_text};

/// What was put into the outbox.
fn sent(harness: &Harness<'_, Window>) -> Vec<String> {
    let commands = harness.state().commands.iter();
    commands
        .filter_map(|command| match command {
            Command::Enqueue(outgoing) => Some(outgoing.body.to_string()),
            _ => None,
        })
        .collect()
}

fn composer_text(harness: &Harness<'_, Window>) -> String {
    harness
        .get_by_label("Message to Benjamin")
        .value()
        .unwrap_or_default()
}

#[test]
fn enter_sends_and_clears_the_field_and_shift_enter_breaks_the_line() {
    let mut harness = open("chat");
    let place = |harness: &Harness<'_, Window>, label| harness.get_by_label(label).rect();
    let before = ["Message to Benjamin", "Send"].map(|label| place(&harness, label));
    type_text(&mut harness, "first");
    harness.key_press_modifiers(Modifiers::SHIFT, Key::Enter);
    harness.run();
    type_text(&mut harness, "second");
    assert_eq!(composer_text(&harness), "first\nsecond");
    assert!(sent(&harness).is_empty());

    harness.key_press(Key::Enter);
    harness.run();
    assert_eq!(sent(&harness), ["first\nsecond"]);
    assert_eq!(composer_text(&harness), "");
    let field = harness.get_by_label("Message to Benjamin");
    assert!(field.is_focused(), "one can go on writing");
    let after = ["Message to Benjamin", "Send"].map(|label| place(&harness, label));
    assert_eq!(before, after, "the composer is as low as it was");
    assert!(message(&harness, "You, 14:50: first").is_some());
}

#[test]
fn enter_of_an_input_method_does_not_send() {
    let mut harness = open("chat");
    type_text(&mut harness, "konnichi");
    // Both in one frame, as the windowing system delivers the end of a composition.
    let input = harness.input_mut();
    input
        .events
        .push(Event::Ime(ImeEvent::Commit("wa".to_owned())));
    input.events.push(enter());
    harness.run();
    assert!(sent(&harness).is_empty());
}

#[test]
fn typed_text_becomes_the_draft_of_the_open_conversation_only() {
    let mut harness = open("chat");
    type_text(&mut harness, "half a sentence");
    let line = harness.get_by_label_contains("Chat with Charlotte");
    line.click();
    harness.run();
    let field = harness.get_by_label("Message to Charlotte");
    assert_eq!(field.value().unwrap_or_default(), "");
    harness.get_by_label_contains("Chat with Benjamin").click();
    harness.run();
    assert_eq!(composer_text(&harness), "half a sentence");
}

#[test]
fn rejected_message_can_be_retried() {
    let mut harness = open("chat-not-sent");
    harness.get_by_label("Retry").click();
    harness.run();
    let commands = harness.state().commands.iter();
    let retried = commands.filter(|command| matches!(command, Command::Requeue(_)));
    assert_eq!(retried.count(), 1);
    assert!(harness.query_by_label("Retry").is_none());
}

#[test]
fn deletion_of_several_messages_can_be_undone() {
    let mut harness = open("chat");
    let count = |harness: &Harness<'_, Window>| {
        let open = harness.state().model.open_conversation();
        open.map_or(0, |open| open.messages.len())
    };
    let before = count(&harness);
    // To the messages, up twice, and two of them selected.
    harness.key_press_modifiers(Modifiers::COMMAND, Key::M);
    harness.run();
    harness.key_press(Key::Space);
    harness.run();
    harness.key_press(Key::ArrowUp);
    harness.run();
    harness.key_press(Key::Space);
    harness.run();
    assert_eq!(harness.state().model.selection.len(), 2);
    harness
        .get_by_role_and_label(Role::Button, "Delete")
        .click();
    harness.run();
    assert_eq!(count(&harness), before - 2);
    harness.get_by_label("Undo").click();
    harness.run();
    assert_eq!(count(&harness), before);
}

#[test]
fn account_is_deleted_only_after_its_name_was_typed() {
    let mut harness = open("delete-account");
    let button = || "Delete account";
    let press = |harness: &mut Harness<'_, Window>| {
        harness
            .get_by_role_and_label(Role::Button, button())
            .click();
        harness.run();
    };
    type_text(&mut harness, "alice");
    press(&mut harness);
    assert!(!harness.state().commands.contains(&Command::DeleteAccount));
    harness.get_by_label("Type Alice to confirm").click();
    harness.run();
    harness.key_press_modifiers(Modifiers::COMMAND, Key::A);
    harness.run();
    type_text(&mut harness, "Alice");
    press(&mut harness);
    assert!(harness.state().commands.contains(&Command::DeleteAccount));
}

/// Where the first message with this text begins on the screen.
fn message(harness: &Harness<'_, Window>, text: &str) -> Option<f32> {
    let all = harness.query_all_by_role(Role::ListItem);
    let mut all = all.filter(|node| {
        let label = node.accesskit_node().label();
        label.is_some_and(|label| label.contains(text))
    });
    all.next().map(|node| node.rect().top())
}

#[test]
fn new_messages_do_not_move_the_scrolled_list() {
    let mut harness = open("chat-scrolled");
    let place = |harness: &Harness<'_, Window>| {
        message(harness, "Line 120 of a long evening").expect("it is in sight")
    };
    let before = place(&harness);
    for number in 0..5 {
        arrive(&mut harness, 700_000 + number, "Something new");
        harness.run();
        assert_eq!(place(&harness), before, "a newer message moved the list");
    }
    let older = arrival(1, "Something old that comes late");
    let now = harness.state().model.now;
    let event = BackendEvent::Arrived(older);
    harness.state_mut().model.receive(event, now);
    harness.run();
    assert_eq!(place(&harness), before, "an older message moved the list");

    harness.get_by_label_contains("Jump to newest").click();
    harness.run();
    assert!(message(&harness, "Something new").is_some());
    arrive(&mut harness, 800_000, "The very newest");
    harness.run();
    assert!(message(&harness, "The very newest").is_some());
}

/// S-A15: what the window shows of a name that two accounts have had.
#[test]
fn earlier_account_of_a_name_is_distinguished_from_the_present_one() {
    let mut harness = open("chat-other-account");
    let earlier = "Benjamin (an earlier account with this name)";
    let old = format!("{earlier}, 14:39: And the long power strip, please.");
    let new = "Benjamin, 14:50: Who are you?";
    let place = |harness: &Harness<'_, Window>, text: &str| message(harness, text);
    let line =
        harness.get_by_role_and_label(Role::Label, "From here on: another account named Benjamin");
    let line = line.rect().top();
    assert!(place(&harness, &old).expect("the old message is in sight") < line);
    assert!(place(&harness, new).expect("the new one is too") > line);
    assert!(place(&harness, "You to an earlier account with this name, ").is_some());

    let now = harness.state().model.now;
    let search = UserAction::Search("you".to_owned());
    harness.state_mut().model.act(search, now);
    harness.run();
    for hit in [
        "Message with Benjamin: Who are you?".to_owned(),
        format!("Message with {earlier}: …Thursday. Could you bring"),
    ] {
        let mut buttons = harness.query_all_by_role(Role::Button);
        let found = buttons.any(|node| {
            let label = node.accesskit_node().label();
            label.is_some_and(|label| label.starts_with(&hit))
        });
        assert!(found, "{hit}");
    }
}

fn arrival(index: u64, text: &str) -> StoredMessage {
    StoredMessage {
        id: MessageId(uuid::Uuid::from_u128(1_000_000 + u128::from(index))),
        direction: Direction::Received,
        peer: Name::new("Benjamin"),
        peer_since: Some(LogIndex(1)),
        body: text.into(),
        at: chat_gui::model::time::Timestamp(1_795_359_000.0),
        written_at: None,
        reply_to: None,
        read: true,
        commit: Commit {
            index: LogIndex(index),
            term: Term(7),
        },
    }
}

fn arrive(harness: &mut Harness<'_, Window>, index: u64, text: &str) {
    let now = harness.state().model.now;
    let event = BackendEvent::Arrived(arrival(index, text));
    harness.state_mut().model.receive(event, now);
}

#[test]
fn visible_messages_are_marked_as_read() {
    let mut harness = open("chat-none-open");
    assert!(harness.state().model.unread > 0);
    harness.get_by_label_contains("Chat with David").click();
    harness.run();
    let david = &harness.state().model.conversations[&Name::new("David")];
    assert_eq!(david.unread, 0);
    let unread = david
        .messages
        .iter()
        .any(|message| matches!(message.state, MessageState::Received { read: false, .. }));
    assert!(!unread);
    assert!(harness.query_by_label("Unread").is_some(), "the line stays");
}

#[test]
fn unfocused_window_marks_nothing_as_read() {
    let mut harness = open("chat-none-open");
    let now = harness.state().model.now;
    harness.state_mut().model.act(UserAction::Focus(false), now);
    harness.get_by_label_contains("Chat with David").click();
    harness.run();
    let david = &harness.state().model.conversations[&Name::new("David")];
    assert!(david.unread > 0);
}

#[test]
fn rejected_message_is_discarded_from_its_menu_and_by_key() {
    for by_key in [true, false] {
        let mut harness = open("chat-not-sent");
        harness.key_press_modifiers(Modifiers::COMMAND, Key::M);
        harness.run();
        if by_key {
            harness.key_press(Key::Delete);
        } else {
            harness.key_press(Key::Menu);
            harness.run();
            assert_eq!(harness.query_all_by_label("Delete").count(), 0);
            // The message has a button, too.
            let discard = harness.query_all_by_label("Discard").last();
            discard.expect("the menu is open").click();
        }
        harness.run();
        let commands = &harness.state().commands;
        assert!(
            matches!(commands.last(), Some(Command::Withdraw(_))),
            "by key {by_key}: {commands:?}"
        );
    }
}
