//! The ledger: what it counts, when the window checks by itself, and what a check finds that no event
//! has reported.

use super::{Window, commit, id, page, received, sent, stored, up, wall};
use crate::model::action::UserAction;
use crate::model::command::Command;
use crate::model::event::{BackendEvent, StoredInbox, StoredPlace};
use crate::model::failure::Failure;
use crate::model::ledger::{Ledger, LedgerScope};
use crate::model::message::CopyPlace;
use crate::model::names::{Commit, MessageId};

/// Alice, whose device has these messages in its copy, and whose inbox is current.
fn with(messages: Vec<crate::model::message::StoredMessage>) -> Window {
    let mut window = Window::new();
    let mut account = stored("alice");
    account.inbox = StoredInbox {
        messages,
        is_complete: true,
        ..StoredInbox::default()
    };
    window.receive(BackendEvent::SignedIn(account));
    window.receive(BackendEvent::Link(up()));
    window.receive(BackendEvent::CaughtUp);
    window
}

fn acknowledge(window: &mut Window, id: MessageId, index: u64, copy: CopyPlace) {
    window.receive(BackendEvent::SendAcknowledged {
        id,
        at: wall(9),
        commit: commit(index),
        copy,
    });
}

fn place(id: MessageId, commit: Commit) -> StoredPlace {
    StoredPlace {
        id,
        commit,
        in_box: true,
    }
}

fn end(window: &mut Window, stored: Vec<StoredPlace>, in_box: &[u64]) -> Ledger {
    window.receive(BackendEvent::LedgerStored(stored));
    let in_box = in_box.iter().map(|index| (id(*index), commit(*index)));
    window.receive(BackendEvent::LedgerBox(in_box.collect()));
    window.receive(BackendEvent::LedgerEnded(Ok(())));
    window.model.ledger.clone()
}

#[test]
fn ledger_counts_answers_and_shown_messages() {
    let mut window = Window::of_alice();
    window.receive(page(
        vec![received(3, "bob", true), received(1, "bob", true)],
        false,
    ));
    let ids: Vec<_> = (0..3)
        .map(|number| window.send(&number.to_string()))
        .collect();
    for (index, id) in (10..).zip(&ids) {
        acknowledge(&mut window, *id, index, CopyPlace::Servers);
    }
    let all = Command::CheckLedger {
        ids: ids.clone(),
        scope: LedgerScope::All,
    };
    assert_eq!(window.act(UserAction::CheckLedger), [all]);
    assert_eq!(window.act(UserAction::CheckLedger), [], "one at a time");
    let answers = (10..).zip(&ids);
    let answers = answers.map(|(index, id)| place(*id, commit(index)));
    let ledger = end(&mut window, answers.collect(), &[3, 1]);
    let figures = (ledger.acknowledged, ledger.stored, ledger.shown);
    assert_eq!(figures, (3, 3, 3));
    assert_eq!((ledger.box_stored, ledger.box_shown), (2, 2));
    assert_eq!((ledger.lost, ledger.doubled), (0, 0));
    assert_eq!(ledger.is_whole(), Some(true));

    // A server that has forgotten one message, moved another, and returns one of the box twice. The
    // watch has not delivered the last one yet.
    window.act(UserAction::CheckLedger);
    let answers = vec![place(ids[1], commit(90)), place(ids[2], commit(12))];
    let ledger = end(&mut window, answers, &[3, 3, 2, 50]);
    assert_eq!((ledger.acknowledged, ledger.stored), (3, 1));
    assert_eq!(
        (ledger.lost, ledger.doubled),
        (3, 1),
        "two that were sent, and m2 is not shown"
    );
    assert_eq!(ledger.is_whole(), Some(false));
    assert!(
        window
            .lines("bob")
            .iter()
            .any(|line| line.starts_with("> ✓10 0"))
    );

    window.act(UserAction::CheckLedger);
    window.receive(BackendEvent::LedgerEnded(Err(Failure::NoMajority)));
    let ledger = &window.model.ledger;
    assert!(ledger.failure.is_some());
    assert_eq!(ledger.lost, 3, "the figures of the last check stay");
}

#[test]
fn window_checks_by_itself_when_it_has_everything_and_from_time_to_time() {
    let mut window = with(vec![received(1, "bob", true), sent(2, "bob")]);
    assert_eq!(window.wait_with_checks(1_999), []);
    let check = || {
        vec![Command::CheckLedger {
            ids: vec![id(2)],
            scope: LedgerScope::Newest,
        }]
    };
    assert_eq!(window.wait_with_checks(1), check());
    assert_eq!(window.wait_with_checks(60_000), [], "one at a time");
    let ledger = end(&mut window, vec![place(id(2), commit(2))], &[2, 1]);
    assert_eq!(ledger.is_whole(), Some(true));
    let deadline = window.model.next_deadline();
    assert_eq!(window.wait_with_checks(599_999), [], "until {deadline:?}");
    assert_eq!(window.wait_with_checks(1), check());
    end(&mut window, vec![place(id(2), commit(2))], &[2, 1]);

    // Offline it does not, and does once all that was missed has arrived.
    let broken = crate::model::event::Link::Waiting {
        why: Failure::NoMajority,
        next_try: std::time::Duration::from_secs(1),
    };
    window.receive(BackendEvent::Link(broken));
    assert_eq!(window.wait_with_checks(3_600_000), []);
    window.receive(BackendEvent::Link(up()));
    assert_eq!(window.wait_with_checks(2_000), check());
}

#[test]
fn late_acknowledgement_brings_back_no_copy_that_another_device_has_deleted() {
    let mut window = with(Vec::new());
    window.wait_with_checks(2_000);
    end(&mut window, Vec::new(), &[]);
    let late = window.send("late");
    acknowledge(&mut window, late, 10, CopyPlace::Servers);
    assert_eq!(window.wait_with_checks(4_999), []);
    let commands = window.wait_with_checks(1);
    assert!(
        matches!(&commands[..], [Command::CheckLedger { ids, .. }] if *ids == [late]),
        "{commands:?}"
    );
    let deleted = StoredPlace {
        in_box: false,
        ..place(late, commit(10))
    };
    let commands = window.receive(BackendEvent::LedgerStored(vec![deleted]));
    assert_eq!(
        commands,
        [Command::Delete(vec![late])],
        "from the disk, too"
    );
    assert_eq!(window.lines("bob"), Vec::<String>::new());
    window.receive(BackendEvent::LedgerEnded(Ok(())));
    assert_eq!(window.model.ledger.lost, 0);

    // The watch has reported the copy: there is nothing to ask.
    let prompt = window.send("prompt");
    let mut copy = sent(12, "bob");
    copy.id = prompt;
    window.receive(BackendEvent::Arrived(copy));
    acknowledge(&mut window, prompt, 12, CopyPlace::Servers);
    assert_eq!(window.wait_with_checks(5_000), []);
}

#[test]
fn copy_on_this_device_only_is_never_deleted_by_a_check() {
    let mut window = with(Vec::new());
    let id = window.send("only here");
    acknowledge(&mut window, id, 10, CopyPlace::Device);
    window.act(UserAction::CheckLedger);
    let elsewhere = StoredPlace {
        in_box: false,
        ..place(id, commit(10))
    };
    let ledger = end(&mut window, vec![elsewhere], &[]);
    assert_eq!((ledger.stored, ledger.lost), (1, 0));
    assert_eq!(window.lines("bob")[1..], ["> ✓10 only here Single"]);
    // Its recipient may have deleted it, and the servers have forgotten it after a day.
    window.milliseconds += 86_400_000;
    window.act(UserAction::CheckLedger);
    let ledger = end(&mut window, Vec::new(), &[]);
    assert_eq!((ledger.acknowledged, ledger.lost), (0, 0));
}

/// Whatever rejects the check does so a minute later again, and not at once.
#[test]
fn failed_check_is_repeated_after_a_pause() {
    let mut window = with(Vec::new());
    window.wait_with_checks(2_000);
    end(&mut window, Vec::new(), &[]);
    let unconfirmed = window.send("unconfirmed");
    acknowledge(&mut window, unconfirmed, 10, CopyPlace::Servers);
    assert_eq!(window.wait_with_checks(5_000).len(), 1);
    for _ in 0..3 {
        window.receive(BackendEvent::LedgerEnded(Err(Failure::NoMajority)));
        assert_eq!(window.wait_with_checks(59_999), []);
        let commands = window.wait_with_checks(1);
        assert!(
            matches!(&commands[..], [Command::CheckLedger { ids, .. }] if *ids == [unconfirmed]),
            "{commands:?}"
        );
    }
}
