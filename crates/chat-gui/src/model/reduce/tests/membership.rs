//! Who belongs to the cluster, as the nodes report it: cards, sentences, copies.

use super::Window;
use super::cluster::status;
use crate::model::action::UserAction;
use crate::model::chaos::{FaultAction, Process, ProcessCondition};
use crate::model::cluster::{HealthLevel, NodeRole, NodeStatus};
use crate::model::command::Command;
use crate::model::event::BackendEvent;
use crate::model::failure::Failure;
use crate::model::members_action::{MembersAction, MembersReport, MembersStep};
use crate::model::membership::{LearnerProgress, MemberState};
use crate::model::names::{LogIndex, NodeId};
use crate::views::dialogs::members::expectation;

/// The pictures of [`status`], and what all nodes that answer report about the members: `1 2 3` vote,
/// `4?` learns, and numbers up to `highest` were used. The leader reports that it survives `failures`.
fn report(pictures: &[&str], members: &str, highest: u64, failures: u32) -> BackendEvent {
    let mut event = status(pictures);
    let member = |text: &str| {
        let id = text.trim_end_matches('?');
        (NodeId(id.parse().unwrap()), Some(id == text))
    };
    change(&mut event, |status| {
        status.members = members.split_whitespace().map(member).collect();
        status.highest_member = NodeId(highest);
        let is_leader = status.role == NodeRole::Leader;
        status.failures_tolerated = is_leader.then_some(failures);
    });
    event
}

fn change(event: &mut BackendEvent, change: impl Fn(&mut NodeStatus)) {
    if let BackendEvent::Status { nodes, .. } = event {
        let statuses = nodes
            .iter_mut()
            .filter_map(|node| node.status.as_mut().ok());
        statuses.for_each(change);
    }
}

fn states(window: &Window) -> Vec<MemberState> {
    let cluster = &window.model.cluster;
    let cards = cluster.nodes.iter();
    cards.map(|card| cluster.member_state(card)).collect()
}

const UNKNOWN: &str =
    "How many voters there are is not known. How many failures are survived now is not known.";

#[test]
fn nothing_is_said_about_members_that_nothing_reports() {
    let mut window = Window::of_alice();
    assert_eq!(window.model.cluster.members_sentence(), UNKNOWN);
    // Servers of an earlier version.
    window.receive(status(&["1L5@100", "2F5@100", "3F5@100"]));
    assert_eq!(states(&window), [MemberState::Unknown; 3]);
    assert_eq!(window.model.cluster.members_sentence(), UNKNOWN);
    assert_eq!(window.model.cluster.health().level, HealthLevel::Healthy);
}

#[test]
fn survived_failures_are_the_leaders_and_not_known_without_one() {
    let mut window = Window::of_alice();
    let nodes = ["1L5@100", "2F5@100", "3F5@100"];
    for (failures, words) in [
        (
            0,
            "3 voters. The leader reports that no failure is survived now.",
        ),
        (
            1,
            "3 voters. The leader reports that 1 failure is survived now.",
        ),
        (
            2,
            "3 voters. The leader reports that 2 failures are survived now.",
        ),
    ] {
        window.receive(report(&nodes, "1 2 3", 3, failures));
        assert_eq!(window.model.cluster.members_sentence(), words);
    }
    window.receive(report(&["1-", "2F5@100", "3C6@100"], "1 2 3", 3, 1));
    let words = "3 voters. How many failures are survived now is not known.";
    assert_eq!(window.model.cluster.members_sentence(), words);
}

#[test]
fn learner_shows_how_far_the_leader_knows_it_to_be() {
    let mut window = Window::of_alice();
    let nodes = ["1L5@12345", "2F5@12345", "3F5@12345", "4V5@345"];
    let mut reported = report(&nodes, "1 2 3 4?", 4, 1);
    window.receive(reported.clone());
    let learner = |progress| MemberState::Learner { progress };
    assert_eq!(states(&window)[3], learner(None), "not received from");
    change(&mut reported, |status| {
        status.followers = [(NodeId(4), LogIndex(345))].into();
    });
    window.receive(reported);
    let progress = LearnerProgress {
        held: LogIndex(345),
        last: LogIndex(12_345),
    };
    let voters = [MemberState::Voter; 3];
    assert_eq!(states(&window)[..3], voters);
    assert_eq!(states(&window)[3], learner(Some(progress)));
    let cluster = &window.model.cluster;
    assert!(
        cluster
            .members_sentence()
            .starts_with("3 voters and 1 learner. ")
    );
    let health = cluster.health();
    assert_eq!(health.level, HealthLevel::Healthy, "{}", health.sentence);
    let words = "4 of 4 nodes answer, node 1 leads in term 5 and one of them does not vote yet. \
                 The cluster can lose 1 more node.";
    assert_eq!(health.sentence, words);
    // Without a leader that answers, nothing is known of its progress.
    window.receive(report(
        &["1-", nodes[1], nodes[2], nodes[3]],
        "1 2 3 4?",
        4,
        1,
    ));
    assert_eq!(states(&window)[3], learner(None));
}

#[test]
fn voter_with_a_new_disk_is_a_learner() {
    let mut window = Window::of_alice();
    window.receive(report(&["1L5@100", "2F5@100", "3V5@100"], "1 2 3", 3, 0));
    assert!(matches!(states(&window)[2], MemberState::Learner { .. }));
    assert_eq!(window.model.cluster.health().level, HealthLevel::Degraded);
}

#[test]
fn node_that_left_is_no_fault() {
    let mut window = Window::of_alice();
    let nodes = ["1L5@100", "2F5@100", "3F5@100", "4F5@100"];
    let mut reported = report(&nodes, "1 2 3 4", 4, 1);
    change(&mut reported, |status| status.quorum = 3);
    window.receive(reported);
    let fed = window.model.cluster.feed.len();
    let rest = [nodes[0], nodes[1], nodes[2], "4-"];
    window.receive(report(&rest, "1 2 3", 4, 1));
    assert_eq!(states(&window)[3], MemberState::Left);
    assert_eq!(window.model.cluster.feed.len(), fed, "it was stopped");
    let health = window.model.cluster.health();
    assert_eq!(health.level, HealthLevel::Healthy);
    let words = "3 of 3 nodes answer, node 1 leads in term 5. The cluster can lose 1 more node.";
    assert_eq!(health.sentence, words);
    // The others know it too, and a node that died is a fault still.
    window.wait(1_000);
    window.receive(report(&["1-", "2L6@101", nodes[2], "4-"], "1 2 3", 4, 0));
    assert_eq!(states(&window)[3], MemberState::Left);
    assert_eq!(window.model.cluster.health().level, HealthLevel::Degraded);
    window.receive(report(&["1-", "2-", "3-", "4-"], "1 2 3", 4, 0));
    let words = "None of 3 nodes answers. Messages are queued.";
    assert_eq!(window.model.cluster.health().sentence, words);
}

#[test]
fn node_that_says_that_it_was_removed_left() {
    let mut window = Window::of_alice();
    let mut reported = report(&["1L5@100", "2F5@100", "3F5@100", "4F5@100"], "1 2 3", 4, 1);
    change(&mut reported, |status| {
        if status.id == NodeId(4) {
            status.role = NodeRole::Removed;
        }
    });
    window.receive(reported);
    assert_eq!(states(&window)[3], MemberState::Left);
    assert_eq!(window.model.cluster.health().level, HealthLevel::Healthy);
}

#[test]
fn address_without_a_number_is_no_members_once_every_member_is_known() {
    let mut window = Window::of_alice();
    // The window was opened after the node at the first address had been removed.
    window.receive(report(
        &["1-", "2L5@100", "3F5@100", "4F5@100"],
        "2 3 4",
        4,
        1,
    ));
    assert_eq!(states(&window)[3], MemberState::Outside);
    assert_eq!(window.model.cluster.health().level, HealthLevel::Healthy);
    // A member that never answered is a fault.
    let mut window = Window::of_alice();
    window.receive(report(&["1-", "2L5@100", "3F5@100"], "1 2 3", 3, 0));
    assert_eq!(states(&window)[2], MemberState::Unknown);
    assert_eq!(window.model.cluster.health().level, HealthLevel::Degraded);
}

#[test]
fn copy_of_a_node_that_left_is_not_counted() {
    let mut window = Window::of_alice();
    let nodes = ["1L5@100", "2F5@100", "3F5@100", "4F5@100"];
    let voters = |event: &mut BackendEvent, voters: &[u64]| {
        change(event, |status| {
            status.voters = voters.iter().copied().map(NodeId).collect();
        });
    };
    let mut reported = report(&nodes, "1 2 3 4", 4, 1);
    voters(&mut reported, &[1, 2, 3, 4]);
    window.receive(reported);
    let sentence = |window: &Window| window.model.cluster.stored_sentence(LogIndex(90));
    assert_eq!(sentence(&window), "Stored on 4 of 4 servers");
    window.wait(1_000);
    // Node 3 does not answer: its last report still names node 4.
    let mut reported = report(&[nodes[0], nodes[1], "3-", "4-"], "1 2 3", 4, 0);
    voters(&mut reported, &[1, 2, 3]);
    window.receive(reported);
    assert_eq!(sentence(&window), "Stored on 3 of 3 servers");
}

/// The supervisor reports that so many nodes run.
fn processes(window: &mut Window, count: u64) {
    let process = |number: u64| Process {
        address: format!("127.0.0.1:740{number}"),
        condition: ProcessCondition::Running,
        isolated: false,
    };
    let processes = (1..=count).map(|number| (NodeId(number), process(number)));
    window.receive(BackendEvent::Processes(Some(processes.collect())));
}

#[test]
fn members_are_changed_one_at_a_time() {
    let mut window = Window::of_alice();
    let add = UserAction::ChangeMembers(MembersAction::Add);
    assert_eq!(window.act(add.clone()), [], "there is no local cluster");
    processes(&mut window, 3);
    assert_eq!(
        window.act(add.clone()),
        [Command::ChangeMembers(MembersAction::Add)]
    );
    let remove = MembersAction::Remove(NodeId(3));
    assert_eq!(window.act(UserAction::ChangeMembers(remove)), []);
    let chaos = |window: &Window| window.model.cluster.chaos.clone().unwrap();
    assert_eq!(chaos(&window).members, Some(MembersStep::Starting));
    let joining = MembersStep::Joining(NodeId(4));
    window.receive(BackendEvent::Members(Ok(MembersReport::Step(joining))));
    assert_eq!(chaos(&window).members, Some(joining));
    // Faults can be caused meanwhile.
    let kill = FaultAction::Kill(NodeId(1));
    assert_eq!(window.act(UserAction::Chaos(kill)), [Command::Chaos(kill)]);
    let done = MembersReport::Completed("Node 4 is a voter now.".to_owned());
    window.receive(BackendEvent::Members(Ok(done)));
    assert_eq!(chaos(&window).members, None);
    assert_eq!(
        chaos(&window).answer.as_deref(),
        Some("Node 4 is a voter now.")
    );
    assert_eq!(
        window.act(UserAction::ChangeMembers(remove)),
        [Command::ChangeMembers(remove)]
    );
    let failed = Failure::Members {
        what: "The members are as before.".to_owned(),
        next: "Try again.".to_owned(),
    };
    window.receive(BackendEvent::Members(Err(failed)));
    assert_eq!(chaos(&window).members, None);
    let notice = window.model.notices.back().unwrap();
    assert_eq!(notice.text, "The members are as before.");
}

#[test]
fn what_cannot_be_done_has_a_reason() {
    let mut window = Window::of_alice();
    let remove = MembersAction::Remove(NodeId(1));
    let obstacle = |window: &Window, action| window.model.cluster.obstacle(action);
    processes(&mut window, 7);
    let words = "A cluster on one machine has at most 7 nodes.";
    assert_eq!(
        obstacle(&window, MembersAction::Add).as_deref(),
        Some(words)
    );
    assert_eq!(obstacle(&window, remove), None);
    processes(&mut window, 2);
    assert_eq!(obstacle(&window, MembersAction::Add), None);
    window.receive(report(&["1L5@100", "2V5@100"], "1 2?", 2, 0));
    let words = "The last voter cannot be removed.";
    assert_eq!(obstacle(&window, remove).as_deref(), Some(words));
    assert_eq!(window.act(UserAction::ChangeMembers(remove)), []);
    assert_eq!(obstacle(&window, MembersAction::Remove(NodeId(2))), None);
    processes(&mut window, 1);
    let words = "The last node cannot be removed.";
    assert_eq!(obstacle(&window, remove).as_deref(), Some(words));
}

#[test]
fn question_says_how_many_failures_are_survived_then() {
    let mut window = Window::of_alice();
    let expected = |window: &Window, action| expectation(action, &window.model.cluster);
    let all = ["1F5@100", "2F5@100", "3F5@100", "4F5@100", "5F5@100"];
    let leaves = "Node 1 leaves the cluster, and its data on this machine is deleted.";
    for (voters, added, removed) in [
        (
            1,
            "2 voters survive no more failures than 1.",
            "0 voters are left, and no failure is survived then.",
        ),
        (
            2,
            "3 voters survive 1 failure.",
            "1 voter is left, and no failure is survived then.",
        ),
        (
            3,
            "4 voters survive no more failures than 3.",
            "2 voters are left, and no failure is survived then.",
        ),
        (
            4,
            "5 voters survive 2 failures.",
            "3 voters are left: while all of them run, 1 failure is survived.",
        ),
        (
            5,
            "6 voters survive no more failures than 5.",
            "4 voters are left: while all of them run, 1 failure is survived.",
        ),
    ] {
        let members = &"1 2 3 4 5"[..voters * 2 - 1];
        window.receive(report(&all[..voters], members, 5, 0));
        let words = format!("The node receives all messages and then votes. {added}");
        assert_eq!(expected(&window, MembersAction::Add), words);
        let remove = MembersAction::Remove(NodeId(1));
        assert_eq!(expected(&window, remove), format!("{leaves} {removed}"));
    }
    let remove = MembersAction::Remove(NodeId(1));
    window.receive(report(&["1L5@100", "2F5@100", "3F5@100"], "1 2 3", 3, 1));
    let words = "It leads, and another node takes over.";
    assert!(expected(&window, remove).contains(words));
    window.receive(report(&["1V5@90", "2L5@100", "3F5@100"], "1? 2 3", 3, 0));
    assert_eq!(
        expected(&window, remove),
        format!("{leaves} It does not vote.")
    );
    window.receive(status(&all[..3]));
    let words = format!("{leaves} How many voters are left then is not known.");
    assert_eq!(expected(&window, remove), words);
}
