//! The keyboard and the menus of the window, used as a person would: where the keyboard is after
//! each step, what Enter and Esc do, and what can be undone.
//!
//! Deliberately absent: servers. The commands of the model are recorded, and not answered.

use std::collections::BTreeSet;

use chat_gui::model::command::Command;
use chat_gui::model::event::BackendEvent;
use chat_gui::model::failure::Failure;
use chat_gui::model::names::Name;
use chat_gui::model::navigation::Dialog;
use egui::accesskit::Role;
use egui::{Event, Key, Modifiers, Vec2};
use egui_kittest::kittest::{NodeT, Queryable};

use crate::demo_window::{Test, open, type_text};

fn press(harness: &mut Test, key: Key) {
    harness.key_press(key);
    harness.run();
}

fn press_control(harness: &mut Test, key: Key) {
    harness.key_press_modifiers(Modifiers::COMMAND, key);
    harness.run();
}

fn receive(harness: &mut Test, event: BackendEvent) {
    let now = harness.state().model.now;
    harness.state_mut().model.receive(event, now);
    harness.run();
}

/// The name of what the keyboard goes to.
fn focused(harness: &Test) -> Option<String> {
    let all = harness.root().children_recursive();
    let mut focused = all.filter(egui_kittest::Node::is_focused);
    focused.next()?.accesskit_node().label()
}

fn check_focus(harness: &Test, label: &str) {
    assert_eq!(focused(harness).as_deref(), Some(label));
}

fn is_shown(harness: &Test, label: &str) -> bool {
    harness.query_all_by_label(label).next().is_some()
}

fn value(harness: &Test, label: &str) -> String {
    harness.get_by_label(label).value().unwrap_or_default()
}

fn open_peer(harness: &Test) -> Option<&str> {
    harness.state().model.open.as_deref()
}

/// Opens the menu of a conversation and presses one of its entries.
fn choose(harness: &mut Test, peer: &str, entry: &str) {
    let line = format!("Chat with {peer}");
    harness.get_by_label_contains(&line).click_secondary();
    harness.run();
    // The header of the conversation, on the right, has a button of the same name.
    let entries = harness.get_all_by_label(entry);
    let in_menu = entries.min_by(|one, other| one.rect().left().total_cmp(&other.rect().left()));
    in_menu.expect("the menu has it").click();
    harness.run();
}

#[test]
fn failed_sign_in_focuses_the_field_to_repair() {
    let cases = [
        ("sign-up", Failure::NameTaken, "Name"),
        ("sign-in", Failure::WrongCredentials, "Password"),
        ("sign-in", Failure::NoMajority, "Password"),
    ];
    for (page, failure, field) in cases {
        let mut harness = open(page);
        harness.get_by_label("Password").focus();
        harness.run();
        press(&mut harness, Key::Enter);
        let asked = harness
            .state()
            .commands
            .iter()
            .any(|command| matches!(command, Command::SignIn { .. } | Command::SignUp { .. }));
        assert!(asked, "{page}: Enter submits the form");
        receive(&mut harness, BackendEvent::SignInFailed(failure));
        check_focus(&harness, field);
    }
}

#[test]
fn enter_in_any_field_goes_to_the_missing_one_or_submits() {
    let mut harness = open("sign-up");
    harness.state_mut().state.sign_in.repeated.clear();
    harness.get_by_label("Name").focus();
    harness.run();
    press(&mut harness, Key::Enter);
    check_focus(&harness, "Confirm password");
    type_text(&mut harness, "another one");
    press(&mut harness, Key::Enter);
    check_focus(&harness, "Confirm password");
    assert!(is_shown(&harness, "The passwords don't match."));
    assert!(harness.state().commands.is_empty());
    harness.state_mut().state.sign_in.repeated = "correct horse".to_owned();
    harness.get_by_label("Name").focus();
    harness.run();
    press(&mut harness, Key::Enter);
    let commands = &harness.state().commands[..];
    assert!(matches!(commands, [Command::SignUp { .. }]), "{commands:?}");
}

#[test]
fn other_form_has_no_error_and_no_wrong_password() {
    let mut harness = open("sign-in-failed");
    let sentence = Failure::WrongCredentials.sentence();
    assert!(is_shown(&harness, &sentence));
    harness.get_by_label("Create account").click();
    harness.run();
    assert!(!is_shown(&harness, &sentence));
    assert_eq!(value(&harness, "Password"), "");
    assert_eq!(value(&harness, "Name"), "Alice");
    check_focus(&harness, "Name");
}

#[test]
fn refused_address_keeps_the_focus_and_enter_uses_the_local_cluster() {
    let mut harness = open("first-run");
    check_focus(&harness, "Use this cluster");
    harness.get_by_label("Or the address of a server").focus();
    harness.run();
    type_text(&mut harness, "nonsense");
    press(&mut harness, Key::Enter);
    let refused = BackendEvent::ServersRefused(Failure::AddressUnusable(String::new()));
    receive(&mut harness, refused);
    check_focus(&harness, "Or the address of a server");
    harness.state_mut().state.addresses.text.clear();
    press(&mut harness, Key::Enter);
    let uses = |command: &&Command| matches!(command, Command::UseServers(all) if all.len() == 3);
    assert_eq!(harness.state().commands.iter().filter(uses).count(), 1);
}

#[test]
fn enter_changes_the_password_and_a_wrong_one_is_focused() {
    let mut harness = open("change-password");
    for text in ["old", "new", "new"] {
        type_text(&mut harness, text);
        press(&mut harness, Key::Enter);
    }
    let commands = &harness.state().commands[..];
    assert!(
        matches!(commands, [Command::ChangePassword { .. }]),
        "{commands:?}"
    );
    receive(
        &mut harness,
        BackendEvent::AccountFailed(Failure::WrongCredentials),
    );
    check_focus(&harness, "Current password");
}

#[test]
fn escape_closes_one_thing_at_a_time() {
    let mut harness = open("chat");
    press_control(&mut harness, Key::K);
    type_text(&mut harness, "Char");
    press(&mut harness, Key::Escape);
    assert_eq!(value(&harness, "Search"), "");
    assert_eq!(open_peer(&harness), Some("Benjamin"));
    check_focus(&harness, "Search");
    press(&mut harness, Key::Escape);
    assert_eq!(open_peer(&harness), Some("Benjamin"));
    check_focus(&harness, "Message to Benjamin");

    let message = "And the long power strip, please. (received";
    harness.get_by_label_contains(message).click_secondary();
    harness.run();
    assert!(harness.query_by_label("Copy text").is_some());
    press(&mut harness, Key::Escape);
    assert!(harness.query_by_label("Copy text").is_none());
    assert_eq!(open_peer(&harness), Some("Benjamin"));
    press(&mut harness, Key::Escape);
    assert_eq!(open_peer(&harness), None);
}

#[test]
fn typing_anywhere_in_a_conversation_goes_to_the_composer() {
    let mut harness = open("chat");
    press_control(&mut harness, Key::M);
    assert_ne!(focused(&harness).as_deref(), Some("Message to Benjamin"));
    type_text(&mut harness, "w");
    type_text(&mut harness, "ords");
    assert_eq!(value(&harness, "Message to Benjamin"), "words");
    // A space is for what has the keyboard.
    press_control(&mut harness, Key::M);
    harness.event(Event::Text(" ".to_owned()));
    press(&mut harness, Key::Space);
    assert_eq!(harness.state().model.selection.len(), 1);
    assert_eq!(value(&harness, "Message to Benjamin"), "words");
}

#[test]
fn chat_search_is_used_with_enter_and_arrows() {
    let mut harness = open("chat");
    press_control(&mut harness, Key::K);
    type_text(&mut harness, "dav");
    press(&mut harness, Key::Enter);
    assert_eq!(open_peer(&harness), Some("David"));
    check_focus(&harness, "Message to David");
    assert_eq!(value(&harness, "Search"), "");

    let third = harness.state().model.order[2].clone();
    press_control(&mut harness, Key::K);
    for key in [
        Key::ArrowDown,
        Key::ArrowDown,
        Key::ArrowDown,
        Key::ArrowDown,
        Key::ArrowUp,
        Key::Enter,
    ] {
        press(&mut harness, key);
    }
    assert_eq!(open_peer(&harness), Some(third.as_str()));
}

#[test]
fn last_deletion_is_undone_by_key_unless_something_was_typed_since() {
    let mut harness = open("chat-undo");
    let count = |harness: &Test| {
        let open = harness.state().model.open_conversation();
        open.map_or(0, |open| open.messages.len())
    };
    let before = count(&harness);
    press_control(&mut harness, Key::Z);
    assert_eq!(count(&harness), before + 3);
    check_focus(&harness, "Message to Benjamin");

    let mut harness = open("chat-undo");
    type_text(&mut harness, "x");
    press_control(&mut harness, Key::Z);
    assert_eq!(count(&harness), before, "it is about the text");
    harness.get_by_label("Undo").click();
    harness.run();
    assert_eq!(count(&harness), before + 3);
    check_focus(&harness, "Message to Benjamin");
}

#[test]
fn row_menu_marks_pins_mutes_and_deletes_a_chat() {
    let mut harness = open("chat");
    choose(&mut harness, "Grace", "Pin");
    assert_eq!(&*harness.state().model.order[0], "Grace");
    choose(&mut harness, "Grace", "Mark as unread");
    let line = "Chat with Grace, marked as unread, pinned";
    assert!(harness.query_by_label_contains(line).is_some());
    choose(&mut harness, "Grace", "Mute");
    assert!(harness.state().model.conversations[&Name::new("Grace")].muted);
    let saved = harness
        .state()
        .commands
        .iter()
        .rev()
        .find_map(|command| match command {
            Command::SaveMarks(marks) => Some(marks.clone()),
            _ => None,
        });
    let grace = BTreeSet::from([Name::new("Grace")]);
    let saved = saved.expect("the marks are saved");
    assert_eq!((&saved.pinned, &saved.unread), (&grace, &grace));

    harness.get_by_label_contains("Chat with Grace").click();
    harness.run();
    assert!(harness.state().model.marks.unread.is_empty());
    choose(&mut harness, "Grace", "Unpin");
    choose(&mut harness, "Grace", "Unmute");
    choose(&mut harness, "Grace", "Delete chat…");
    harness
        .get_by_role_and_label(Role::Button, "Delete chat")
        .click();
    harness.run();
    assert!(
        harness
            .query_by_label_contains("Chat with Grace,")
            .is_none()
    );
    assert_eq!(open_peer(&harness), None);
    press_control(&mut harness, Key::Z);
    assert!(
        harness
            .query_by_label_contains("Chat with Grace,")
            .is_some()
    );
}

#[test]
fn unread_filter_lists_unread_chats_and_opens_the_oldest_message() {
    let mut harness = open("chat-none-open");
    let listed = |harness: &Test| {
        let lines = harness.query_all_by_label_contains("Chat with ");
        lines
            .filter_map(|line| line.accesskit_node().label())
            .count()
    };
    let all = listed(&harness);
    press(&mut harness, Key::F3);
    assert_eq!((all, listed(&harness)), (7, 2));
    harness.get_by_label("Open oldest unread").click();
    harness.run();
    assert_eq!(open_peer(&harness), Some("David"));
    harness.get_by_label("All").click();
    harness.run();
    assert_eq!(listed(&harness), all);
}

#[test]
fn unread_messages_are_counted_at_chats() {
    let harness = open("people");
    let unread = harness.state().model.unread;
    assert!(unread > 0);
    let entry = format!("Chats, {unread} unread");
    harness.get_by_role_and_label(Role::Button, &entry);
}

#[test]
fn waiting_messages_are_named_before_the_window_closes() {
    let mut harness = open("chat-offline");
    press_control(&mut harness, Key::Q);
    assert_eq!(harness.state().model.dialog, Some(Dialog::Quit));
    let sentence = "2 messages are waiting to be sent.";
    assert!(harness.query_by_label_contains(sentence).is_some());
    press(&mut harness, Key::Escape);
    assert!(!harness.state().model.closing);
    press_control(&mut harness, Key::Q);
    press(&mut harness, Key::Enter);
    assert!(harness.state().model.closing);

    let mut harness = open("chat");
    press_control(&mut harness, Key::Q);
    assert!(harness.state().model.closing, "nothing waits");
}

#[test]
fn status_line_has_its_details_in_a_dialog() {
    let mut harness = open("chat-no-server");
    let sentence = "Offline. Messages are sent when you are back online.";
    harness.get_by_role_and_label(Role::Status, sentence);
    assert!(!is_shown(&harness, "127.0.0.1:7402"));
    harness.get_by_label("Details").click();
    harness.run();
    assert_eq!(harness.state().model.dialog, Some(Dialog::Connection));
    for shown in [
        "127.0.0.1:7402",
        "does not answer: connection refused",
        "Since",
        "No server answers.",
        "Next attempt",
    ] {
        assert!(is_shown(&harness, shown), "{shown}");
    }
    press(&mut harness, Key::Enter);
    assert!(harness.state().commands.contains(&Command::TryNow));
    press(&mut harness, Key::Escape);
    assert_eq!(harness.state().model.dialog, None);
    assert_eq!(open_peer(&harness), Some("Benjamin"));

    let harness = open("chat");
    assert!(!is_shown(&harness, "Details"), "all is well");
}

#[test]
fn time_of_a_message_has_seconds_and_date_on_hovering() {
    let mut harness = open("chat");
    let message = "And the long power strip, please. (received";
    let row = harness.get_by_label_contains(message).rect();
    // The time is in the bubble, on its last line.
    let places = (0..60_u8).map(|step| row.left() + 60.0 + f32::from(step) * 10.0);
    let mut found = false;
    for x in places {
        let place = egui::pos2(x, row.bottom() - 24.0);
        harness.event(Event::PointerMoved(place));
        harness.run_steps(4);
        found |= harness
            .query_by_label_contains("2026-11-22 14:39:00")
            .is_some();
    }
    assert!(found, "no place in {row:?} shows the time");
}

#[test]
fn narrow_window_shows_the_list_or_a_conversation() {
    let mut harness = open("chat");
    harness.set_size(Vec2::new(500.0, 700.0));
    harness.run();
    let has_list = |harness: &Test| {
        let lines = harness.query_all_by_label_contains("Chat with ");
        lines.count() > 0
    };
    assert!(!has_list(&harness));
    harness.get_by_label("Back to chats").click();
    harness.run();
    assert!(has_list(&harness));
    assert_eq!(open_peer(&harness), None);
    harness.get_by_label_contains("Chat with David").click();
    harness.run();
    assert!(!has_list(&harness));
    check_focus(&harness, "Message to David");
    press_control(&mut harness, Key::K);
    assert!(has_list(&harness));
    check_focus(&harness, "Search");
}
