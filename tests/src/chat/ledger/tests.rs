//! Each check must fail on a history that is known to be bad; one that cannot fail checks nothing.

use bytes::Bytes;
use chat_consensus::{LogIndex, Position};
use chat_proto::storage::v1 as proto;
use chat_store::{Change, Credential, Direction, Event, LocatedMessage, Message, Session};
use prost::Message as _;
use proto::command::Operation;
use proto::outcome::Result as Outcome;

use super::Ledger;
use crate::checker::Checked;

const ANN: u8 = b'a';
const BOB: u8 = b'b';
/// Bob's second account.
const RECREATED: u8 = b'h';

#[track_caller]
fn check_found_by(checker: &str, checked: Checked) {
    let violation = checked.expect_err("the history is bad");
    assert_eq!(violation.checker, checker, "{violation}");
}

fn token(whose: u8) -> Bytes {
    Bytes::from(vec![whose; 32])
}

fn name(whose: u8) -> String {
    if whose == ANN { "ann" } else { "bob" }.to_owned()
}

fn credential_of(index: u64) -> proto::Credential {
    proto::Credential {
        incarnation: index,
        version: index,
    }
}

/// A session of an account that was created at `index`.
fn session(whose: u8, index: u64) -> proto::Session {
    proto::Session {
        token_hash: token(whose),
        username: name(whose),
        credential: Some(credential_of(index)),
    }
}

/// The same, as a node shows it.
fn shown(whose: u8, index: u64) -> Session {
    Session {
        username: name(whose),
        credential: Credential {
            incarnation: LogIndex(index),
            version: LogIndex(index),
        },
        renew_from: 0,
        idle_seconds: 0,
    }
}

fn sign_up(whose: u8) -> Operation {
    Operation::CreateUser(proto::CreateUser {
        username: name(whose),
        token_hash: token(whose),
        ..proto::CreateUser::default()
    })
}

fn send(id: &str) -> Operation {
    Operation::SendMessage(anns_message(id))
}

/// The same, and ann keeps a copy.
fn send_with_copy(id: &str) -> Operation {
    Operation::SendWithOptions(proto::SendWithOptions {
        message: Some(anns_message(id)),
        keep_copy: true,
        ..proto::SendWithOptions::default()
    })
}

fn anns_message(id: &str) -> proto::SendMessage {
    proto::SendMessage {
        token_hash: token(ANN),
        credential: Some(credential_of(1)),
        message_id: id.to_owned(),
        sender: "ann".to_owned(),
        recipient: "bob".to_owned(),
        body: format!("this is {id}"),
    }
}

fn bob_deletes(id: &str) -> Operation {
    Operation::DeleteMessages(proto::DeleteMessages {
        session: Some(session(BOB, 2)),
        message_ids: vec![id.to_owned()],
    })
}

fn bob_goes() -> Operation {
    let session = Some(session(BOB, 2));
    Operation::DeleteUser(proto::DeleteUser { session })
}

fn stored(id: &str, index: u64) -> Message {
    Message {
        id: id.to_owned(),
        sender: "ann".to_owned(),
        sender_since: LogIndex(1),
        recipient: "bob".to_owned(),
        direction: Direction::Received,
        body: format!("this is {id}"),
        reply_to: None,
        written_at: None,
        timestamp: 0.0,
        read: false,
        commit: Position::new(index, 1),
    }
}

fn created(index: u64) -> Outcome {
    Outcome::Created(proto::Created {
        credential: Some(credential_of(index)),
    })
}

fn sent(id: &str, index: u64) -> Outcome {
    Outcome::Sent(proto::Sent {
        id: id.to_owned(),
        timestamp: 0.0,
        commit_index: index,
        commit_term: 1,
    })
}

fn done() -> Outcome {
    Outcome::Done(proto::Done {})
}

fn bytes(outcome: &Outcome) -> Bytes {
    let result = Some(outcome.clone());
    proto::Outcome { result }.encode_to_vec().into()
}

/// A node applies the entry at `index`, the request of that number, with that outcome.
fn apply(ledger: &mut Ledger, index: u64, operation: &Operation, outcome: &Outcome) -> Checked {
    apply_request(ledger, (index, index), operation, outcome)
}

fn apply_request(
    ledger: &mut Ledger,
    (index, request): (u64, u64),
    operation: &Operation,
    outcome: &Outcome,
) -> Checked {
    let command = proto::Command {
        request_id: Bytes::from(vec![u8::try_from(request).expect("few"); 16]),
        time: 0.0,
        operation: Some(operation.clone()),
    };
    let commit = Position::new(index, 1);
    let event = match (operation, outcome) {
        (Operation::SendMessage(message), Outcome::Sent(sent)) if sent.commit_index == index => {
            let change = Change::MessageStored(stored(&message.message_id, index));
            Some(Event { commit, change })
        }
        (Operation::SendWithOptions(send), Outcome::Sent(sent)) if sent.commit_index == index => {
            let id = &send.message.as_ref().expect("it has one").message_id;
            let change = Change::MessageCopied {
                message: stored(id, index),
                recipient_since: LogIndex(2),
            };
            Some(Event { commit, change })
        }
        _ => None,
    };
    ledger.applied(commit, Some(&command), (bytes(outcome), event))
}

/// Ann and bob sign up at 1 and 2, and ann sends bob `one` at 3 and `two` at 4.
fn two_messages() -> Ledger {
    let mut ledger = Ledger::default();
    let steps = [
        (sign_up(ANN), created(1)),
        (sign_up(BOB), created(2)),
        (send("one"), sent("one", 3)),
        (send("two"), sent("two", 4)),
    ];
    for (place, (operation, outcome)) in steps.iter().enumerate() {
        apply(&mut ledger, place as u64 + 1, operation, outcome).expect("all is well");
    }
    ledger
}

/// The same, and bob has deleted his account at 5 and it was created again at 6.
fn recreated_account() -> Ledger {
    let mut ledger = two_messages();
    apply(&mut ledger, 5, &bob_goes(), &done()).expect("all is well");
    apply(&mut ledger, 6, &sign_up(RECREATED), &created(6)).expect("all is well");
    ledger
}

#[test]
fn correct_history_passes() {
    let mut ledger = two_messages();
    let inbox = [stored("one", 3), stored("two", 4)];
    let bob = shown(BOB, 2);
    ledger
        .session_seen(&token(BOB), LogIndex(4), Some(&bob))
        .expect("his");
    ledger.inbox_seen(&bob, LogIndex(4), &inbox).expect("his");
    ledger
        .inbox_seen(&bob, LogIndex(3), &inbox[..1])
        .expect("a node behind");
    ledger
        .names_seen(LogIndex(1), &[name(ANN)])
        .expect("a node behind");
    apply(&mut ledger, 5, &send("one"), &sent("one", 3)).expect("a retry");
    apply(&mut ledger, 6, &bob_deletes("one"), &done()).expect("his");
    apply(&mut ledger, 7, &send("one"), &sent("one", 3)).expect("a late retry");
    ledger
        .inbox_seen(&bob, LogIndex(7), &inbox[1..])
        .expect("his");
    assert_eq!(ledger.live_messages(), ["two"]);
    let mut ledger = recreated_account();
    ledger
        .inbox_seen(&shown(RECREATED, 6), LogIndex(6), &[])
        .expect("empty");
    assert!(ledger.live_messages().is_empty());
}

#[test]
fn deleted_message_or_account_that_reappears_is_found() {
    let mut ledger = two_messages();
    apply(&mut ledger, 5, &bob_deletes("one"), &done()).expect("his");
    let inbox = [stored("one", 3), stored("two", 4)];
    let seen = ledger.inbox_seen(&shown(BOB, 2), LogIndex(5), &inbox);
    check_found_by("chat-resurrection", seen);
    let again = apply(&mut ledger, 6, &send("one"), &sent("one", 6));
    check_found_by("chat-resurrection", again);

    let mut ledger = two_messages();
    apply(&mut ledger, 5, &bob_goes(), &done()).expect("his");
    let late = apply_request(&mut ledger, (6, 2), &sign_up(BOB), &created(6));
    check_found_by("chat-resurrection", late);
}

#[test]
fn retry_that_takes_effect_twice_is_found() {
    let again = apply(&mut two_messages(), 5, &send("one"), &sent("one", 5));
    check_found_by("chat-once", again);
    // The right outcome, and the message is reported to watchers twice.
    let mut ledger = two_messages();
    let command = proto::Command {
        request_id: Bytes::from(vec![5; 16]),
        time: 0.0,
        operation: Some(send("one")),
    };
    let commit = Position::new(5, 1);
    let change = Change::MessageStored(stored("one", 3));
    let outcome = (bytes(&sent("one", 3)), Some(Event { commit, change }));
    check_found_by("chat-once", ledger.applied(commit, Some(&command), outcome));
}

#[test]
fn ended_session_that_is_valid_is_found() {
    let mut ledger = recreated_account();
    let old = shown(BOB, 2);
    let seen = ledger.session_seen(&token(BOB), LogIndex(6), Some(&old));
    check_found_by("chat-session", seen);
    let used = apply(&mut ledger, 7, &bob_deletes("one"), &done());
    check_found_by("chat-session", used);
}

#[test]
fn message_shown_to_another_account_is_found() {
    let mut ledger = recreated_account();
    let inbox = [stored("one", 3)];
    let (ann, recreated) = (shown(ANN, 1), shown(RECREATED, 6));
    check_found_by("chat-leak", ledger.inbox_seen(&ann, LogIndex(4), &inbox));
    check_found_by(
        "chat-leak",
        ledger.inbox_seen(&recreated, LogIndex(6), &inbox),
    );
}

#[test]
fn incomplete_or_reordered_inbox_is_found() {
    let mut ledger = two_messages();
    let (one, two) = (stored("one", 3), stored("two", 4));
    let mut changed = two.clone();
    changed.body = "something else".to_owned();
    for inbox in [
        vec![two.clone(), one.clone()],
        vec![one.clone(), one.clone(), two.clone()],
        vec![two],
        vec![one, changed],
    ] {
        let seen = ledger.inbox_seen(&shown(BOB, 2), LogIndex(4), &inbox);
        check_found_by("chat-order", seen);
    }
}

#[test]
fn wrong_list_of_names_is_found() {
    let mut ledger = two_messages();
    apply(&mut ledger, 5, &bob_goes(), &done()).expect("his");
    let both = [name(ANN), name(BOB)];
    ledger
        .names_seen(LogIndex(4), &both)
        .expect("a node behind");
    check_found_by("chat-names", ledger.names_seen(LogIndex(5), &both));
    check_found_by("chat-names", ledger.names_seen(LogIndex(4), &both[..1]));
}

#[test]
fn difference_between_nodes_is_found() {
    let mut ledger = two_messages();
    let other = apply(&mut ledger, 3, &send("one"), &sent("one", 4));
    check_found_by("chat-replay", other);
    let wrong = ledger.answered(LogIndex(3), &bytes(&sent("one", 4)));
    check_found_by("chat-outcome", wrong);
    let wrong = apply(&mut ledger, 5, &bob_deletes("one"), &created(5));
    check_found_by("chat-outcome", wrong);
    ledger.digest(0, LogIndex(3), 77).expect("the first");
    check_found_by("chat-digest", ledger.digest(1, LogIndex(3), 78));
}

/// As [`two_messages`], with a copy of a third one at 5.
fn copied_message() -> (Ledger, Message) {
    let mut ledger = two_messages();
    let sent = sent("three", 5);
    apply(&mut ledger, 5, &send_with_copy("three"), &sent).expect("all is well");
    (ledger, stored("three", 5).to_copy(LogIndex(2)))
}

#[test]
fn correct_copies_pass() {
    let (mut ledger, copy) = copied_message();
    let (ann, bob) = (shown(ANN, 1), shown(BOB, 2));
    let copies = [copy];
    ledger
        .copies_seen(&ann, LogIndex(4), &[])
        .expect("a node behind");
    ledger
        .copies_seen(&ann, LogIndex(5), &copies)
        .expect("hers");
    ledger
        .copies_seen(&bob, LogIndex(5), &[])
        .expect("he has none");
    apply(&mut ledger, 6, &bob_deletes("three"), &done()).expect("his");
    ledger
        .copies_seen(&ann, LogIndex(6), &copies)
        .expect("hers");
    assert_eq!(ledger.live_copies(), ["three"]);
    apply(&mut ledger, 7, &send_with_copy("three"), &sent("three", 5)).expect("a late retry");
    ledger
        .copies_seen(&ann, LogIndex(7), &copies)
        .expect("the same one");
}

#[test]
fn copy_that_is_missing_or_shown_to_another_account_is_found() {
    let (mut ledger, copy) = copied_message();
    let (ann, bob) = (shown(ANN, 1), shown(BOB, 2));
    let copies = [copy];
    check_found_by("chat-leak", ledger.copies_seen(&bob, LogIndex(5), &copies));
    check_found_by("chat-copy", ledger.copies_seen(&ann, LogIndex(5), &[]));
    check_found_by("chat-copy", ledger.copies_seen(&ann, LogIndex(4), &copies));
    let mut unread = copies;
    unread[0].read = false;
    check_found_by("chat-copy", ledger.copies_seen(&ann, LogIndex(5), &unread));
    // In the inbox of the sender.
    let inbox = [stored("three", 5)];
    check_found_by("chat-leak", ledger.inbox_seen(&ann, LogIndex(5), &inbox));
}

#[test]
fn message_that_is_not_located_is_found() {
    let (mut ledger, copy) = copied_message();
    let located = |in_box| LocatedMessage {
        id: "three".to_owned(),
        direction: copy.direction,
        in_box,
        timestamp: 0.0,
        written_at: None,
        commit: Position::new(5, 1),
    };
    let ann = shown(ANN, 1);
    let others = ["one", "two"].map(|id| LocatedMessage {
        id: id.to_owned(),
        direction: Direction::Sent {
            recipient_since: LogIndex::ZERO,
        },
        commit: Position::new(if id == "one" { 3 } else { 4 }, 1),
        ..located(false)
    });
    let [one, two] = others;
    let all = [one, two, located(true)];
    ledger.located(&ann, LogIndex(5), &all).expect("hers");
    check_found_by("chat-copy", ledger.located(&ann, LogIndex(5), &all[..2]));
    let mut wrong = all;
    wrong[2].in_box = false;
    check_found_by("chat-copy", ledger.located(&ann, LogIndex(5), &wrong));
}
