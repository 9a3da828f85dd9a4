//! The copy of an inbox: it follows the watch, is compared with pages, is bounded, and is forgotten.

use std::collections::BTreeMap;
use std::fs;

use proptest::prelude::*;

use super::super::inbox_copy::{InboxChange, PageEnd};
use super::super::pending_changes::ChangeKind;
use super::*;
use crate::model::message::{Direction, StoredMessage};
use crate::model::preferences::KeptMessages;

fn message(number: u64, read: bool) -> StoredMessage {
    StoredMessage {
        id: id(number),
        direction: Direction::Received,
        peer: Name::new("bob"),
        peer_since: number.is_multiple_of(2).then_some(LogIndex(1)),
        body: Arc::from(format!("secret {number}")),
        at: Timestamp(2.5),
        written_at: number.is_multiple_of(3).then_some(Timestamp(1.25)),
        reply_to: number.is_multiple_of(5).then(|| id(number - 1)),
        read,
        commit: Commit {
            index: LogIndex(number),
            term: Term(3),
        },
    }
}

fn id(number: u64) -> MessageId {
    MessageId(Uuid::from_u128(number.into()))
}

fn arrived(number: u64) -> InboxChange {
    InboxChange::Arrived(message(number, false))
}

fn last_page(unread: u64) -> PageEnd {
    PageEnd {
        older: None,
        unread,
        is_last: true,
    }
}

/// Whether a text is in any file of a folder. A file that SQLite removes meanwhile has none.
fn is_in_a_file(folder: &Path, text: &str) -> bool {
    fs::read_dir(folder).unwrap().any(|entry| {
        let bytes = fs::read(entry.unwrap().path()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).contains(text)
    })
}

/// The numbers of the messages in the copy, with `*` at unread ones.
async fn copy(store: &mut LocalStore) -> Vec<String> {
    let inbox = store.account(&alice()).await.unwrap().inbox;
    let line = |message: &StoredMessage| {
        let unread = if message.read { "" } else { "*" };
        format!("{}{unread}", message.commit.index)
    };
    inbox.messages.iter().map(line).collect()
}

/// A store whose copy holds 1 to 3, complete as of cursor `c1`.
async fn filled(store: &mut LocalStore) {
    store.begin_fetch(&alice()).await.unwrap();
    store.follow(&alice(), &[], "c1").await.unwrap();
    let page = vec![message(3, false), message(2, false), message(1, true)];
    store
        .keep_page(&alice(), page, &last_page(2))
        .await
        .unwrap();
}

#[tokio::test]
async fn copy_and_its_cursor_are_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path()).await;
    filled(&mut store).await;
    let changes = [
        arrived(4),
        InboxChange::Read(vec![id(2)]),
        InboxChange::Deleted(vec![id(3)]),
        arrived(5),
    ];
    store.follow(&alice(), &changes, "c2").await.unwrap();
    drop(store);
    let mut store = open(folder.path()).await;
    assert_eq!(copy(&mut store).await, ["1", "2", "4*", "5*"]);
    let position = store.copy_position(&alice()).await.unwrap();
    assert_eq!(position.cursor.as_deref(), Some("c2"));
    let inbox = store.account(&alice()).await.unwrap().inbox;
    assert!(inbox.is_complete && !inbox.more);
    assert_eq!(inbox.messages[1], message(2, true));
    let other = store.account(&key("mallory")).await.unwrap().inbox;
    assert_eq!(other.messages, [], "of another account");
}

#[tokio::test]
async fn interrupted_fetch_is_begun_again_by_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path()).await;
    filled(&mut store).await;
    store.begin_fetch(&alice()).await.unwrap();
    store.follow(&alice(), &[arrived(9)], "c9").await.unwrap();
    let first = PageEnd {
        older: Some("behind 9".to_owned()),
        unread: 3,
        is_last: false,
    };
    store
        .keep_page(&alice(), vec![message(9, false)], &first)
        .await
        .unwrap();
    drop(store);
    let mut store = open(folder.path()).await;
    assert_eq!(store.copy_position(&alice()).await.unwrap().cursor, None);
    assert_eq!(copy(&mut store).await, ["1", "2*", "3*", "9*"], "shown");
    // Nothing that was deleted meanwhile outlives the fetch.
    filled(&mut store).await;
    assert_eq!(copy(&mut store).await, ["1", "2*", "3*"]);
}

#[tokio::test]
async fn fetch_removes_what_comes_on_no_page_and_keeps_read_marks() {
    let mut store = LocalStore::in_memory().await.unwrap();
    filled(&mut store).await;
    let read = [InboxChange::Read(vec![id(3)])];
    store.follow(&alice(), &read, "c2").await.unwrap();
    store.begin_fetch(&alice()).await.unwrap();
    // A page that is older than the event about message 3; and it does not reach message 1.
    let end = PageEnd {
        older: Some("behind 3".to_owned()),
        unread: 4,
        is_last: true,
    };
    store
        .keep_page(&alice(), vec![message(3, false)], &end)
        .await
        .unwrap();
    let kept = copy(&mut store).await;
    assert_eq!(
        kept,
        ["3"],
        "what is beyond the page may be deleted any time"
    );
    let inbox = store.account(&alice()).await.unwrap().inbox;
    assert_eq!((inbox.more, inbox.unread_elsewhere), (true, 4));
    let position = store.copy_position(&alice()).await.unwrap();
    assert_eq!(position.older.as_deref(), Some("behind 3"));
    let elsewhere = [InboxChange::Read(vec![id(77)])];
    store.follow(&alice(), &elsewhere, "c3").await.unwrap();
    let inbox = store.account(&alice()).await.unwrap().inbox;
    assert_eq!(inbox.unread_elsewhere, 3);
    store.begin_fetch(&alice()).await.unwrap();
    store
        .keep_page(&alice(), vec![message(2, false)], &last_page(1))
        .await
        .unwrap();
    assert_eq!(copy(&mut store).await, ["2*"]);
}

#[tokio::test]
async fn requested_changes_hold_until_the_servers_have_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path()).await;
    filled(&mut store).await;
    let (read, delete) = (ChangeKind::Read, ChangeKind::Delete);
    for (kind, number) in [(read, 2), (delete, 3)] {
        store
            .request_change(&alice(), kind, &[id(number)])
            .await
            .unwrap();
    }
    drop(store);
    let mut store = open(folder.path()).await;
    let pending = store.pending_changes(&alice()).await.unwrap();
    assert_eq!(pending, (vec![id(2)], vec![id(3)]));
    // The servers return both as they were.
    store.begin_fetch(&alice()).await.unwrap();
    let page = vec![message(3, false), message(2, false)];
    let shown = store
        .keep_page(&alice(), page, &last_page(2))
        .await
        .unwrap();
    assert_eq!(shown, [message(2, true)]);
    store.follow(&alice(), &[arrived(3)], "c4").await.unwrap();
    assert_eq!(copy(&mut store).await, ["2"]);
    store
        .change_done(&alice(), delete, &[id(3).0])
        .await
        .unwrap();
    let pending = store.pending_changes(&alice()).await.unwrap();
    assert_eq!(pending, (vec![id(2)], vec![]));
}

#[tokio::test]
async fn copy_is_bounded_and_forgotten_at_will() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path()).await;
    filled(&mut store).await;
    let many: Vec<InboxChange> = (10..1_300).map(arrived).collect();
    store.follow(&alice(), &many, "c2").await.unwrap();
    let mut preferences = Preferences {
        kept_messages: KeptMessages::Thousand,
        ..Preferences::default()
    };
    store.save_preferences(&preferences).await.unwrap();
    let inbox = store.account(&alice()).await.unwrap().inbox;
    assert_eq!(inbox.messages.len(), 1_000, "the newest");
    assert_eq!(inbox.messages[0].commit.index, LogIndex(300));
    assert!(inbox.more);
    assert_eq!(inbox.unread_elsewhere, 292);
    let position = store.copy_position(&alice()).await.unwrap();
    assert_eq!((position.more, position.older), (true, None));

    store
        .request_change(&alice(), ChangeKind::Delete, &[id(1_299)])
        .await
        .unwrap();
    preferences.kept_messages = KeptMessages::None;
    store.save_preferences(&preferences).await.unwrap();
    store
        .follow(&alice(), &[arrived(2_000)], "c3")
        .await
        .unwrap();
    let shown = store
        .keep_page(&alice(), vec![message(2_000, false)], &last_page(1))
        .await
        .unwrap();
    assert_eq!(shown.len(), 1, "it is shown all the same");
    assert_eq!(copy(&mut store).await, [""; 0]);
    assert_eq!(store.copy_position(&alice()).await.unwrap().cursor, None);
    let pending = store.pending_changes(&alice()).await.unwrap();
    assert_eq!(pending.1, [id(1_299)], "the servers do not have it yet");
    drop(store);
    assert!(!is_in_a_file(folder.path(), "secret"));
}

#[tokio::test]
async fn erased_account_leaves_no_received_text() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path()).await;
    filled(&mut store).await;
    store
        .request_change(&alice(), ChangeKind::Read, &[id(2)])
        .await
        .unwrap();
    assert!(is_in_a_file(folder.path(), "secret"));
    store.erase(&alice()).await.unwrap();
    assert_eq!(copy(&mut store).await, [""; 0]);
    let pending = store.pending_changes(&alice()).await.unwrap();
    assert_eq!(pending, (vec![], vec![]));
    assert!(!is_in_a_file(folder.path(), "secret"));
}

/// The log of SQLite ends in the middle of a write: messages and cursor are both there, or neither.
#[tokio::test]
async fn torn_write_separates_no_message_from_its_cursor() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path()).await;
    filled(&mut store).await;
    let log = folder.path().join("local.db-wal");
    let confirmed = fs::metadata(&log).unwrap().len();
    let changes = [arrived(4), InboxChange::Deleted(vec![id(3)])];
    store.follow(&alice(), &changes, "c2").await.unwrap();
    let whole = fs::read(&log).unwrap();
    let database = fs::read(folder.path().join("local.db")).unwrap();
    let written = whole.len() as u64;
    assert!(written > confirmed, "the last write is in the log");
    let mut ends: Vec<u64> = (confirmed..written).step_by(397).collect();
    ends.push(written);
    for end in ends {
        let copied = tempfile::tempdir().unwrap();
        fs::write(copied.path().join("local.db"), &database).unwrap();
        let torn = &whole[..usize::try_from(end).unwrap()];
        fs::write(copied.path().join("local.db-wal"), torn).unwrap();
        let mut store = open(copied.path()).await;
        let cursor = store.copy_position(&alice()).await.unwrap().cursor;
        let (messages, expected) = if end == written {
            (vec!["1", "2*", "4*"], "c2")
        } else {
            (vec!["1", "2*", "3*"], "c1")
        };
        assert_eq!(copy(&mut store).await, messages, "torn at {end}");
        assert_eq!(cursor.as_deref(), Some(expected), "torn at {end}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Whatever happens on the servers while this device is connected, away, or in the middle of a
    /// fetch: once a fetch or the watch has caught up, the copy is what the servers have.
    #[test]
    fn copy_converges_to_the_inbox(steps in prop::collection::vec((0_u8..8, 0_u64..12), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(follow_steps(&steps));
    }
}

/// Changes of an inbox that the watch has not reported yet, and whether it reports them at all.
async fn follow_steps(steps: &[(u8, u64)]) {
    let mut store = LocalStore::in_memory().await.unwrap();
    let mut inbox: BTreeMap<u64, bool> = BTreeMap::new();
    let mut next = 0;
    let mut missed = Vec::new();
    fetch_all(&mut store, &inbox).await;
    for (action, choice) in steps {
        let known: Vec<u64> = inbox.keys().copied().collect();
        let chosen = known.get(usize::try_from(*choice).unwrap()).copied();
        match (action, chosen) {
            (0 | 1, Some(number)) => {
                inbox.remove(&number);
                missed.push(InboxChange::Deleted(vec![id(number)]));
            }
            (2 | 3, Some(number)) => {
                inbox.insert(number, true);
                missed.push(InboxChange::Read(vec![id(number)]));
            }
            (4, _) => {
                store.follow(&alice(), &missed, "c").await.unwrap();
                missed.clear();
                check_copy(&mut store, &inbox).await;
            }
            // A gap: the watch does not report what was missed.
            (5, _) => {
                missed.clear();
                fetch_all(&mut store, &inbox).await;
                check_copy(&mut store, &inbox).await;
            }
            // A page shows what the watch reports once more later.
            (6, _) => fetch_all(&mut store, &inbox).await,
            _ => {
                next += 1;
                inbox.insert(next, false);
                missed.push(arrived(next));
            }
        }
    }
    store.follow(&alice(), &missed, "c").await.unwrap();
    check_copy(&mut store, &inbox).await;
}

async fn fetch_all(store: &mut LocalStore, inbox: &BTreeMap<u64, bool>) {
    store.begin_fetch(&alice()).await.unwrap();
    let newest_first: Vec<StoredMessage> = inbox
        .iter()
        .rev()
        .map(|(number, read)| message(*number, *read))
        .collect();
    let mut left = newest_first.len();
    let unread = inbox.values().filter(|read| !**read).count() as u64;
    let mut pages: Vec<&[StoredMessage]> = newest_first.chunks(3).collect();
    if pages.is_empty() {
        pages.push(&[]);
    }
    for page in pages {
        left -= page.len();
        let end = PageEnd {
            older: (left > 0).then(|| "older".to_owned()),
            unread,
            is_last: left == 0,
        };
        store
            .keep_page(&alice(), page.to_vec(), &end)
            .await
            .unwrap();
    }
}

async fn check_copy(store: &mut LocalStore, inbox: &BTreeMap<u64, bool>) {
    let expected: Vec<String> = inbox
        .iter()
        .map(|(number, read)| format!("{number}{}", if *read { "" } else { "*" }))
        .collect();
    assert_eq!(copy(store).await, expected);
}
