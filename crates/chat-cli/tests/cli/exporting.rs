//! An account's messages as a file.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::Person;
use crate::fake_chat::FakeChat;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn export_has_every_message_and_replaces_nothing() {
    let (fake, address) = FakeChat::start().await;
    let alice = Person::named("alice", &address);
    fake.send_to_oneself("alice", 501);
    let file = alice.home.path().join("alice.json");
    let path = file.to_str().unwrap();
    let text = alice.succeeds(&["export", path], "");
    assert_eq!(text, format!("501 messages of alice are in {path}.\n"));
    let written = fs::read(&file).unwrap();
    let export: Value = serde_json::from_slice(&written).unwrap();
    assert_eq!(
        (&export["format"], &export["username"]),
        (&json!(1), &json!("alice"))
    );
    assert_eq!(
        (&export["cluster_id"], &export["count"]),
        (&json!("fake"), &json!(501))
    );
    let messages = export["messages"].as_array().unwrap();
    let bodies: Vec<&str> = messages
        .iter()
        .filter_map(|message| message["body"].as_str())
        .collect();
    assert_eq!(
        (bodies.len(), bodies[0], bodies[500]),
        (501, "message 0", "message 500")
    );
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let again = alice.run(&["export", path], "");
    assert_eq!(again.status.code(), Some(2), "it is there");
    assert_eq!(fs::read(&file).unwrap(), written);
    let piped = alice.succeeds(&["export", "-"], "");
    let piped: Value = serde_json::from_str(&piped).unwrap();
    assert_eq!(piped["messages"], export["messages"]);
}
