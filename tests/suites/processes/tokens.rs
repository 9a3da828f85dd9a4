//! The reply to each request on every node of a cluster with a token that proves nothing, or that
//! belongs to another account. The token was good a moment before, and every node remembers that.
//!
//! Expired tokens are left to the table of one node, which is configured without a file: a file's
//! `[sessions]` must be five minutes at least.

#[path = "../../../crates/chat-server/tests/one_node/authorization_matrix.rs"]
mod authorization_matrix;

use std::time::Duration;

use chat_client::{OutgoingMessage, Session, WatchEvent};
use chat_consensus::NodeId;
use chat_tests::processes::cluster::Cluster;
use chat_tests::processes::plain_request::PlainClient;
use chat_tests::processes::request_json as requests;
use chat_tests::processes::waiting::within;
use serde_json::{Value, json};
use tonic::{Code, Status};
use uuid::Uuid;

use authorization_matrix::{ForeignToken, MATRIX, Row};

const LIMIT: Duration = Duration::from_secs(120);

/// A cluster, and a connection to each of its nodes.
struct Fixture {
    cluster: Cluster,
    nodes: Vec<(NodeId, PlainClient)>,
    /// How often every request was sent to a node with a token that proves nothing.
    turn: usize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn token_that_proves_nothing_is_rejected_on_every_node() {
    within(LIMIT, async {
        let mut fixture = Fixture::new().await;
        fixture.check_rows().await;
        fixture.sign_up("alice", "a").await;
        fixture.check_worthless("no token", None).await;
        for wrong in ["", "x", &"0".repeat(64)] {
            fixture
                .check_worthless("a token of no account", Some(wrong))
                .await;
        }
        for place in 0..fixture.nodes.len() {
            fixture.check_after_logout(place).await;
        }
        fixture.check_after_change_password().await;
        fixture.check_after_delete_user().await;
        fixture.cluster.check_healthy();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn token_of_another_account_changes_nothing_on_any_node() {
    within(LIMIT, async {
        let mut fixture = Fixture::new().await;
        let alice = fixture.sign_up("alice", "a").await;
        fixture.sign_up("bob", "b").await;
        let id = Uuid::new_v4();
        let hello = requests::send_message(id, "alice", "alice", "hi");
        fixture.execute_ok(0, &hello, Some(&alice)).await;
        let inbox = requests::get_messages("alice");
        let before = fixture.execute_ok(0, &inbox, Some(&alice)).await;
        for place in 0..fixture.nodes.len() {
            for (kind, foreign, request) in MATRIX {
                let node = fixture.nodes[place].0;
                // A new one for each: LOGOUT ends it.
                let bob = fixture.log_in(place, "bob", "b").await;
                let reply = fixture.execute(place, &request(id), Some(&bob)).await;
                check_foreign(&format!("{kind} on {node:?}"), foreign, kind, reply);
                // Seen from another node.
                let after = fixture.execute_ok(place + 1, &inbox, Some(&alice)).await;
                assert_eq!(after, before, "{kind} on {node:?}");
            }
            fixture.log_in(place, "alice", "a").await;
            fixture.log_in(place, "bob", "b").await;
        }
        fixture.check_watches_own_inbox(&alice).await;
        fixture.cluster.check_healthy();
    })
    .await;
}

fn check_foreign(what: &str, foreign: ForeignToken, kind: &str, reply: Result<Value, Status>) {
    match foreign {
        ForeignToken::Denied => {
            let refused = reply.expect_err(what);
            check_refused(what, &refused, Code::PermissionDenied, "NOT_YOURS");
        }
        ForeignToken::Ignored | ForeignToken::OwnAccountOnly => {
            let reply = reply.unwrap_or_else(|status| panic!("{what}: {status:?}"));
            let refusal = match kind {
                "CREATE_USER" => json!("username_taken"),
                // Her password is not his.
                "CHANGE_PASSWORD" => json!("invalid_credentials"),
                _ => Value::Null,
            };
            assert_eq!(reply["error_code"], refusal, "{what}: {reply}");
        }
    }
}

fn check_refused(what: &str, refused: &Status, code: Code, reason: &str) {
    assert_eq!(refused.code(), code, "{what}: {refused:?}");
    // The reason in `ErrorInfo` is in the details as it is.
    let details = String::from_utf8_lossy(refused.details());
    assert!(details.contains(reason), "{what}: {refused:?}");
}

fn check_unauthenticated(what: &str, refused: &Status) {
    check_refused(what, refused, Code::Unauthenticated, "UNAUTHENTICATED");
}

impl Fixture {
    async fn new() -> Self {
        let cluster = Cluster::start(3).await;
        let mut nodes = Vec::new();
        for id in cluster.ids() {
            let client = PlainClient::connect(cluster.client_address(id)).await;
            nodes.push((id, client));
        }
        Self {
            cluster,
            nodes,
            turn: 0,
        }
    }

    /// A node refuses a type of request that it does not know with those that it does; each of
    /// them has a row.
    async fn check_rows(&self) {
        let mut rows = MATRIX.map(|(kind, ..)| kind);
        rows.sort_unstable();
        for place in 0..self.nodes.len() {
            let unknown = requests::request("?", json!({}));
            let refused = self.execute(place, &unknown, None).await.unwrap_err();
            let known = refused.message().split_once("must be one of ");
            let mut known: Vec<&str> = known.unwrap().1.split(", ").collect();
            known.sort_unstable();
            assert_eq!(known, rows);
        }
    }

    /// Every request and a watch, on every node. The first change that is refused makes a node
    /// forget the token: reads come before, and each change is the first one on some node.
    async fn check_worthless(&mut self, what: &str, token: Option<&str>) {
        for place in 0..self.nodes.len() {
            let (node, client) = &self.nodes[place];
            let watch = format!("a watch with {what} on {node:?}");
            let refused = client.watch(token).await.expect_err(&watch);
            check_unauthenticated(&watch, &refused);
            let is_read_only = |row: &Row| ["GET_MESSAGES", "LIST_USERS"].contains(&row.0);
            let (mut rows, mut changes): (Vec<Row>, Vec<Row>) =
                MATRIX.into_iter().partition(is_read_only);
            let first = self.turn % changes.len();
            changes.rotate_left(first);
            rows.extend(changes);
            for (kind, foreign, request) in rows {
                let what = format!("{kind} with {what} on {node:?}");
                let reply = self.execute(place, &request(Uuid::new_v4()), token).await;
                if foreign == ForeignToken::Ignored {
                    assert!(reply.is_ok(), "{what}: {reply:?}");
                } else {
                    check_unauthenticated(&what, &reply.expect_err(&what));
                }
            }
            self.turn += 1;
        }
    }

    async fn check_after_logout(&mut self, place: usize) {
        let token = self.log_in(place, "alice", "a").await;
        self.use_everywhere("alice", &token).await;
        self.execute_ok(place, &requests::logout(), Some(&token))
            .await;
        let node = self.nodes[place].0;
        let what = format!("a token after LOGOUT on {node:?}");
        self.check_worthless(&what, Some(&token)).await;
    }

    /// It ends the account's other sessions too, and its own.
    async fn check_after_change_password(&mut self) {
        let own = self.log_in(0, "alice", "a").await;
        let other = self.log_in(1, "alice", "a").await;
        for token in [&own, &other] {
            self.use_everywhere("alice", token).await;
        }
        let change = requests::change_password(&digest("a"), &digest("a"));
        let changed = self.execute_ok(2, &change, Some(&own)).await;
        for token in [&own, &other] {
            self.check_worthless("a token after CHANGE_PASSWORD", Some(token))
                .await;
        }
        self.use_everywhere("alice", &text(&changed, "token")).await;
    }

    /// A later account of the same name is another one.
    async fn check_after_delete_user(&mut self) {
        let token = self.log_in(0, "alice", "a").await;
        self.use_everywhere("alice", &token).await;
        let delete = requests::delete_user("alice");
        self.execute_ok(1, &delete, Some(&token)).await;
        // The table's CREATE_USER brings an account of that name.
        self.check_worthless("a token of a deleted account", Some(&token))
            .await;
        self.log_in(2, "alice", "a").await;
        self.check_worthless("a token of an earlier account", Some(&token))
            .await;
    }

    /// A watch shows the inbox of its token's account, and of no other one.
    async fn check_watches_own_inbox(&self, alice: &str) {
        let bob = self.log_in(0, "bob", "b").await;
        let alice = Session::new("alice", alice).unwrap();
        let bob = Session::new("bob", &bob).unwrap();
        for node in self.cluster.ids() {
            let client = self.cluster.client_of(node);
            let mut watch = client.watch(&bob, None);
            assert_eq!(watch.next().await.unwrap().event, WatchEvent::CaughtUp);
            for recipient in ["alice", "bob"] {
                let message = OutgoingMessage::new(recipient, "hi");
                client.send_message(&alice, &message).await.unwrap();
            }
            let received = loop {
                match watch.next().await.unwrap().event {
                    WatchEvent::CaughtUp => {}
                    event => break event,
                }
            };
            let WatchEvent::Message(message) = received else {
                panic!("{node:?} sent {received:?} to bob");
            };
            assert_eq!(message.recipient, "bob", "on {node:?}");
        }
    }

    /// From then on every node has seen the token.
    async fn use_everywhere(&self, name: &str, token: &str) {
        for place in 0..self.nodes.len() {
            let send = requests::send_message(Uuid::new_v4(), name, name, "hi");
            self.execute_ok(place, &send, Some(token)).await;
        }
    }

    async fn sign_up(&self, name: &str, letter: &str) -> String {
        let create = requests::create_user(name, &digest(letter));
        text(&self.execute_ok(0, &create, None).await, "token")
    }

    async fn log_in(&self, place: usize, name: &str, letter: &str) -> String {
        let login = requests::login(name, &digest(letter));
        text(&self.execute_ok(place, &login, None).await, "token")
    }

    async fn execute_ok(&self, place: usize, request: &Value, token: Option<&str>) -> Value {
        let reply = self.execute(place, request, token).await;
        let reply = reply.unwrap_or_else(|status| panic!("{request}: {status:?}"));
        assert_eq!(reply["status"], "OK", "{request}: {reply}");
        reply
    }

    /// The nodes form a ring.
    async fn execute(
        &self,
        place: usize,
        request: &Value,
        token: Option<&str>,
    ) -> Result<Value, Status> {
        let (_, client) = &self.nodes[place % self.nodes.len()];
        client.execute_until_available(request, token).await
    }
}

fn digest(letter: &str) -> String {
    letter.repeat(64)
}

fn text(reply: &Value, key: &str) -> String {
    let text = reply[key].as_str();
    text.unwrap_or_else(|| panic!("no {key} in {reply}"))
        .to_owned()
}
