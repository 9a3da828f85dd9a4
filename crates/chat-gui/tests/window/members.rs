//! The members of the cluster on its page: what each node is, and the questions before a change.

use chat_gui::model::command::Command;
use chat_gui::model::members_action::MembersAction;
use chat_gui::model::names::NodeId;
use egui::Vec2;
use egui_kittest::kittest::{NodeT, Queryable};

use crate::demo_window::{Test, open};

/// The names and contents of all that is shown.
fn texts(harness: &Test) -> Vec<String> {
    let all = harness.root().children_recursive();
    all.flat_map(|node| {
        let node = node.accesskit_node();
        [node.label(), node.value()].into_iter().flatten()
    })
    .collect()
}

fn shows(harness: &Test, text: &str) -> bool {
    texts(harness).iter().any(|shown| shown == text)
}

#[track_caller]
fn check(harness: &Test, expected: &[&str]) {
    for text in expected {
        let shown = texts(harness);
        assert!(shows(harness, text), "{text:?} is not among {shown:?}");
    }
}

#[test]
fn page_shows_voters_and_survived_failures() {
    let sentence = "3 voters. The leader reports that 1 failure is survived now.";
    check(&open("cluster"), &[sentence, "Voter", "Healthy"]);
    let sentence = "3 voters. How many failures are survived now is not known.";
    check(&open("cluster-failover"), &[sentence, "No leader"]);
    let sentence =
        "How many voters there are is not known. How many failures are survived now is not known.";
    check(&open("cluster-not-polled"), &[sentence]);
}

#[test]
fn learner_is_shown_with_its_progress() {
    let harness = open("cluster-learner");
    let sentence = "3 voters and 1 learner. The leader reports that 1 failure is survived now.";
    let progress = "Learner, catching up: 345 of 1,315 entries";
    check(
        &harness,
        &[sentence, progress, "Does not vote yet", "Healthy"],
    );
}

#[test]
fn node_that_left_is_shown_and_is_no_fault() {
    let harness = open("cluster-left");
    let sentence = "3 voters. The leader reports that 1 failure is survived now.";
    check(&harness, &[sentence, "Left the cluster", "Healthy"]);
    assert!(!shows(&harness, "Not answering"));
    assert!(harness.query_by_label("Kill node 4").is_none());
}

/// Presses the button with this name.
fn press(harness: &mut Test, name: &str) {
    harness.get_by_label(name).click();
    harness.run();
}

#[test]
fn node_is_added_after_a_question() {
    let mut harness = open("cluster");
    press(&mut harness, "Add a node");
    let words =
        "The node receives all messages and then votes. 4 voters survive no more failures than 3.";
    check(&harness, &["Add a node?", words]);
    press(&mut harness, "Cancel");
    assert!(harness.state().commands.is_empty());
    press(&mut harness, "Add a node");
    let buttons = harness.get_all_by_label("Add a node");
    buttons.last().expect("the dialog has one").click();
    harness.run();
    let command = Command::ChangeMembers(MembersAction::Add);
    assert_eq!(harness.state().commands, [command]);
    check(&harness, &["A new node is started…"]);
    let add = harness.get_by_label("Add a node");
    let add = add.accesskit_node();
    assert!(add.is_disabled());
    let reason = add.data().description().map(ToOwned::to_owned);
    assert_eq!(
        reason.as_deref(),
        Some("Another change of the members is under way.")
    );
}

#[test]
fn node_is_removed_after_a_question() {
    let mut harness = open("cluster");
    // The cards are below the other figures.
    harness.set_size(Vec2::new(1000.0, 1400.0));
    harness.run();
    press(&mut harness, "Remove node 2 from the cluster…");
    let words = "Node 2 leaves the cluster, and its data on this machine is deleted. \
                 2 voters are left, and no failure is survived then.";
    check(&harness, &["Remove node 2 from the cluster?", words]);
    press(&mut harness, "Remove node 2");
    let command = Command::ChangeMembers(MembersAction::Remove(NodeId(2)));
    assert_eq!(harness.state().commands, [command]);
    check(&harness, &["Node 2 is removed from the members…"]);
}

#[test]
fn cluster_on_other_machines_has_no_buttons_for_its_members() {
    let harness = open("cluster-remote");
    assert!(harness.query_by_label("Add a node").is_none());
    assert!(
        harness
            .query_by_label("Remove node 1 from the cluster…")
            .is_none()
    );
}

#[test]
fn last_voter_cannot_be_removed() {
    let mut harness = open("cluster");
    for card in &mut harness.state_mut().model.cluster.nodes {
        let report = card.report.as_mut().expect("all nodes answer");
        for (member, votes) in &mut report.members {
            *votes = Some(*member == NodeId(1));
        }
    }
    harness.run();
    let button = |node: u64| {
        let name = format!("Remove node {node} from the cluster…");
        let button = harness.get_by_label(&name);
        let button = button.accesskit_node();
        let reason = button.data().description().map(ToOwned::to_owned);
        (button.is_disabled(), reason)
    };
    let reason = "The last voter cannot be removed.".to_owned();
    assert_eq!(button(1), (true, Some(reason)));
    assert!(!button(2).0);
}
