//! Copying the text of a message, by the pointer and by keys.
//!
//! Deliberately absent: the clipboard of the desktop.

use chat_gui::model::action::UserAction;
use egui::{CursorIcon, Event, Key, Modifiers, OutputCommand, PointerButton, Pos2};
use egui_kittest::kittest::Queryable;

use crate::demo_window::{Test, frames, open, open_menu};

/// A place in this row where the pointer is a hand.
fn button_beside(harness: &mut Test, message: &str) -> Option<Pos2> {
    let row = harness.get_by_label_contains(message).rect();
    let steps = (0..200_u16).map(|step| row.left() + f32::from(step) * 10.0);
    for x in steps.take_while(|x| *x < row.right()) {
        let place = egui::pos2(x, row.bottom() - 24.0);
        harness.event(Event::PointerMoved(place));
        harness.run_steps(3);
        if harness.output().platform_output.cursor_icon == CursorIcon::PointingHand {
            return Some(place);
        }
    }
    None
}

fn click(harness: &mut Test, place: Pos2) -> Vec<OutputCommand> {
    let mut commands = Vec::new();
    for pressed in [true, false] {
        harness.event(Event::PointerButton {
            pos: place,
            button: PointerButton::Primary,
            pressed,
            modifiers: Modifiers::NONE,
        });
        harness.run_steps(1);
        commands.extend(harness.output().platform_output.commands.clone());
    }
    commands
}

#[test]
fn button_beside_a_message_copies_its_text_and_says_so() {
    for (label, text) in [
        (
            "Benjamin, 14:39: And the long",
            "And the long power strip, please.",
        ),
        ("You, 13:19: Please do.", "Please do."),
    ] {
        let mut harness = open("chat");
        let before = harness.get_by_label_contains(label).rect();
        let place = button_beside(&mut harness, label).expect("there is a button");
        let after = harness.get_by_label_contains(label).rect();
        assert_eq!(before, after, "nothing moves");
        let copied = click(&mut harness, place);
        assert_eq!(copied, [OutputCommand::CopyText(text.to_owned())]);
        harness.run();
        assert!(harness.query_all_by_label("Copied.").next().is_some());
    }
}

#[test]
fn selected_messages_have_no_button() {
    let mut harness = open("chat-selection");
    let now = harness.state().model.now;
    assert!(!harness.state().model.selection.is_empty());
    harness.run();
    assert_eq!(
        button_beside(&mut harness, "Benjamin, 14:39: And the long"),
        None
    );
    let clear = UserAction::ClearSelection;
    harness.state_mut().model.act(clear, now);
    harness.run();
    assert!(button_beside(&mut harness, "Benjamin, 14:39: And the long").is_some());
}

#[test]
fn text_is_copied_by_keys() {
    let mut harness = open("chat");
    open_menu(&mut harness);
    // A step draws a frame for each event, and keeps what the last one did.
    harness.key_down(Key::Enter);
    let copied = frames(&mut harness);
    let text = "And the long power strip, please.".to_owned();
    assert_eq!(copied, [OutputCommand::CopyText(text)]);
    harness.run();
    assert!(harness.query_all_by_label("Copied.").next().is_some());
}
