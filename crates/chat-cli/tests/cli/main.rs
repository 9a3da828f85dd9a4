//! The command `chat` as people and programs use it: every command and every exit code, against a
//! fake chat in this process.

#![expect(
    clippy::unwrap_used,
    reason = "Clippy takes only functions marked as tests for tests"
)]

mod copies;
mod exporting;
mod fake_chat;
mod members;
mod operators;

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};

use expect_test::{Expect, expect};
use serde_json::{Value, json};
use test_kit::{cluster_state, write_cluster_file};
use tonic::Status;

use fake_chat::FakeChat;

/// A person with a folder and sessions for their own use.
struct Person {
    home: tempfile::TempDir,
    nodes: String,
}

impl Person {
    fn new(nodes: &str) -> Self {
        Self {
            home: tempfile::tempdir().unwrap(),
            nodes: nodes.to_owned(),
        }
    }

    /// A person who has signed up and is logged in.
    fn named(name: &str, nodes: &str) -> Self {
        let person = Self::new(nodes);
        person.succeeds(&["sign-up", name], "secret\n");
        person
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chat"));
        command
            .args(["--nodes", &self.nodes])
            .args(arguments)
            .current_dir(self.home.path())
            .env("CHAT_HOME", self.home.path().join("chat"))
            .env_remove("RUST_LOG")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn run(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = self.command(arguments).spawn().unwrap();
        // A command that reads no input may have ended before.
        drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
        child.wait_with_output().unwrap()
    }

    /// The output of a command that succeeds.
    #[track_caller]
    fn succeeds(&self, arguments: &[&str], input: &str) -> String {
        let output = self.run(arguments, input);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), stderr.as_str()), (Some(0), ""));
        String::from_utf8(output.stdout).unwrap()
    }

    #[track_caller]
    fn json(&self, arguments: &[&str], input: &str) -> Value {
        let line = self.succeeds(&[arguments, &["-o", "json"]].concat(), input);
        assert_eq!(line.lines().count(), 1, "{line}");
        serde_json::from_str(&line).unwrap()
    }

    #[track_caller]
    fn fails(&self, arguments: &[&str], input: &str, code: i32, stderr: &Expect) {
        let output = self.run(arguments, input);
        assert!(output.stdout.is_empty(), "{output:?}");
        stderr.assert_eq(&String::from_utf8(output.stderr).unwrap());
        assert_eq!(output.status.code(), Some(code));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn account_is_created_changed_and_deleted() {
    let (_fake, address) = FakeChat::start().await;
    let alice = Person::new(&address);
    expect![[r"
        Welcome, alice. You are logged in.
    "]]
    .assert_eq(&alice.succeeds(&["sign-up", "alice"], "old\n"));
    assert_eq!(
        alice.json(&["sign-up", "albert"], "x\n"),
        json!({"username": "albert"})
    );
    let taken = expect![[r"
        chat: Username already exists.
    "]];
    alice.fails(&["sign-up", "alice"], "other\n", 1, &taken);
    assert_eq!(
        alice.json(&["login", "alice", "--password-stdin"], "old\n"),
        json!({"username": "alice", "unread": 0})
    );

    expect![[r"
        albert
        alice
    "]]
    .assert_eq(&alice.succeeds(&["list", "al*"], ""));
    assert_eq!(
        alice.json(&["list", "-n", "1"], ""),
        json!({"usernames": ["albert"], "next": "1"})
    );
    assert_eq!(
        alice.json(&["list", "--after", "1"], ""),
        json!({"usernames": ["alice"], "next": null})
    );

    let wrong = expect![[r"
        chat: Invalid username or password.
    "]];
    alice.fails(&["password"], "wrong\nnew\n", 1, &wrong);
    alice.succeeds(&["password"], "old\nnew\n");
    alice.fails(&["login", "alice"], "old\n", 1, &wrong);
    assert_eq!(alice.json(&["logout"], ""), json!({"username": "alice"}));
    let logged_out = expect![[r"
        chat: no account is logged in; use `chat login NAME`
    "]];
    alice.fails(&["logout"], "", 2, &logged_out);
    expect![[r"
        Logged in as alice: no unread messages.
    "]]
    .assert_eq(&alice.succeeds(&["login", "alice"], "new\n"));

    let unconfirmed = expect![[r"
        chat: without a terminal, deletion needs --yes
    "]];
    alice.fails(&["delete-account"], "", 2, &unconfirmed);
    assert_eq!(
        alice.json(&["delete-account", "--yes"], ""),
        json!({"username": "alice"})
    );
    alice.fails(&["login", "alice"], "new\n", 1, &wrong);
    assert_eq!(alice.succeeds(&["list", "--as", "albert"], ""), "albert\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_are_sent_read_and_deleted() {
    let (_fake, address) = FakeChat::start().await;
    let alice = Person::named("alice", &address);
    let bob = Person::named("bob", &address);
    expect![[r"
        Sent to bob as alice.
    "]]
    .assert_eq(&alice.succeeds(&["send", "bob", "one"], ""));
    let sent = alice.json(&["send", "bob", "-"], "two\nlines\n");
    assert_eq!(sent["commit"], json!({"index": 2, "term": 1}));
    let id = sent["id"].as_str().unwrap();
    let missing = expect![[r"
        chat: Recipient does not exist.
    "]];
    alice.fails(&["send", "carol", "x"], "", 1, &missing);

    let inbox = bob.succeeds(&["inbox"], "");
    assert!(inbox.starts_with("bob: 2 unread messages\n"), "{inbox}");
    assert!(inbox.contains(&format!(
        "* {id}  2026-11-22 16:04:05 UTC  alice\n    two\n    lines\n"
    )));
    let page = bob.json(&["inbox", "-n", "1", "--oldest-first"], "");
    assert_eq!(
        (&page["messages"][0]["body"], &page["next"]),
        (&json!("one"), &json!("1"))
    );
    let page = bob.json(&["inbox", "--after", "1"], "");
    assert_eq!(
        (&page["messages"][0]["body"], &page["next"]),
        (&json!("one"), &Value::Null)
    );

    let next = bob.json(&["read", "--next", "1"], "");
    assert_eq!(
        (&next["messages"][0]["body"], &next["unread"]),
        (&json!("one"), &json!(1))
    );
    let unread = bob.json(&["inbox", "--unread"], "");
    assert_eq!(
        (&unread["messages"][0]["id"], &unread["unread"]),
        (&json!(id), &json!(1))
    );
    assert_eq!(bob.json(&["read", id], ""), json!({"read": [id]}));
    assert_eq!(
        bob.succeeds(&["read", "--next", "9"], ""),
        "There are no unread messages.\n"
    );
    assert_eq!(bob.succeeds(&["delete", id], ""), "1 message deleted.\n");
    assert_eq!(bob.json(&["delete", id], ""), json!({"deleted": [id]}));
    let left = bob.json(&["inbox"], "");
    assert_eq!(left["messages"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watch_prints_events_in_order() {
    let (_fake, address) = FakeChat::start().await;
    let alice = Person::named("alice", &address);
    let bob = Person::named("bob", &address);
    let id = alice.json(&["send", "bob", "one"], "")["id"].clone();
    bob.succeeds(&["read", id.as_str().unwrap()], "");
    alice.succeeds(&["send", "bob", "two"], "");
    let lines = bob.succeeds(&["watch", "-n", "2", "-o", "json"], "");
    let lines: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let events: Vec<&str> = lines
        .iter()
        .map(|line| line["event"].as_str().unwrap())
        .collect();
    assert_eq!(
        events,
        ["resync", "caught_up", "message", "read", "message"]
    );
    let message = json!({"id": id, "sender": "alice", "recipient": "bob",
                         "direction": "received", "body": "one",
                         "timestamp": 1_795_363_445.0, "read": false,
                         "commit": {"index": 1, "term": 1}});
    assert_eq!(
        lines[2],
        json!({"event": "message", "cursor": "1", "message": message})
    );
    assert_eq!(
        lines[3],
        json!({"event": "read", "cursor": "2", "ids": [id]})
    );
    let text = bob.succeeds(&["watch", "--after", "1", "--limit", "1"], "");
    assert!(
        text.starts_with("(1 message read)\n* ") && text.ends_with("alice\n    two\n"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operator_commands_have_their_exit_codes() {
    let (_fake, address) = FakeChat::start().await;
    let operator = Person::new(&address);
    let status = operator.json(&["cluster", "status"], "");
    assert_eq!(
        (&status["health"], &status["leader"]),
        (&json!("healthy"), &json!(1))
    );
    let unknown = expect![[r"
        chat: no peer address of a node is known; name a file that contains them with --config
    "]];
    operator.fails(&["cluster", "transfer"], "", 2, &unknown);
    let file = operator.home.path().join("cluster.toml");
    let node = format!(
        "[[nodes]]\nid = 1\nclient_address = \"{address}\"\npeer_address = \"{address}\"\n"
    );
    fs::write(&file, node).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_chat"));
    let transfer = [
        "cluster",
        "transfer",
        "-o",
        "json",
        "--config",
        file.to_str().unwrap(),
    ];
    let output = command.args(transfer).output().unwrap();
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "{\"from\":1,\"to\":2}\n"
    );
    assert_eq!(output.status.code(), Some(0));

    let unreachable = Person::new("127.0.0.1:1");
    let output = unreachable.run(&["cluster", "status"], "");
    assert_eq!(output.status.code(), Some(3), "without quorum");
    let output = unreachable.run(&["cluster", "status", "--timeout", "0"], "");
    assert_eq!(output.status.code(), Some(2), "wrong usage");
}

/// S-C2: the token is not sent to another cluster, which may be an attacker's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn token_is_not_sent_to_another_cluster() {
    let (_fake, address) = FakeChat::start().await;
    let (other, other_address) = FakeChat::start_as("other").await;
    let mut alice = Person::named("alice", &address);
    alice.nodes = other_address.clone();
    let stderr = format!(
        "chat: the node at {other_address} belongs to another cluster (other) than this session (fake); \
         the session was not sent to it; to use that cluster, log in there with `chat login NAME`\n"
    );
    for arguments in [&["inbox"][..], &["logout"], &["watch", "-n", "1"]] {
        let output = alice.run(arguments, "");
        assert_eq!(String::from_utf8(output.stderr).unwrap(), stderr);
        assert_eq!(output.status.code(), Some(2));
    }
    assert_eq!(other.tokens_seen(), 0);
    // By logging in, the person chooses this cluster.
    alice.succeeds(&["sign-up", "alice"], "x\n");
    alice.succeeds(&["inbox"], "");
    assert!(other.tokens_seen() > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cluster_file_of_another_user_is_not_used() {
    let (fake, address) = FakeChat::start().await;
    let alice = Person::named("alice", &address);
    let folder = alice.home.path().join(".cluster");
    fs::create_dir(&folder).unwrap();
    write_cluster_file(&folder, &cluster_state(&folder, &[&address]));
    let run = || {
        let command = alice.command(&["inbox"]);
        let arguments: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
        let mut unnamed = Command::new(command.get_program());
        unnamed.args(&arguments[2..]).current_dir(alice.home.path());
        unnamed.env("CHAT_HOME", alice.home.path().join("chat"));
        unnamed.env_remove("CHAT_NODES").output().unwrap()
    };
    let output = run();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(
        output.stderr, b"",
        "without a terminal, the file is not shown"
    );
    let sent = fake.tokens_seen();
    fs::set_permissions(&folder, Permissions::from_mode(0o777)).unwrap();
    let output = run();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.contains("can be written by other users and is not used"),
        "{stderr}"
    );
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(fake.tokens_seen(), sent);
}

/// A session of an earlier version does not name its cluster.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_session_is_bound_to_a_cluster_by_its_first_use() {
    let (_fake, address) = FakeChat::start().await;
    let (other, other_address) = FakeChat::start_as("other").await;
    let mut alice = Person::named("alice", &address);
    let file = alice.home.path().join("chat/session-alice.json");
    let mut kept: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(kept["cluster_id"], "fake");
    kept.as_object_mut().unwrap().remove("cluster_id");
    fs::write(&file, kept.to_string()).unwrap();

    let mut unnamed = Command::new(env!("CARGO_BIN_EXE_chat"));
    unnamed.arg("inbox").current_dir(alice.home.path());
    unnamed.env("CHAT_HOME", alice.home.path().join("chat"));
    let output = unnamed.env_remove("CHAT_NODES").output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("does not name its cluster"), "{stderr}");
    assert_eq!(output.status.code(), Some(2));

    alice.succeeds(&["inbox"], "");
    alice.nodes = other_address;
    assert_eq!(alice.run(&["inbox"], "").status.code(), Some(2));
    assert_eq!(other.tokens_seen(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bench_prints_its_measurements() {
    let (_fake, address) = FakeChat::start().await;
    let person = Person::new(&address);
    let figures = person.json(
        &["bench", "--clients", "1", "--seconds", "1", "--body", "10"],
        "",
    );
    assert!(figures["done"].as_u64().unwrap() > 0, "{figures}");
    assert_eq!(
        (&figures["operation"], &figures["failed"]),
        (&json!("send"), &json!(0))
    );
}

#[test]
fn completions_and_manual_are_printed() {
    let person = Person::new("nowhere:1");
    let script = person.succeeds(&["completions", "bash"], "");
    assert!(script.contains("delete-account"), "{script}");
    let page = person.succeeds(&["man"], "");
    assert!(page.contains("Exit codes"), "{page}");
    let pages = person.home.path().join("pages");
    let missing = person.run(&["man", "--output-dir", pages.to_str().unwrap()], "");
    assert_eq!(missing.status.code(), Some(2));
    fs::create_dir(&pages).unwrap();
    person.succeeds(&["man", "--output-dir", pages.to_str().unwrap()], "");
    assert!(pages.join("chat-inbox.1").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_failure_has_its_exit_code() {
    let (fake, address) = FakeChat::start().await;
    let alice = Person::named("alice", &address);
    let error = |code: &str, message: &str, exit_code: u8| {
        let error = json!({"code": code, "message": message, "exit_code": exit_code});
        format!("{}\n", json!({"error": error}))
    };
    let check = |person: &Person, arguments: &[&str], code: i32, stderr: String| {
        let output = person.run(&[arguments, &["-o", "json", "--timeout", "1"]].concat(), "");
        let found = String::from_utf8(output.stderr).unwrap();
        assert_eq!((found, output.status.code()), (stderr, Some(code)));
        assert!(output.stdout.is_empty());
    };
    let send = &["send", "alice", "hi"];
    check(
        &alice,
        &["send", "bob", "hi"],
        1,
        error("recipient_not_found", "Recipient does not exist.", 1),
    );
    let usage = alice.run(&["inbox", "-n", "0"], "");
    assert_eq!(usage.status.code(), Some(2));
    fake.fail(Status::unavailable("gone"));
    let id = "67e55044-10b1-426f-9247-bb680e5fe0c8";
    let advice = format!("the outcome is unknown: gone; repeat it with --id {id}: it is sent once");
    let unknown = error("outcome_unknown", &advice, 4);
    check(&alice, &[&send[..], &["--id", id]].concat(), 4, unknown);
    let unavailable = error("unavailable", "no node could serve the request: gone", 3);
    check(&alice, &["inbox"], 3, unavailable);
    fake.fail(Status::unauthenticated("no such session"));
    check(
        &alice,
        send,
        1,
        error("unauthenticated", "no such session", 1),
    );
    let advice = expect![[r"
        chat: no such session; `chat login NAME` opens a new session
    "]];
    alice.fails(send, "", 1, &advice);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watch_ends_with_the_session() {
    let (fake, address) = FakeChat::start().await;
    let alice = Person::named("alice", &address);
    fake.end_sessions();
    let ended = expect![[r"
        chat: a token is needed; `chat login NAME` opens a new session
    "]];
    alice.fails(&["watch"], "", 1, &ended);
    // A session that has ended can be logged out.
    alice.succeeds(&["logout"], "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closed_output_is_success_and_full_disk_is_failure() {
    let (_fake, address) = FakeChat::start().await;
    let alice = Person::named("alice", &address);
    alice.succeeds(&["send", "alice", "hi"], "");
    for arguments in [
        &["inbox"][..],
        &["watch"],
        &["completions", "zsh"],
        &["man"],
        &["--help"],
    ] {
        let mut child = alice.command(arguments).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(
            String::from_utf8(output.stderr).unwrap(),
            "",
            "{arguments:?}"
        );
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
    }
    let mut full = alice.command(&["inbox"]);
    let full = full.stdout(File::create("/dev/full").unwrap());
    let output = full.spawn().unwrap().wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.starts_with("chat: cannot write the result"),
        "{stderr}"
    );
    assert_eq!(output.status.code(), Some(5));
}
