//! What is confirmed is there after every kind of end: an ordinary one, a kill, a torn write.

mod migration;
mod packed;
mod received;
mod sent;

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::{AccountKey, LocalStore, StoreError};
use crate::model::event::StoredDraft;
use crate::model::failure::Failure;
use crate::model::message::{CopyPlace, OutboxMessage};
use crate::model::names::{Commit, LogIndex, MessageId, Name, RequestId, Term};
use crate::model::preferences::{Preferences, TextSize, ThemeChoice, WindowSize};
use crate::model::time::Timestamp;

fn outgoing(number: u128, recipient: &str) -> OutboxMessage {
    OutboxMessage {
        id: MessageId(Uuid::from_u128(number)),
        request_id: RequestId(Uuid::from_u128(number + (1 << 64))),
        recipient: Name::new(recipient),
        body: Arc::from(format!("number {number}")),
        written_at: Timestamp(1.5),
        reply_to: (number == 3).then_some(MessageId(Uuid::from_u128(77))),
        copy: CopyPlace::Servers,
        refused: None,
    }
}

/// Opens the store of a folder that is not in use. A process that another test has just started has its
/// lock, too, until that process runs its own program.
async fn open(folder: &Path) -> LocalStore {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match LocalStore::open(folder).await {
            Err(StoreError::InUse { .. }) if Instant::now() < deadline => {
                tokio::task::yield_now().await;
            }
            opened => return opened.unwrap(),
        }
    }
}

fn key(name: &str) -> AccountKey {
    AccountKey {
        cluster_id: "c1".to_owned(),
        name: Name::new(name),
    }
}

fn alice() -> AccountKey {
    key("alice")
}

fn chosen_preferences() -> Preferences {
    Preferences {
        theme: ThemeChoice::Dark,
        text_size: TextSize::new(130),
        window: Some(WindowSize {
            width: 900,
            height: 600,
        }),
        ..Preferences::default()
    }
}

#[tokio::test]
async fn stored_data_is_complete_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path()).await;
    let preferences = chosen_preferences();
    store.save_preferences(&preferences).await.unwrap();
    store.save_addresses(&["a:1".to_owned()]).await.unwrap();
    store.save_remembered(Some(&alice().name)).await.unwrap();
    let bob = Name::new("bob");
    let draft = |text: &str| StoredDraft {
        text: Arc::from(text),
        reply_to: Some(MessageId(Uuid::from_u128(5))),
    };
    for (peer, text) in [("bob", "half a"), ("carol", "x")] {
        let (peer, draft) = (Name::new(peer), draft(text));
        store.save_draft(&alice(), &peer, &draft).await.unwrap();
    }
    store.save_muted(&alice(), &bob, true).await.unwrap();
    for number in 1..=3 {
        store
            .enqueue(&alice(), &outgoing(number, "carol"))
            .await
            .unwrap();
    }
    let other = outgoing(9, "alice");
    store.enqueue(&key("mallory"), &other).await.unwrap();
    store
        .refuse(MessageId(Uuid::from_u128(1)), &Failure::RecipientMissing)
        .await
        .unwrap();
    let commit = Commit {
        index: LogIndex(7),
        term: Term(2),
    };
    store
        .acknowledge(MessageId(Uuid::from_u128(2)), Timestamp(3.0), commit)
        .await
        .unwrap();
    drop(store);

    let mut store = open(folder.path()).await;
    let settings = store.settings().await.unwrap();
    assert_eq!(settings.preferences, preferences);
    assert_eq!(settings.addresses, ["a:1"]);
    assert_eq!(settings.remembered, Some(alice().name));
    let elsewhere = AccountKey {
        cluster_id: "c2".to_owned(),
        ..alice()
    };
    let another_account = store.account(&elsewhere).await.unwrap();
    assert!(another_account.outbox.is_empty() && another_account.drafts.is_empty());
    let account = store.account(&alice()).await.unwrap();
    let drafts: Vec<(&str, StoredDraft)> = account
        .drafts
        .iter()
        .map(|(peer, draft)| (peer.as_str(), draft.clone()))
        .collect();
    assert_eq!(
        drafts,
        [("bob", draft("half a"))],
        "what was sent is no draft"
    );
    assert!(account.muted.contains(&bob));
    let mut refused = outgoing(1, "carol");
    refused.refused = Some(Failure::RecipientMissing);
    assert_eq!(account.outbox, [refused, outgoing(3, "carol")]);
    assert_eq!(account.sent, [], "the servers have it");
    let copy = &account.inbox.messages[0];
    assert_eq!((copy.commit, copy.at), (commit, Timestamp(3.0)));
    assert_eq!(&*copy.body, "number 2");
    assert_eq!(copy.written_at, Some(Timestamp(1.5)));
}

#[tokio::test]
async fn requeued_message_goes_to_the_end_and_erase_affects_one_account() {
    let mut store = LocalStore::in_memory().await.unwrap();
    for number in [1, 3] {
        let message = outgoing(number, "carol");
        store.enqueue(&alice(), &message).await.unwrap();
    }
    let other = outgoing(9, "alice");
    store.enqueue(&key("mallory"), &other).await.unwrap();
    let first = MessageId(Uuid::from_u128(1));
    let why = Failure::RecipientMissing;
    store.refuse(first, &why).await.unwrap();
    store.requeue(MessageId(Uuid::from_u128(1))).await.unwrap();
    let account = store.account(&alice()).await.unwrap();
    assert_eq!(account.outbox, [outgoing(3, "carol"), outgoing(1, "carol")]);
    store.erase(&alice()).await.unwrap();
    let account = store.account(&alice()).await.unwrap();
    assert!(account.outbox.is_empty() && account.sent.is_empty() && account.drafts.is_empty());
    let mallory = store.account(&key("mallory")).await.unwrap();
    assert_eq!(mallory.outbox, [other], "another account's message stays");
}

#[tokio::test]
async fn message_to_oneself_leaves_no_copy() {
    let mut store = LocalStore::in_memory().await.unwrap();
    store
        .enqueue(&alice(), &outgoing(1, "alice"))
        .await
        .unwrap();
    let commit = Commit {
        index: LogIndex(1),
        term: Term(1),
    };
    let id = MessageId(Uuid::from_u128(1));
    store.acknowledge(id, Timestamp(1.0), commit).await.unwrap();
    let account = store.account(&alice()).await.unwrap();
    assert!(account.outbox.is_empty() && account.sent.is_empty());
    assert!(account.inbox.messages.is_empty());
}

#[tokio::test]
async fn folder_is_private_and_locked_for_one_window() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("chat/default");
    let store = open(&folder).await;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    let second = LocalStore::open(&folder).await.unwrap_err();
    assert!(matches!(second, StoreError::InUse { .. }), "{second}");
    assert!(second.to_string().contains("--profile"));
    drop(store);
    open(&folder).await;
}

#[tokio::test]
async fn file_of_an_unknown_format_is_not_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("local.db");
    fs::write(&path, vec![7; 8192]).unwrap();
    let error = LocalStore::open(folder.path()).await.unwrap_err();
    assert!(matches!(error, StoreError::Database(_)), "{error}");
    assert_eq!(fs::read(&path).unwrap(), vec![7; 8192]);
}

/// The log of SQLite ends in the middle of a write, at any byte of it.
#[tokio::test]
async fn torn_write_loses_no_confirmed_data() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path()).await;
    for number in 1..=5 {
        store
            .enqueue(&alice(), &outgoing(number, "bob"))
            .await
            .unwrap();
    }
    let log = folder.path().join("local.db-wal");
    let confirmed = fs::metadata(&log).unwrap().len();
    store.enqueue(&alice(), &outgoing(6, "bob")).await.unwrap();
    let whole = fs::read(&log).unwrap();
    let database = fs::read(folder.path().join("local.db")).unwrap();
    let written = whole.len() as u64;
    assert!(written > confirmed, "the last write is in the log");
    let mut ends: Vec<u64> = (confirmed..written).step_by(97).collect();
    ends.push(written);
    for end in ends {
        let copy = tempfile::tempdir().unwrap();
        fs::write(copy.path().join("local.db"), &database).unwrap();
        let torn = &whole[..usize::try_from(end).unwrap()];
        fs::write(copy.path().join("local.db-wal"), torn).unwrap();
        let mut store = open(copy.path()).await;
        let outbox = store.account(&alice()).await.unwrap().outbox;
        let expected = if end == written { 6 } else { 5 };
        let numbers: Vec<u128> = outbox.iter().map(|one| one.id.0.as_u128()).collect();
        assert_eq!(numbers, (1..=expected).collect::<Vec<_>>(), "torn at {end}");
    }
}

/// Names the folder for the process that is killed below.
const VICTIM: &str = "CHAT_GUI_STORE_VICTIM";

/// Writes and confirms until it is killed. Does nothing in an ordinary run of the tests.
#[tokio::test]
async fn write_until_killed() {
    let Ok(folder) = std::env::var(VICTIM) else {
        return;
    };
    let mut store = open(Path::new(&folder)).await;
    let begun = store.account(&alice()).await.unwrap().outbox.len() as u128;
    for number in begun + 1.. {
        store
            .enqueue(&alice(), &outgoing(number, "bob"))
            .await
            .unwrap();
        println!("confirmed {number}");
    }
}

#[tokio::test]
async fn killed_process_keeps_confirmed_writes() {
    let folder = tempfile::tempdir().unwrap();
    for round in 1..=5_u128 {
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "local_store::tests::write_until_killed",
                "--nocapture",
            ])
            .env(VICTIM, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(victim.stdout.take().unwrap());
        let mut confirmed = 0;
        let wanted = round * 7;
        for line in output.lines() {
            let line = line.unwrap();
            if let Some((_, number)) = line.split_once("confirmed ") {
                confirmed = number.trim().parse::<u128>().unwrap();
                if confirmed.is_multiple_of(wanted) {
                    // It goes on writing while it dies.
                    victim.kill().unwrap();
                }
            }
        }
        victim.wait().unwrap();
        assert!(confirmed > 0, "something was confirmed");
        let mut store = open(folder.path()).await;
        let outbox = store.account(&alice()).await.unwrap().outbox;
        let numbers: Vec<u128> = outbox.iter().map(|one| one.id.0.as_u128()).collect();
        let last = *numbers.last().unwrap();
        assert_eq!(numbers, (1..=last).collect::<Vec<_>>());
        assert!(
            last >= confirmed,
            "{last} of {confirmed} confirmed are there"
        );
    }
}
