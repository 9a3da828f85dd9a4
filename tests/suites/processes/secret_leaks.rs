//! Secrets leak nowhere: not into any file, not into the nodes' logs at the level debug, not into
//! error replies. The search is for passwords, their digests and tokens, and for the text of
//! messages, which belongs into the databases alone.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use chat_client::{ClientError, OutgoingMessage, Session, WatchEvent};
use chat_consensus::NodeId;
use chat_tests::processes::cluster::Cluster;
use chat_tests::processes::plain_request::PlainClient;
use chat_tests::processes::request_json as requests;
use chat_tests::processes::secrets::{Secret, files};
use chat_tests::processes::waiting::within;
use serde_json::{Value, json};
use uuid::Uuid;

const LIMIT: Duration = Duration::from_secs(60);
const DEADLINE: Duration = Duration::from_secs(10);

/// Passwords with their SHA-256, which is as good as they are.
const FIRST: (&str, &str) = (
    "leak test password 5f1e",
    "ac761cbae6eb6ccaeb932a0d49df5cc6b2e92954d0b5c5ec7822b7d3783ca28a",
);
const NEXT: (&str, &str) = (
    "leak test password 9b07",
    "872da6ae0b8c5b331d8f1d4533b3d51a8e562adc4e7c53bcdfba21f768c3fe3a",
);
const WRONG: (&str, &str) = (
    "leak test password c3d2",
    "cc6bd67ff0c6780feecbebc7ff50f00099cd8c879a5bca8d0f56ff5774a41d18",
);
const BODY: &str = "leak test: meet me where the yellow birds are";

/// Everything that was secret so far.
struct Fixture {
    cluster: Cluster,
    /// Must be nowhere.
    secrets: Vec<Secret>,
    /// May be in databases.
    body: Secret,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_in_no_file_no_log_and_no_refusal() {
    within(LIMIT, async {
        let mut fixture = Fixture::new(Cluster::start_logging(3, "debug").await);
        for node in fixture.cluster.ids() {
            fixture.send_requests(node).await;
        }
        let known = requests::list_users("*");
        let token = fixture.refuse_misplaced_secrets().await;
        fixture.fail_over(&token, &known).await;
        fixture.check_files();
        // Shows that the logs contain the requests that were made.
        let logs: Vec<Vec<u8>> = fixture.logs();
        let id = Secret::text("id", known["id"].as_str().unwrap());
        assert!(logs.iter().any(|log| id.is_in(log)), "debug is off");

        let endings = fixture.cluster.terminate(&fixture.cluster.ids()).await;
        assert!(endings.iter().all(|ending| ending.code() == Some(0)));
        fixture.check_files();
        fixture.cluster.start_all();
        fixture.cluster.settled().await;
        fixture.check_files();
        fixture.cluster.check_healthy();
    })
    .await;
}

impl Fixture {
    fn new(cluster: Cluster) -> Self {
        let mut secrets = Vec::new();
        for (password, digest) in [FIRST, NEXT, WRONG] {
            secrets.push(Secret::text("a password", password));
            secrets.push(Secret::hexadecimal("a digest", digest));
        }
        let body = Secret::text("a message", BODY);
        Self {
            cluster,
            secrets,
            body,
        }
    }

    /// Everything that a person does, through one node.
    async fn send_requests(&mut self, node: NodeId) {
        let client = self.cluster.client_of(node);
        let name = format!("person-{}", node.0);
        let session = client.sign_up(&name, FIRST.0).await.unwrap();
        self.keep_secret(&session);
        let mut watch = client.watch(&session, None);
        assert_eq!(watch.next().await.unwrap().event, WatchEvent::CaughtUp);
        let kept = client.send(&session, &name, BODY).await.unwrap();
        let deleted = client.send(&session, &name, BODY).await.unwrap();
        assert!(matches!(
            watch.next().await.unwrap().event,
            WatchEvent::Message(_)
        ));
        client.mark_read(&session, &[kept.id]).await.unwrap();
        client
            .delete_messages(&session, &[deleted.id])
            .await
            .unwrap();

        self.check_refusal(&client.login(&name, WRONG.0).await.unwrap_err());
        let wrong = client.change_password(&session, WRONG.0, NEXT.0).await;
        self.check_refusal(&wrong.unwrap_err());
        let changed = client.change_password(&session, FIRST.0, NEXT.0).await;
        self.keep_secret(&changed.unwrap());
        let ended = client.send(&session, &name, BODY).await;
        self.check_refusal(&ended.unwrap_err());
        let other = client.login(&name, NEXT.0).await.unwrap().session;
        self.keep_secret(&other);
        client.logout(&other).await.unwrap();
    }

    /// Requests that are wrong, with something secret where it does not belong.
    async fn refuse_misplaced_secrets(&mut self) -> String {
        let login = self.cluster.client().login("person-1", NEXT.0).await;
        let session = login.unwrap().session;
        self.keep_secret(&session);
        let token = session.token();
        for node in self.cluster.ids() {
            let client = PlainClient::connect(self.cluster.client_address(node)).await;
            for text in misplaced(token) {
                let refused = client.execute_text(text.clone(), Some(token), DEADLINE);
                let refused = refused.await.expect_err(&text);
                self.check_reply(&format!("{refused:?}"));
                self.check_reply(&String::from_utf8_lossy(refused.details()));
            }
            for wrong in [format!("0{token}"), token.to_uppercase()] {
                let list = requests::list_users("*");
                let refused = client.execute(&list, Some(&wrong), DEADLINE).await;
                self.check_reply(&format!("{:?}", refused.unwrap_err()));
            }
        }
        token.to_owned()
    }

    /// Followers whose leader was killed that moment log most; they get the request `known`, and
    /// requests with secrets that they have to forward.
    async fn fail_over(&mut self, token: &str, known: &Value) {
        let leader = self.cluster.settled().await;
        self.cluster.kill(leader.node);
        for node in self.cluster.serving() {
            let client = PlainClient::connect(self.cluster.client_address(node)).await;
            let send = requests::send_message(Uuid::new_v4(), "person-1", "person-1", BODY);
            let login = requests::login("person-1", NEXT.1);
            let change = requests::change_password(WRONG.1, FIRST.1);
            for request in [&send, &login, &change, known] {
                match client.execute(request, Some(token), DEADLINE).await {
                    Ok(reply) => {
                        if let Some(token) = reply["token"].as_str() {
                            self.secrets.push(token_secret(token));
                        }
                    }
                    Err(refused) => self.check_reply(&format!("{refused:?}")),
                }
            }
        }
        self.cluster.start_node(leader.node);
        self.cluster.settled().await;
    }

    /// Nothing secret is in any file; the text of messages is in the databases of every node.
    fn check_files(&self) {
        for id in self.cluster.ids() {
            let mut bases = BTreeSet::new();
            for file in files(&self.cluster.data(id)) {
                let bytes = fs::read(&file).unwrap();
                self.check_bytes(&file, &bytes);
                if self.body.is_in(&bytes) {
                    let name = file.file_name().unwrap().to_str().unwrap();
                    let is_log = name.ends_with(".segment");
                    assert!(is_log || name.starts_with("state.db"), "{file:?}");
                    bases.insert(if is_log { "log" } else { "state" });
                }
            }
            // Shows that the search finds something.
            assert_eq!(bases.len(), 2, "{id:?} has the message in {bases:?}");
        }
        for (id, log) in self.cluster.ids().into_iter().zip(self.logs()) {
            let file = self.cluster.log(id);
            self.check_bytes(&file, &log);
            assert!(!self.body.is_in(&log), "the text of a message: {file:?}");
        }
    }

    fn logs(&self) -> Vec<Vec<u8>> {
        let files = self.cluster.ids().into_iter();
        let files = files.map(|id| self.cluster.log(id));
        files.map(|file| fs::read(file).unwrap()).collect()
    }

    fn check_bytes(&self, file: &Path, bytes: &[u8]) {
        for secret in &self.secrets {
            assert!(!secret.is_in(bytes), "{} is in {file:?}", secret.name());
        }
    }

    fn check_refusal(&self, refusal: &ClientError) {
        let is_no = matches!(
            refusal,
            ClientError::Application { .. } | ClientError::Status { .. }
        );
        assert!(is_no, "{refusal:?}");
        self.check_reply(&format!("{refusal:?} {refusal}"));
    }

    fn check_reply(&self, reply: &str) {
        for secret in self.secrets.iter().chain([&self.body]) {
            assert!(!secret.is_in(reply.as_bytes()), "replied: {reply}");
        }
    }

    fn keep_secret(&mut self, session: &Session) {
        self.secrets.push(token_secret(session.token()));
    }
}

/// The secret part of a token: everything before the index of the entry that opened its session.
fn token_secret(token: &str) -> Secret {
    let (random, _index) = token.split_once('.').expect("a token has an index");
    Secret::hexadecimal("a token", random)
}

/// A digest, a token or a text in every field that is for something else, or in another form.
fn misplaced(token: &str) -> Vec<String> {
    let digest = NEXT.1;
    let id = Uuid::new_v4();
    let message = OutgoingMessage::new("person-1", BODY);
    let send = |message: Value| requests::request("SEND_MESSAGE", json!({"message": message}));
    let good = requests::send_message(message.id, "person-1", "person-1", BODY).to_string();
    let (half, _) = good.split_at(good.find("yellow").unwrap() + "yellow birds are".len());
    let named = json!({"request_type": "LIST_USERS", "pattern": "*", "id": token});
    let requests = [
        requests::request(digest, json!({})),
        requests::request(BODY, json!({})),
        requests::login("person-1", &digest.to_uppercase()),
        requests::login("person-1", &format!("{digest}0")),
        requests::request(
            "LOGIN",
            json!({"username": "person-1", "password": [digest]}),
        ),
        requests::request(
            "LOGIN",
            json!({"username": {"a": digest}, "password": digest}),
        ),
        requests::create_user(&digest.repeat(2), digest),
        requests::change_password(digest, NEXT.0),
        requests::change_password(NEXT.0, digest),
        requests::request("READ_MESSAGES", json!({"message_ids": [token]})),
        requests::request("DELETE_MESSAGES", json!({"message_ids": BODY})),
        requests::list_users(&token.repeat(2)),
        requests::request("LIST_USERS", json!({"pattern": "*", "limit": token})),
        requests::request(
            "GET_MESSAGES",
            json!({"username": "person-1", "after": token}),
        ),
        requests::request(
            "GET_MESSAGES",
            json!({"username": "person-1", "unread_only": BODY}),
        ),
        named,
        send(json!(BODY)),
        send(json!([BODY])),
        send(json!({"id": BODY, "sender": "person-1", "recipient": "person-1", "body": BODY})),
        send(json!({"id": id, "sender": "person-1", "recipient": "person-1", "body": [BODY]})),
        send(json!({"id": id, "sender": token, "recipient": "person-1", "body": BODY})),
        send(json!({"id": id, "sender": "person-2", "recipient": "person-1", "body": BODY})),
    ];
    let mut texts: Vec<String> = requests.iter().map(Value::to_string).collect();
    texts.extend([half.to_owned(), BODY.to_owned(), format!("{good} {digest}")]);
    texts
}
