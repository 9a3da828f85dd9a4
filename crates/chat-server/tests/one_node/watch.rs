//! Watches: their events, the cursors to continue from, and why they end.

use chat_proto::chat::v1::WatchEvent;
use chat_proto::chat::v1::WatchRequest;
use chat_proto::chat::v1::chat_client::ChatClient;
use chat_proto::chat::v1::watch_event::Event;
use serde_json::json;
use tonic::{Code, Request, Status, Streaming};
use tonic_types::StatusExt;
use uuid::Uuid;

use crate::node::{OneNode, TEST_TIMEOUT, addresses, authorized};
use crate::requests::send;

async fn send_text(node: &OneNode, sender: &str, recipient: &str, body: &str, token: &str) {
    let request = send(Uuid::new_v4(), sender, recipient, body);
    let reply = node.execute(request, Some(token)).await.unwrap();
    assert_eq!(reply["status"], "OK");
}

#[track_caller]
fn check_ended(status: &Status, code: Code, reason: &str) {
    let info = status.get_details_error_info().unwrap();
    let found = (status.code(), info.reason.as_str());
    assert_eq!(found, (code, reason), "{status}");
}

/// The next event as a short text, and its cursor.
async fn next(events: &mut Streaming<WatchEvent>) -> (String, String) {
    let arriving = tokio::time::timeout(TEST_TIMEOUT, events.message());
    let event = arriving.await.unwrap().unwrap().unwrap();
    let text = match event.event.unwrap() {
        Event::Message(message) => message.body,
        Event::Read(_) => "read".to_owned(),
        Event::Deleted(_) => "deleted".to_owned(),
        Event::CaughtUp(_) => "caught up".to_owned(),
        Event::Resync(_) => "resync".to_owned(),
    };
    (text, event.cursor)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watch_continues_after_its_cursor() {
    let node = OneNode::start().await;
    let (alice, bob) = (node.account("alice").await, node.account("bob").await);
    send_text(&node, "alice", "bob", "before", &alice).await;
    let mut events = node.watch("", Some(&bob)).await.unwrap();
    assert_eq!(next(&mut events).await.0, "caught up");
    let mut cursors = Vec::new();
    for body in ["one", "two", "three"] {
        send_text(&node, "alice", "bob", body, &alice).await;
        send_text(&node, "bob", "alice", "not for bob", &bob).await;
        let (sent, cursor) = next(&mut events).await;
        assert_eq!(sent, body);
        cursors.push(cursor);
    }
    let mut again = node.watch(&cursors[0], Some(&bob)).await.unwrap();
    for expected in ["two", "three", "caught up"] {
        assert_eq!(next(&mut again).await.0, expected);
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watch_continues_on_another_node() {
    let addresses = addresses(3);
    let (one, two, three) = tokio::join!(
        OneNode::start_one_of(&addresses, 1),
        OneNode::start_one_of(&addresses, 2),
        OneNode::start_one_of(&addresses, 3),
    );
    let (alice, bob) = (two.account("alice").await, two.account("bob").await);
    let mut events = one.watch("", Some(&bob)).await.unwrap();
    let (_, mut cursor) = next(&mut events).await;
    for body in ["0", "1", "2"] {
        send_text(&three, "alice", "bob", body, &alice).await;
        let (sent, at) = next(&mut events).await;
        assert_eq!(sent, body);
        cursor = at;
    }
    // The other nodes have the same cursors, whether or not the first one leads.
    one.stop().await;
    check_ended(
        &events.message().await.unwrap_err(),
        Code::Unavailable,
        "STOPPING",
    );
    send_text(&two, "alice", "bob", "3", &alice).await;
    for node in [&two, &three] {
        let mut events = node.watch(&cursor, Some(&bob)).await.unwrap();
        for expected in ["3", "caught up"] {
            assert_eq!(next(&mut events).await.0, expected);
        }
    }
    tokio::join!(two.stop(), three.stop());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watch_sends_read_and_deleted_messages() {
    let node = OneNode::start().await;
    let alice = node.account("alice").await;
    send_text(&node, "alice", "alice", "to myself", &alice).await;
    let inbox = json!({"id": Uuid::new_v4(), "request_type": "GET_MESSAGES", "username": "alice"});
    let ids = json!([node.execute(inbox, Some(&alice)).await.unwrap()["messages"][0]["id"]]);
    let mut events = node.watch("", Some(&alice)).await.unwrap();
    assert_eq!(next(&mut events).await.0, "caught up");
    for (request_type, expected) in [("READ_MESSAGES", "read"), ("DELETE_MESSAGES", "deleted")] {
        // The second time the request changes nothing.
        for _ in 0..2 {
            let id = Uuid::new_v4();
            let request = json!({"id": id, "request_type": request_type, "message_ids": ids});
            let reply = node.execute(request, Some(&alice)).await.unwrap();
            assert_eq!(reply["status"], "OK");
        }
        assert_eq!(next(&mut events).await.0, expected);
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watch_ends_with_its_session() {
    let node = OneNode::start().await;
    let (old, new) = ("a".repeat(64), "b".repeat(64));
    let requests = [
        ("alice", json!({"request_type": "LOGOUT"})),
        (
            "bob",
            json!({"request_type": "CHANGE_PASSWORD", "password": old, "new_password": new}),
        ),
        (
            "carol",
            json!({"request_type": "DELETE_USER", "username": "carol"}),
        ),
    ];
    for (name, mut request) in requests {
        let token = node.account(name).await;
        let mut events = node.watch("", Some(&token)).await.unwrap();
        assert_eq!(next(&mut events).await.0, "caught up");
        request["id"] = json!(Uuid::new_v4());
        let reply = node.execute(request, Some(&token)).await.unwrap();
        assert_eq!(reply["status"], "OK");
        let ended = tokio::time::timeout(TEST_TIMEOUT, events.message())
            .await
            .unwrap();
        check_ended(&ended.unwrap_err(), Code::Unauthenticated, "SESSION_ENDED");
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watch_is_rejected_like_a_request() {
    let node = OneNode::start().await;
    let alice = node.account("alice").await;
    for token in [None, Some("x"), Some("0".repeat(64).as_str())] {
        let rejected = node.watch("", token).await.unwrap_err();
        check_ended(&rejected, Code::Unauthenticated, "UNAUTHENTICATED");
    }
    let rejected = node.watch("yesterday", Some(&alice)).await.unwrap_err();
    check_ended(&rejected, Code::InvalidArgument, "INVALID_REQUEST");
    let mut watches = Vec::new();
    let rejected = loop {
        match node.watch("", Some(&alice)).await {
            Ok(watch) => watches.push(watch),
            Err(rejected) => break rejected,
        }
    };
    check_ended(&rejected, Code::ResourceExhausted, "TOO_MANY_WATCHES");
    assert_eq!(watches.len(), 16);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_ends_a_watch_with_its_cursor() {
    let node = OneNode::start().await;
    let alice = node.account("alice").await;
    let mut events = node.watch("", Some(&alice)).await.unwrap();
    let (_, cursor) = next(&mut events).await;
    let ((), ended) = tokio::join!(node.stop(), events.message());
    let ended = ended.unwrap_err();
    check_ended(&ended, Code::Unavailable, "STOPPING");
    let info = ended.get_details_error_info().unwrap();
    assert_eq!(info.metadata["cursor"], cursor);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watch_ends_at_its_deadline() {
    let node = OneNode::start().await;
    let alice = node.account("alice").await;
    let mut request = Request::new(WatchRequest::default());
    request
        .metadata_mut()
        .insert("grpc-timeout", "500m".parse().unwrap());
    let mut stub = ChatClient::new(node.clients.clone());
    let watch = stub.watch(authorized(request, Some(&alice))).await.unwrap();
    let mut events = watch.into_inner();
    assert_eq!(next(&mut events).await.0, "caught up");
    let late = events.message().await.unwrap_err();
    check_ended(&late, Code::DeadlineExceeded, "DEADLINE");
    node.stop().await;
}
