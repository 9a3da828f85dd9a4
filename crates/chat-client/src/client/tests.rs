//! The client against servers that say what the test has written down.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chat_proto::chat::v1::chat_server::{Chat, ChatServer};
use chat_proto::chat::v1::{ExecuteRequest, ExecuteResponse, WatchEvent, WatchRequest};
use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::ChatClient;
use crate::error::ClientError;
use crate::{OutgoingMessage, Session};

/// What a server does with one request.
#[derive(Clone)]
enum Act {
    Reply(&'static str),
    /// As a follower that knows who leads.
    ReplyNaming(String),
    Refuse(Code, &'static str, Option<String>),
    /// Never answers.
    Hang,
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
        assert_eq!(
            request.metadata().get("authorization").unwrap(),
            "Bearer secret"
        );
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
                    .insert("chat-leader", leader.parse().unwrap());
                Ok(response)
            }
            Act::Refuse(code, reason, leader) => {
                let metadata = leader.map(|leader| ("leader_address".to_owned(), leader));
                let metadata = HashMap::from_iter(metadata);
                let details = ErrorDetails::with_error_info(reason, "chat.v1", metadata);
                Err(Status::with_error_details(code, reason, details))
            }
            Act::Hang => std::future::pending().await,
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
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let script = Scripted::default();
        script.acts.lock().unwrap().extend(acts);
        let service = ChatServer::new(script.clone());
        let serving = tonic::transport::Server::builder().add_service(service);
        tokio::spawn(serving.serve_with_incoming(TcpIncoming::from(listener)));
        Self { address, script }
    }

    fn seen(&self) -> Vec<String> {
        self.script.seen.lock().unwrap().clone()
    }
}

/// An address that nobody listens on.
async fn dead_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().to_string()
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
async fn a_dead_node_is_passed_over() {
    let server = Server::start([]).await;
    let client = client(&[&dead_address().await, &server.address]);
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
    assert_eq!(seen.len(), 7, "every other refusal leads to the other node");
    assert!(seen.iter().all(|request| *request == seen[0]), "{seen:?}");
    assert!(seen[0].contains(&message.id.to_string()));
    assert!(seen[0].contains(&message.request_id.to_string()));
    let again = Server::start([]).await;
    let client = self::client(&[&again.address]);
    client.send_message(&alice(), &message).await.unwrap();
    assert_eq!(again.seen(), seen[..1], "also from another client");
}

#[tokio::test]
async fn a_named_leader_is_followed() {
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
        "the leader is next, not the next in line"
    );
}

#[tokio::test]
async fn a_node_that_hangs_is_left() {
    let hanging = Server::start([Act::Hang]).await;
    let server = Server::start([]).await;
    let client = client(&[&hanging.address, &server.address]);
    client.send(&alice(), "bob", "hi").await.unwrap();
    assert_eq!(
        (hanging.seen(), server.seen()),
        (server.seen(), hanging.seen())
    );
}

#[tokio::test]
async fn what_is_final_is_not_repeated() {
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
            ClientError::Rejected {
                code: Code::Unauthenticated,
                ..
            }
        ),
        "{rejected}"
    );
    let refused = client.send(&alice(), "bob", "hi").await.unwrap_err();
    assert!(matches!(&refused, ClientError::Refused { code, .. } if code == "recipient_not_found"));
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn nothing_was_changed_when_nobody_was_reached() {
    let client = client(&[&dead_address().await]).with_deadline(Duration::from_millis(200));
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
async fn an_unknown_outcome_is_said_to_be_unknown() {
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
async fn a_refusal_does_not_hide_an_unknown_outcome() {
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
async fn a_session_that_has_ended_is_logged_out() {
    let rejected = Act::Refuse(Code::Unauthenticated, "UNAUTHENTICATED", None);
    let server = Server::start([unavailable("OUTCOME_UNKNOWN"), rejected]).await;
    client(&[&server.address]).logout(&alice()).await.unwrap();
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn addresses_are_checked() {
    for wrong in ["", "localhost", "a b:1", "127.0.0.1:x"] {
        assert!(
            matches!(ChatClient::new([wrong]), Err(ClientError::Unusable(_))),
            "{wrong}"
        );
    }
    assert!(ChatClient::new(Vec::<String>::new()).is_err());
    assert!(!format!("{:?}", alice()).contains("secret"));
}
