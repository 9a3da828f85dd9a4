//! S-A15: a deleted name may be taken by another person, who did not write what its former holder
//! wrote.

use super::{Window, id, page, received, sent, stored, up};
use crate::model::action::UserAction;
use crate::model::command::Command;
use crate::model::event::BackendEvent;
use crate::model::failure::Failure;
use crate::model::holder::Holder;
use crate::model::message::StoredMessage;
use crate::model::names::{LogIndex, Name};

/// A message of the account of this name that the commit `since` created.
fn received_of(since: u64, index: u64, sender: &str) -> StoredMessage {
    StoredMessage {
        peer_since: Some(LogIndex(since)),
        ..received(index, sender, true)
    }
}

fn holder_of_last(window: &Window) -> Holder {
    let mut lines = window.model.conversation_lines();
    lines.next().expect("there is a conversation").holder
}

#[test]
fn messages_of_an_earlier_account_are_marked_and_start_their_own_series() {
    let mut window = Window::of_alice();
    window.receive(page(
        vec![
            received_of(8, 10, "bob"),
            received_of(8, 9, "bob"),
            received_of(5, 6, "bob"),
            received_of(1, 3, "bob"),
            received_of(1, 2, "bob"),
            received_of(1, 4, "carol"),
        ],
        false,
    ));
    let expected = [
        "— 2026-03-02",
        "< m2 First (earlier account)",
        "< m3 Last (earlier account)",
        "— another account, of 5",
        "< m6 Single (earlier account)",
        "— another account, of 8",
        "< m9 First",
        "< m10 Last",
    ];
    assert_eq!(window.lines("bob"), expected);
    assert_eq!(window.lines("carol"), ["— 2026-03-02", "< m4 Single"]);
}

#[test]
fn first_message_of_a_new_account_marks_earlier_messages() {
    let mut window = Window::of_alice();
    window.receive(page(
        vec![received_of(1, 3, "bob"), received_of(1, 2, "bob")],
        false,
    ));
    assert_eq!(window.lines("bob")[1..], ["< m2 First", "< m3 Last"]);
    let revision = window.model.conversations[&Name::new("bob")].revision;
    window.receive(BackendEvent::Arrived(received_of(5, 6, "bob")));
    let expected = [
        "< m2 First (earlier account)",
        "< m3 Last (earlier account)",
        "— another account, of 5",
        "< m6 Single",
    ];
    assert_eq!(window.lines("bob")[1..], expected);
    assert!(window.model.conversations[&Name::new("bob")].revision > revision);
}

#[test]
fn message_sent_before_an_account_was_created_belongs_to_an_earlier_one() {
    let mut window = Window::new();
    let mut account = stored("alice");
    account.sent = vec![sent(3, "bob"), sent(7, "bob"), sent(2, "carol")];
    window.receive(BackendEvent::SignedIn(account));
    window.receive(BackendEvent::Link(up()));
    window.receive(page(vec![received_of(5, 6, "bob")], false));
    let waiting = window.send("now");
    let expected = [
        "> ✓3 m3 Single (earlier account)",
        "— another account, of 5",
        "< m6 Single",
        "> ✓7 m7 First",
        "> … now Last",
    ];
    assert_eq!(window.lines("bob")[1..], expected);
    window.receive(BackendEvent::SendRefused {
        id: waiting,
        why: Failure::RecipientMissing,
    });
    assert_eq!(window.lines("bob")[1..5], expected[..4]);
    assert_eq!(window.lines("bob")[5], "> ✗ now Last");
    assert_eq!(window.lines("carol")[1..], ["> ✓2 m2 Single"]);
}

#[test]
fn account_without_remaining_messages_still_counts_as_a_holder() {
    let mut window = Window::of_alice();
    window.receive(page(
        vec![received_of(5, 6, "bob"), received_of(1, 2, "bob")],
        false,
    ));
    assert_eq!(holder_of_last(&window), Holder::Present);
    window.receive(BackendEvent::Deleted(vec![id(6)]));
    let expected = ["< m2 Single (earlier account)"];
    assert_eq!(window.lines("bob")[1..], expected);
    assert_eq!(holder_of_last(&window), Holder::Earlier);
}

#[test]
fn message_without_sender_since_changes_no_holder() {
    let mut window = Window::of_alice();
    window.receive(page(
        vec![received(6, "bob", true), received(2, "bob", true)],
        false,
    ));
    assert_eq!(window.lines("bob")[1..], ["< m2 First", "< m6 Last"]);
    // By its place in the log it is known all the same, once a newer server has named an account.
    window.receive(BackendEvent::Arrived(received_of(5, 9, "bob")));
    let expected = [
        "< m2 Single (earlier account)",
        "— another account, of 5",
        "< m6 First",
        "< m9 Last",
    ];
    assert_eq!(window.lines("bob")[1..], expected);
}

#[test]
fn notification_names_a_new_account_of_a_name() {
    let mut window = Window::of_alice();
    window.act(UserAction::Focus(false));
    let mut title = |since, index| {
        let message = received_of(since, index, "bob");
        match &window.receive(BackendEvent::Arrived(message))[..] {
            [Command::Notify { title, .. }] => title.clone(),
            other => panic!("one notification is raised: {other:?}"),
        }
    };
    assert_eq!(title(1, 2), "bob");
    let other = "bob (a different account with this name than before)";
    assert_eq!(title(5, 6), other);
    assert_eq!(title(5, 7), "bob");
    assert_eq!(title(1, 3), "bob (an earlier account with this name)");
}
