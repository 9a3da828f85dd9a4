//! Every page of the demo at narrow and wide windows, with normal text and with the largest: no
//! control and no text lies on another one, and none is beyond the window's edge.
//!
//! Deliberately absent: what is painted without a node for screen readers, such as the lines of a
//! conversation; people look at that. The windows are so high that nothing is scrolled away.

use chat_gui::demo::{self, DemoPage};
use chat_gui::model::Model;
use chat_gui::model::action::UserAction;
use chat_gui::model::preferences::{TextSize, ThemeChoice};
use chat_gui::theme;
use chat_gui::views::{ViewState, window_ui};
use egui::accesskit::Role;
use egui::{Rect, Vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::{AccessKitNode, NodeT};

const WIDTHS: [f32; 3] = [360.0, 640.0, 1280.0];
const TEXT_SIZES: [u16; 2] = [100, 200];
/// Nothing has to be scrolled in a window of this height.
const HEIGHT: f32 = 12_000.0;
/// Less than a person sees, in points: sizes are rounded.
const TOLERANCE: f32 = 2.0;

/// Of eight lines of the largest text.
const COMPOSER_HEIGHT_MAX: f32 = 280.0;

struct Page {
    model: Model,
    state: ViewState,
}

fn open(page: &DemoPage, width: f32, percent: u16) -> Harness<'static, Page> {
    let mut model = page.model(ThemeChoice::Light);
    let now = model.now;
    model.act(UserAction::SetTextSize(TextSize::new(percent)), now);
    let state = page.state();
    let mut harness = Harness::builder()
        .with_size(Vec2::new(width, HEIGHT))
        .with_max_steps(10)
        .with_context_setup(theme::install)
        .build_ui_state(
            |ui, page: &mut Page| {
                window_ui(ui, &page.model, &mut page.state);
            },
            Page { model, state },
        );
    harness.run();
    harness
}

/// Something that a person reads or uses.
struct Item {
    name: String,
    rect: Rect,
}

fn items(harness: &Harness<'_, Page>) -> Vec<Item> {
    let in_dialog = harness.state().model.dialog.is_some();
    let all = harness.root().children_recursive();
    all.filter(|node| {
        let node = node.accesskit_node();
        let within_dialog = std::iter::successors(node.parent(), AccessKitNode::parent)
            .any(|up| up.role() == Role::Dialog);
        is_item(node.role())
            && node.bounding_box().is_some()
            && !node.is_hidden()
            && (within_dialog || !in_dialog)
    })
    .map(|node| {
        let rect = node.rect();
        let node = node.accesskit_node();
        let text = node.label().or_else(|| node.value()).unwrap_or_default();
        Item {
            name: format!("{:?} {text:?}", node.role()),
            rect,
        }
    })
    .filter(|item| item.rect.is_positive() && !is_scrolled(item))
    .collect()
}

fn is_item(role: Role) -> bool {
    matches!(
        role,
        Role::Label
            | Role::Heading
            | Role::Status
            | Role::Button
            | Role::RadioButton
            | Role::CheckBox
            | Role::TextInput
            | Role::PasswordInput
            | Role::SearchInput
            | Role::MultilineTextInput
    )
}

/// The composer scrolls within itself a text of more than eight lines.
fn is_scrolled(item: &Item) -> bool {
    item.name.starts_with("MultilineTextInput") && item.rect.height() > COMPOSER_HEIGHT_MAX
}

/// What is wrong with a page, in words.
fn faults(page: &DemoPage, width: f32, percent: u16) -> Vec<String> {
    let harness = open(page, width, percent);
    let items = items(&harness);
    assert!(!items.is_empty(), "{} shows something", page.name);
    let place = format!("{} at {width}, {percent} %", page.name);
    let mut faults = Vec::new();
    for (place_of, item) in items.iter().enumerate() {
        if item.rect.left() < -TOLERANCE || item.rect.right() > width + TOLERANCE {
            faults.push(format!(
                "{place}: {} beyond the edge, {}",
                item.name, item.rect
            ));
        }
        for other in &items[place_of + 1..] {
            let both = item.rect.intersect(other.rect);
            if both.width() > TOLERANCE && both.height() > TOLERANCE {
                faults.push(format!(
                    "{place}: {} {} on {} {}",
                    item.name, item.rect, other.name, other.rect
                ));
            }
        }
    }
    faults
}

/// Every page whose name begins so and with none of the others.
fn check(beginnings: &[&str]) {
    let mut found = Vec::new();
    let mut checked = 0;
    for page in demo::pages() {
        if !beginnings.iter().any(|start| page.name.starts_with(start)) {
            continue;
        }
        for width in WIDTHS {
            for percent in TEXT_SIZES {
                found.extend(faults(&page, width, percent));
                checked += 1;
            }
        }
    }
    assert!(checked > 0, "no page begins with {beginnings:?}");
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn entry_pages_fit_every_window_and_text_size() {
    check(&["first-run", "sign-"]);
}

#[test]
fn conversation_pages_fit_every_window_and_text_size() {
    check(&["chat"]);
}

#[test]
fn cluster_pages_fit_every_window_and_text_size() {
    check(&["cluster"]);
}

#[test]
fn other_pages_fit_every_window_and_text_size() {
    check(&[
        "people",
        "settings",
        "delete",
        "change",
        "shortcuts",
        "quit",
    ]);
}
