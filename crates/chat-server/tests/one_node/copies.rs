//! Copies of sent messages, and where messages are in the log: rules C1 to C10 of `docs/api.md`.

use std::time::{Duration, Instant};

use chat_proto::chat::v1::Direction;
use chat_proto::chat::v1::watch_event::Event;
use serde_json::{Value, json};
use tonic::Code;
use uuid::Uuid;

use crate::node::{OneNode, TEST_TIMEOUT, addresses};
use crate::requests::{check_status, inbox, login, request, send};

fn keep(id: Uuid, sender: &str, recipient: &str, body: &str) -> Value {
    let mut request = send(id, sender, recipient, body);
    request["keep_copy"] = json!(true);
    request
}

/// The bodies of all messages of an account, oldest first, those of copies with `>`.
async fn bodies(node: &OneNode, name: &str, token: &str) -> Vec<String> {
    let all = inbox(name, json!({"direction": "all", "oldest_first": true}));
    let page = node.execute(all, Some(token)).await.unwrap();
    let body = |message: &Value| {
        let mark = if message["direction"] == "sent" {
            ">"
        } else {
            ""
        };
        format!("{mark}{}", message["body"].as_str().unwrap())
    };
    page["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(body)
        .collect()
}

/// Forwarded by the nodes that do not lead, and read on each of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_node_keeps_copies_and_shows_them() {
    let addresses = addresses(3);
    let (one, two, three) = tokio::join!(
        OneNode::start_one_of(&addresses, 1),
        OneNode::start_one_of(&addresses, 2),
        OneNode::start_one_of(&addresses, 3),
    );
    let (alice, bob) = (one.account("alice").await, one.account("bob").await);
    let nodes = [&one, &two, &three];
    let mut expected = Vec::new();
    let mut ids = Vec::new();
    for (number, node) in nodes.iter().enumerate() {
        let id = Uuid::new_v4();
        let message = keep(id, "alice", "bob", &number.to_string());
        let sent = node.execute(message.clone(), Some(&alice)).await.unwrap();
        let again = two.execute(message, Some(&alice)).await.unwrap();
        assert_eq!(again, sent, "a retry on another node");
        expected.push(format!(">{number}"));
        ids.push(json!({"id": id, "direction": "sent", "in_box": true,
                        "timestamp": sent["timestamp"], "commit": sent["commit"]}));
    }
    let asked: Vec<&Value> = ids.iter().map(|stored| &stored["id"]).collect();
    let check = request("CHECK_MESSAGES", json!({"message_ids": asked}));
    for node in nodes {
        assert_eq!(bodies(node, "alice", &alice).await, expected);
        assert_eq!(bodies(node, "bob", &bob).await, ["0", "1", "2"]);
        let found = node.execute(check.clone(), Some(&alice)).await.unwrap();
        assert_eq!(found["messages"], json!(ids));
    }
    // C3: bob has three unread messages, alice none.
    for (name, unread) in [("alice", 0), ("bob", 3)] {
        let reply = three.execute(login(name, "a"), None).await.unwrap();
        assert_eq!(reply["unread"], unread, "{name}");
    }
    tokio::join!(one.stop(), two.stop(), three.stop());
}

/// C9: the limit is that of inboxes, and copies do not count there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sender_with_too_many_copies_sends_without_one_or_deletes_some() {
    let node = OneNode::start_changed(|config| config.limits.inbox_messages_max = 2).await;
    let alice = node.account("alice").await;
    for name in ["bob", "carol"] {
        node.account(name).await;
    }
    let ids = [(); 4].map(|()| Uuid::new_v4());
    let to = |place: usize| {
        if place.is_multiple_of(2) {
            "bob"
        } else {
            "carol"
        }
    };
    let message = |place: usize| keep(ids[place], "alice", to(place), "hi");
    let first = node.execute(message(0), Some(&alice)).await.unwrap();
    node.execute(message(1), Some(&alice)).await.unwrap();
    let rejected = node.execute(message(2), Some(&alice)).await;
    check_status(rejected, Code::ResourceExhausted, "COPIES_FULL");
    let again = node.execute(message(0), Some(&alice)).await.unwrap();
    assert_eq!(again, first, "a retry gets its reply");
    let mut plain = message(2);
    plain["keep_copy"] = json!(false);
    assert_eq!(
        node.execute(plain, Some(&alice)).await.unwrap()["status"],
        "OK"
    );
    let own = keep(Uuid::new_v4(), "alice", "alice", "note");
    let own = node.execute(own, Some(&alice)).await.unwrap();
    assert_eq!(
        own["status"], "OK",
        "it has no copy, and the inbox has room"
    );
    let deletion = request("DELETE_MESSAGES", json!({"message_ids": [ids[0]]}));
    node.execute(deletion, Some(&alice)).await.unwrap();
    // They are counted again a second later.
    let deadline = Instant::now() + TEST_TIMEOUT;
    let mut attempts = tokio::time::interval(Duration::from_millis(50));
    while node.execute(message(3), Some(&alice)).await.is_err() {
        assert!(Instant::now() < deadline);
        attempts.tick().await;
    }
    node.stop().await;
}

/// C1: watches of either side show what they show without a copy, unless they ask for more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watch_shows_copies_to_the_sender_that_asks_for_them() {
    let node = OneNode::start().await;
    let (alice, bob) = (node.account("alice").await, node.account("bob").await);
    let all = Direction::All.into();
    let mut watches = [
        node.watch("", Some(&alice)).await.unwrap(),
        node.watch_direction("", all, Some(&alice)).await.unwrap(),
        node.watch("", Some(&bob)).await.unwrap(),
    ];
    let id = Uuid::new_v4();
    let mut copied = keep(id, "alice", "bob", "copied");
    copied["message"]["reply_to"] = json!(id);
    copied["message"]["written_at"] = json!(17.5);
    node.execute(copied, Some(&alice)).await.unwrap();
    let deletion = request("DELETE_MESSAGES", json!({"message_ids": [id]}));
    node.execute(deletion, Some(&alice)).await.unwrap();
    // What ends the reading below.
    for (sender, recipient, token) in [("bob", "alice", &bob), ("alice", "bob", &alice)] {
        let last = send(Uuid::new_v4(), sender, recipient, "last");
        node.execute(last, Some(token)).await.unwrap();
    }
    let mut shown = Vec::new();
    for events in &mut watches {
        let mut lines = Vec::new();
        while lines
            .last()
            .is_none_or(|line: &String| !line.contains("last"))
        {
            let event = tokio::time::timeout(TEST_TIMEOUT, events.message()).await;
            lines.push(match event.unwrap().unwrap().unwrap().event.unwrap() {
                Event::Message(message) => {
                    let direction = message.direction().as_str_name();
                    let reply = message.reply_to == id.to_string();
                    format!(
                        "{} {direction} {reply} {}",
                        message.body, message.written_at
                    )
                }
                Event::Deleted(deleted) => format!("deleted {}", deleted.ids.len()),
                Event::CaughtUp(_) => continue,
                other => panic!("{other:?}"),
            });
        }
        shown.push(lines);
    }
    let last = "last DIRECTION_RECEIVED false 0";
    assert_eq!(shown[0], [last]);
    let copy = "copied DIRECTION_SENT true 17.5";
    assert_eq!(shown[1], [copy, "deleted 1", last]);
    assert_eq!(shown[2], ["copied DIRECTION_RECEIVED true 17.5", last]);
    let unknown = node.watch_direction("", 9, Some(&alice)).await.unwrap_err();
    assert_eq!(unknown.code(), Code::InvalidArgument, "{unknown}");
    node.stop().await;
}
