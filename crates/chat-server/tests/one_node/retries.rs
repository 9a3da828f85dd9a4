//! R15: a repeated request changes nothing and gets the same reply.

use serde_json::{Value, json};
use tonic::Code;
use uuid::Uuid;

use crate::node::OneNode;
use crate::requests::{check_error, check_status, inbox, login, request, send, sign_up, text};

const INVALID: (&str, &str) = ("invalid_credentials", "Invalid username or password.");

fn change_password(id: Uuid, old: &str, new: &str) -> Value {
    let (password, new_password) = (old.repeat(64), new.repeat(64));
    json!({"id": id, "request_type": "CHANGE_PASSWORD",
           "password": password, "new_password": new_password})
}

async fn works(node: &OneNode, name: &str, token: &str) -> bool {
    node.execute(inbox(name, json!({})), Some(token))
        .await
        .is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logout_can_be_repeated() {
    let node = OneNode::start().await;
    let token = node.account("alice").await;
    let logout = request("LOGOUT", json!({}));
    for _ in 0..3 {
        let reply = node.execute(logout.clone(), Some(&token)).await.unwrap();
        assert_eq!(reply, json!({"status": "OK"}));
    }
    let other = node
        .execute(request("LOGOUT", json!({})), Some(&token))
        .await;
    check_status(other, Code::Unauthenticated, "UNAUTHENTICATED");
    let reply = node.execute(login("alice", "a"), None).await.unwrap();
    assert_eq!(reply["status"], "OK", "the account is still there");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repeated_password_change_changes_it_once() {
    let node = OneNode::start().await;
    let first = node.account("alice").await;
    let elsewhere = text(
        &node.execute(login("alice", "a"), None).await.unwrap(),
        "token",
    );
    let wrong = node
        .execute(change_password(Uuid::new_v4(), "b", "c"), Some(&first))
        .await
        .unwrap();
    check_error(&wrong, INVALID.0, INVALID.1);
    assert!(works(&node, "alice", &first).await);

    let id = Uuid::new_v4();
    let change = change_password(id, "a", "b");
    let mut tokens = Vec::new();
    for _ in 0..3 {
        let reply = node.execute(change.clone(), Some(&first)).await.unwrap();
        tokens.push(text(&reply, "token"));
    }
    assert_ne!(tokens[0], tokens[1], "a fresh session");
    for token in &tokens {
        assert!(works(&node, "alice", token).await);
    }
    for token in [&first, &elsewhere] {
        assert!(!works(&node, "alice", token).await);
    }
    let unproven = node
        .execute(change_password(id, "a", "c"), Some(&first))
        .await;
    check_error(&unproven.unwrap(), INVALID.0, INVALID.1);
    let old = node.execute(login("alice", "a"), None).await.unwrap();
    check_error(&old, INVALID.0, INVALID.1);
    let new = node.execute(login("alice", "b"), None).await.unwrap();
    assert_eq!(new["status"], "OK");

    // Once the password has been changed again, a retry of the first change is rejected.
    let again = change_password(Uuid::new_v4(), "b", "c");
    node.execute(again, Some(&tokens[0])).await.unwrap();
    let late = node.execute(change, Some(&first)).await;
    check_status(late, Code::Unauthenticated, "UNAUTHENTICATED");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resent_message_stays_deleted() {
    let node = OneNode::start().await;
    let (alice, bob) = (node.account("alice").await, node.account("bob").await);
    let id = Uuid::new_v4();
    let message = send(id, "alice", "bob", "hi");
    let sent = node.execute(message.clone(), Some(&alice)).await.unwrap();
    for kind in ["READ_MESSAGES", "DELETE_MESSAGES"] {
        let change = request(kind, json!({"message_ids": [id, Uuid::new_v4(), id]}));
        for _ in 0..2 {
            let reply = node.execute(change.clone(), Some(&bob)).await.unwrap();
            assert_eq!(reply, json!({"status": "OK"}));
        }
        let page = node
            .execute(inbox("bob", json!({})), Some(&bob))
            .await
            .unwrap();
        assert_eq!(page["unread"], 0);
        let read: Vec<&Value> = page["messages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|message| &message["read"])
            .collect();
        assert_eq!(
            read,
            if kind == "READ_MESSAGES" {
                vec![true]
            } else {
                vec![]
            }
        );
    }
    let again = node.execute(message, Some(&alice)).await.unwrap();
    assert_eq!(again, sent);
    let page = node
        .execute(inbox("bob", json!({})), Some(&bob))
        .await
        .unwrap();
    assert_eq!(page["messages"], json!([]));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repeated_deletion_leaves_a_later_account_alone() {
    let node = OneNode::start().await;
    let creation = sign_up(Uuid::new_v4(), "alice", "a");
    let alice = text(
        &node.execute(creation.clone(), None).await.unwrap(),
        "token",
    );
    let bob = node.account("bob").await;
    node.execute(send(Uuid::new_v4(), "bob", "alice", "in"), Some(&bob))
        .await
        .unwrap();
    node.execute(send(Uuid::new_v4(), "alice", "bob", "out"), Some(&alice))
        .await
        .unwrap();
    let removal = request("DELETE_USER", json!({"username": "alice"}));
    for _ in 0..3 {
        let reply = node.execute(removal.clone(), Some(&alice)).await.unwrap();
        assert_eq!(reply, json!({"status": "OK"}));
    }
    let deleted = node.execute(login("alice", "a"), None).await.unwrap();
    check_error(&deleted, INVALID.0, INVALID.1);
    let to_deleted = node
        .execute(send(Uuid::new_v4(), "bob", "alice", "in"), Some(&bob))
        .await
        .unwrap();
    check_error(
        &to_deleted,
        "recipient_not_found",
        "Recipient does not exist.",
    );
    let late = node.execute(creation, None).await.unwrap();
    check_error(&late, "username_taken", "Username already exists.");
    let names = node
        .execute(request("LIST_USERS", json!({"pattern": "*"})), Some(&bob))
        .await
        .unwrap();
    assert_eq!(names["usernames"], json!(["bob"]));
    let page = node
        .execute(inbox("bob", json!({})), Some(&bob))
        .await
        .unwrap();
    assert_eq!(page["messages"][0]["body"], "out", "sent messages stay");

    let other = node.account("alice").await;
    let page = node
        .execute(inbox("alice", json!({})), Some(&other))
        .await
        .unwrap();
    assert_eq!(
        (&page["messages"], &page["unread"]),
        (&json!([]), &json!(0))
    );
    let reply = node.execute(removal, Some(&alice)).await.unwrap();
    assert_eq!(reply, json!({"status": "OK"}));
    assert!(
        works(&node, "alice", &other).await,
        "this is another account"
    );
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_are_listed_in_pages() {
    let node = OneNode::start().await;
    let mut token = String::new();
    for name in ["bob", "alice", "anna", "\u{c5}sa"] {
        token = node.account(name).await;
    }
    let list = async |rest: Value| {
        node.execute(request("LIST_USERS", rest), Some(&token))
            .await
            .unwrap()
    };
    let first = list(json!({"pattern": "*", "limit": 3})).await;
    assert_eq!(first["usernames"], json!(["alice", "anna", "bob"]));
    let second = list(json!({"pattern": "*", "limit": 3, "after": first["next"]})).await;
    assert_eq!(
        second,
        json!({"status": "OK", "usernames": ["\u{c5}sa"], "next": null})
    );
    // In another normalisation.
    let found = list(json!({"pattern": "A\u{30a}*"})).await;
    assert_eq!(found["usernames"], json!(["\u{c5}sa"]));
    let none = list(json!({"pattern": "z*"})).await;
    assert_eq!(none["usernames"], json!([]));
    node.stop().await;
}

/// Both reach the leader before either is applied, or one after the other: the result is the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_copies_of_a_request_succeed() {
    let node = OneNode::start().await;
    let creation = sign_up(Uuid::new_v4(), "alice", "a");
    let (one, other) = tokio::join!(
        node.execute(creation.clone(), None),
        node.execute(creation.clone(), None)
    );
    let token = text(&one.unwrap(), "token");
    assert!(works(&node, "alice", &token).await);
    assert!(works(&node, "alice", &text(&other.unwrap(), "token")).await);

    let change = change_password(Uuid::new_v4(), "a", "b");
    let (one, other, third) = tokio::join!(
        node.execute(change.clone(), Some(&token)),
        node.execute(change.clone(), Some(&token)),
        node.execute(change.clone(), Some(&token))
    );
    for reply in [one, other, third] {
        let fresh = text(&reply.unwrap(), "token");
        assert!(works(&node, "alice", &fresh).await);
    }

    let token = text(
        &node.execute(login("alice", "b"), None).await.unwrap(),
        "token",
    );
    let removal = request("DELETE_USER", json!({"username": "alice"}));
    let (one, other) = tokio::join!(
        node.execute(removal.clone(), Some(&token)),
        node.execute(removal.clone(), Some(&token))
    );
    for reply in [one, other] {
        assert_eq!(reply.unwrap(), json!({"status": "OK"}));
    }
    node.stop().await;
}
