//! Changes of the members by an operator: what is printed, and the exit codes. What they do is tested with the
//! servers.

use std::fs;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::fake_chat::FakeChat;

/// A file with the addresses of the only node.
struct Operator {
    folder: tempfile::TempDir,
}

impl Operator {
    fn of(address: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let node = format!(
            "[[nodes]]\nid = 1\nclient_address = \"{address}\"\npeer_address = \"{address}\"\n"
        );
        fs::write(folder.path().join("nodes.toml"), node).unwrap();
        Self { folder }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_chat"))
            .args(arguments)
            .arg("--config")
            .arg(self.folder.path().join("nodes.toml"))
            .output()
            .unwrap()
    }

    #[track_caller]
    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[arguments, &["-o", "json"]].concat());
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    #[track_caller]
    fn fails(&self, arguments: &[&str], code: i32, reason: &str) {
        let output = self.run(arguments);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{errors}");
        assert!(errors.contains(reason), "{errors}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_are_added_removed_replaced_and_moved() {
    let (fake, address) = FakeChat::start().await;
    fake.report_members(&[&address]);
    let operator = Operator::of(&address);
    let add = ["cluster", "add", "2", "two:7501", "two:7401"];
    // An election is under way at first, and the node votes at once.
    fake.refuse_next_change();
    assert_eq!(operator.json(&add), json!({"added": 2, "votes": true}));
    let unwaited = [&add[..], &["--no-wait"]].concat();
    assert_eq!(
        operator.json(&unwaited),
        json!({"added": 2, "votes": false})
    );
    let members = operator.json(&["cluster", "members"]);
    let ids: Vec<&Value> = members["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|member| &member["id"])
        .collect();
    assert_eq!(ids, [&json!(1), &json!(2)]);
    assert_eq!(members["members"][1]["client_address"], "two:7401");
    let update = ["cluster", "update", "2", "moved:7501", "moved:7401"];
    assert_eq!(operator.json(&update)["updated"], 2);
    let members = operator.json(&["cluster", "members"]);
    assert_eq!(members["members"][1]["peer_address"], "moved:7501");
    let replace = ["cluster", "replace", "2", "3", "three:7501", "three:7401"];
    assert_eq!(operator.json(&replace), json!({"removed": 2, "added": 3}));
    assert_eq!(
        operator.json(&["cluster", "remove", "2"])["index"],
        Value::Null
    );
    let removed = operator.run(&["cluster", "remove", "3"]);
    let text = String::from_utf8(removed.stdout).unwrap();
    assert!(text.starts_with("Node 3 is removed."), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_that_fail_have_their_exit_codes() {
    let (fake, address) = FakeChat::start().await;
    fake.report_members(&[&address]);
    let operator = Operator::of(&address);
    operator.fails(&["cluster", "remove", "1"], 1, "the only voter");
    operator.fails(&["cluster", "update", "7", "a:1", "a:2"], 1, "not a member");
    operator.fails(&["cluster", "remove", "0"], 2, "0 is not in");
    let gone = Operator::of("127.0.0.1:1");
    let quick = ["cluster", "remove", "2", "--timeout", "1"];
    gone.fails(&quick, 3, "Connection refused");
    let unnamed = Command::new(env!("CARGO_BIN_EXE_chat"))
        .args(["cluster", "members", "--nodes", &address])
        .output()
        .unwrap();
    assert_eq!(unnamed.status.code(), Some(2));
    let errors = String::from_utf8(unnamed.stderr).unwrap();
    assert!(errors.contains("--config"), "{errors}");
}
