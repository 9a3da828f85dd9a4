//! Nodes in this process, called through gRPC like clients do: what each request does, and when it is
//! rejected.

#![expect(
    clippy::unwrap_used,
    reason = "Clippy takes only functions marked as tests for tests"
)]

mod api_page;
mod authorization;
mod authorization_matrix;
mod copies;
mod erasure;
mod golden;
mod node;
mod quotas;
mod requests;
mod retries;
mod services;
mod watch;

use chat_proto::chat::v1::ExecuteRequest;
use chat_proto::chat::v1::chat_client::ChatClient;
use chat_proto::cluster::v1::cluster_client::ClusterClient;
use chat_proto::cluster::v1::{StatusRequest, TransferLeadershipRequest};
use chat_replication_proto::v1::HeartbeatRequest;
use chat_replication_proto::v1::replication_client::ReplicationClient;
use serde_json::json;
use tonic::Code;
use tonic_types::StatusExt;
use uuid::Uuid;

use node::OneNode;
use requests::{check_error, check_status, inbox, login, send, sign_up, text};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repeated_sign_up_checks_the_password_again() {
    let node = OneNode::start().await;
    let id = Uuid::new_v4();
    let first = node.execute(sign_up(id, "alice", "a"), None).await.unwrap();
    let second = node.execute(sign_up(id, "alice", "a"), None).await.unwrap();
    assert_ne!(
        text(&first, "token"),
        text(&second, "token"),
        "R15: a fresh session"
    );
    for token in [text(&first, "token"), text(&second, "token")] {
        assert!(
            node.execute(inbox("alice", json!({})), Some(&token))
                .await
                .is_ok()
        );
    }
    let (code, message) = ("username_taken", "Username already exists.");
    let other_password = node.execute(sign_up(id, "alice", "b"), None).await.unwrap();
    check_error(&other_password, code, message);
    let other_request = node
        .execute(sign_up(Uuid::new_v4(), "alice", "a"), None)
        .await
        .unwrap();
    check_error(&other_request, code, message);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failed_login_does_not_reveal_what_was_wrong() {
    let node = OneNode::start().await;
    node.account("zo\u{eb}").await;
    // NFC: the same name.
    let reply = node.execute(login("zoe\u{308}", "a"), None).await.unwrap();
    assert_eq!(
        (&reply["status"], &reply["unread"]),
        (&json!("OK"), &json!(0))
    );
    for wrong in [login("zo\u{eb}", "b"), login("unknown", "a")] {
        let reply = node.execute(wrong, None).await.unwrap();
        check_error(
            &reply,
            "invalid_credentials",
            "Invalid username or password.",
        );
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guessing_a_password_is_rejected() {
    let node = OneNode::start().await;
    node.account("alice").await;
    let mut wrong = 0;
    let rejected = loop {
        match node.execute(login("alice", "b"), None).await {
            Ok(reply) => assert_eq!(reply["error_code"], "invalid_credentials"),
            Err(status) => break status,
        }
        wrong += 1;
        assert!(wrong < 20, "nothing is rejected");
    };
    let delay = rejected.get_details_retry_info().unwrap().retry_delay;
    assert!(!delay.unwrap().is_zero());
    check_status(Err(rejected), Code::ResourceExhausted, "TOO_MANY_ATTEMPTS");
    // Other accounts are not affected.
    node.account("bob").await;
    assert!(node.execute(login("bob", "a"), None).await.is_ok());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repeated_message_is_stored_once() {
    let node = OneNode::start().await;
    let (alice, bob) = (node.account("alice").await, node.account("bob").await);
    let id = Uuid::new_v4();
    let sent = node
        .execute(send(id, "alice", "bob", "hi"), Some(&alice))
        .await
        .unwrap();
    assert_eq!(sent["id"], json!(id));
    let again = node
        .execute(send(id, "alice", "bob", "hi"), Some(&alice))
        .await
        .unwrap();
    assert_eq!(sent, again, "R15: the first answer again");
    let other = node
        .execute(send(id, "alice", "bob", "ho"), Some(&alice))
        .await
        .unwrap();
    assert_eq!(other["error_code"], "duplicate_message");
    let missing = node
        .execute(send(Uuid::new_v4(), "alice", "carol", "hi"), Some(&alice))
        .await
        .unwrap();
    check_error(&missing, "recipient_not_found", "Recipient does not exist.");

    let page = node
        .execute(inbox("bob", json!({})), Some(&bob))
        .await
        .unwrap();
    let since = &page["messages"][0]["sender_since"];
    assert!(since.as_u64() < sent["commit"]["index"].as_u64());
    let expected = json!({
        "status": "OK", "unread": 1, "next": null,
        "messages": [{"id": id, "sender": "alice", "sender_since": since,
                      "recipient": "bob", "body": "hi",
                      "timestamp": sent["timestamp"], "read": false, "commit": sent["commit"]}],
    });
    assert_eq!(page, expected);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inbox_is_read_in_pages() {
    let node = OneNode::start().await;
    let alice = node.account("alice").await;
    for number in 0..5 {
        let request = send(Uuid::new_v4(), "alice", "alice", &number.to_string());
        node.execute(request, Some(&alice)).await.unwrap();
    }
    let mut bodies = Vec::new();
    let mut rest = json!({"limit": 2});
    loop {
        let page = node
            .execute(inbox("alice", rest.clone()), Some(&alice))
            .await
            .unwrap();
        let messages = page["messages"].as_array().unwrap();
        bodies.extend(messages.iter().map(|message| text(message, "body")));
        if page["next"].is_null() {
            break;
        }
        rest["after"] = page["next"].clone();
    }
    assert_eq!(bodies, ["4", "3", "2", "1", "0"]);
    let oldest = inbox(
        "alice",
        json!({"oldest_first": true, "limit": 1, "unread_only": true}),
    );
    let page = node.execute(oldest, Some(&alice)).await.unwrap();
    assert_eq!(page["messages"][0]["body"], "0");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn session_acts_for_its_account_only() {
    let node = OneNode::start().await;
    let (alice, _bob) = (node.account("alice").await, node.account("bob").await);
    let forged = "0".repeat(64);
    for token in [None, Some(""), Some("x"), Some(forged.as_str())] {
        let sent = node
            .execute(send(Uuid::new_v4(), "alice", "bob", "hi"), token)
            .await;
        check_status(sent, Code::Unauthenticated, "UNAUTHENTICATED");
        let read = node.execute(inbox("alice", json!({})), token).await;
        check_status(read, Code::Unauthenticated, "UNAUTHENTICATED");
    }
    // Twice: the second time this node has the session in its cache.
    for _ in 0..2 {
        let sent = node
            .execute(send(Uuid::new_v4(), "bob", "alice", "hi"), Some(&alice))
            .await;
        check_status(sent, Code::PermissionDenied, "NOT_YOURS");
    }
    let read = node.execute(inbox("bob", json!({})), Some(&alice)).await;
    check_status(read, Code::PermissionDenied, "NOT_YOURS");
    let malformed = node
        .execute(json!({"id": "x", "request_type": "LOGIN"}), None)
        .await;
    check_status(malformed, Code::InvalidArgument, "INVALID_REQUEST");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn request_that_is_too_large_is_rejected_at_every_layer() {
    let node = OneNode::start().await;
    let mut large = login("alice", "a");
    large["username"] = json!("x".repeat(128 * 1024));
    let rejected = node.execute(large.clone(), None).await;
    check_status(rejected, Code::InvalidArgument, "INVALID_REQUEST");
    large["username"] = json!("x".repeat(256 * 1024));
    let rejected = node.execute(large, None).await.unwrap_err();
    assert_eq!(rejected.code(), Code::OutOfRange, "{rejected}");
    node.account("alice").await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peer_services_are_on_the_peer_listener_only() {
    let node = OneNode::start().await;
    // The node leads by now. The test compares two responses, between which nothing may change.
    node.account("alice").await;
    let mut cluster = ClusterClient::new(node.clients.clone());
    let status = cluster.status(StatusRequest {}).await.unwrap().into_inner();
    assert_eq!((status.node_id, status.storage_state.as_str()), (1, "ok"));
    assert_eq!(status.storage_id, "", "only peers get it");
    let again = cluster.status(StatusRequest {}).await.unwrap().into_inner();
    let cached = (again.term, again.leader_id, again.cluster_id.as_str());
    assert_eq!(
        cached,
        (status.term, status.leader_id, status.cluster_id.as_str())
    );
    let rejected = cluster
        .transfer_leadership(TransferLeadershipRequest {})
        .await
        .unwrap_err();
    assert_eq!(rejected.code(), Code::Unimplemented);
    let mut replication = ReplicationClient::new(node.clients.clone());
    let rejected = replication
        .heartbeat(HeartbeatRequest::default())
        .await
        .unwrap_err();
    assert_eq!(rejected.code(), Code::Unimplemented);

    let mut cluster = ClusterClient::new(node.peers.clone());
    let status = cluster.status(StatusRequest {}).await.unwrap().into_inner();
    assert_eq!(status.storage_id.len(), 32);
    let mut chat = ChatClient::new(node.peers.clone());
    let rejected = chat.execute(ExecuteRequest::default()).await.unwrap_err();
    assert_eq!(rejected.code(), Code::Unimplemented);
    node.stop().await;
}
