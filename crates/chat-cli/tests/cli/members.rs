//! One address of a cluster is enough, also when that node dies while a command runs.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout};
use std::time::Duration;

use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::time::timeout;

use crate::Person;
use crate::fake_chat::FakeChat;

/// How long the command may take to find another node.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// A command that is ended when the test fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Reads the output until a message with this text.
async fn read_until(
    mut lines: BufReader<ChildStdout>,
    body: &'static str,
) -> BufReader<ChildStdout> {
    let reading = tokio::task::spawn_blocking(move || {
        loop {
            let mut line = String::new();
            let length = lines.read_line(&mut line).unwrap();
            assert!(length > 0, "the output ends before {body}");
            let line: Value = serde_json::from_str(&line).unwrap();
            if line["message"]["body"] == body {
                return lines;
            }
        }
    });
    let read = timeout(TIME_LIMIT, reading).await;
    read.unwrap_or_else(|_elapsed| panic!("{body} is not shown"))
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watch_goes_on_at_another_node_than_the_one_that_was_named() {
    let (fake, other) = FakeChat::start().await;
    let machine = Runtime::new().unwrap();
    let node = fake.clone();
    let serving = machine.spawn(async move { node.serve_as(2).await });
    let named = serving.await.unwrap();
    fake.report_members(&[&other, &named]);

    let alice = Person::named("alice", &named);
    alice.succeeds(&["send", "alice", "before"], "");
    let mut child = alice.command(&["watch", "-n", "2", "-o", "json"]);
    let mut watch = Running(child.spawn().unwrap());
    let lines = BufReader::new(watch.0.stdout.take().unwrap());
    let lines = read_until(lines, "before").await;
    assert_eq!(fake.requests_at(1), 0, "no node is asked without need");

    // The fake shows a watch only what it had before.
    let bob = Person::named("bob", &other);
    bob.succeeds(&["send", "alice", "after"], "");
    machine.shutdown_background();
    read_until(lines, "after").await;
}
