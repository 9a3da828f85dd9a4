//! Requests that the leader rejects by a limit, and those that it accepts all the same.

use std::time::{Duration, Instant};

use chat_server::config::{Limits, Passwords};
use chat_store::ChatState;
use nix::sys::statvfs::statvfs;
use serde_json::json;
use tonic::Code;
use tonic_types::StatusExt;
use uuid::Uuid;

use crate::node::OneNode;
use crate::requests::{check_status, login, request, send};

fn read_many() -> serde_json::Value {
    let ids: Vec<Uuid> = (0..1_000).map(|_| Uuid::new_v4()).collect();
    request("READ_MESSAGES", json!({"message_ids": ids}))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn account_beyond_its_rate_is_rejected_and_its_retries_are_answered() {
    let node = OneNode::start_changed(|config| {
        config.limits = Limits {
            account_requests_per_second: 1,
            account_requests_burst: 256,
            ..config.limits
        };
    })
    .await;
    let (alice, bob) = (node.account("alice").await, node.account("bob").await);
    let message = send(Uuid::new_v4(), "alice", "bob", "hi");
    let sent = node.execute(message.clone(), Some(&alice)).await.unwrap();
    let mut read = 0;
    let rejected = loop {
        match node.execute(read_many(), Some(&alice)).await {
            Ok(_) => read += 1,
            Err(status) => break status,
        }
        assert!(read < 10, "nothing is rejected");
    };
    let delay = rejected.get_details_retry_info().unwrap().retry_delay;
    assert!(!delay.unwrap().is_zero());
    check_status(Err(rejected), Code::ResourceExhausted, "TOO_MANY_REQUESTS");
    // The rest of the rate is not enough for a long message.
    let long = "x".repeat(16_384);
    for _ in 0..256 {
        let more = send(Uuid::new_v4(), "alice", "bob", &long);
        if node.execute(more, Some(&alice)).await.is_err() {
            break;
        }
    }
    while node
        .execute(send(Uuid::new_v4(), "alice", "bob", "hi"), Some(&alice))
        .await
        .is_ok()
    {}
    let again = node.execute(message, Some(&alice)).await.unwrap();
    assert_eq!(again, sent, "a retry gets its reply");
    let others = send(Uuid::new_v4(), "bob", "alice", "hi");
    assert!(node.execute(others, Some(&bob)).await.is_ok());
    let logout = request("LOGOUT", json!({}));
    assert!(node.execute(logout, Some(&alice)).await.is_ok());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nearly_full_disk_accepts_deletions_only() {
    let node = OneNode::start().await;
    let alice = node.account("alice").await;
    let message = send(Uuid::new_v4(), "alice", "alice", "hi");
    let sent = node.execute(message.clone(), Some(&alice)).await.unwrap();
    let directory = node.stop_and_keep().await;
    let space = statvfs(directory.path()).unwrap();
    let free = space.blocks_available() * space.fragment_size();
    // Less than that is free, and more than a quarter of it.
    let node = OneNode::start_changed_in(directory, |config| {
        config.limits.free_bytes_min = free.saturating_mul(2);
    })
    .await;
    for growing in [
        send(Uuid::new_v4(), "alice", "alice", "ho"),
        read_many(),
        login("alice", "a"),
    ] {
        let rejected = node.execute(growing, Some(&alice)).await;
        check_status(rejected, Code::ResourceExhausted, "STORAGE_FULL");
    }
    let again = node.execute(message, Some(&alice)).await.unwrap();
    assert_eq!(again, sent, "a retry gets its reply");
    for shrinking in [
        request("DELETE_MESSAGES", json!({"message_ids": [sent["id"]]})),
        request("DELETE_USER", json!({"username": "alice"})),
    ] {
        let done = node.execute(shrinking, Some(&alice)).await.unwrap();
        assert_eq!(done["status"], "OK");
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_inbox_accepts_no_message_until_its_owner_deletes_one() {
    let node = OneNode::start_changed(|config| config.limits.inbox_messages_max = 3).await;
    let (alice, bob) = (node.account("alice").await, node.account("bob").await);
    let messages: Vec<_> = (0..4)
        .map(|_| send(Uuid::new_v4(), "alice", "bob", "hi"))
        .collect();
    let mut sent = Vec::new();
    for message in &messages[..3] {
        sent.push(node.execute(message.clone(), Some(&alice)).await.unwrap());
    }
    let rejected = node.execute(messages[3].clone(), Some(&alice)).await;
    check_status(rejected, Code::ResourceExhausted, "INBOX_FULL");
    let again = node
        .execute(messages[0].clone(), Some(&alice))
        .await
        .unwrap();
    assert_eq!(again, sent[0], "a retry gets its reply");
    let own = send(Uuid::new_v4(), "alice", "alice", "hi");
    assert!(
        node.execute(own, Some(&alice)).await.is_ok(),
        "another inbox"
    );
    let deletion = request("DELETE_MESSAGES", json!({"message_ids": [sent[0]["id"]]}));
    assert!(node.execute(deletion, Some(&bob)).await.is_ok());
    // It is counted again a second later.
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut attempts = tokio::time::interval(Duration::from_millis(50));
    while node
        .execute(messages[3].clone(), Some(&alice))
        .await
        .is_err()
    {
        assert!(Instant::now() < deadline, "there is room again");
        attempts.tick().await;
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn login_rehashes_a_password_with_the_configured_parameters() {
    let node = OneNode::start().await;
    let alice = node.account("alice").await;
    let directory = node.stop_and_keep().await;
    let node = OneNode::start_changed_in(directory, |config| {
        config.passwords = Passwords {
            iterations: 3,
            ..Passwords::MINIMUM
        };
    })
    .await;
    assert!(node.execute(login("alice", "a"), None).await.is_ok());
    let old_session = request("LIST_USERS", json!({"pattern": "*"}));
    assert!(node.execute(old_session, Some(&alice)).await.is_ok());
    assert!(node.execute(login("alice", "a"), None).await.is_ok());
    let directory = node.stop_and_keep().await;
    let (_state, reader) = ChatState::open(&directory.path().join("node-1")).unwrap();
    let stored = reader.account("alice").await.unwrap().unwrap();
    assert!(
        stored.password_hash.contains("$m=19456,t=3,p=1$"),
        "{}",
        stored.password_hash
    );
}
