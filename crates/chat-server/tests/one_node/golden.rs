//! A node starts with a data directory of the first release: see
//! `crates/chat-store/tests/on_disk/golden.rs` for its content.

use std::path::Path;

use chat_log::{Options, SegmentLog};
use chat_server::config::Sessions;
use chat_store::{CommitLog, LogIndex, NodeId, Writes};
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use crate::node::OneNode;
use crate::requests::{inbox, login, request, send, text};

const GOLDEN: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../chat-store/tests/golden/first_release"
);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_of_the_first_release_is_usable() {
    for files in [
        &["log.db", "state.db", "identity.toml"][..],
        &["log.db", "identity.toml"],
    ] {
        let node = OneNode::start_in(copy(files), Sessions::default()).await;
        let [alice, bob, carol] = tokens();
        let page = node.execute(inbox("alice", json!({})), Some(&alice)).await;
        let page = page.unwrap();
        assert_eq!(bodies(&page).len(), 10);
        assert_eq!(bodies(&page)[..2], ["the last one", "another carol"]);
        assert_eq!(page["unread"], 8);
        let mut of_carols = page["messages"].as_array().unwrap().clone();
        of_carols.retain(|message| message["sender"] == "carol");
        let since = of_carols.iter().map(|message| &message["sender_since"]);
        let expected = [386, 346, 346, 346, 346].map(Value::from);
        assert!(
            since.clone().eq(&expected),
            "{:?}",
            since.collect::<Vec<_>>()
        );
        let page = node.execute(inbox("carol", json!({})), Some(&carol)).await;
        assert_eq!(bodies(&page.unwrap()), ["to another carol"]);
        let names = request("LIST_USERS", json!({"pattern": "*"}));
        let names = node.execute(names, Some(&bob)).await.unwrap();
        let all = ["Zo\u{eb}", "ada", "alice", "bo", "bob", "carol", "cy"];
        assert_eq!(names["usernames"], json!(all));

        let bob = node.execute(login("bob", "e"), None).await.unwrap();
        assert_eq!(bob["unread"], 9);
        let message = send(Uuid::new_v4(), "bob", "alice", "a new one");
        node.execute(message, Some(&text(&bob, "token")))
            .await
            .unwrap();
        let alice = node.execute(login("alice", "a"), None).await.unwrap();
        assert_eq!(alice["unread"], 9);
        node.stop().await;
    }
}

/// R18: the applied index of the tables is evidence, even while they are rebuilt.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn log_that_lacks_entries_applied_by_older_tables_has_forgotten() {
    let directory = copy(&["log.db", "state.db", "identity.toml"]);
    let data = directory.path().join("node-1");
    let truncating = tokio::task::spawn_blocking(move || {
        let (mut log, _) = CommitLog::open(&data).unwrap();
        let writes = Writes {
            truncate_after: Some(LogIndex(380)),
            ..Writes::default()
        };
        futures::executor::block_on(log.write_and_sync(&writes)).unwrap();
        log.close().unwrap();
    });
    truncating.await.unwrap();
    let mut directory = directory;
    let mut disks = Vec::new();
    for _ in 0..2 {
        let node = OneNode::start_in(directory, Sessions::default()).await;
        directory = node.stop_and_keep().await;
        let log = directory.path().join("node-1/log");
        let options = Options::new(NodeId(1));
        let (_, opened) =
            SegmentLog::open_folder(&log, options, || Uuid::new_v4().as_u128()).unwrap();
        let why = opened.amnesia.unwrap();
        assert!(why.contains("lost log entries"), "{why}");
        disks.push(opened.stored.storage);
    }
    // A new disk once, and not at every start.
    assert_eq!(disks[0], disks[1]);
}

fn copy(files: &[&str]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("node-1");
    std::fs::create_dir(&data).unwrap();
    for file in files {
        std::fs::copy(Path::new(GOLDEN).join(file), data.join(file)).unwrap();
    }
    directory
}

/// Of alice, bob and carol, in this order.
fn tokens() -> [String; 3] {
    let lines = std::fs::read_to_string(Path::new(GOLDEN).join("tokens.txt")).unwrap();
    let token = |line: &str| line.split(' ').nth(1).unwrap().to_owned();
    let tokens: Vec<String> = lines.lines().map(token).collect();
    tokens.try_into().unwrap()
}

fn bodies(page: &Value) -> Vec<String> {
    let messages = page["messages"].as_array().unwrap();
    messages
        .iter()
        .map(|message| text(message, "body"))
        .collect()
}
