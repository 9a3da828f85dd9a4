//! The change buffer with little room.

use std::sync::Arc;

use chat_store::{Change, Event, LogIndex, Position};

use super::{
    Batch, ChangeBuffer, Subscription, TooManyWatches, WATCHES_OF_ACCOUNT_MAX,
    WATCHES_OF_SOURCE_MAX, WATCHES_UNPROVEN_MAX,
};
use crate::net::connection_limit::Source;

const TOKEN: [u8; 32] = [7; 32];

fn read(index: u64, username: &str) -> Event {
    Event {
        commit: Position::new(index, 1),
        change: Change::MessagesRead {
            username: username.to_owned(),
            message_ids: vec![index.to_string()],
        },
    }
}

fn change_buffer(changes_max: usize) -> Arc<ChangeBuffer> {
    Arc::new(ChangeBuffer::with_room(LogIndex(10), changes_max))
}

fn subscription(change_buffer: &Arc<ChangeBuffer>, username: &str) -> Subscription {
    change_buffer
        .acquire_slot(TOKEN, Source::Local)
        .unwrap()
        .subscribe(username)
        .unwrap()
}

/// `11 12 to 13`, or `lost`.
#[track_caller]
fn check(subscription: &mut Subscription, position: u64, expected: &str) {
    let found = match subscription.next_batch(LogIndex(position)) {
        Batch::Lost => "lost".to_owned(),
        Batch::Changes { changes, through } => {
            let changes = changes
                .iter()
                .map(|event| format!("{} ", event.commit.index.0));
            changes.collect::<String>() + &format!("to {}", through.0)
        }
    };
    assert_eq!(found, expected);
}

#[test]
fn account_gets_its_own_changes_only() {
    let change_buffer = change_buffer(8);
    let mut alice = subscription(&change_buffer, "alice");
    check(&mut alice, 10, "to 10");
    change_buffer.put(
        vec![read(11, "alice"), read(12, "bob"), read(13, "alice")],
        LogIndex(14),
    );
    check(&mut alice, 10, "11 13 to 14");
    check(&mut alice, 11, "13 to 14");
    check(&mut alice, 14, "to 14");
    check(&mut alice, 20, "to 20");
    check(&mut subscription(&change_buffer, "bob"), 10, "12 to 14");
    check(&mut subscription(&change_buffer, "carol"), 10, "to 14");
}

#[test]
fn slow_reader_is_informed_of_lost_changes() {
    let change_buffer = change_buffer(2);
    let mut alice = subscription(&change_buffer, "alice");
    let mut bob = subscription(&change_buffer, "bob");
    let events = [11, 12, 13, 14].map(|index| read(index, "alice"));
    change_buffer.put(events.to_vec(), LogIndex(14));
    assert_eq!(change_buffer.floor(), LogIndex(12));
    check(&mut alice, 11, "lost");
    check(&mut alice, 12, "13 14 to 14");
    check(&mut bob, 10, "to 14");
    check(&mut subscription(&change_buffer, "new"), 11, "lost");
}

#[test]
fn many_changes_come_in_batches() {
    let change_buffer = change_buffer(1000);
    let mut alice = subscription(&change_buffer, "alice");
    let events = (11..=110).map(|index| read(index, "alice")).collect();
    change_buffer.put(events, LogIndex(200));
    let Batch::Changes { changes, through } = alice.next_batch(LogIndex(10)) else {
        panic!("nothing is lost");
    };
    assert_eq!((changes.len(), through), (64, LogIndex(74)));
    let Batch::Changes { changes, through } = alice.next_batch(through) else {
        panic!("nothing is lost");
    };
    assert_eq!((changes.len(), through), (36, LogIndex(200)));
}

#[tokio::test]
async fn session_that_ends_before_it_is_checked_is_noticed() {
    let change_buffer = change_buffer(8);
    let slot = change_buffer.acquire_slot(TOKEN, Source::Local).unwrap();
    let ended = Event {
        commit: Position::new(11, 1),
        change: Change::SessionEnded { token_hash: TOKEN },
    };
    change_buffer.put(vec![ended], LogIndex(11));
    let mut subscription = slot.subscribe("alice").unwrap();
    assert!(subscription.session_has_ended());
    subscription.changed().await;
}

#[tokio::test]
async fn change_wakes_only_watches_of_its_account() {
    let change_buffer = change_buffer(8);
    let (mut alice, bob) = (
        subscription(&change_buffer, "alice"),
        subscription(&change_buffer, "bob"),
    );
    change_buffer.put(vec![read(11, "alice")], LogIndex(11));
    alice.changed().await;
    assert!(!bob.changed.has_changed().unwrap());
    check(&mut alice, 10, "11 to 11");
    assert!(!alice.changed.has_changed().unwrap());
}

#[test]
fn closed_watches_leave_no_state_behind() {
    let change_buffer = change_buffer(1);
    let subscriptions: Vec<Subscription> = (0..WATCHES_OF_ACCOUNT_MAX)
        .map(|_| subscription(&change_buffer, "alice"))
        .collect();
    let one_more = change_buffer.acquire_slot(TOKEN, Source::Local).unwrap();
    assert!(
        one_more.subscribe("alice").is_err(),
        "there is a limit for each account"
    );
    drop(subscriptions);
    change_buffer.put(vec![read(11, "alice"), read(12, "bob")], LogIndex(12));
    drop(subscription(&change_buffer, "carol"));
    let inner = change_buffer.lock();
    assert_eq!(
        inner
            .accounts
            .keys()
            .map(AsRef::as_ref)
            .collect::<Vec<&str>>(),
        ["bob"]
    );
    assert_eq!((inner.sessions.len(), inner.watches), (0, 0));
}

/// S-A11: invented tokens take some of the slots, and leave the others to known sessions.
#[test]
fn unproven_sessions_have_a_lower_limit() {
    let change_buffer = change_buffer(1);
    let source = Source::from(Some("192.0.2.1:1".parse().unwrap()));
    let unproven: Vec<_> = (0..WATCHES_UNPROVEN_MAX)
        .map(|_| change_buffer.acquire_unproven_slot(TOKEN, source).unwrap())
        .collect();
    assert!(
        change_buffer
            .acquire_unproven_slot(TOKEN, Source::Local)
            .is_err()
    );
    let known = change_buffer.acquire_slot(TOKEN, Source::Local).unwrap();
    let mut unproven = unproven.into_iter();
    let proven = unproven.next().unwrap().subscribe("alice").unwrap();
    let next = change_buffer
        .acquire_unproven_slot(TOKEN, Source::Local)
        .unwrap();
    drop((known, unproven, proven, next));
    let inner = change_buffer.lock();
    assert_eq!(
        (inner.watches, inner.unproven, inner.sources.len()),
        (0, 0, 0)
    );
}

/// S-A11: each source has a limit, and the last quarter is for accounts without a watch.
#[test]
fn no_source_and_no_account_takes_all_slots() {
    let change_buffer = change_buffer(1);
    let mut subscriptions = Vec::new();
    let mut begin = |account: usize, host: u8| {
        let source = Source::from(Some(([192, 0, 2, host], 1).into()));
        let subscription = change_buffer
            .acquire_slot(TOKEN, source)?
            .subscribe(&account.to_string())?;
        subscriptions.push(subscription);
        Ok::<_, TooManyWatches>(())
    };
    for account in 0..WATCHES_OF_SOURCE_MAX {
        begin(account, 1).unwrap();
    }
    assert_eq!(begin(0, 1), Err(TooManyWatches), "one source has a quarter");
    for account in 0..WATCHES_OF_SOURCE_MAX {
        begin(account, 2).unwrap();
        begin(account, 3).unwrap();
    }
    assert_eq!(begin(0, 4), Err(TooManyWatches), "an account with watches");
    begin(WATCHES_OF_SOURCE_MAX, 4).unwrap();
}

/// R24: entries that a snapshot replaced were never applied here, so their changes are unknown.
#[tokio::test]
async fn watches_end_when_the_tables_are_replaced() {
    let change_buffer = change_buffer(8);
    let mut alice = subscription(&change_buffer, "alice");
    let mut ahead = subscription(&change_buffer, "bob");
    let before = change_buffer.acquire_slot(TOKEN, Source::Local).unwrap();
    change_buffer.put(vec![read(11, "alice"), read(12, "carol")], LogIndex(12));
    check(&mut alice, 10, "11 to 12");
    change_buffer.begin_again(LogIndex(50));
    // It is woken, and not by a change.
    alice.changed().await;
    check(&mut alice, 11, "lost");
    // With a cursor of a node that is ahead it is unknown whether a session has ended in between.
    check(&mut ahead, 60, "lost");
    check(&mut before.subscribe("dora").unwrap(), 60, "lost");
    assert_eq!(change_buffer.floor(), LogIndex(50));
    drop((alice, ahead));
    let mut alice = subscription(&change_buffer, "alice");
    change_buffer.put(vec![read(51, "alice")], LogIndex(52));
    check(&mut alice, 50, "51 to 52");
    check(&mut alice, 49, "lost");
}
