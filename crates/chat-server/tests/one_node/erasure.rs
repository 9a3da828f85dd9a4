//! What users have deleted is in no file of the node after a while (R24).

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;
use uuid::Uuid;

use crate::node::OneNode;
use crate::requests::{request, send};

/// The limit of the test; the promise is two intervals of a second, and what snapshots take.
const LIMIT: Duration = Duration::from_secs(30);
/// A text that is nowhere else.
const SECRET: &str = "0b5c9f3e is the number of the account in Zurich";

/// The files below `directory` that contain the text.
fn files_with(directory: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![directory.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            // A file may be deleted meanwhile.
            let bytes = fs::read(&path).unwrap_or_default();
            let mut windows = bytes.windows(text.len());
            if windows.any(|window| window == text.as_bytes()) {
                found.push(path);
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleted_text_is_in_no_file_after_two_snapshots() {
    let node = OneNode::start_changed(|config| config.storage.snapshot_age_seconds = 1).await;
    let alice = node.account("alice").await;
    let bob = node.account("bob").await;
    let id = Uuid::new_v4();
    let mut message = send(id, "alice", "bob", SECRET);
    message["keep_copy"] = json!(true);
    node.execute(message, Some(&alice)).await.unwrap();
    let directory = node.directory().to_owned();
    assert!(
        !files_with(&directory, SECRET).is_empty(),
        "it is on the disk"
    );
    let deletion = request("DELETE_MESSAGES", json!({"message_ids": [id]}));
    node.execute(deletion.clone(), Some(&bob)).await.unwrap();
    // The copy (C10).
    node.execute(deletion, Some(&alice)).await.unwrap();
    let deadline = Instant::now() + LIMIT;
    loop {
        // Without anything new there is no reason for a snapshot.
        let other = send(Uuid::new_v4(), "alice", "bob", "something else");
        node.execute(other, Some(&alice)).await.unwrap();
        let found = files_with(&directory, SECRET);
        if found.is_empty() {
            break;
        }
        assert!(Instant::now() < deadline, "{found:?}");
    }
    // What was sent since is there.
    let page = node
        .execute(crate::requests::inbox("bob", json!({})), Some(&bob))
        .await;
    assert!(page.unwrap()["messages"].as_array().unwrap().len() > 1);
    node.stop().await;
}
