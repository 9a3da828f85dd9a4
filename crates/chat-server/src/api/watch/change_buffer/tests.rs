//! The ring with little room.

use std::sync::Arc;

use chat_store::{Change, Event, LogIndex, Position};

use super::{
    Crowded, Ear, News, Ring, WATCHES_OF_ACCOUNT_MAX, WATCHES_OF_SOURCE_MAX, WATCHES_UNPROVEN_MAX,
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

fn ring(changes_max: usize) -> Arc<Ring> {
    Arc::new(Ring::with_room(LogIndex(10), changes_max))
}

fn ear(ring: &Arc<Ring>, username: &str) -> Ear {
    ring.enter(TOKEN, Source::Local)
        .unwrap()
        .listen(username)
        .unwrap()
}

/// `11 12 to 13`, or `lost`.
#[track_caller]
fn check(ear: &mut Ear, position: u64, expected: &str) {
    let told = match ear.news(LogIndex(position)) {
        News::Lost => "lost".to_owned(),
        News::Changes { changes, through } => {
            let changes = changes
                .iter()
                .map(|event| format!("{} ", event.commit.index.0));
            changes.collect::<String>() + &format!("to {}", through.0)
        }
    };
    assert_eq!(told, expected);
}

#[test]
fn an_account_hears_of_its_own_changes() {
    let ring = ring(8);
    let mut alice = ear(&ring, "alice");
    check(&mut alice, 10, "to 10");
    ring.put(
        vec![read(11, "alice"), read(12, "bob"), read(13, "alice")],
        LogIndex(14),
    );
    check(&mut alice, 10, "11 13 to 14");
    check(&mut alice, 11, "13 to 14");
    check(&mut alice, 14, "to 14");
    check(&mut alice, 20, "to 20");
    check(&mut ear(&ring, "bob"), 10, "12 to 14");
    check(&mut ear(&ring, "carol"), 10, "to 14");
}

#[test]
fn whoever_is_too_slow_learns_that_something_is_lost() {
    let ring = ring(2);
    let mut alice = ear(&ring, "alice");
    let mut bob = ear(&ring, "bob");
    let events = [11, 12, 13, 14].map(|index| read(index, "alice"));
    ring.put(events.to_vec(), LogIndex(14));
    assert_eq!(ring.floor(), LogIndex(12));
    check(&mut alice, 11, "lost");
    check(&mut alice, 12, "13 14 to 14");
    check(&mut bob, 10, "to 14");
    check(&mut ear(&ring, "new"), 11, "lost");
}

#[test]
fn long_news_come_in_parts() {
    let ring = ring(1000);
    let mut alice = ear(&ring, "alice");
    let events = (11..=110).map(|index| read(index, "alice")).collect();
    ring.put(events, LogIndex(200));
    let News::Changes { changes, through } = alice.news(LogIndex(10)) else {
        panic!("nothing is lost");
    };
    assert_eq!((changes.len(), through), (64, LogIndex(74)));
    let News::Changes { changes, through } = alice.news(through) else {
        panic!("nothing is lost");
    };
    assert_eq!((changes.len(), through), (36, LogIndex(200)));
}

#[tokio::test]
async fn a_session_ends_even_before_it_is_checked() {
    let ring = ring(8);
    let place = ring.enter(TOKEN, Source::Local).unwrap();
    let ended = Event {
        commit: Position::new(11, 1),
        change: Change::SessionEnded { token_hash: TOKEN },
    };
    ring.put(vec![ended], LogIndex(11));
    let mut ear = place.listen("alice").unwrap();
    assert!(ear.session_has_ended());
    ear.stirred().await;
}

#[tokio::test]
async fn a_change_wakes_only_whom_it_concerns() {
    let ring = ring(8);
    let (mut alice, bob) = (ear(&ring, "alice"), ear(&ring, "bob"));
    ring.put(vec![read(11, "alice")], LogIndex(11));
    alice.stirred().await;
    assert!(!bob.changed.has_changed().unwrap());
    check(&mut alice, 10, "11 to 11");
    assert!(!alice.changed.has_changed().unwrap());
}

#[test]
fn nothing_stays_of_those_who_left() {
    let ring = ring(1);
    let ears: Vec<Ear> = (0..WATCHES_OF_ACCOUNT_MAX)
        .map(|_| ear(&ring, "alice"))
        .collect();
    let one_more = ring.enter(TOKEN, Source::Local).unwrap();
    assert!(
        one_more.listen("alice").is_err(),
        "there is a limit for each account"
    );
    drop(ears);
    ring.put(vec![read(11, "alice"), read(12, "bob")], LogIndex(12));
    drop(ear(&ring, "carol"));
    let inner = ring.lock();
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

/// S-A11: invented tokens take some of the places, and leave the others to known sessions.
#[test]
fn unknown_sessions_have_a_share_of_their_own() {
    let ring = ring(1);
    let source = Source::from(Some("192.0.2.1:1".parse().unwrap()));
    let unproven: Vec<_> = (0..WATCHES_UNPROVEN_MAX)
        .map(|_| ring.enter_unproven(TOKEN, source).unwrap())
        .collect();
    assert!(ring.enter_unproven(TOKEN, Source::Local).is_err());
    let known = ring.enter(TOKEN, Source::Local).unwrap();
    let mut unproven = unproven.into_iter();
    let proven = unproven.next().unwrap().listen("alice").unwrap();
    let next = ring.enter_unproven(TOKEN, Source::Local).unwrap();
    drop((known, unproven, proven, next));
    let inner = ring.lock();
    assert_eq!(
        (inner.watches, inner.unproven, inner.sources.len()),
        (0, 0, 0)
    );
}

/// S-A11: places for each source, and the last quarter for accounts without a watch.
#[test]
fn nobody_takes_all_places() {
    let ring = ring(1);
    let mut ears = Vec::new();
    let mut begin = |account: usize, host: u8| {
        let source = Source::from(Some(([192, 0, 2, host], 1).into()));
        let ear = ring.enter(TOKEN, source)?.listen(&account.to_string())?;
        ears.push(ear);
        Ok::<_, Crowded>(())
    };
    for account in 0..WATCHES_OF_SOURCE_MAX {
        begin(account, 1).unwrap();
    }
    assert_eq!(begin(0, 1), Err(Crowded), "one source has a quarter");
    for account in 0..WATCHES_OF_SOURCE_MAX {
        begin(account, 2).unwrap();
        begin(account, 3).unwrap();
    }
    assert_eq!(begin(0, 4), Err(Crowded), "an account with watches");
    begin(WATCHES_OF_SOURCE_MAX, 4).unwrap();
}
