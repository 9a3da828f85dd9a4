//! Every page of the demo, walked headless in both themes and two sizes: each control has a name
//! and is reached by Tab, every letter can be drawn, and no page requests frames without end.
//!
//! Deliberately absent: what a page does; and pixels, which are looked at by people.

use std::collections::BTreeSet;

use chat_gui::demo::{self, DemoPage};
use chat_gui::model::Model;
use chat_gui::model::action::UserAction;
use chat_gui::model::preferences::ThemeChoice;
use chat_gui::theme;
use chat_gui::views::{ViewState, window_ui};
use egui::accessibility::is_input;
use egui::accesskit::Role;
use egui::{Key, Modifiers, Vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT, Queryable};

/// The sizes that everything must fit into.
const SIZES: [Vec2; 2] = [Vec2::new(1280.0, 800.0), Vec2::new(900.0, 600.0)];

/// A page and what its views keep.
struct Page {
    model: Model,
    state: ViewState,
    wanted: Vec<UserAction>,
}

fn open(page: &DemoPage, theme: ThemeChoice, size: Vec2) -> Harness<'static, Page> {
    let shown = Page {
        model: page.model(theme),
        state: page.state(),
        wanted: Vec::new(),
    };
    Harness::builder()
        .with_size(size)
        .with_max_steps(10)
        .with_context_setup(theme::install)
        .build_ui_state(
            |ui, page: &mut Page| {
                let wanted = window_ui(ui, &page.model, &mut page.state);
                page.wanted.extend(wanted);
            },
            shown,
        )
}

/// Every page whose name begins so, in both themes and all sizes.
fn walk(beginnings: &[&str]) {
    let pages = demo::pages();
    let chosen = pages
        .iter()
        .filter(|page| beginnings.iter().any(|start| page.name.starts_with(start)));
    let mut walked = 0;
    for page in chosen {
        for theme in [ThemeChoice::Light, ThemeChoice::Dark] {
            for size in SIZES {
                println!("{} {theme:?} {size}", page.name);
                let mut harness = open(page, theme, size);
                harness.run();
                check_size(&harness, size);
                if theme == ThemeChoice::Light {
                    check_tab(&mut harness, page.name);
                }
                walked += 1;
            }
        }
    }
    assert!(walked > 0, "no page begins with {beginnings:?}");
}

/// Nothing that can be used is outside the window.
fn check_size(harness: &Harness<'_, Page>, size: Vec2) {
    let outside: Vec<String> = harness
        .root()
        .children_recursive()
        .filter(|node| is_input(node.accesskit_node().role()))
        .filter(|node| {
            let rect = node.rect();
            rect.left() < -1.0 || rect.right() > size.x + 1.0
        })
        .map(|node| format!("{:?} at {:?}", node.accesskit_node().label(), node.rect()))
        .collect();
    assert!(outside.is_empty(), "outside of {size}: {outside:?}");
}

/// Tab reaches everything that can be used: within the dialog, if there is one.
fn check_tab(harness: &mut Harness<'_, Page>, name: &str) {
    let in_dialog = harness.state().model.dialog.is_some();
    let usable = |harness: &Harness<'_, Page>| -> BTreeSet<String> {
        let all = harness.root().children_recursive();
        all.filter(|node| {
            let node = node.accesskit_node();
            let reachable = is_input(node.role()) && !node.is_disabled() && !node.is_hidden();
            let within_dialog =
                std::iter::successors(node.parent(), egui_kittest::kittest::AccessKitNode::parent)
                    .any(|up| up.role() == Role::Dialog);
            // The edge between list and conversation is a convenience of the mouse.
            reachable && node.role() != Role::Splitter && (within_dialog || !in_dialog)
        })
        .map(|node| describe(&node.accesskit_node()))
        .collect()
    };
    let expected = usable(harness);
    let mut reached = BTreeSet::new();
    // Rows that come into sight are reached, too.
    for _ in 0..expected.len() + 20 {
        harness.key_press(Key::Tab);
        harness.run_steps(3);
        let all = harness.root().children_recursive();
        for node in all.filter(egui_kittest::Node::is_focused) {
            reached.insert(describe(&node.accesskit_node()));
        }
    }
    let missed: Vec<&String> = expected.difference(&reached).collect();
    assert!(missed.is_empty(), "{name}: Tab does not reach {missed:?}");
}

fn describe(node: &egui_kittest::kittest::AccessKitNode<'_>) -> String {
    format!("{:?} {:?}", node.role(), node.label())
}

#[test]
fn entry_pages_are_accessible() {
    walk(&["first-run", "sign-"]);
}

#[test]
fn conversation_pages_are_accessible() {
    walk(&["chat"]);
}

#[test]
fn other_pages_are_accessible() {
    walk(&[
        "quit",
        "people",
        "settings",
        "delete",
        "change",
        "shortcuts",
    ]);
}

#[test]
fn cluster_pages_are_accessible() {
    walk(&["cluster"]);
}

#[test]
fn larger_text_fits() {
    for name in [
        "chat",
        "chat-not-sent",
        "sign-up-taken",
        "settings",
        "cluster",
    ] {
        let page = demo_page(name);
        let mut harness = open(&page, ThemeChoice::Light, SIZES[1]);
        let now = harness.state().model.now;
        let larger = chat_gui::model::preferences::TextSize::new(150);
        let action = UserAction::SetTextSize(larger);
        harness.state_mut().model.act(action, now);
        harness.run();
        check_size(&harness, SIZES[1]);
    }
}

#[test]
fn message_list_has_the_log_role_for_screen_readers() {
    let page = demo_page("chat");
    let harness = open(&page, ThemeChoice::Dark, SIZES[0]);
    let log = harness.get_by_role_and_label(Role::Log, "Messages with Benjamin");
    let live = log.accesskit_node().live();
    assert_eq!(live, egui::accesskit::Live::Polite);
    let labels: Vec<String> = log
        .children_recursive()
        .filter(|node| node.accesskit_node().role() == Role::ListItem)
        .filter_map(|node| node.accesskit_node().label())
        .collect();
    let newest = labels.last().map(String::as_str);
    assert_eq!(
        newest,
        Some("Benjamin, 14:39: And the long power strip, please. (received, unread)")
    );
}

#[test]
fn guide_lists_all_shortcuts() {
    let page = demo_page("chat");
    let mut harness = open(&page, ThemeChoice::Light, SIZES[0]);
    harness.key_press(Key::F1);
    harness.run();
    let guide = UserAction::OpenDialog(chat_gui::model::navigation::Dialog::Shortcuts);
    assert!(harness.state().wanted.contains(&guide));
    harness.key_press_modifiers(Modifiers::COMMAND, Key::J);
    harness.run();
    assert!(harness.state().wanted.contains(&UserAction::JumpToNewest));
}

fn demo_page(name: &str) -> DemoPage {
    let mut pages = demo::pages().into_iter();
    pages
        .find(|page| page.name == name)
        .expect("the demo has this page")
}

#[test]
fn page_focuses_the_control_to_start_with() {
    let cases = [
        ("first-run", "Use this cluster"),
        ("sign-in", "Password"),
        ("people", "Search people"),
        ("chat", "Message to Benjamin"),
        ("chat-search", "Search messages with Benjamin"),
        ("delete-account", "Type Alice to confirm"),
        ("cluster-kill", "Kill node 3"),
    ];
    for (name, first) in cases {
        let page = demo_page(name);
        let mut harness = open(&page, ThemeChoice::Light, SIZES[0]);
        harness.run();
        assert_eq!(focused(&harness).as_deref(), Some(first), "{name}");
    }
}

#[test]
fn sign_up_form_focuses_its_first_field() {
    let mut harness = open(&demo_page("sign-in"), ThemeChoice::Light, SIZES[0]);
    harness.run();
    for (link, first) in [("Create account", "Name"), ("Sign in", "Password")] {
        // The button that signs in has the same name as the link, and comes before it.
        let links = harness.get_all_by_label(link);
        links.last().expect("it is there").click();
        harness.run();
        assert_eq!(focused(&harness).as_deref(), Some(first), "after {link}");
    }
}

/// The name of what the keyboard goes to.
fn focused(harness: &Harness<'_, Page>) -> Option<String> {
    let all = harness.root().children_recursive();
    let mut focused = all.filter(egui_kittest::Node::is_focused);
    focused.next()?.accesskit_node().label()
}
