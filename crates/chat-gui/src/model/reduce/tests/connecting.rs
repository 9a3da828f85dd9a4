//! The sentence of the banner: in an interruption, and after one.

use std::time::Duration;

use super::cluster::status;
use super::{Window, up};
use crate::model::action::UserAction;
use crate::model::command::Command;
use crate::model::connection::Connection;
use crate::model::event::{BackendEvent, Link};
use crate::model::failure::Failure;
use crate::model::ledger::LedgerScope;
use crate::model::navigation::Dialog;
use crate::model::time::Moment;

/// The sentence of an interruption that passes.
const CONNECTING: &str = "Connecting… Messages are sent when you are back online.";

#[test]
fn missing_leader_is_named_in_the_details() {
    let mut window = Window::of_alice();
    window.receive(status(&["1L5@100", "2F5@100", "3F5@100"]));
    window.receive(status(&["1-", "2F5@100", "3F5@100"]));
    window.wait(400);
    assert_eq!(
        window.model.connection_sentence().as_deref(),
        Some(CONNECTING)
    );
    assert_eq!(window.model.connection.why(), Some(&Failure::NoMajority));
    window.wait(112);
    window.receive(status(&["1-", "2L6@101", "3F6@101>2"]));
    let expected = "Back online. Checking that nothing was lost (0.5 s without a leader).";
    assert_eq!(
        window.model.connection_sentence().as_deref(),
        Some(expected)
    );
}

#[test]
fn banner_shows_the_state_of_the_link() {
    let mut window = Window::of_alice();
    let refused = || Failure::NoServer {
        addresses: vec!["127.0.0.1:7401".to_owned()],
    };
    window.receive(BackendEvent::Link(Link::Broken(refused())));
    assert!(matches!(
        window.model.connection,
        Connection::Reconnecting { .. }
    ));
    assert_eq!(
        window.model.connection_sentence(),
        None,
        "perhaps it is over at once"
    );
    window.wait(300);
    let sentence = window.model.connection_sentence();
    assert_eq!(sentence.as_deref(), Some(CONNECTING));
    window.receive(BackendEvent::Link(Link::Waiting {
        why: refused(),
        next_try: Duration::from_secs(4),
    }));
    let sentence = window.model.connection_sentence().unwrap();
    let expected = "Offline. Messages are sent when you are back online.";
    assert_eq!(sentence, expected);
    assert_eq!(window.model.connection.why(), Some(&refused()));
    assert!(matches!(
        window.model.connection,
        Connection::Offline { next_try, .. } if next_try == window.now().moment.plus(Duration::from_secs(4))
    ));
    // Nothing on the screen counts time, unless a dialog does.
    assert_eq!(window.model.next_deadline(), None);
    window.act(UserAction::OpenDialog(Dialog::Connection));
    assert_eq!(window.model.next_deadline(), Some(Moment(1_000)));
    window.act(UserAction::Back);
    assert_eq!(window.act(UserAction::TryNow), [Command::TryNow]);
    window.wait(1_700);
    window.receive(BackendEvent::Link(up()));
    assert!(window.model.connection.is_online());
    assert_eq!(
        window.model.recovery.unwrap().lasted,
        Duration::from_secs(2)
    );
}

#[test]
fn banner_names_what_does_not_pass_by_itself() {
    let failures = [
        Failure::OtherVersion { theirs: None },
        Failure::OtherCluster {
            address: "127.0.0.1:7401".to_owned(),
        },
    ];
    for why in failures {
        let mut window = Window::of_alice();
        window.receive(BackendEvent::Link(Link::Waiting {
            why: why.clone(),
            next_try: Duration::from_secs(4),
        }));
        window.wait(300);
        let sentence = window.model.connection_sentence().unwrap();
        assert_eq!(sentence, format!("Offline. {}", why.sentence()));
    }
}

#[test]
fn nothing_lost_is_said_only_while_that_is_known() {
    let recovered = |window: &mut Window| {
        window.receive(BackendEvent::Link(Link::Broken(Failure::Interrupted)));
        window.receive(BackendEvent::Link(Link::Waiting {
            why: Failure::Interrupted,
            next_try: Duration::from_secs(1),
        }));
        window.wait(500);
        window.receive(BackendEvent::Link(up()));
    };
    let sentence = |window: &Window| window.model.connection_sentence().unwrap();
    let paused = "sending paused for 0.5 s";
    let check = |window: &mut Window, outcome: Result<(), Failure>| {
        let commands = window.wait_with_checks(2_000);
        let scope = LedgerScope::Newest;
        let ids = Vec::new();
        assert_eq!(commands, [Command::CheckLedger { ids, scope }]);
        window.receive(BackendEvent::LedgerStored(Vec::new()));
        window.receive(BackendEvent::LedgerBox(Vec::new()));
        window.receive(BackendEvent::LedgerEnded(outcome));
    };
    let mut window = Window::of_alice();
    window.receive(BackendEvent::CaughtUp);
    check(&mut window, Ok(()));
    recovered(&mut window);
    let checking = format!("Back online. Checking that nothing was lost ({paused}).");
    assert_eq!(sentence(&window), checking, "that check was before");
    check(&mut window, Err(Failure::Interrupted));
    let failed = format!("Back online. What was sent could not be checked ({paused}).");
    assert_eq!(sentence(&window), failed);

    let mut window = Window::of_alice();
    window.receive(BackendEvent::CaughtUp);
    recovered(&mut window);
    assert_eq!(sentence(&window), checking);
    check(&mut window, Ok(()));
    let lossless = format!("Back online. Nothing was lost ({paused}).");
    assert_eq!(sentence(&window), lossless);
    // A check that began before an interruption and ends after it is repeated.
    window.act(UserAction::CheckLedger);
    recovered(&mut window);
    window.receive(BackendEvent::LedgerEnded(Ok(())));
    assert_eq!(sentence(&window), checking);
    check(&mut window, Ok(()));
    assert_eq!(sentence(&window), lossless);
    // A message that waits is kept.
    let waits = window.send("waits");
    assert_eq!(
        sentence(&window),
        format!("{lossless} One message is going out now.")
    );
    // One that was rejected is not on its way.
    window.receive(BackendEvent::SendRefused {
        id: waits,
        why: Failure::RecipientMissing,
    });
    let unknown = format!("Back online ({paused}).");
    assert_eq!(sentence(&window), unknown);

    let mut window = Window::of_alice();
    window.receive(BackendEvent::LocalStorageFailed(Failure::LocalStorage(
        "no space".to_owned(),
    )));
    recovered(&mut window);
    assert_eq!(sentence(&window), unknown);
}
