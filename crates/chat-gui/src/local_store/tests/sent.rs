//! Sent messages: from the outbox into the copy of the box, or onto this device only. The numbers are
//! those of the rules in `docs/window-store.md`.

use super::super::inbox_copy::{InboxChange, PageEnd};
use super::*;
use crate::model::message::{Direction, StoredMessage};
use crate::model::preferences::KeptMessages;

fn id(number: u128) -> MessageId {
    MessageId(Uuid::from_u128(number))
}

fn commit(index: u64) -> Commit {
    Commit {
        index: LogIndex(index),
        term: Term(2),
    }
}

/// The copy of message `number` as the servers have it.
fn copy(number: u128, index: u64) -> StoredMessage {
    let written = outgoing(number, "bob");
    StoredMessage {
        id: written.id,
        direction: Direction::Sent,
        peer: written.recipient,
        peer_since: Some(LogIndex(3)),
        body: written.body,
        at: Timestamp(4.0),
        written_at: Some(written.written_at),
        reply_to: written.reply_to,
        read: true,
        commit: commit(index),
    }
}

async fn enqueue(store: &mut LocalStore, number: u128, place: CopyPlace) {
    let message = OutboxMessage {
        copy: place,
        ..outgoing(number, "bob")
    };
    store.enqueue(&alice(), &message).await.unwrap();
}

async fn acknowledge(store: &mut LocalStore, number: u128, index: u64) {
    let at = Timestamp(4.0);
    store
        .acknowledge(id(number), at, commit(index))
        .await
        .unwrap();
}

async fn fetch(store: &mut LocalStore, page: Vec<StoredMessage>) {
    let end = PageEnd {
        older: None,
        unread: 0,
        is_last: true,
    };
    store.keep_page(&alice(), page, &end).await.unwrap();
}

/// Outbox, box and this device: the numbers of the messages in each.
async fn places(store: &mut LocalStore) -> [Vec<u128>; 3] {
    let account = store.account(&alice()).await.unwrap();
    let number = |id: MessageId| id.0.as_u128();
    let numbers = |messages: &[StoredMessage]| messages.iter().map(|one| number(one.id)).collect();
    [
        account.outbox.iter().map(|one| number(one.id)).collect(),
        numbers(&account.inbox.messages),
        numbers(&account.sent),
    ]
}

/// 9 and 11.
#[tokio::test]
async fn acknowledged_message_is_in_the_box_or_on_this_device_only() {
    let mut store = LocalStore::in_memory().await.unwrap();
    enqueue(&mut store, 1, CopyPlace::Servers).await;
    enqueue(&mut store, 2, CopyPlace::Device).await;
    enqueue(&mut store, 3, CopyPlace::Servers).await;
    for (number, index) in [(1, 10), (2, 11)] {
        acknowledge(&mut store, number, index).await;
    }
    assert_eq!(places(&mut store).await, [vec![3], vec![1], vec![2]]);
    // A fetch that finds neither of them.
    store.begin_fetch(&alice()).await.unwrap();
    fetch(&mut store, Vec::new()).await;
    assert_eq!(places(&mut store).await, [vec![3], vec![], vec![2]]);
}

/// 10.
#[tokio::test]
async fn message_for_whose_copy_there_is_no_room_stays_on_this_device() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path()).await;
    enqueue(&mut store, 1, CopyPlace::Servers).await;
    store.send_without_copy(id(1)).await.unwrap();
    drop(store);
    let mut store = open(folder.path()).await;
    let outbox = store.outbox(&alice()).await.unwrap();
    assert_eq!(outbox[0].copy, CopyPlace::Device);
    acknowledge(&mut store, 1, 10).await;
    assert_eq!(places(&mut store).await, [vec![], vec![], vec![1]]);
}

/// 12.
#[tokio::test]
async fn reported_message_leaves_the_outbox_and_is_one_of_the_box() {
    for kept in [KeptMessages::HundredThousand, KeptMessages::None] {
        let mut store = LocalStore::in_memory().await.unwrap();
        let preferences = Preferences {
            kept_messages: kept,
            ..Preferences::default()
        };
        store.save_preferences(&preferences).await.unwrap();
        enqueue(&mut store, 1, CopyPlace::Servers).await;
        enqueue(&mut store, 2, CopyPlace::Device).await;
        enqueue(&mut store, 3, CopyPlace::Servers).await;
        acknowledge(&mut store, 2, 11).await;
        let changes = [
            InboxChange::Arrived(copy(1, 10)),
            InboxChange::Arrived(copy(2, 11)),
            // Another device has deleted this one, before anything but the watch has reported it.
            InboxChange::Deleted(vec![id(3)]),
        ];
        store.follow(&alice(), &changes, "c1").await.unwrap();
        let in_box = match kept {
            KeptMessages::None => vec![],
            _ => vec![1, 2],
        };
        assert_eq!(places(&mut store).await, [vec![], in_box.clone(), vec![]]);
        // Acknowledgements that come late change nothing.
        for number in [1, 3] {
            acknowledge(&mut store, number, 10).await;
        }
        assert_eq!(places(&mut store).await, [vec![], in_box, vec![]]);
        assert!(!store.withdraw(id(1)).await.unwrap(), "it is not there");
    }
}

/// 13.
#[tokio::test]
async fn message_that_is_acknowledged_during_a_fetch_survives_it() {
    let mut store = LocalStore::in_memory().await.unwrap();
    for number in [1, 2] {
        enqueue(&mut store, number, CopyPlace::Servers).await;
    }
    acknowledge(&mut store, 1, 10).await;
    store.begin_fetch(&alice()).await.unwrap();
    acknowledge(&mut store, 2, 11).await;
    fetch(&mut store, vec![copy(1, 10)]).await;
    assert_eq!(places(&mut store).await, [vec![], vec![1, 2], vec![]]);
    let account = store.account(&alice()).await.unwrap();
    let known = account.inbox.messages.iter().map(|one| one.peer_since);
    assert_eq!(known.collect::<Vec<_>>(), [Some(LogIndex(3)), None]);
}

/// 6 and 7.
#[tokio::test]
async fn person_who_keeps_nothing_keeps_no_sent_text_that_the_servers_have() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path()).await;
    for (number, place) in [(1, CopyPlace::Servers), (2, CopyPlace::Device)] {
        enqueue(&mut store, number, place).await;
        acknowledge(&mut store, number, number.try_into().unwrap()).await;
    }
    let preferences = Preferences {
        kept_messages: KeptMessages::None,
        ..Preferences::default()
    };
    store.save_preferences(&preferences).await.unwrap();
    assert_eq!(places(&mut store).await, [vec![], vec![], vec![2]]);
    enqueue(&mut store, 3, CopyPlace::Servers).await;
    acknowledge(&mut store, 3, 3).await;
    assert_eq!(places(&mut store).await, [vec![], vec![], vec![2]]);
}
