//! Executes the examples of docs/api.md, in their order, on one new node.
//!
//! A fence `json request` is executed without a token, `json request as=alice` with the last token
//! that alice got in a reply. The next fence is the expected result: `json reply`, or `json status`
//! for a gRPC status. Values that differ from run to run must only have the same type.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tonic_types::StatusExt;

use crate::node::OneNode;
use crate::requests::text;

const PAGE: &str = include_str!("../../../../docs/api.md");

/// Values that differ from run to run.
const VARIABLE: [&str; 8] = [
    "token",
    "timestamp",
    "index",
    "term",
    "next",
    "leader_id",
    "sender_since",
    "recipient_since",
];

struct Fence {
    info: String,
    text: String,
    line: usize,
}

fn fences(page: &str) -> Vec<Fence> {
    let mut fences = Vec::new();
    let mut open: Option<Fence> = None;
    for (number, line) in page.lines().enumerate() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(info), None) => {
                open = Some(Fence {
                    info: info.to_owned(),
                    text: String::new(),
                    line: number + 1,
                });
            }
            (Some(_), Some(_)) => fences.extend(open.take()),
            (None, Some(fence)) => fence.text += &format!("{line}\n"),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a fence is not closed");
    fences.retain(|fence| fence.info.starts_with("json "));
    fences
}

/// With every value that differs from run to run replaced by one for its type.
fn normalised(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(key, value)| {
                let value = match value {
                    Value::String(_) if VARIABLE.contains(&key.as_str()) => json!("text"),
                    Value::Number(_) if VARIABLE.contains(&key.as_str()) => json!(0),
                    other => normalised(other),
                };
                (key.clone(), value)
            })
            .collect(),
        Value::Array(values) => values.iter().map(normalised).collect(),
        other => other.clone(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn examples_of_the_page_give_the_shown_results() {
    let node = OneNode::start().await;
    let mut tokens: BTreeMap<String, String> = BTreeMap::new();
    let mut kinds = Vec::new();
    let fences = fences(PAGE);
    for pair in fences.chunks(2) {
        let [request, reply] = pair else {
            panic!("line {}: the request has no result", pair[0].line);
        };
        let parse = |fence: &Fence| -> Value {
            serde_json::from_str(&fence.text)
                .unwrap_or_else(|error| panic!("line {}: {error}", fence.line))
        };
        let actor = request.info.strip_prefix("json request as=");
        assert!(
            actor.is_some() || request.info == "json request",
            "line {}",
            request.line
        );
        let body = parse(request);
        kinds.extend(body["request_type"].as_str().map(str::to_owned));
        let token = actor.map(|name| tokens[name].as_str());
        let found = match node.execute(body.clone(), token).await {
            Ok(found) => {
                assert_eq!(reply.info, "json reply", "line {}: {found}", reply.line);
                found
            }
            Err(status) => {
                assert_eq!(reply.info, "json status", "line {}: {status}", reply.line);
                let info = status.get_details_error_info().unwrap();
                json!({"code": status.code() as i32, "message": status.message(),
                       "reason": info.reason})
            }
        };
        let (expected, shown) = (normalised(&parse(reply)), normalised(&found));
        assert_eq!(shown, expected, "line {}: {found}", reply.line);
        if found.get("token").is_some() {
            let named = || text(&body, "username");
            let name = actor.map_or_else(named, str::to_owned);
            tokens.insert(name, text(&found, "token"));
        }
    }
    for kind in [
        "CREATE_USER",
        "LOGIN",
        "LOGOUT",
        "GET_MESSAGES",
        "CHECK_MESSAGES",
        "LIST_USERS",
        "SEND_MESSAGE",
        "READ_MESSAGES",
        "DELETE_MESSAGES",
        "DELETE_USER",
        "CHANGE_PASSWORD",
    ] {
        assert!(kinds.iter().any(|found| found == kind), "{kind}");
    }
    node.stop().await;
}
