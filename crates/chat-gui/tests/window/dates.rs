//! The dialog that goes to a day of a chat, used as a person would.
//!
//! Deliberately absent: which message is of which day.

use chat_gui::model::navigation::Dialog;
use egui::accesskit::Role;
use egui::{Key, Modifiers};
use egui_kittest::kittest::{NodeT, Queryable};

use crate::demo_window::{Test, open, type_text};

fn is_in_sight(harness: &Test, text: &str) -> bool {
    let mut rows = harness.query_all_by_role(Role::ListItem);
    rows.any(|row| {
        let label = row.accesskit_node().label();
        label.is_some_and(|label| label.contains(text))
    })
}

fn is_open(harness: &Test) -> bool {
    matches!(harness.state().model.dialog, Some(Dialog::GoToDate { .. }))
}

#[test]
fn menu_of_a_chat_goes_to_a_day() {
    let mut harness = open("chat");
    harness
        .get_by_label_contains("Chat with Benjamin")
        .click_secondary();
    harness.run();
    harness.get_by_label("Go to date…").click();
    harness.run();
    let field = harness.get_by_role_and_label(Role::TextInput, "Date (year-month-day)");
    assert!(field.is_focused());

    type_text(&mut harness, "1.2.2026");
    harness.key_press(Key::Enter);
    harness.run();
    let advice = "Write it as year-month-day, for example 2026-11-22.";
    assert!(harness.query_by_label(advice).is_some());
    let field = harness.get_by_role_and_label(Role::TextInput, "Date (year-month-day)");
    assert_eq!(field.value().as_deref(), Some("1.2.2026"), "to be repaired");
    assert!(field.is_focused());

    let newest = "And the long power strip";
    let first = "Morning! Did the new cluster survive the night?";
    harness.key_press_modifiers(Modifiers::COMMAND, Key::A);
    harness.run();
    type_text(&mut harness, "2026-11-21");
    harness.key_press(Key::Enter);
    harness.run();
    assert!(!is_open(&harness));
    assert!(is_in_sight(&harness, first));
    assert!(!is_in_sight(&harness, newest));
}

#[test]
fn day_is_chosen_by_a_button() {
    let mut harness = open("chat-date");
    harness
        .get_by_role_and_label(Role::Button, "The beginning")
        .click();
    harness.run();
    assert!(!is_open(&harness));
    assert!(is_in_sight(&harness, "Morning!"));
    let said = "Loading older messages…";
    assert!(harness.query_all_by_label(said).next().is_some());
}

#[test]
fn menu_of_a_chat_is_opened_by_keys() {
    let mut harness = open("chat");
    harness.get_by_label_contains("Chat with Grace").focus();
    harness.run();
    harness.key_press_modifiers(Modifiers::SHIFT, Key::F10);
    harness.run();
    assert!(harness.get_by_label("Mark as unread").is_focused());
    harness.key_press(Key::ArrowUp);
    harness.run();
    harness.key_press(Key::ArrowUp);
    harness.run();
    assert!(harness.get_by_label("Go to date…").is_focused());
    harness.key_press(Key::Escape);
    harness.run();
    assert!(harness.query_by_label("Go to date…").is_none());
    let line = harness.get_by_label_contains("Chat with Grace");
    assert!(line.is_focused(), "the keyboard is where it was");

    harness.key_press(Key::Menu);
    harness.run();
    for _ in 0..2 {
        harness.key_press(Key::ArrowUp);
        harness.run();
    }
    harness.key_press(Key::Enter);
    harness.run();
    assert!(is_open(&harness));
    let field = harness.get_by_role_and_label(Role::TextInput, "Date (year-month-day)");
    assert!(field.is_focused());
}
