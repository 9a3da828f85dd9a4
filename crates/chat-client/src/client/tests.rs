//! The client against servers whose replies are scripted by the test.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chat_proto::chat::v1::chat_server::{Chat, ChatServer};
use chat_proto::chat::v1::{ExecuteRequest, ExecuteResponse, WatchEvent, WatchRequest};
use test_kit::{serve, unused_address};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tonic::{Code, Request, Response, Status, transport};
use tonic_types::{ErrorDetails, StatusExt};

use super::ChatClient;
use crate::error::ClientError;
use crate::node_pool::FIRST_ATTEMPT;
use crate::search::HEDGE_AFTER;
use crate::{OutgoingMessage, Session, StatusCode};

/// What a server does with one request.
#[derive(Clone)]
enum Act {
    Reply(&'static str),
    /// Replies as a follower that knows the leader.
    ReplyNaming(String),
    Refuse(Code, &'static str, Option<String>),
    /// Never answers.
    Hang,
    /// Replies after this time.
    Late(Duration),
    /// Reports after this time that there is no leader.
    LateRefusal(Duration),
    /// Reports after this time that the outcome is unknown, and the leader.
    LateUnknown(Duration, String),
}

#[derive(Clone, Default)]
struct Scripted {
    acts: Arc<Mutex<VecDeque<Act>>>,
    seen: Arc<Mutex<Vec<String>>>,
}

struct Server {
    address: String,
    script: Scripted,
}

const SENT: &str = r#"{"status":"OK","id":"00000000-0000-0000-0000-000000000000","timestamp":1.0,"commit":{"index":1,"term":1}}"#;

#[tonic::async_trait]
impl Chat for Scripted {
    async fn execute(
        &self,
        request: Request<ExecuteRequest>,
    ) -> Result<Response<ExecuteResponse>, Status> {
        if let Some(authorization) = request.metadata().get("authorization") {
            assert_eq!(authorization, "Bearer secret");
        }
        assert!(request.metadata().contains_key("grpc-timeout"));
        self.seen.lock().unwrap().push(request.into_inner().request);
        let act = self
            .acts
            .lock()
            .unwrap()
            .pop_front()
            .unwrap_or(Act::Reply(SENT));
        let reply = |text: &str| {
            Response::new(ExecuteResponse {
                response: text.to_owned(),
            })
        };
        match act {
            Act::Reply(text) => Ok(reply(text)),
            Act::ReplyNaming(leader) => {
                let mut response = reply(SENT);
                response
                    .metadata_mut()
                    .insert("chat-leader-address", leader.parse().unwrap());
                Ok(response)
            }
            Act::Refuse(code, reason, leader) => {
                let metadata = leader.map(|leader| ("leader_address".to_owned(), leader));
                let metadata = HashMap::from_iter(metadata);
                let mut details = ErrorDetails::with_error_info(reason, "chat.v1", metadata);
                if code == Code::ResourceExhausted {
                    details.set_retry_info(Some(Duration::from_millis(10)));
                }
                Err(Status::with_error_details(code, reason, details))
            }
            Act::Hang => std::future::pending().await,
            Act::Late(after) => {
                let never = std::future::pending::<()>();
                drop(tokio::time::timeout(after, never).await);
                Ok(reply(SENT))
            }
            Act::LateUnknown(after, leader) => {
                let never = std::future::pending::<()>();
                drop(tokio::time::timeout(after, never).await);
                let metadata = HashMap::from([("leader_address".to_owned(), leader)]);
                let details = ErrorDetails::with_error_info("OUTCOME_UNKNOWN", "chat.v1", metadata);
                let code = Code::Unavailable;
                Err(Status::with_error_details(code, "unknown", details))
            }
            Act::LateRefusal(after) => {
                let never = std::future::pending::<()>();
                drop(tokio::time::timeout(after, never).await);
                let details = ErrorDetails::with_error_info("NO_LEADER", "chat.v1", HashMap::new());
                Err(Status::with_error_details(
                    Code::Unavailable,
                    "no leader",
                    details,
                ))
            }
        }
    }

    type WatchStream = tokio_stream::Empty<Result<WatchEvent, Status>>;

    async fn watch(
        &self,
        _request: Request<WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("see the tests of `watch`"))
    }
}

impl Server {
    async fn start(acts: impl IntoIterator<Item = Act>) -> Self {
        let script = Scripted::default();
        script.acts.lock().unwrap().extend(acts);
        let service = ChatServer::new(script.clone());
        let address = serve(transport::Server::builder().add_service(service)).await;
        Self { address, script }
    }

    fn seen(&self) -> Vec<String> {
        self.script.seen.lock().unwrap().clone()
    }
}

fn client(addresses: &[&str]) -> ChatClient {
    let client = ChatClient::new(addresses.iter().copied()).unwrap();
    client.with_deadline(Duration::from_secs(20))
}

fn alice() -> Session {
    Session::new("alice", "secret").unwrap()
}

fn unavailable(reason: &'static str) -> Act {
    Act::Refuse(Code::Unavailable, reason, None)
}

#[tokio::test]
async fn dead_node_is_skipped() {
    let server = Server::start([]).await;
    let client = client(&[&unused_address().await, &server.address]);
    client.send(&alice(), "bob", "hi").await.unwrap();
    client.send(&alice(), "bob", "hi").await.unwrap();
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn retries_keep_the_request_id() {
    let reasons = ["OUTCOME_UNKNOWN", "NO_LEADER", "STOPPING"].map(unavailable);
    let one = Server::start(reasons.clone()).await;
    let two = Server::start(reasons).await;
    let client = client(&[&one.address, &two.address]);
    let message = OutgoingMessage::new("bob", "hi");
    client.send_message(&alice(), &message).await.unwrap();
    let seen = [one.seen(), two.seen()].concat();
    assert_eq!(seen.len(), 7, "each refusal leads to the other node");
    assert!(seen.iter().all(|request| *request == seen[0]), "{seen:?}");
    assert!(seen[0].contains(&message.id.to_string()));
    assert!(seen[0].contains(&message.request_id.to_string()));
    let again = Server::start([]).await;
    let client = self::client(&[&again.address]);
    client.send_message(&alice(), &message).await.unwrap();
    assert_eq!(again.seen(), seen[..1], "also from another client");
}

#[tokio::test]
async fn named_leader_is_tried_next() {
    let leader = Server::start([]).await;
    let follower = Server::start([Act::ReplyNaming(leader.address.clone())]).await;
    let refuser = Server::start([Act::Refuse(
        Code::Unavailable,
        "NOT_APPENDED",
        Some(leader.address.clone()),
    )])
    .await;
    let following = client(&[&follower.address, &leader.address]);
    for _ in 0..3 {
        following.send(&alice(), "bob", "hi").await.unwrap();
    }
    assert_eq!((follower.seen().len(), leader.seen().len()), (1, 2));
    let refused = client(&[&refuser.address, &follower.address, &leader.address]);
    refused.send(&alice(), "bob", "hi").await.unwrap();
    assert_eq!(
        (follower.seen().len(), leader.seen().len()),
        (1, 3),
        "the leader is next, not the next address"
    );
}

#[tokio::test]
async fn hanging_node_is_skipped() {
    let hanging = Server::start([Act::Hang]).await;
    let server = Server::start([]).await;
    let client = client(&[&hanging.address, &server.address]);
    client.send(&alice(), "bob", "hi").await.unwrap();
    assert_eq!(
        (hanging.seen(), server.seen()),
        (server.seen(), hanging.seen())
    );
}

/// A silent node delays a request by the hedging delay, not by the time limit of an attempt.
#[tokio::test(start_paused = true)]
async fn silent_node_is_hedged() {
    let silent = Server::start([Act::Hang]).await;
    let server = Server::start([]).await;
    let client = client(&[&silent.address, &server.address]);
    let begun = Instant::now();
    client.send(&alice(), "bob", "hi").await.unwrap();
    let took = begun.elapsed();
    assert!((HEDGE_AFTER..FIRST_ATTEMPT).contains(&took), "{took:?}");
    assert_eq!(
        silent.seen(),
        server.seen(),
        "the same request, byte for byte"
    );
    // Later requests do not start at the silent node.
    let begun = Instant::now();
    client.send(&alice(), "bob", "hi").await.unwrap();
    assert!(begun.elapsed() < HEDGE_AFTER);
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn first_node_may_answer_before_the_hedge() {
    let slow = Server::start([Act::Late(Duration::from_millis(500))]).await;
    let silent = Server::start([Act::Hang]).await;
    let begun = Instant::now();
    let hedging = client(&[&slow.address, &silent.address]);
    hedging.send(&alice(), "bob", "hi").await.unwrap();
    assert!(begun.elapsed() < FIRST_ATTEMPT);
    assert_eq!((slow.seen().len(), silent.seen().len()), (1, 1));

    // A failure of the hedge does not end the first attempt.
    let slow = Server::start([Act::Late(Duration::from_millis(500))]).await;
    let refuser = Server::start([unavailable("NO_LEADER")]).await;
    let hedging = client(&[&slow.address, &refuser.address]);
    hedging.send(&alice(), "bob", "hi").await.unwrap();
    assert_eq!((slow.seen().len(), refuser.seen().len()), (1, 1));
}

/// At most two attempts are under way, but a silent node does not delay the next attempt.
#[tokio::test(start_paused = true)]
async fn third_node_is_tried_while_the_second_is_silent() {
    let refuser = Server::start([Act::LateRefusal(Duration::from_millis(500))]).await;
    let silent = Server::start([Act::Hang]).await;
    let server = Server::start([]).await;
    let client = client(&[&refuser.address, &silent.address, &server.address]);
    let begun = Instant::now();
    client.send(&alice(), "bob", "hi").await.unwrap();
    let took = begun.elapsed();
    assert!(took < FIRST_ATTEMPT, "{took:?}");
    assert_eq!((silent.seen().len(), server.seen().len()), (1, 1));
}

/// The leader is isolated: the followers forward requests to it until they know the next leader, which
/// may be the node that was tried first.
#[tokio::test(start_paused = true)]
async fn node_that_became_the_leader_is_tried_again() {
    for first_leads in [true, false] {
        let servers = [
            Server::start([]).await,
            Server::start([]).await,
            Server::start([Act::Hang, Act::Hang]).await,
        ];
        let leader = servers[usize::from(!first_leads)].address.clone();
        for (server, after) in servers.iter().zip([560, 240]) {
            let unknown = Act::LateUnknown(Duration::from_millis(after), leader.clone());
            server.script.acts.lock().unwrap().push_back(unknown);
        }
        let addresses = servers.each_ref().map(|server| server.address.as_str());
        let client = client(&addresses);
        let begun = Instant::now();
        client.send(&alice(), "bob", "hi").await.unwrap();
        let took = begun.elapsed();
        assert!(took < Duration::from_millis(620), "{first_leads} {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn rejection_beside_a_silent_node_leaves_the_outcome_unknown() {
    let silent = Server::start([Act::Hang]).await;
    let rejected = Act::Refuse(Code::Unauthenticated, "UNAUTHENTICATED", None);
    let refuser = Server::start([rejected.clone(), rejected]).await;
    let client = client(&[&silent.address, &refuser.address]);
    let error = client.send(&alice(), "bob", "hi").await.unwrap_err();
    assert!(
        matches!(error, ClientError::OutcomeUnknown { .. }),
        "{error:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn request_that_hashes_a_password_is_not_hedged() {
    let silent = Server::start([Act::Hang, Act::Hang]).await;
    let logged_in = r#"{"status":"OK","token":"secret","unread":0}"#;
    let server = Server::start([Act::Reply(logged_in)]).await;
    let client = client(&[&silent.address, &server.address]);
    let begun = Instant::now();
    client.login("alice", "a").await.unwrap();
    assert!(begun.elapsed() >= FIRST_ATTEMPT);
}

/// When all nodes are slow, hedging every request would make them slower.
#[tokio::test(start_paused = true)]
async fn hedges_are_limited_by_the_retry_budget() {
    const REQUESTS: usize = 300;
    let late = || vec![Act::Late(Duration::from_millis(600)); 2 * REQUESTS];
    let servers = [Server::start(late()).await, Server::start(late()).await];
    let client = client(&[&servers[0].address, &servers[1].address]);
    let mut sends = JoinSet::new();
    for _ in 0..REQUESTS {
        let client = client.clone();
        sends.spawn(async move { client.send(&alice(), "bob", "hi").await });
    }
    for sent in sends.join_all().await {
        sent.unwrap();
    }
    let requests: usize = servers.iter().map(|server| server.seen().len()).sum();
    assert_eq!(requests, REQUESTS + 100);
}

#[tokio::test(start_paused = true)]
async fn overloaded_node_is_not_hedged() {
    let overloaded = || Act::Refuse(Code::ResourceExhausted, "OVERLOADED", None);
    let busy = Server::start([overloaded(), Act::Late(Duration::from_millis(900))]).await;
    let other = Server::start([overloaded()]).await;
    let client = client(&[&busy.address, &other.address]);
    client.send(&alice(), "bob", "hi").await.unwrap();
    assert_eq!((busy.seen().len(), other.seen().len()), (2, 1));
}

#[tokio::test]
async fn final_errors_are_not_retried() {
    let server = Server::start([
        Act::Refuse(Code::Unauthenticated, "UNAUTHENTICATED", None),
        Act::Reply(
            r#"{"status":"ERROR","error_code":"recipient_not_found","error_message":"No."}"#,
        ),
    ])
    .await;
    let client = client(&[&server.address]);
    let rejected = client.send(&alice(), "bob", "hi").await.unwrap_err();
    assert!(
        matches!(
            rejected,
            ClientError::Status {
                code: StatusCode::Unauthenticated,
                ..
            }
        ),
        "{rejected}"
    );
    let refused = client.send(&alice(), "bob", "hi").await.unwrap_err();
    assert!(
        matches!(&refused, ClientError::Application { code, .. } if code == "recipient_not_found")
    );
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn unreachable_nodes_are_reported_as_unavailable() {
    let client = client(&[&unused_address().await]).with_deadline(Duration::from_millis(200));
    let error = client.send(&alice(), "bob", "hi").await.unwrap_err();
    assert!(
        matches!(
            error,
            ClientError::Unavailable {
                answered: false,
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn unknown_outcome_is_reported_as_unknown() {
    let acts = [unavailable("OUTCOME_UNKNOWN")]
        .into_iter()
        .chain(vec![unavailable("NO_LEADER"); 1000]);
    let server = Server::start(acts).await;
    let client = client(&[&server.address]).with_deadline(Duration::from_millis(200));
    let error = client.send(&alice(), "bob", "hi").await.unwrap_err();
    assert!(
        matches!(error, ClientError::OutcomeUnknown { .. }),
        "{error:?}"
    );
    server
        .script
        .acts
        .lock()
        .unwrap()
        .push_front(unavailable("OUTCOME_UNKNOWN"));
    let error = client
        .inbox(&alice(), &crate::InboxQuery::default())
        .await
        .unwrap_err();
    assert!(
        matches!(error, ClientError::Unavailable { answered: true, .. }),
        "a read changes nothing: {error:?}"
    );
}

#[tokio::test]
async fn rejection_does_not_hide_an_unknown_outcome() {
    let rejected = Act::Refuse(Code::Unauthenticated, "UNAUTHENTICATED", None);
    let server = Server::start([unavailable("OUTCOME_UNKNOWN"), rejected]).await;
    let error = client(&[&server.address])
        .send(&alice(), "bob", "hi")
        .await
        .unwrap_err();
    assert!(
        matches!(error, ClientError::OutcomeUnknown { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn logout_of_an_ended_session_succeeds() {
    let rejected = Act::Refuse(Code::Unauthenticated, "UNAUTHENTICATED", None);
    let server = Server::start([unavailable("OUTCOME_UNKNOWN"), rejected]).await;
    client(&[&server.address]).logout(&alice()).await.unwrap();
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn invalid_addresses_are_rejected() {
    for wrong in ["", "localhost", "a b:1", "127.0.0.1:x"] {
        assert!(
            matches!(ChatClient::new([wrong]), Err(ClientError::InvalidInput(_))),
            "{wrong}"
        );
    }
    assert!(ChatClient::new(Vec::<String>::new()).is_err());
    assert!(!format!("{:?}", alice()).contains("secret"));
}
