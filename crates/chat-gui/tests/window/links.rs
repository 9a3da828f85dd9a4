//! Links in messages, used as a person would: clicked, by the menu, and by keys.
//!
//! Deliberately absent: which part of a text is a link, and any web browser.

use chat_gui::model::navigation::Dialog;
use egui::accesskit::Role;
use egui::{CursorIcon, Event, Key, Modifiers, OutputCommand, PointerButton, Pos2};
use egui_kittest::kittest::Queryable;

use crate::demo_window::{Test, frames, open, open_menu};

const SLIDES: &str = "https://example.org/talks/2026/replicated-chat";
const ABSTRACT: &str = "https://example.org/abstract";
const MESSAGE: &str = "Benjamin, 14:50: The slides are at";

fn asked_about(harness: &Test) -> Option<String> {
    match &harness.state().model.dialog {
        Some(Dialog::OpenLink(link)) => Some(link.written().to_owned()),
        _ => None,
    }
}

/// Where in the message the pointer is a hand.
fn place_of_link(harness: &mut Test) -> Pos2 {
    let row = harness.get_by_label_contains(MESSAGE).rect();
    for y in 0..20_u8 {
        for x in 0..40_u8 {
            let place = row.left_top() + egui::vec2(50.0, 6.0);
            let place = place + egui::vec2(f32::from(x) * 12.0, f32::from(y) * 6.0);
            harness.event(Event::PointerMoved(place));
            harness.run_steps(2);
            if harness.output().platform_output.cursor_icon == CursorIcon::PointingHand {
                return place;
            }
        }
    }
    panic!("no link in {row:?}");
}

fn button(harness: &mut Test, place: Pos2, pressed: bool) {
    harness.event(Event::PointerButton {
        pos: place,
        button: PointerButton::Primary,
        pressed,
        modifiers: Modifiers::NONE,
    });
    harness.run_steps(1);
}

#[test]
fn clicked_link_is_opened_only_after_the_question() {
    let mut harness = open("chat-links");
    let place = place_of_link(&mut harness);
    button(&mut harness, place, true);
    button(&mut harness, place, false);
    assert!(frames(&mut harness).is_empty(), "nothing is opened yet");
    assert_eq!(asked_about(&harness).as_deref(), Some(SLIDES));
    for text in ["example.org", SLIDES] {
        harness.get_by_role_and_label(Role::Label, text);
    }

    harness
        .get_by_role_and_label(Role::Button, "Cancel")
        .click();
    assert!(frames(&mut harness).is_empty());
    assert_eq!(asked_about(&harness), None);

    button(&mut harness, place, true);
    button(&mut harness, place, false);
    harness.run();
    harness.get_by_role_and_label(Role::Button, "Open").click();
    let opened = frames(&mut harness);
    let [OutputCommand::OpenUrl(opened)] = opened.as_slice() else {
        panic!("{opened:?}");
    };
    assert_eq!(opened.url, SLIDES);
    assert_eq!(asked_about(&harness), None);
}

#[test]
fn menu_offers_each_link_and_the_dialog_copies_it() {
    let mut harness = open("chat-links");
    harness.get_by_label_contains(MESSAGE).click_secondary();
    harness.run();
    harness
        .get_by_label("Open link: example.org/abstract")
        .click();
    harness.run();
    assert_eq!(asked_about(&harness).as_deref(), Some(ABSTRACT));
    harness
        .get_by_role_and_label(Role::Button, "Copy link")
        .click();
    let copied = frames(&mut harness);
    assert_eq!(copied, [OutputCommand::CopyText(ABSTRACT.to_owned())]);
    assert!(harness.query_all_by_label("Copied.").next().is_some());
}

#[test]
fn link_is_reached_by_keys_alone() {
    for (modifiers, key) in [(Modifiers::NONE, Key::Menu), (Modifiers::SHIFT, Key::F10)] {
        let mut harness = open("chat-links");
        harness.key_press_modifiers(Modifiers::COMMAND, Key::M);
        harness.run();
        harness.key_press_modifiers(modifiers, key);
        harness.run();
        assert!(harness.get_by_label("Copy text").is_focused(), "{key:?}");
        for below in ["Reply", "Open link…"] {
            harness.key_press(Key::ArrowDown);
            harness.run();
            assert!(harness.get_by_label(below).is_focused(), "{below}");
        }
        harness.key_press(Key::Enter);
        harness.run();
        let newest = "http://127.0.0.1:8000/slides.html";
        assert_eq!(asked_about(&harness).as_deref(), Some(newest));
        for button in ["Copy link", "Open"] {
            harness.key_press_modifiers(Modifiers::SHIFT, Key::Tab);
            harness.run();
            let button = harness.get_by_role_and_label(Role::Button, button);
            assert!(button.is_focused(), "{button:?}");
        }
        // A step draws a frame for each event, and keeps what the last one did.
        harness.key_down(Key::Enter);
        let opened = frames(&mut harness);
        assert!(matches!(opened.as_slice(), [OutputCommand::OpenUrl(_)]));
    }
}

#[test]
fn second_enter_opens_no_link() {
    let mut harness = open("chat-links");
    open_menu(&mut harness);
    harness.get_by_label("Open link…").focus();
    harness.run();
    harness.key_press(Key::Enter);
    harness.run();
    assert!(asked_about(&harness).is_some());
    assert!(
        harness
            .get_by_role_and_label(Role::Button, "Cancel")
            .is_focused()
    );
    harness.key_down(Key::Enter);
    assert!(frames(&mut harness).is_empty());
    assert_eq!(asked_about(&harness), None);
}

#[test]
fn closed_menu_returns_the_keyboard_to_the_messages() {
    let mut harness = open("chat-links");
    open_menu(&mut harness);
    harness.key_press(Key::Escape);
    harness.run();
    assert!(harness.query_by_label("Open link…").is_none());
    let newest = harness.get_by_label_contains("You, 14:50: Thank you! Mine are at");
    assert!(newest.is_focused());
}

#[test]
fn dragging_over_a_link_selects_text() {
    let mut harness = open("chat-links");
    let place = place_of_link(&mut harness);
    button(&mut harness, place, true);
    let end = place + egui::vec2(-60.0, 0.0);
    harness.event(Event::PointerMoved(end));
    harness.run_steps(2);
    button(&mut harness, end, false);
    assert_eq!(asked_about(&harness), None);
    harness.event(Event::Copy);
    let copied = frames(&mut harness);
    let [OutputCommand::CopyText(text)] = copied.as_slice() else {
        panic!("{copied:?}");
    };
    assert!("The slides are at https".contains(text.trim()), "{text:?}");
}

#[test]
fn imitated_site_is_named_in_ascii_with_a_warning() {
    let harness = open("chat-link-imitated");
    harness.get_by_role_and_label(Role::Label, "xn--bcher-kva.example");
    for words in ["This site may imitate another one.", "bücher.example, with"] {
        assert!(
            harness.query_all_by_label_contains(words).next().is_some(),
            "{words}"
        );
    }
}
