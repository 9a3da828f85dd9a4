//! What every request gets with every kind of token. A type of request that has no row fails here.

use std::time::Instant;

use chat_server::config::Sessions;
use serde_json::{Value, json};
use tonic::Code;
use tonic_types::StatusExt;
use uuid::Uuid;

use crate::node::{OneNode, TEST_TIMEOUT};
use crate::{check_status, inbox, login, request, send, sign_up, text};

/// What somebody else's token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Foreign {
    /// The request needs no token and looks at none.
    NotLookedAt,
    /// The request acts on the account of the token, whatever ids it names.
    OwnAccountOnly,
    /// The request names an account, and that is somebody else.
    Denied,
}

/// Requests that alice might make; `id` is that of a message in her inbox. What only looks comes
/// first: a request that wrongly ended a session would hide what the rows after it do.
type Row = (&'static str, Foreign, fn(Uuid) -> Value);

const TABLE: [Row; 10] = [
    ("CREATE_USER", Foreign::NotLookedAt, |_| {
        sign_up(Uuid::new_v4(), "alice", "a")
    }),
    ("LOGIN", Foreign::NotLookedAt, |_| login("alice", "a")),
    ("GET_MESSAGES", Foreign::Denied, |_| {
        inbox("alice", json!({}))
    }),
    ("LIST_USERS", Foreign::OwnAccountOnly, |_| {
        request("LIST_USERS", json!({"pattern": "*"}))
    }),
    ("SEND_MESSAGE", Foreign::Denied, |_| {
        send(Uuid::new_v4(), "alice", "alice", "hi")
    }),
    ("READ_MESSAGES", Foreign::OwnAccountOnly, |id| {
        request("READ_MESSAGES", json!({"message_ids": [id]}))
    }),
    ("DELETE_MESSAGES", Foreign::OwnAccountOnly, |id| {
        request("DELETE_MESSAGES", json!({"message_ids": [id]}))
    }),
    ("DELETE_USER", Foreign::Denied, |_| {
        request("DELETE_USER", json!({"username": "alice"}))
    }),
    ("CHANGE_PASSWORD", Foreign::OwnAccountOnly, |_| {
        change_password("a", "c")
    }),
    ("LOGOUT", Foreign::OwnAccountOnly, |_| {
        request("LOGOUT", json!({}))
    }),
];

fn change_password(old: &str, new: &str) -> Value {
    let (password, new_password) = (old.repeat(64), new.repeat(64));
    request(
        "CHANGE_PASSWORD",
        json!({"password": password, "new_password": new_password}),
    )
}

/// A node refuses a type of request that it does not know with those that it does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_type_of_request_has_a_row() {
    let node = OneNode::start().await;
    let refused = node.ask(request("?", json!({})), None).await.unwrap_err();
    let violations = refused.get_details_bad_request().unwrap().field_violations;
    let known = violations[0].description.strip_prefix("must be one of ");
    let mut known: Vec<&str> = known.unwrap().split(", ").collect();
    let mut rows = TABLE.map(|(kind, ..)| kind);
    known.sort_unstable();
    rows.sort_unstable();
    assert_eq!(rows.as_slice(), known);
    node.stop().await;
}

/// A token that is not, or no longer, one opens nothing, and neither what the node remembers of it.
async fn check_worthless(node: &OneNode, what: &str, token: Option<&str>) {
    for (kind, foreign, request) in TABLE {
        for _ in 0..2 {
            let reply = node.ask(request(Uuid::new_v4()), token).await;
            if foreign == Foreign::NotLookedAt {
                assert!(reply.is_ok(), "{kind} with {what}: {reply:?}");
                continue;
            }
            let refused = reply.expect_err(&format!("{kind} with {what}"));
            let reason = refused.get_details_error_info().unwrap().reason;
            let found = (refused.code(), reason.as_str());
            let expected = (Code::Unauthenticated, "UNAUTHENTICATED");
            assert_eq!(found, expected, "{kind} with {what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_valid_token_nothing_is_done() {
    let node = OneNode::start().await;
    let ask = async |request, token: &str| node.ask(request, Some(token)).await.unwrap();
    let used = node.account("alice").await;
    check_worthless(&node, "no token", None).await;
    for wrong in ["", "x", &"0".repeat(64)] {
        check_worthless(&node, "a token of nobody's", Some(wrong)).await;
    }

    // Used before, so that the node remembers them.
    let ended = text(&node.ask(login("alice", "a"), None).await.unwrap(), "token");
    ask(send(Uuid::new_v4(), "alice", "alice", "hi"), &ended).await;
    ask(request("LOGOUT", json!({})), &ended).await;
    check_worthless(&node, "a token after LOGOUT", Some(&ended)).await;

    let other = text(&node.ask(login("alice", "a"), None).await.unwrap(), "token");
    ask(send(Uuid::new_v4(), "alice", "alice", "hi"), &other).await;
    ask(send(Uuid::new_v4(), "alice", "alice", "hi"), &used).await;
    let next = text(&ask(change_password("a", "a"), &used).await, "token");
    for voided in [&used, &other] {
        check_worthless(&node, "a token after CHANGE_PASSWORD", Some(voided)).await;
    }

    ask(send(Uuid::new_v4(), "alice", "alice", "hi"), &next).await;
    ask(request("DELETE_USER", json!({"username": "alice"})), &next).await;
    check_worthless(&node, "a token of a deleted account", Some(&next)).await;
    let again = node.account("carol").await;
    node.ask(sign_up(Uuid::new_v4(), "alice", "a"), Some(&again))
        .await
        .unwrap();
    check_worthless(&node, "a token of an earlier account", Some(&next)).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_token_is_worthless() {
    let node = OneNode::start_with(Sessions {
        idle_seconds: 1_000,
        absolute_seconds: 1,
    })
    .await;
    let token = node.account("alice").await;
    let started = Instant::now();
    // Nothing else happens here: it is reading that brings the log's time forward.
    while node
        .ask(inbox("alice", json!({})), Some(&token))
        .await
        .is_ok()
    {
        assert!(started.elapsed() < TEST_TIMEOUT);
    }
    check_worthless(&node, "an expired token", Some(&token)).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_of_one_account_leave_another_alone() {
    let node = OneNode::start().await;
    let alice = node.account("alice").await;
    node.account("bob").await;
    let id = Uuid::new_v4();
    node.ask(send(id, "alice", "alice", "hi"), Some(&alice))
        .await
        .unwrap();
    let before = node.ask(inbox("alice", json!({})), Some(&alice)).await;
    for (kind, foreign, request) in TABLE {
        // A new one for each: some of the requests end it.
        let digit = if node.ask(login("bob", "c"), None).await.unwrap()["status"] == "OK" {
            "c"
        } else {
            "a"
        };
        let bob = text(&node.ask(login("bob", digit), None).await.unwrap(), "token");
        let reply = node.ask(request(id), Some(&bob)).await;
        if foreign == Foreign::Denied {
            check_status(reply, Code::PermissionDenied, "NOT_YOURS");
        } else {
            assert!(reply.is_ok(), "{kind}: {reply:?}");
        }
        let after = node.ask(inbox("alice", json!({})), Some(&alice)).await;
        assert_eq!(after.unwrap(), *before.as_ref().unwrap(), "{kind}");
    }
    let reply = node.ask(login("alice", "a"), None).await.unwrap();
    assert_eq!(reply["status"], "OK", "her password is the same");
    node.stop().await;
}
