//! What every type of request gets with every kind of token. A type of request without a row in the
//! matrix fails a test.

use std::time::Instant;

use chat_server::config::Sessions;
use serde_json::{Value, json};
use tonic::Code;
use tonic_types::StatusExt;
use uuid::Uuid;

use crate::authorization_matrix::{ForeignToken, MATRIX};
use crate::node::{OneNode, TEST_TIMEOUT};
use crate::requests::{check_status, inbox, login, request, send, sign_up, text};

fn change_password(old: &str, new: &str) -> Value {
    let (password, new_password) = (old.repeat(64), new.repeat(64));
    request(
        "CHANGE_PASSWORD",
        json!({"password": password, "new_password": new_password}),
    )
}

/// The error for an unknown type of request lists the known types.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_type_of_request_has_a_row() {
    let node = OneNode::start().await;
    let rejected = node
        .execute(request("?", json!({})), None)
        .await
        .unwrap_err();
    let violations = rejected.get_details_bad_request().unwrap().field_violations;
    let known = violations[0].description.strip_prefix("must be one of ");
    let mut known: Vec<&str> = known.unwrap().split(", ").collect();
    let mut rows = MATRIX.map(|(kind, ..)| kind);
    known.sort_unstable();
    rows.sort_unstable();
    assert_eq!(rows.as_slice(), known);
    node.stop().await;
}

/// An invalid or ended token gives no access, even if the node has it in its cache.
async fn check_rejected(node: &OneNode, what: &str, token: Option<&str>) {
    for (kind, foreign, request) in MATRIX {
        for _ in 0..2 {
            let reply = node.execute(request(Uuid::new_v4()), token).await;
            if foreign == ForeignToken::Ignored {
                assert!(reply.is_ok(), "{kind} with {what}: {reply:?}");
                continue;
            }
            let rejected = reply.expect_err(&format!("{kind} with {what}"));
            let reason = rejected.get_details_error_info().unwrap().reason;
            let found = (rejected.code(), reason.as_str());
            let expected = (Code::Unauthenticated, "UNAUTHENTICATED");
            assert_eq!(found, expected, "{kind} with {what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_without_a_valid_token_are_rejected() {
    let node = OneNode::start().await;
    let execute = async |request, token: &str| node.execute(request, Some(token)).await.unwrap();
    let used = node.account("alice").await;
    check_rejected(&node, "no token", None).await;
    for wrong in ["", "x", &"0".repeat(64)] {
        check_rejected(&node, "an invented token", Some(wrong)).await;
    }

    // Used before, so that the node has them in its cache.
    let ended = text(
        &node.execute(login("alice", "a"), None).await.unwrap(),
        "token",
    );
    execute(send(Uuid::new_v4(), "alice", "alice", "hi"), &ended).await;
    execute(request("LOGOUT", json!({})), &ended).await;
    check_rejected(&node, "a token after LOGOUT", Some(&ended)).await;

    let other = text(
        &node.execute(login("alice", "a"), None).await.unwrap(),
        "token",
    );
    execute(send(Uuid::new_v4(), "alice", "alice", "hi"), &other).await;
    execute(send(Uuid::new_v4(), "alice", "alice", "hi"), &used).await;
    let next = text(&execute(change_password("a", "a"), &used).await, "token");
    for voided in [&used, &other] {
        check_rejected(&node, "a token after CHANGE_PASSWORD", Some(voided)).await;
    }

    execute(send(Uuid::new_v4(), "alice", "alice", "hi"), &next).await;
    execute(request("DELETE_USER", json!({"username": "alice"})), &next).await;
    check_rejected(&node, "a token of a deleted account", Some(&next)).await;
    let again = node.account("carol").await;
    node.execute(sign_up(Uuid::new_v4(), "alice", "a"), Some(&again))
        .await
        .unwrap();
    check_rejected(&node, "a token of an earlier account", Some(&next)).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expired_token_is_rejected() {
    let node = OneNode::start_with(Sessions {
        idle_seconds: 1_000,
        absolute_seconds: 1,
    })
    .await;
    let token = node.account("alice").await;
    let started = Instant::now();
    // Nothing else happens here: reading renews the session, which advances the log's time.
    while node
        .execute(inbox("alice", json!({})), Some(&token))
        .await
        .is_ok()
    {
        assert!(started.elapsed() < TEST_TIMEOUT);
    }
    check_rejected(&node, "an expired token", Some(&token)).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_of_one_account_do_not_affect_another() {
    let node = OneNode::start().await;
    let alice = node.account("alice").await;
    node.account("bob").await;
    let id = Uuid::new_v4();
    node.execute(send(id, "alice", "alice", "hi"), Some(&alice))
        .await
        .unwrap();
    let before = node.execute(inbox("alice", json!({})), Some(&alice)).await;
    for (kind, foreign, request) in MATRIX {
        // A new token for each: some of the requests end its session.
        let digit = if node.execute(login("bob", "c"), None).await.unwrap()["status"] == "OK" {
            "c"
        } else {
            "a"
        };
        let bob = text(
            &node.execute(login("bob", digit), None).await.unwrap(),
            "token",
        );
        let reply = node.execute(request(id), Some(&bob)).await;
        if foreign == ForeignToken::Denied {
            check_status(reply, Code::PermissionDenied, "NOT_YOURS");
        } else {
            assert!(reply.is_ok(), "{kind}: {reply:?}");
        }
        let after = node.execute(inbox("alice", json!({})), Some(&alice)).await;
        assert_eq!(after.unwrap(), *before.as_ref().unwrap(), "{kind}");
    }
    let reply = node.execute(login("alice", "a"), None).await.unwrap();
    assert_eq!(reply["status"], "OK", "her password is the same");
    node.stop().await;
}
