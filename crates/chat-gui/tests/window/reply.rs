//! Replying with keyboard and mouse, as a screen reader reads it.

use egui::Key;
use egui_kittest::kittest::{NodeT, Queryable};

use crate::demo_window::{open, open_menu};

#[test]
fn reply_from_the_menu_is_quoted_and_the_composer_has_the_keyboard() {
    let mut harness = open("chat");
    open_menu(&mut harness);
    harness.get_by_label("Reply").click();
    harness.run();
    let replying = harness.query_all_by_label_contains("Replying to").next();
    assert!(replying.is_some());
    let composer = harness.get_by_label("Message to Benjamin");
    assert!(composer.is_focused());
    composer.type_text("yes");
    harness.run();
    harness.key_press(Key::Enter);
    harness.run();
    let replying = harness.query_all_by_label_contains("Replying to").next();
    assert!(replying.is_none(), "it is sent");
    let quoted = harness.query_all_by_label_contains(" replying to ");
    let labels: Vec<String> = quoted
        .filter_map(|row| row.accesskit_node().label())
        .collect();
    assert!(
        labels
            .iter()
            .any(|label| label.starts_with("You, ") && label.contains(": yes (")),
        "{labels:?}"
    );
}

#[test]
fn escape_and_the_cross_take_a_reply_away() {
    for by_key in [true, false] {
        let mut harness = open("chat-reply");
        let count = |harness: &crate::demo_window::Test| {
            harness.query_all_by_label_contains("Replying to").count()
        };
        assert_eq!(count(&harness), 1);
        if by_key {
            harness.key_press(Key::Escape);
        } else {
            harness.get_by_label("Cancel reply").click();
        }
        harness.run();
        assert_eq!(count(&harness), 0);
        assert_eq!(harness.query_all_by_label("Message to Benjamin").count(), 1);
    }
}
