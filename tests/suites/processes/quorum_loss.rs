//! Two of three are killed: the third one reports it in time, and nothing is half done.

use std::time::Duration;

use chat_client::{ClientError, OutgoingMessage, Session};
use chat_consensus::NodeId;
use chat_tests::processes::cluster::Cluster;
use chat_tests::processes::plain_request::PlainClient;
use chat_tests::processes::waiting::within;
use serde_json::{Value, json};
use tonic::{Code, Status};
use uuid::Uuid;

use super::inboxes_on_every_node;

const LIMIT: Duration = Duration::from_secs(120);
/// Of each request that cannot be carried out.
const DEADLINE: Duration = Duration::from_secs(2);
/// How often one is made before it counts as not answered in time.
const ATTEMPTS: usize = 3;
/// Of those that can.
const WAIT_TIMEOUT: Duration = Duration::from_secs(20);
const PASSWORD: &str = "open sesame";
/// Sent without a majority.
const MESSAGES: usize = 10;

/// Two accounts, and what the first one tried to send to the second one.
struct Fixture {
    sender: Session,
    recipient: Session,
    messages: Vec<OutgoingMessage>,
}

/// R13: a leader alone has appended what it cannot commit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leader_alone_is_unavailable_and_does_nothing_by_halves() {
    within(LIMIT, async {
        let mut cluster = Cluster::start(3).await;
        let leader = cluster.leader().await.node;
        check_alone(&mut cluster, leader).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn follower_alone_is_unavailable_and_does_nothing_by_halves() {
    within(LIMIT, async {
        let mut cluster = Cluster::start(3).await;
        let leader = cluster.leader().await.node;
        let follower = cluster.ids().into_iter().find(|id| *id != leader);
        check_alone(&mut cluster, follower.unwrap()).await;
    })
    .await;
}

async fn check_alone(cluster: &mut Cluster, survivor: NodeId) {
    let fixture = Fixture::new(cluster).await;
    // The survivor knows the session and has a connection.
    let warm = cluster.client_of(survivor);
    warm.send(&fixture.sender, "recipient", "before")
        .await
        .unwrap();
    let alone = PlainClient::connect(cluster.client_address(survivor)).await;
    for other in cluster.ids() {
        if other != survivor {
            cluster.kill(other);
        }
    }
    assert_eq!(cluster.serving(), [survivor]);

    check_tokens_alone(&alone).await;
    let user = sign_up("newcomer");
    let mut requests: Vec<(Value, Option<&str>)> = vec![
        (user.clone(), None),
        (login("sender"), None),
        (inbox("recipient"), Some(fixture.recipient.token())),
    ];
    let sends = fixture.messages.iter().map(|message| fixture.send(message));
    requests.extend(sends.map(|send| (send, Some(fixture.sender.token()))));
    check_all_unavailable(&alone, &requests).await;
    let client = warm.with_deadline(DEADLINE);
    let attempt = client
        .send_message(&fixture.sender, &fixture.messages[0])
        .await;
    assert!(
        matches!(
            attempt,
            Err(ClientError::Unavailable { .. } | ClientError::OutcomeUnknown { .. })
        ),
        "{attempt:?}"
    );

    cluster.start_all();
    cluster.settled().await;
    check_messages(cluster, &fixture).await;
    check_account(cluster, &user).await;
    cluster.check_healthy();
}

/// S-A8: a session that an applied entry should have opened is looked for in this node's tables alone.
async fn check_tokens_alone(alone: &PlainClient) {
    for (opened, code) in [(1, Code::Unauthenticated), (u64::MAX, Code::Unavailable)] {
        let invented = format!("{}.{opened}", "0".repeat(64));
        let request = inbox("recipient");
        let reply = alone.execute(&request, Some(&invented), DEADLINE);
        let status = reply.await.expect_err("no account has that token");
        assert_eq!(status.code(), code, "{opened}: {status:?}");
    }
}

/// Sends all at the same time, in the order given. The server replies that it cannot serve them.
async fn check_all_unavailable(alone: &PlainClient, requests: &[(Value, Option<&str>)]) {
    let mut calls = tokio::task::JoinSet::new();
    for (request, token) in requests {
        let (alone, request, token) = (alone.clone(), request.clone(), token.map(str::to_owned));
        calls.spawn(async move {
            let reply = answer_in_time(&alone, &request, token.as_deref()).await;
            (request, reply)
        });
    }
    let answers = calls.join_all().await;
    assert_eq!(answers.len(), requests.len());
    for (request, reply) in answers {
        let status = reply.expect_err("one node of three is no majority");
        assert_eq!(status.code(), Code::Unavailable, "{request}: {status:?}");
        let reason = reason(&status);
        let changes = text(&request, "request_type") != "GET_MESSAGES";
        assert!(
            matches!(reason, "NO_LEADER" | "NOT_APPENDED")
                || (reason == "OUTCOME_UNKNOWN" && changes),
            "{request}: {reason}: {status:?}"
        );
    }
}

/// What the server answers before the deadline, which it keeps by some milliseconds only: a
/// machine that is suspended for longer has not shown that it does not, so the request is sent again.
async fn answer_in_time(
    alone: &PlainClient,
    request: &Value,
    token: Option<&str>,
) -> Result<Value, Status> {
    for _ in 1..ATTEMPTS {
        match alone.execute(request, token, DEADLINE).await {
            Err(late) if [Code::Cancelled, Code::DeadlineExceeded].contains(&late.code()) => {}
            answered => return answered,
        }
    }
    alone.execute(request, token, DEADLINE).await
}

/// Every message is there once at most, and once after it was sent again on every node (R15).
async fn check_messages(cluster: &Cluster, fixture: &Fixture) {
    let owner = std::slice::from_ref(&fixture.recipient);
    let before = &inboxes_on_every_node(cluster, owner).await["recipient"];
    assert_eq!(before[0].body, "before");
    let mut arrived = 1;
    for message in &fixture.messages {
        let copies: Vec<_> = before.iter().filter(|copy| copy.id == message.id).collect();
        assert!(
            copies.len() <= 1,
            "{message:?} is there {} times",
            copies.len()
        );
        arrived += copies.len();
        let mut commit = copies.first().map(|copy| copy.commit);
        for node in cluster.ids() {
            let client = cluster.client_of(node);
            let sent = client.send_message(&fixture.sender, message).await.unwrap();
            assert_eq!(sent.commit, *commit.get_or_insert(sent.commit));
        }
    }
    assert_eq!(before.len(), arrived, "nothing else was sent");

    let after = &inboxes_on_every_node(cluster, owner).await["recipient"];
    assert_eq!(after.len(), 1 + MESSAGES);
    for message in &fixture.messages {
        let copies: Vec<_> = after.iter().filter(|copy| copy.id == message.id).collect();
        assert_eq!(copies.len(), 1, "{message:?}");
        assert_eq!(
            (&*copies[0].sender, &copies[0].body),
            ("sender", &message.body)
        );
    }
}

/// The account is there or not; the same request again proves its password, another one's is
/// refused (R15).
async fn check_account(cluster: &Cluster, user: &Value) {
    let name = text(user, "username");
    for node in cluster.ids() {
        let client = PlainClient::connect(cluster.client_address(node)).await;
        let execute =
            async |request: Value| client.execute(&request, None, WAIT_TIMEOUT).await.unwrap();
        if node == cluster.ids()[0] {
            let early = execute(login(name)).await;
            let is_there = text(&early, "status") == "OK";
            assert!(is_there || text(&early, "error_code") == "invalid_credentials");
        }
        assert_eq!(text(&execute(user.clone()).await, "status"), "OK");
        assert_eq!(text(&execute(login(name)).await, "status"), "OK");
        let other = execute(sign_up(name)).await;
        assert_eq!(text(&other, "error_code"), "username_taken");
    }
}

impl Fixture {
    async fn new(cluster: &Cluster) -> Self {
        let client = cluster.client();
        let message = |number| OutgoingMessage::new("recipient", format!("message {number}"));
        Self {
            sender: client.sign_up("sender", PASSWORD).await.unwrap(),
            recipient: client.sign_up("recipient", PASSWORD).await.unwrap(),
            messages: (0..MESSAGES).map(message).collect(),
        }
    }

    fn send(&self, message: &OutgoingMessage) -> Value {
        let OutgoingMessage {
            id,
            recipient,
            body,
            ..
        } = message;
        let sender = self.sender.username();
        let message = json!({"id": id, "sender": sender, "recipient": recipient, "body": body});
        json!({"id": Uuid::new_v4(), "request_type": "SEND_MESSAGE", "message": message})
    }
}

/// A new request each time.
fn sign_up(name: &str) -> Value {
    credentials("CREATE_USER", name)
}

fn login(name: &str) -> Value {
    credentials("LOGIN", name)
}

fn credentials(kind: &str, name: &str) -> Value {
    let digest = "a".repeat(64);
    json!({"id": Uuid::new_v4(), "request_type": kind, "username": name, "password": digest})
}

fn inbox(name: &str) -> Value {
    json!({"id": Uuid::new_v4(), "request_type": "GET_MESSAGES", "username": name})
}

#[track_caller]
fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    let text = value[key].as_str();
    text.unwrap_or_else(|| panic!("no {key} in {value}"))
}

/// The reason in `ErrorInfo`, which is in the details as it is; none if no server wrote it.
fn reason(status: &Status) -> &'static str {
    let details = String::from_utf8_lossy(status.details());
    let reasons = ["NO_LEADER", "NOT_APPENDED", "OUTCOME_UNKNOWN"];
    let found = reasons.into_iter().find(|reason| details.contains(reason));
    found.unwrap_or("no reason of a server's")
}
