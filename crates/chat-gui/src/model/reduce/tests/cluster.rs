//! From reports of nodes to banner, cards, timeline, feed, fail-overs.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Window, wall};
use crate::model::action::UserAction;
use crate::model::chaos::{FaultAction, Process, ProcessCondition};
use crate::model::cluster::{HealthLevel, NodeRole, NodeStatus};
use crate::model::command::Command;
use crate::model::event::{BackendEvent, NodeReport};
use crate::model::failover::FailoverStage;
use crate::model::message::CopyPlace;
use crate::model::names::{Commit, LogIndex, MessageId, NodeId, Term};

/// `1L5@101/100`: node 1 leads in term 5, its log ends at 101, and it has committed 100. `F`
/// follows, `V` does not vote yet, `C` campaigns, `-` does not answer. `2F5@100>1` names node 1 as the leader.
pub(super) fn status(pictures: &[&str]) -> BackendEvent {
    let nodes = pictures.iter().map(|picture| {
        let (id, rest) = picture.split_at(1);
        let id: u64 = id.parse().unwrap();
        let status = if rest == "-" {
            Err("connection refused".to_owned())
        } else {
            let (role, rest) = rest.split_at(1);
            let (rest, leader) = match rest.split_once('>') {
                Some((rest, leader)) => (rest, Some(NodeId(leader.parse().unwrap()))),
                None => (rest, None),
            };
            let (term, ends) = rest.split_once('@').unwrap();
            let (last, committed) = ends.split_once('/').unwrap_or((ends, ends));
            let index = LogIndex(committed.parse().unwrap());
            Ok(NodeStatus {
                id: NodeId(id),
                role: match role {
                    "L" => NodeRole::Leader,
                    "F" => NodeRole::Follower,
                    "V" => NodeRole::Learner,
                    _ => NodeRole::Candidate,
                },
                term: Term(term.parse().unwrap()),
                leader,
                last_index: LogIndex(last.parse().unwrap()),
                commit_index: index,
                applied_index: index,
                followers: BTreeMap::new(),
                storage: "ok".to_owned(),
                version: "0.1.0".to_owned(),
                uptime: Duration::from_secs(9),
                cluster_id: "c1".to_owned(),
                storage_bytes: 0,
                voters: vec![NodeId(1), NodeId(2), NodeId(3)],
                quorum: 2,
                snapshots: None,
                members: BTreeMap::new(),
                highest_member: NodeId(0),
                failures_tolerated: None,
            })
        };
        NodeReport {
            address: format!("127.0.0.1:740{id}"),
            id: None,
            status,
            round_trip: Duration::from_millis(1),
        }
    });
    BackendEvent::Status {
        nodes: nodes.collect(),
        since_previous: Some(Duration::from_millis(50)),
    }
}

fn feed(window: &Window) -> Vec<String> {
    let feed = window.model.cluster.feed.iter().rev();
    feed.map(|entry| entry.event.sentence()).collect()
}

#[test]
fn node_unknown_to_a_new_leader_keeps_its_last_position() {
    let mut window = Window::of_alice();
    window.receive(status(&["1L5@100", "2F5@100", "3F5@100"]));
    let mut reported = status(&["1-", "2L6@103", "3F6@102"]);
    if let BackendEvent::Status { nodes, .. } = &mut reported
        && let Ok(leading) = &mut nodes[1].status
    {
        let followers = [(NodeId(1), LogIndex(0)), (NodeId(3), LogIndex(103))];
        leading.followers = followers.into();
    }
    window.receive(reported);
    let behind = window.model.cluster.nodes.iter().map(|card| card.behind);
    assert_eq!(behind.collect::<Vec<_>>(), [Some(3), Some(0), Some(0)]);
}

fn acknowledged(id: MessageId, at: u64, index: u64) -> BackendEvent {
    BackendEvent::SendAcknowledged {
        id,
        at: wall(at),
        commit: Commit {
            index: LogIndex(index),
            term: Term(6),
        },
        copy: CopyPlace::Servers,
    }
}

#[test]
fn fail_over_is_timed_from_the_loss_to_the_first_message() {
    let mut window = Window::of_alice();
    window.receive(status(&["1L5@100", "2F5@100", "3F5@99"]));
    assert_eq!(window.model.cluster.nodes[2].behind, Some(1));
    let online = "Online at node 1, term 5";
    assert_eq!(window.model.online_sentence().as_deref(), Some(online));
    window.wait(1_000);
    let message = window.send("hello");
    let started = BackendEvent::SendStarted {
        id: message,
        attempt: 1,
    };
    window.receive(started);
    window.wait(50);
    window.receive(status(&["1-", "2F5@100", "3F5@100"]));
    assert_eq!(window.model.cluster.health().level, HealthLevel::NoLeader);
    window.wait(400);
    let sentence = window.model.connection_sentence().unwrap();
    assert!(sentence.starts_with("Connecting…"), "{sentence}");
    window.receive(status(&["1-", "2C6@101", "3F5@100"]));
    window.wait(100);
    window.receive(status(&["1-", "2L6@101/100", "3F6@100"]));
    assert!(!window.model.cluster.failovers[0].is_over());
    window.wait(30);
    window.receive(acknowledged(message, 1_580, 103));
    let failover = window.model.cluster.failovers[0];
    let stages: Vec<(FailoverStage, u128)> = failover
        .stages()
        .map(|(stage, after)| (stage, after.as_millis()))
        .collect();
    let expected = [
        (FailoverStage::Candidate, 450),
        (FailoverStage::Elected, 550),
        (FailoverStage::FirstCommit, 580),
        (FailoverStage::Online, 580),
    ];
    assert_eq!(stages, expected);
    let recovery = window.model.recovery.unwrap();
    assert_eq!(recovery.lasted, Duration::from_millis(580));
    let sentence = window.model.connection_sentence().unwrap();
    assert!(sentence.contains("0.6 s without a leader"), "{sentence}");
    let expected = [
        "Node 1 leads in term 5.",
        "Node 1 no longer answers.",
        "Node 1, leader of term 5, is lost.",
        "Node 2 starts an election in term 6.",
        "Node 2 leads in term 6.",
        "Messages can be sent again, after 580 ms.",
    ];
    assert_eq!(feed(&window), expected);
    let bands = &window.model.cluster.term_timeline.bands;
    let bands: Vec<_> = bands
        .iter()
        .map(|band| (band.term.0, band.leader))
        .collect();
    let expected = [
        (5, Some(NodeId(1))),
        (5, None),
        (6, None),
        (6, Some(NodeId(2))),
    ];
    assert_eq!(bands, expected);
    window.wait(8_000);
    assert_eq!(window.model.recovery, None, "it clears by itself");
    assert_eq!(window.model.connection_sentence(), None);
}

#[test]
fn first_commit_ends_a_fail_over_without_messages() {
    let mut window = Window::of_alice();
    window.receive(status(&["1L5@100", "2F5@100", "3F5@100"]));
    window.wait(1_000);
    window.receive(status(&["1-", "2F5@100", "3F5@102"]));
    window.wait(200);
    window.receive(status(&["1-", "2L6@103/102", "3F6@102"]));
    assert!(
        !window.model.cluster.failovers[0].is_over(),
        "nothing new is committed"
    );
    window.wait(50);
    window.receive(status(&["1-", "2L6@103", "3F6@102"]));
    let failover = window.model.cluster.failovers[0];
    assert_eq!(failover.duration(), Some(Duration::from_millis(300)));
    assert!(window.model.connection.is_online());
    let health = window.model.cluster.health();
    assert_eq!(health.level, HealthLevel::Degraded);
    assert!(health.sentence.contains("cannot lose another node"));
    window.receive(status(&["1F6@103", "2L6@103", "3F6@103"]));
    assert_eq!(window.model.cluster.health().level, HealthLevel::Healthy);
    assert_eq!(window.model.cluster.failovers.len(), 1);
}

#[test]
fn wiped_node_is_not_counted_until_it_votes_again() {
    let mut window = Window::of_alice();
    window.receive(status(&["1L5@100", "2F5@100", "3V5@100"]));
    let health = window.model.cluster.health();
    assert_eq!(health.level, HealthLevel::Degraded);
    let words = "3 of 3 nodes answer, node 1 leads in term 5 and one of them does not vote yet. \
                 The cluster cannot lose another node.";
    assert_eq!(health.sentence, words);
    window.receive(status(&["1L5@100", "2F5@100", "3F5@100"]));
    let health = window.model.cluster.health();
    assert_eq!(health.level, HealthLevel::Healthy);
    assert!(health.sentence.contains("can lose 1 more node"));
}

#[test]
fn fail_over_between_two_polls_is_reported_once_by_a_queued_message() {
    let mut window = Window::of_alice();
    window.receive(status(&["1L5@100", "2F5@100", "3F5@100"]));
    window.wait(1_000);
    let message = window.send("hello");
    window.receive(BackendEvent::SendStarted {
        id: message,
        attempt: 1,
    });
    window.wait(700);
    let acknowledged = Commit {
        index: LogIndex(103),
        term: Term(6),
    };
    window.receive(BackendEvent::SendAcknowledged {
        id: message,
        at: wall(1_700),
        commit: acknowledged,
        copy: CopyPlace::Servers,
    });
    let recovery = window.model.recovery.unwrap();
    assert_eq!(recovery.lasted, Duration::from_millis(700));
    window.wait(40);
    window.receive(BackendEvent::Status {
        nodes: match status(&["1-", "2L6@103", "3F6@103"]) {
            BackendEvent::Status { nodes, .. } => nodes,
            other => panic!("{other:?}"),
        },
        since_previous: Some(Duration::from_millis(900)),
    });
    let failover = window.model.cluster.failovers[0];
    assert_eq!(
        failover.duration(),
        Some(Duration::from_millis(700)),
        "one figure"
    );
    assert_eq!(window.model.recovery, Some(recovery), "shown once");
}

#[test]
fn fail_over_between_two_polls_ends_when_all_is_committed() {
    let mut window = Window::of_alice();
    window.receive(status(&["1L5@100", "2F5@100", "3F5@100"]));
    window.wait(1_000);
    window.receive(status(&["1-", "2L6@101", "3F6@100"]));
    assert!(window.model.cluster.failovers[0].is_over());
}

#[test]
fn resumed_leader_ends_the_fail_over() {
    let mut window = Window::of_alice();
    window.receive(status(&["1L5@100", "2F5@100", "3F5@100"]));
    window.wait(1_000);
    window.receive(status(&["1-", "2F5@100", "3F5@100"]));
    window.wait(200);
    window.receive(status(&["1L5@100", "2F5@100", "3F5@100"]));
    assert!(window.model.cluster.failovers[0].is_over());
    assert!(window.model.connection.is_online());
}

#[test]
fn second_fault_action_is_ignored_while_one_is_busy() {
    let mut window = Window::of_alice();
    let kill = UserAction::Chaos(FaultAction::Kill(NodeId(1)));
    assert_eq!(window.act(kill.clone()), [], "there is none");
    let running = Process {
        address: "127.0.0.1:7401".to_owned(),
        condition: ProcessCondition::Running,
        isolated: false,
    };
    let processes = BTreeMap::from([(NodeId(1), running)]);
    window.receive(BackendEvent::Processes(Some(processes)));
    let action = FaultAction::Kill(NodeId(1));
    assert_eq!(window.act(kill.clone()), [Command::Chaos(action)]);
    assert_eq!(window.act(kill), [], "one at a time");
    let answer = "node 1 is dead".to_owned();
    window.receive(BackendEvent::FaultActionCompleted { action, answer });
    let chaos = window.model.cluster.chaos.as_ref().unwrap();
    assert_eq!(chaos.busy, None);
    assert_eq!(chaos.answer.as_deref(), Some("node 1 is dead"));
    assert_eq!(feed(&window), ["You: kill node 1."]);
}

#[test]
fn node_that_never_answered_has_the_number_of_its_process() {
    let mut window = Window::of_alice();
    window.receive(status(&["1-", "2L5@100", "3F5@100"]));
    let numbers = |window: &Window| {
        let cards = window.model.cluster.nodes.iter();
        cards.map(|card| card.id).collect::<Vec<_>>()
    };
    let unknown = [Some(NodeId(2)), Some(NodeId(3)), None];
    assert_eq!(numbers(&window), unknown);
    let process = |number: u64| Process {
        address: format!("127.0.0.1:740{number}"),
        condition: ProcessCondition::Down,
        isolated: false,
    };
    let processes = (1..=3).map(|number| (NodeId(number), process(number)));
    window.receive(BackendEvent::Processes(Some(processes.collect())));
    assert_eq!(numbers(&window), [1, 2, 3].map(|id| Some(NodeId(id))));
}

#[test]
fn node_was_seen_at_the_poll_before_the_one_that_it_missed() {
    let mut window = Window::of_alice();
    window.receive(status(&["1L5@100", "2F5@100", "3F5@100"]));
    // Nothing changes, so nothing is reported.
    window.wait(60_000);
    window.receive(status(&["1L5@100", "2F5@100", "3-"]));
    let seen = window.model.cluster.nodes[2].seen_at.unwrap();
    assert_eq!(window.now().moment.since(seen), Duration::from_millis(50));
}

#[test]
fn entry_is_stored_on_the_servers_that_the_leader_knows_to_hold_it() {
    let mut window = Window::of_alice();
    let mut leading = status(&["1L5@100", "2F5@100", "3F5@90"]);
    if let BackendEvent::Status { nodes, .. } = &mut leading
        && let Ok(status) = &mut nodes[0].status
    {
        let held = [(NodeId(2), LogIndex(100)), (NodeId(3), LogIndex(90))];
        status.followers = BTreeMap::from(held);
    }
    window.receive(leading);
    let sentence = |index| window.model.cluster.stored_sentence(LogIndex(index));
    assert_eq!(sentence(90), "Stored on 3 of 3 servers");
    assert_eq!(sentence(100), "Stored on 2 of 3 servers");
    assert_eq!(sentence(101), "Stored on a majority of the servers");
}

#[test]
fn node_of_another_cluster_holds_nothing_of_this_one() {
    let mut window = Window::of_alice();
    let mut reports = status(&["1L5@100", "2F5@100", "3F5@100"]);
    if let BackendEvent::Status { nodes, .. } = &mut reports
        && let Ok(status) = &mut nodes[2].status
    {
        status.cluster_id = "another".to_owned();
    }
    window.receive(reports);
    let sentence = window.model.cluster.stored_sentence(LogIndex(90));
    assert_eq!(sentence, "Stored on 2 of 3 servers");
}

#[test]
fn isolated_leader_counts_as_lost_since_its_isolation() {
    let mut window = Window::of_alice();
    window.receive(status(&["1L5@100", "2F5@100", "3F5@100"]));
    window.receive(BackendEvent::Processes(Some(BTreeMap::new())));
    let action = FaultAction::Isolate(NodeId(1));
    window.act(UserAction::Chaos(action));
    let answer = "node 1 is isolated".to_owned();
    window.receive(BackendEvent::FaultActionCompleted { action, answer });
    window.wait(500);
    window.receive(status(&["1L5@100", "2F5@100", "3F5@100"]));
    window.wait(300);
    window.receive(status(&["1C5@100", "2L6@101", "3F6@101"]));
    let failover = window.model.cluster.failovers[0];
    assert_eq!(failover.duration(), Some(Duration::from_millis(800)));
    let health = window.model.cluster.health();
    assert_eq!(health.level, HealthLevel::Degraded);
    let sentence = "3 of 3 nodes answer, node 2 leads in term 6 and one of them does not follow. The cluster cannot lose another node.";
    assert_eq!(health.sentence, sentence);
}
