//! From the composer to the log, with everything that may come between.

use std::sync::Arc;
use std::time::Duration;

use super::{Window, commit, id, received, stored, wall};
use crate::model::OUTBOX_MAX;
use crate::model::action::UserAction;
use crate::model::command::Command;
use crate::model::event::{BackendEvent, StoredDraft};
use crate::model::failure::Failure;
use crate::model::message::{CopyPlace, MessageState, OutboxMessage};
use crate::model::names::{BODY_BYTES_MAX, MessageId, Name, RequestId};

fn bob() -> Name {
    Name::new("bob")
}

fn acknowledged(id: MessageId, index: u64) -> BackendEvent {
    BackendEvent::SendAcknowledged {
        id,
        at: wall(index * 1000),
        commit: commit(index),
        copy: CopyPlace::Servers,
    }
}

fn refused(id: MessageId) -> BackendEvent {
    BackendEvent::SendRefused {
        id,
        why: Failure::RecipientMissing,
    }
}

fn delayed(id: MessageId, why: Failure) -> BackendEvent {
    BackendEvent::SendDelayed {
        id,
        why,
        next_try: Duration::from_secs(1),
    }
}

fn save_draft(text: &str) -> Command {
    Command::SaveDraft {
        peer: bob(),
        draft: StoredDraft {
            text: Arc::from(text),
            reply_to: None,
        },
    }
}

#[test]
fn message_is_shown_at_once_and_sorted_when_acknowledged() {
    let mut window = Window::of_alice();
    let first = window.send("  one\n");
    let second = window.send("two");
    assert_eq!(
        window.lines("bob"),
        ["— 2026-03-02", "> … one First", "> … two Last"]
    );
    window.receive(BackendEvent::Arrived(received(4, "bob", false)));
    window.receive(acknowledged(first, 5));
    let expected = [
        "— 2026-03-02",
        "< new m4 Single",
        "> ✓5 one First",
        "> … two Last",
    ];
    assert_eq!(window.lines("bob"), expected);
    window.receive(acknowledged(second, 6));
    window.receive(acknowledged(second, 6));
    assert_eq!(window.lines("bob").last().unwrap(), "> ✓6 two Last");
    assert!(window.model.outbox.is_empty());
}

#[test]
fn retry_keeps_message_and_request_ids() {
    let mut window = Window::of_alice();
    let commands = window.act(UserAction::Send {
        peer: bob(),
        text: "one".to_owned(),
    });
    let [Command::Enqueue(outgoing)] = &commands[..] else {
        panic!("{commands:?}");
    };
    assert_ne!(outgoing.id.0, outgoing.request_id.0);
    window.receive(refused(outgoing.id));
    assert_eq!(window.lines("bob")[1..], ["> ✗ one Single"]);
    let commands = window.act(UserAction::Retry(outgoing.id));
    assert_eq!(commands, [Command::Requeue(outgoing.id)]);
    assert_eq!(window.lines("bob")[1..], ["> … one Single"]);
    assert_eq!(window.act(UserAction::Retry(outgoing.id)), []);
}

#[test]
fn rejected_message_does_not_block_the_next_and_keeps_its_place() {
    let mut window = Window::of_alice();
    window.receive(BackendEvent::Arrived(received(3, "bob", true)));
    let first = window.send("one");
    let second = window.send("two");
    window.receive(refused(first));
    window.receive(acknowledged(second, 5));
    let expected = [
        "— 2026-03-02",
        "< m3 Single",
        "> ✗ one First",
        "> ✓5 two Last",
    ];
    assert_eq!(window.lines("bob"), expected);
    assert!(!window.model.outbox[0].waiting);
}

#[test]
fn rejected_message_can_be_edited_or_discarded() {
    let mut window = Window::of_alice();
    let (first, second) = (window.send("one"), window.send("two"));
    window.receive(refused(first));
    window.receive(refused(second));
    window.act(UserAction::EditDraft {
        peer: bob(),
        text: "new".to_owned(),
    });
    let commands = window.act(UserAction::TakeBack(first));
    assert_eq!(commands, [Command::Withdraw(first)]);
    let commands = window.receive(BackendEvent::Withdrawn(first));
    let kept = save_draft("one\nnew");
    assert_eq!(commands, [kept]);
    let draft = &window.model.conversations[&bob()].draft;
    assert_eq!(draft.text, "one\nnew");
    window.act(UserAction::Discard(second));
    assert_eq!(window.receive(BackendEvent::Withdrawn(second)), []);
    assert_eq!(window.lines("bob"), Vec::<String>::new());
    assert!(window.model.outbox.is_empty());
}

#[test]
fn message_with_unknown_outcome_cannot_be_withdrawn() {
    let mut window = Window::of_alice();
    let message = window.send("one");
    let started = BackendEvent::SendStarted {
        id: message,
        attempt: 1,
    };
    window.receive(started.clone());
    assert_eq!(window.act(UserAction::Discard(message)), []);
    window.receive(delayed(message, Failure::NoMajority));
    let commands = window.act(UserAction::Discard(message));
    assert_eq!(commands, [Command::Withdraw(message)], "it was not sent");
    window.receive(BackendEvent::WithdrawRefused(message));
    window.receive(started);
    window.receive(delayed(message, Failure::OutcomeUnknown));
    window.receive(delayed(message, Failure::NoMajority));
    assert_eq!(window.act(UserAction::Discard(message)), []);
    assert_eq!(window.lines("bob").len(), 2, "it is still shown");
    assert!(!window.model.notices.is_empty(), "and the reason is shown");
}

#[test]
fn outbox_of_an_earlier_run_is_shown_in_order() {
    let mut window = Window::new();
    let outgoing = |number: u64, refused| OutboxMessage {
        id: id(number),
        request_id: RequestId(id(number + 100).0),
        recipient: bob(),
        body: Arc::from(format!("m{number}")),
        written_at: wall(number),
        reply_to: None,
        copy: CopyPlace::Servers,
        refused,
    };
    let mut account = stored("alice");
    account.outbox = vec![
        outgoing(1, Some(Failure::RecipientMissing)),
        outgoing(2, None),
        outgoing(3, None),
    ];
    account.drafts.insert(
        bob(),
        StoredDraft {
            text: Arc::from("half a"),
            reply_to: Some(id(7)),
        },
    );
    window.receive(BackendEvent::SignedIn(account));
    let expected = [
        "— 2026-03-02",
        "> ✗ m1 First",
        "> … m2 Middle",
        "> … m3 Last",
    ];
    assert_eq!(window.lines("bob"), expected);
    assert_eq!(window.model.conversations[&bob()].draft.text, "half a");
    let first = &window.model.conversations[&bob()].messages[1];
    let MessageState::Pending(pending) = &first.state else {
        panic!("{first:?}");
    };
    assert!(
        pending.outcome_uncertain,
        "it is not known what the last run did"
    );
}

#[test]
fn drafts_are_saved_after_a_delay_and_before_closing() {
    let mut window = Window::of_alice();
    let edit = |text: &str| UserAction::EditDraft {
        peer: bob(),
        text: text.to_owned(),
    };
    assert_eq!(window.act(edit("h")), []);
    window.wait(300);
    window.act(edit("ha"));
    assert_eq!(
        window.wait(200),
        [save_draft("ha")],
        "not put off by typing on"
    );
    assert_eq!(window.wait(1000), []);
    window.act(edit("half"));
    let commands = window.act(UserAction::Quit);
    assert_eq!(commands, [save_draft("half"), Command::Quit]);
    assert!(window.model.closing);
}

#[test]
fn invalid_text_is_not_sent() {
    let mut window = Window::of_alice();
    let mut send = |text: String| {
        let peer = bob();
        window.act(UserAction::Send { peer, text })
    };
    assert_eq!(send(" \n ".to_owned()), []);
    assert_eq!(send("x".repeat(BODY_BYTES_MAX + 1)), []);
    for _ in 0..OUTBOX_MAX {
        assert_eq!(send("x".repeat(BODY_BYTES_MAX)).len(), 1);
    }
    assert_eq!(send("one more".to_owned()), []);
    assert_eq!(window.model.notices.len(), 2, "each is shown");
}
