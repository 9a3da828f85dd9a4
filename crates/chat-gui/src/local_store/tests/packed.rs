//! Many messages are read as one value: each comes back exactly, and what is damaged is named.

use std::error::Error;

use proptest::prelude::*;
use sqlx::AssertSqlSafe;

use super::super::inbox_copy::{InboxChange, PageEnd};
use super::super::packed_messages::{self, ROWS_AT_ONCE};
use super::super::rows::Names;
use super::*;
use crate::model::message::{Direction, StoredMessage};

fn message(number: u64) -> StoredMessage {
    StoredMessage {
        id: MessageId(Uuid::from_u128(number.into())),
        direction: Direction::Received,
        peer: Name::new("bob"),
        peer_since: Some(LogIndex(1)),
        body: Arc::from(format!("number {number}")),
        at: Timestamp(1_764_000_000.0 + number as f64 / 1_000.0),
        written_at: Some(Timestamp(1_764_000_000.125)),
        reply_to: Some(MessageId(Uuid::from_u128(77))),
        read: false,
        commit: Commit {
            index: LogIndex(number),
            term: Term(3),
        },
    }
}

async fn store_with(messages: Vec<StoredMessage>) -> LocalStore {
    let mut store = LocalStore::in_memory().await.unwrap();
    let end = PageEnd {
        older: None,
        unread: 0,
        is_last: true,
    };
    store.keep_page(&alice(), messages, &end).await.unwrap();
    store
}

/// The first part, as it is read at once; `None` if it has to be read by columns.
async fn unpacked(store: &mut LocalStore) -> Option<Vec<(StoredMessage, CopyPlace)>> {
    let part = packed_messages::read(&mut store.connection, 1, 0).await;
    let part = part.unwrap().expect("the box has messages");
    packed_messages::unpack(&part, &mut Names::default())
}

/// Floats by their bits: 0 and -0 are not the same.
fn bits(message: &StoredMessage) -> (u64, Option<u64>) {
    let written_at = message.written_at.map(|time| time.0.to_bits());
    (message.at.0.to_bits(), written_at)
}

fn any_text() -> impl Strategy<Value = String> {
    let hard = prop_oneof![
        Just("\0"),
        Just("'"),
        Just("\""),
        Just(" "),
        Just("-"),
        Just("\n"),
        Just("7 "),
        Just("é"),
        Just("\u{10ffff}"),
    ];
    prop_oneof![
        prop::collection::vec(any::<char>(), 0..20).prop_map(String::from_iter),
        prop::collection::vec(hard, 0..20).prop_map(|parts| parts.concat()),
    ]
}

/// A time of the present, of the clock of a server in milliseconds or finer.
fn present() -> impl Strategy<Value = f64> {
    prop_oneof![
        (1_073_741_824_000_u64..253_402_300_800_000).prop_map(|time| time as f64 / 1_000.0),
        1_073_741_824.0..=1_099_511_627_776.0,
    ]
}

fn any_time() -> impl Strategy<Value = f64> {
    let numbers = any::<u64>().prop_map(f64::from_bits);
    prop_oneof![
        present(),
        numbers.prop_filter("SQLite keeps it as NULL", |time| !time.is_nan()),
        Just(0.0),
        Just(-0.0),
        Just(5e-324),
        Just(0.1),
        Just(1_073_741_823.999_999_9),
        Just(1_099_511_627_776.000_2),
        Just(f64::MAX),
        Just(f64::NEG_INFINITY),
    ]
}

fn any_message(time: BoxedStrategy<f64>) -> impl Strategy<Value = StoredMessage> {
    let number = || prop_oneof![0..50_u64, Just(i64::MAX as u64)];
    let names = (any::<[u8; 16]>(), any::<Option<[u8; 16]>>(), any_text());
    let times = (time.clone(), prop::option::of(time));
    let numbers = (prop::option::of(number()), number(), number());
    let flags = any::<(bool, bool)>();
    (names, any_text(), times, numbers, flags).prop_map(
        |((id, reply_to, peer), body, (at, written_at), (since, index, term), flags)| {
            StoredMessage {
                id: MessageId(Uuid::from_bytes(id)),
                direction: if flags.0 {
                    Direction::Sent
                } else {
                    Direction::Received
                },
                peer: Name::new(&peer),
                peer_since: since.map(LogIndex),
                body: Arc::from(body),
                at: Timestamp(at),
                written_at: written_at.map(Timestamp),
                reply_to: reply_to.map(|id| MessageId(Uuid::from_bytes(id))),
                read: flags.1,
                commit: Commit {
                    index: LogIndex(index),
                    term: Term(term),
                },
            }
        },
    )
}

/// Every message comes back as it was written, and both ways of reading agree. Returns whether the
/// messages were read at once.
async fn check_round_trip(mut written: Vec<StoredMessage>) -> bool {
    let mut store = store_with(written.clone()).await;
    sqlx::raw_sql("UPDATE messages SET is_on_servers = 0 WHERE rowid % 3 = 0")
        .execute(&mut store.connection)
        .await
        .unwrap();
    let mut names = Names::default();
    let columns = store.read_columns(1, 0, i64::MAX, &mut names).await;
    let columns = columns.unwrap();
    let packed = unpacked(&mut store).await;
    if let Some(packed) = &packed {
        assert_eq!(*packed, columns);
        let messages = packed.iter().zip(&columns);
        assert!(
            messages
                .clone()
                .all(|(one, other)| bits(&one.0) == bits(&other.0))
        );
    }
    let account = store.account(&alice()).await.unwrap();
    let on_device = columns
        .iter()
        .filter(|(_, copy)| *copy == CopyPlace::Device);
    assert_eq!(account.sent.len(), on_device.count());
    let mut read = [account.inbox.messages, account.sent].concat();
    read.sort_by_key(|message| message.id.0);
    written.sort_by_key(|message| message.id.0);
    assert_eq!(read, written);
    packed.is_some()
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn message_of_the_present_is_read_at_once_and_exactly(
        messages in prop::collection::vec(any_message(present().boxed()), 1..20),
    ) {
        prop_assert!(run(check_round_trip(messages)));
    }

    #[test]
    fn message_of_any_time_is_read_exactly(
        messages in prop::collection::vec(any_message(any_time().boxed()), 1..8),
    ) {
        run(check_round_trip(messages));
    }
}

#[tokio::test]
async fn parts_with_and_without_rare_times_are_read_after_each_other() {
    let rows = ROWS_AT_ONCE as u64;
    let mut written: Vec<_> = (1..=3 * rows).map(message).collect();
    written[rows as usize + 5].at = Timestamp(0.1);
    let mut store = store_with(written.clone()).await;
    // Neither the rows of others nor gaps are in the way.
    let other = InboxChange::Arrived(message(9));
    store.follow(&key("mallory"), &[other], "c1").await.unwrap();
    let deleted = written.remove(7);
    let deleted = InboxChange::Deleted(vec![deleted.id]);
    store.follow(&alice(), &[deleted], "c1").await.unwrap();
    assert_eq!(
        store.account(&alice()).await.unwrap().inbox.messages,
        written
    );
}

/// What reading says about a store with a damaged value in its second message.
async fn check_damage(damage: &str, column: &str) {
    let mut store = store_with(vec![message(1), message(2), message(3)]).await;
    let statement = format!("UPDATE messages SET {damage} WHERE rowid = 2");
    sqlx::raw_sql(AssertSqlSafe(statement))
        .execute(&mut store.connection)
        .await
        .unwrap();
    assert_eq!(unpacked(&mut store).await, None, "{damage}");
    let error = store.account(&alice()).await.expect_err(damage);
    let expected =
        format!("the value `{column}` of row 2 of the messages on this device is damaged");
    assert_eq!(error.to_string(), expected);
    assert!(error.source().is_some(), "{damage}");
}

#[tokio::test]
async fn damaged_value_is_named() {
    check_damage("id = x'0102'", "id").await;
    check_damage("id = x''", "id").await;
    check_damage("reply_to = x''", "reply_to").await;
    check_damage("reply_to = zeroblob(17)", "reply_to").await;
    check_damage("peer = CAST(x'62ff' AS TEXT)", "peer").await;
    check_damage("body = CAST(x'c3' AS TEXT)", "body").await;
    check_damage("commit_index = -1", "commit_index").await;
    check_damage("commit_term = -1", "commit_term").await;
    check_damage("peer_since = -1", "peer_since").await;
}

/// What comes from a damaged file is never taken apart wrongly, nor beyond its end.
#[test]
fn part_that_is_shortened_or_changed_is_not_taken_apart() {
    run(async {
        let mut store = store_with(vec![message(1)]).await;
        let part = packed_messages::read(&mut store.connection, 1, 0).await;
        let part = part.unwrap().expect("the box has a message");
        let mut names = Names::default();
        let text = part.text().unwrap();
        for length in 1..text.len() {
            let shortened = packed_messages::unpack_text(&text[..length], &mut names);
            assert_eq!(shortened, None, "{length}");
        }
        for (from, to) in [
            (" 3 8 ", " 3 9 "),
            (" 3 8 ", " 3 99999999999999999999 "),
            (" 4 1 3 ", " 4 -1 3 "),
        ] {
            assert!(text.contains(from), "{text}");
            let changed = text.replacen(from, to, 1);
            let changed = packed_messages::unpack_text(&changed, &mut names);
            assert_eq!(changed, None, "{to}");
        }
    });
}
