//! Copies of sent messages, replies, and where messages are in the log.

use serde_json::{Value, json};

use crate::Person;
use crate::fake_chat::FakeChat;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_and_replies_are_sent_shown_and_located() {
    let (_fake, address) = FakeChat::start().await;
    let alice = Person::named("alice", &address);
    let bob = Person::named("bob", &address);
    let first = bob.json(&["send", "alice", "question"], "")["id"].clone();
    let first = first.as_str().unwrap();
    let answer = ["send", "bob", "answer", "--keep-copy", "--reply-to", first];
    let answer = alice.json(&answer, "")["id"].clone();
    let answer = answer.as_str().unwrap();
    let all = alice.json(&["inbox", "--direction", "all", "--oldest-first"], "");
    let shown = all["messages"].as_array().unwrap().iter();
    let shown: Vec<_> = shown
        .map(|message| {
            assert_eq!(
                message["written_at"].is_f64(),
                message["direction"] == "sent"
            );
            (
                &message["body"],
                &message["direction"],
                &message["reply_to"],
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            (&json!("question"), &json!("received"), &Value::Null),
            (&json!("answer"), &json!("sent"), &json!(first)),
        ]
    );
    let received = alice.json(&["inbox"], "");
    assert_eq!(received["messages"].as_array().unwrap().len(), 1);
    let unknown = "67e55044-10b1-426f-9247-bb680e5fe0c8";
    let stored = alice.json(&["stored", answer, unknown], "");
    assert_eq!(stored["missing"], json!([unknown]));
    let found = &stored["messages"][0];
    assert_eq!(
        (&found["id"], &found["in_box"], &found["commit"]["index"]),
        (&json!(answer), &json!(true), &json!(2))
    );
    assert_eq!(found["servers"], json!({"stored": 1, "of": 1}));
}
