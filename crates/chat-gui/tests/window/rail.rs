//! The rail of pages with text of several sizes, in windows of several sizes.
//!
//! Deliberately absent: what its entries lead to.

use chat_gui::model::action::UserAction;
use chat_gui::model::preferences::TextSize;
use egui::accesskit::Role;
use egui::{Rect, Vec2};
use egui_kittest::kittest::{NodeT, Queryable};

use crate::demo_window::{Test, open};

const ENTRIES: [&str; 5] = ["Chats", "People", "Cluster", "Settings", "Shortcuts"];

/// Where the entries are.
fn entries(harness: &Test) -> Vec<Rect> {
    let place = |name: &str| {
        let buttons = harness.query_all_by_role(Role::Button);
        let named = buttons.filter(|button| {
            let label = button.accesskit_node().label();
            label.is_some_and(|label| label.starts_with(name) && !label.starts_with("Chat with"))
        });
        let rects: Vec<Rect> = named.map(|button| button.rect()).collect();
        *rects.first().expect("the rail has it")
    };
    ENTRIES.map(place).to_vec()
}

fn with_text(percent: u16, size: Vec2) -> Test {
    let mut harness = open("chat-none-open");
    harness.set_size(size);
    let now = harness.state().model.now;
    let action = UserAction::SetTextSize(TextSize::new(percent));
    harness.state_mut().model.act(action, now);
    harness.run();
    harness
}

#[test]
fn entries_grow_with_the_text_where_there_is_room() {
    let large = Vec2::new(1280.0, 800.0);
    let normal = entries(&with_text(100, large));
    let doubled = entries(&with_text(200, large));
    for (normal, doubled) in normal.iter().zip(&doubled) {
        assert!(doubled.height() > normal.height() * 1.9);
        assert!(doubled.width() > normal.width() * 1.9);
    }
    let sizes = |entries: &[Rect]| entries.iter().map(Rect::size).collect::<Vec<Vec2>>();
    let smaller = entries(&with_text(80, large));
    assert_eq!(sizes(&smaller), sizes(&normal), "all can still be hit");
}

#[test]
fn entries_are_all_in_the_smallest_window() {
    let smallest = chat_gui::app::SIZE_MIN;
    for percent in [100, 150, 200] {
        let entries = entries(&with_text(percent, smallest));
        for (place, entry) in entries.iter().enumerate() {
            assert!(entry.left() >= 0.0 && entry.right() < smallest.x / 2.0);
            assert!(entry.top() >= 0.0 && entry.bottom() < smallest.y);
            for other in &entries[place + 1..] {
                assert!(!entry.intersects(*other), "{percent} %: {entries:?}");
            }
        }
    }
}
