//! The window says the same thing everywhere, and nothing that the servers' reports contradict.

use std::time::Duration;

use super::cluster::status;
use super::{Window, commit, id, page, received, up, wall};
use crate::model::action::UserAction;
use crate::model::availability::Availability;
use crate::model::cluster::HealthLevel;
use crate::model::command::Command;
use crate::model::connection::Connection;
use crate::model::event::{BackendEvent, Link};
use crate::model::failure::Failure;
use crate::model::feed::FeedEvent;
use crate::model::message::{CopyPlace, MessageState};
use crate::model::names::{Commit, LogIndex, MessageId, Name, NodeId, Term};

fn no_server() -> Failure {
    Failure::NoServer {
        addresses: vec!["127.0.0.1:7401".to_owned()],
    }
}

fn waiting() -> BackendEvent {
    BackendEvent::Link(Link::Waiting {
        why: no_server(),
        next_try: Duration::from_secs(8),
    })
}

fn acknowledged(id: MessageId, index: u64, term: u64) -> BackendEvent {
    BackendEvent::SendAcknowledged {
        id,
        at: wall(index),
        commit: Commit {
            index: LogIndex(index),
            term: Term(term),
        },
        copy: CopyPlace::Servers,
    }
}

fn delayed(id: MessageId) -> BackendEvent {
    BackendEvent::SendDelayed {
        id,
        why: Failure::NoMajority,
        next_try: Duration::from_secs(5),
    }
}

/// Banner and cluster page say the same about the servers.
fn check(window: &Window, case: &str) {
    let model = &window.model;
    let (level, connection) = (model.cluster.health().level, &model.connection);
    let sentence = model.connection_sentence().unwrap_or_default();
    match level {
        HealthLevel::Offline => {
            assert!(matches!(connection, Connection::Offline { .. }), "{case}");
        }
        HealthLevel::NoLeader => {
            let why = Failure::NoMajority;
            assert!(
                matches!(connection, Connection::Reconnecting { why: shown, .. } if *shown == why),
                "{connection:?} {case}"
            );
        }
        HealthLevel::Healthy | HealthLevel::Degraded => {
            assert!(!matches!(connection, Connection::Offline { .. }), "{case}");
            assert!(!sentence.contains("no leader"), "{sentence} {case}");
            assert!(!sentence.contains("No server"), "{sentence} {case}");
        }
        HealthLevel::Unknown => {}
    }
}

/// Whatever is reported in whatever order, the pages agree, and an interruption has one figure.
#[test]
fn all_pages_agree_in_any_order_of_reports() {
    let pictures = [
        &["1L5@100", "2F5@100>1", "3F5@100>1"][..],
        &["1-", "2F5@100>1", "3F5@100>1"],
        &["1-", "2F5@100", "3F5@100"],
        &["1-", "2C6@100", "3F5@100"],
        &["1-", "2L6@102", "3F6@101>2"],
        &["1F6@102>2", "2L6@102", "3F6@102>2"],
        &["1L5@100", "2L6@102", "3F6@102>2"],
        &["1-", "2-", "3F6@102"],
        &["1-", "2-", "3-"],
    ];
    let mut seen = 0;
    for seed in 0..300 {
        let mut dice = fastrand::Rng::with_seed(seed);
        let mut window = Window::of_alice();
        window.receive(status(pictures[0]));
        let mut unsent: Vec<MessageId> = Vec::new();
        for step in 0..60 {
            let action = dice.u8(0..8);
            match action {
                0..3 => {
                    let picture = pictures[dice.usize(0..pictures.len())];
                    window.receive(status(picture));
                }
                3 => {
                    let link = Link::Broken(Failure::Interrupted);
                    window.receive(BackendEvent::Link(link));
                }
                4 => {
                    window.receive(waiting());
                }
                5 => {
                    window.receive(BackendEvent::Link(up()));
                }
                6 => {
                    let id = window.send("hello");
                    window.receive(BackendEvent::SendStarted { id, attempt: 1 });
                    window.receive(delayed(id));
                    unsent.push(id);
                }
                _ => {
                    if let Some(id) = unsent.pop() {
                        window.receive(acknowledged(id, 200 + step, dice.u64(5..7)));
                    }
                }
            }
            let case = format!("seed {seed} step {step} action {action}");
            check(&window, &case);
            window.wait(dice.u64(1..900));
            check(&window, &case);
            seen += usize::from(check_figures(&window, &case));
        }
    }
    assert!(seen > 100, "interruptions were compared: {seen}");
}

/// A fail-over that has just ended has the figure of the banner and of the feed. Returns whether
/// there was one.
fn check_figures(window: &Window, case: &str) -> bool {
    let model = &window.model;
    let Some(recovery) = model.recovery else {
        return false;
    };
    let mut again = model
        .cluster
        .feed
        .iter()
        .filter_map(|entry| match entry.event {
            FeedEvent::SendingAgain(lasted) => Some(lasted),
            _ => None,
        });
    assert_eq!(again.next(), Some(recovery.lasted), "{case}");
    let mut ended = model.cluster.failovers.iter();
    let ended = ended.find(|failover| failover.online_at == Some(recovery.at));
    let Some(failover) = ended else { return false };
    assert_eq!(failover.duration(), Some(recovery.lasted), "{case}");
    true
}

#[test]
fn one_follower_that_names_a_leader_is_enough() {
    let mut window = Window::of_alice();
    window.receive(status(&["2F5@100>1"]));
    assert!(window.model.connection.is_online());
    let health = window.model.cluster.health();
    assert!(
        !health.sentence.contains("No leader"),
        "{}",
        health.sentence
    );
    assert_eq!(
        window.model.cluster.availability(),
        Availability::Led {
            leader: Some(NodeId(1)),
            term: Term(5)
        }
    );
}

#[test]
fn success_ends_the_banner_whatever_waits() {
    let mut window = Window::of_alice();
    window.receive(status(&["1L5@100", "2F5@100>1", "3F5@100>1"]));
    let id = window.send("hello");
    window.receive(status(&["1-", "2-", "3-"]));
    window.receive(delayed(id));
    window.receive(waiting());
    window.wait(1_000);
    let sentence = window.model.connection_sentence().unwrap();
    assert!(sentence.contains("Offline"), "{sentence}");
    // The watch has its own pause, which the backend ends at once.
    window.receive(acknowledged(id, 101, 6));
    assert!(!matches!(
        window.model.connection,
        Connection::Offline { .. }
    ));
    window.receive(BackendEvent::Link(up()));
    assert!(window.model.connection.is_online());
    // The next poll that shows something else is newer than the acknowledgement.
    window.wait(300);
    window.receive(status(&["1-", "2-", "3-"]));
    assert!(!window.model.connection.is_online());
}

#[test]
fn reason_of_a_delay_ends_when_a_node_leads_again() {
    let mut window = Window::of_alice();
    window.receive(status(&["1L5@100", "2F5@100>1", "3F5@100>1"]));
    let id = window.send("hello");
    window.receive(BackendEvent::SendStarted { id, attempt: 1 });
    window.receive(status(&["1-", "2F5@100", "3F5@100"]));
    window.receive(delayed(id));
    window.wait(400);
    assert!(!window.model.connection.is_online());
    window.receive(status(&["1-", "2L6@101", "3F6@101>2"]));
    assert!(window.model.connection.is_online(), "the outbox tries now");
    let message = window.model.message(&Name::new("bob"), id).unwrap();
    assert!(matches!(&message.state, MessageState::Pending(pending) if pending.delayed.is_none()));
}

#[test]
fn message_that_was_withdrawn_delays_nothing() {
    let mut window = Window::of_alice();
    window.receive(status(&["1L5@100", "2F5@100>1", "3F5@100>1"]));
    let id = window.send("hello");
    window.receive(delayed(id));
    assert!(!window.model.connection.is_online());
    window.receive(BackendEvent::Withdrawn(id));
    assert!(window.model.connection.is_online());
}

#[test]
fn leader_counts_as_lost_from_its_last_answer() {
    let mut window = Window::of_alice();
    window.receive(status(&["1L5@100", "2F5@100>1", "3F5@100>1"]));
    window.wait(1_000);
    // The others name it until they miss it.
    window.receive(status(&["1-", "2F5@100>1", "3F5@100>1"]));
    assert!(window.model.cluster.failovers.is_empty());
    window.wait(400);
    window.receive(status(&["1-", "2F5@100", "3F5@100"]));
    window.wait(200);
    window.receive(status(&["1-", "2L6@101", "3F6@101>2"]));
    let failover = window.model.cluster.failovers[0];
    assert_eq!(failover.duration(), Some(Duration::from_millis(650)));
}

#[test]
fn search_of_people_is_repeated_when_the_servers_are_back() {
    let mut window = Window::of_alice();
    window.receive(status(&["1L5@100", "2F5@100>1", "3F5@100>1"]));
    window.receive(status(&["1-", "2F5@100", "3F5@100"]));
    let commands = window.act(UserAction::SearchPeople("b*".to_owned()));
    let [search @ Command::SearchPeople { pattern, .. }] = &commands[..] else {
        panic!("{commands:?}");
    };
    let failed = |why: Failure| BackendEvent::PeopleFailed {
        pattern: pattern.clone(),
        why,
    };
    assert_eq!(window.receive(failed(Failure::NoMajority)), []);
    assert!(window.model.people.failure.is_some());
    let commands = window.receive(status(&["1-", "2L6@101", "3F6@101>2"]));
    assert_eq!(commands, std::slice::from_ref(search));
    assert_eq!(window.model.people.failure, None);
    // It began before the servers were back: once more, and no more.
    assert_eq!(
        window.receive(failed(Failure::NoMajority)),
        std::slice::from_ref(search)
    );
    assert_eq!(window.receive(failed(Failure::NoMajority)), []);
    // What will fail again is not repeated.
    window.act(UserAction::SearchPeople("b*".to_owned()));
    assert_eq!(
        window.receive(failed(Failure::Refused("no".to_owned()))),
        []
    );
}

#[test]
fn deletion_of_own_messages_says_who_still_has_them() {
    let mut window = Window::of_alice();
    window.receive(page(vec![received(1, "bob", true)], false));
    let own: Vec<MessageId> = (0..2)
        .map(|number| window.send(&number.to_string()))
        .collect();
    for (place, id) in own.iter().enumerate() {
        window.receive(BackendEvent::SendAcknowledged {
            id: *id,
            at: wall(9),
            commit: commit(10 + place as u64),
            copy: CopyPlace::Servers,
        });
    }
    let mut deleted = |ids: Vec<MessageId>| {
        window.act(UserAction::Delete(ids));
        window.model.notices.back().unwrap().text.clone()
    };
    let text = deleted(vec![own[0]]);
    assert_eq!(text, "1 message deleted. bob still has it.");
    let text = deleted(vec![own[1], id(1)]);
    assert_eq!(
        text,
        "2 messages deleted. bob still has those that you sent."
    );
}
