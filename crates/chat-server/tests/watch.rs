//! One node in this process, watched through gRPC; its health, and what it says of itself.

#![expect(
    clippy::unwrap_used,
    reason = "Clippy takes only functions marked as tests for tests"
)]

use std::time::{Duration, Instant};

use chat_proto::chat::v1::chat_client::ChatClient;
use chat_proto::chat::v1::watch_event::Event;
use chat_proto::chat::v1::{ExecuteRequest, WatchEvent, WatchRequest};
use chat_server::config::{Config, Node, Storage};
use chat_server::node::{self, DataPolicy};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status, Streaming};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_types::StatusExt;
use uuid::Uuid;

/// Far above what anything here takes.
const TEST_TIMEOUT: Duration = Duration::from_secs(20);

struct OneNode {
    clients: Channel,
    stop: oneshot::Sender<()>,
    running: tokio::task::JoinHandle<Result<(), node::NodeError>>,
}

impl OneNode {
    async fn start(directory: &tempfile::TempDir) -> Self {
        Self::start_one_of(&addresses(1), 1, directory).await
    }

    async fn start_one_of(nodes: &[Node], id: u64, directory: &tempfile::TempDir) -> Self {
        let config = Config {
            storage: Storage {
                directory: directory.path().to_owned(),
            },
            nodes: nodes.to_vec(),
            ..Config::default()
        };
        let client_address = config.node(id).unwrap().client_address.clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(async move {
            let told = async {
                drop(stopped.await);
            };
            node::run(id, &config, DataPolicy::Keep, told).await
        });
        Self {
            clients: connect(&client_address).await,
            stop,
            running,
        }
    }

    /// Signs up, and returns the token.
    async fn account(&self, name: &str) -> String {
        let request = json!({"id": Uuid::new_v4(), "request_type": "CREATE_USER",
                             "username": name, "password": "a".repeat(64)});
        let reply = self.ask(request, None).await;
        reply["token"].as_str().unwrap().to_owned()
    }

    async fn send(&self, sender: &str, recipient: &str, body: &str, token: &str) {
        let message = json!({"id": Uuid::new_v4(), "sender": sender, "recipient": recipient,
                             "body": body});
        let id = Uuid::new_v4();
        let request = json!({"id": id, "request_type": "SEND_MESSAGE", "message": message});
        let reply = self.ask(request, Some(token)).await;
        assert_eq!(reply["status"], "OK");
    }

    async fn ask(&self, request: Value, token: Option<&str>) -> Value {
        let request = Request::new(ExecuteRequest {
            request: request.to_string(),
        });
        let mut stub = ChatClient::new(self.clients.clone());
        let reply = stub.execute(authorized(request, token)).await.unwrap();
        serde_json::from_str(&reply.into_inner().response).unwrap()
    }

    async fn watch(
        &self,
        cursor: &str,
        token: Option<&str>,
    ) -> Result<Streaming<WatchEvent>, Status> {
        let cursor = cursor.to_owned();
        let request = authorized(Request::new(WatchRequest { cursor }), token);
        let mut stub = ChatClient::new(self.clients.clone());
        Ok(stub.watch(request).await?.into_inner())
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        let stopped = tokio::time::timeout(TEST_TIMEOUT, self.running).await;
        stopped.expect("a node stops in time").unwrap().unwrap();
    }
}

fn addresses(count: u64) -> Vec<Node> {
    let node = |id| Node {
        id,
        client_address: free_address(),
        peer_address: free_address(),
    };
    (1..=count).map(node).collect()
}

fn free_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// Waits until somebody listens there.
async fn connect(address: &str) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let started = Instant::now();
    loop {
        match endpoint.connect().await {
            Ok(channel) => return channel,
            Err(error) => assert!(started.elapsed() < TEST_TIMEOUT, "{error}"),
        }
    }
}

fn authorized<T>(mut request: Request<T>, token: Option<&str>) -> Request<T> {
    if let Some(token) = token {
        let authorization = format!("Bearer {token}").parse().unwrap();
        request
            .metadata_mut()
            .insert("authorization", authorization);
    }
    request
}

/// The next event, in a word, and its cursor.
async fn next(events: &mut Streaming<WatchEvent>) -> (String, String) {
    let arriving = tokio::time::timeout(TEST_TIMEOUT, events.message());
    let event = arriving.await.unwrap().unwrap().unwrap();
    let word = match event.event.unwrap() {
        Event::Message(message) => message.body,
        Event::Read(_) => "read".to_owned(),
        Event::Deleted(_) => "deleted".to_owned(),
        Event::CaughtUp(_) => "caught up".to_owned(),
        Event::Resync(_) => "resync".to_owned(),
    };
    (word, event.cursor)
}

#[track_caller]
fn check_status(status: &Status, code: Code, reason: &str) {
    let info = status.get_details_error_info().unwrap();
    let found = (status.code(), info.reason.as_str());
    assert_eq!(found, (code, reason), "{status}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_goes_on_behind_its_cursor() {
    let directory = tempfile::tempdir().unwrap();
    let node = OneNode::start(&directory).await;
    let (alice, bob) = (node.account("alice").await, node.account("bob").await);
    node.send("alice", "bob", "before", &alice).await;
    let mut events = node.watch("", Some(&bob)).await.unwrap();
    assert_eq!(next(&mut events).await.0, "caught up");
    let mut cursors = Vec::new();
    for body in ["one", "two", "three"] {
        node.send("alice", "bob", body, &alice).await;
        node.send("bob", "alice", "not for bob", &bob).await;
        let (told, cursor) = next(&mut events).await;
        assert_eq!(told, body);
        cursors.push(cursor);
    }
    let mut again = node.watch(&cursors[0], Some(&bob)).await.unwrap();
    for expected in ["two", "three", "caught up"] {
        assert_eq!(next(&mut again).await.0, expected);
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_goes_on_at_another_node() {
    let directory = tempfile::tempdir().unwrap();
    let addresses = addresses(3);
    let (one, two, three) = tokio::join!(
        OneNode::start_one_of(&addresses, 1, &directory),
        OneNode::start_one_of(&addresses, 2, &directory),
        OneNode::start_one_of(&addresses, 3, &directory),
    );
    let (alice, bob) = (two.account("alice").await, two.account("bob").await);
    let mut events = one.watch("", Some(&bob)).await.unwrap();
    let (_, mut cursor) = next(&mut events).await;
    for body in ["0", "1", "2"] {
        three.send("alice", "bob", body, &alice).await;
        let (told, at) = next(&mut events).await;
        assert_eq!(told, body);
        cursor = at;
    }
    // Whether the first node leads or not: the others have the same cursors.
    one.stop().await;
    check_status(
        &events.message().await.unwrap_err(),
        Code::Unavailable,
        "STOPPING",
    );
    two.send("alice", "bob", "3", &alice).await;
    for node in [&two, &three] {
        let mut events = node.watch(&cursor, Some(&bob)).await.unwrap();
        for expected in ["3", "caught up"] {
            assert_eq!(next(&mut events).await.0, expected);
        }
    }
    tokio::join!(two.stop(), three.stop());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_read_and_deleted_is_told_too() {
    let directory = tempfile::tempdir().unwrap();
    let node = OneNode::start(&directory).await;
    let alice = node.account("alice").await;
    node.send("alice", "alice", "to myself", &alice).await;
    let inbox = json!({"id": Uuid::new_v4(), "request_type": "GET_MESSAGES", "username": "alice"});
    let ids = json!([node.ask(inbox, Some(&alice)).await["messages"][0]["id"]]);
    let mut events = node.watch("", Some(&alice)).await.unwrap();
    assert_eq!(next(&mut events).await.0, "caught up");
    for (request_type, told) in [("READ_MESSAGES", "read"), ("DELETE_MESSAGES", "deleted")] {
        // The second time it changes nothing.
        for _ in 0..2 {
            let id = Uuid::new_v4();
            let request = json!({"id": id, "request_type": request_type, "message_ids": ids});
            assert_eq!(node.ask(request, Some(&alice)).await["status"], "OK");
        }
        assert_eq!(next(&mut events).await.0, told);
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_ends_with_its_session() {
    let directory = tempfile::tempdir().unwrap();
    let node = OneNode::start(&directory).await;
    let (old, new) = ("a".repeat(64), "b".repeat(64));
    let endings = [
        ("alice", json!({"request_type": "LOGOUT"})),
        (
            "bob",
            json!({"request_type": "CHANGE_PASSWORD", "password": old, "new_password": new}),
        ),
        (
            "carol",
            json!({"request_type": "DELETE_USER", "username": "carol"}),
        ),
    ];
    for (name, mut request) in endings {
        let token = node.account(name).await;
        let mut events = node.watch("", Some(&token)).await.unwrap();
        assert_eq!(next(&mut events).await.0, "caught up");
        request["id"] = json!(Uuid::new_v4());
        assert_eq!(node.ask(request, Some(&token)).await["status"], "OK");
        let ended = tokio::time::timeout(TEST_TIMEOUT, events.message())
            .await
            .unwrap();
        check_status(&ended.unwrap_err(), Code::Unauthenticated, "SESSION_ENDED");
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_is_refused_as_requests_are() {
    let directory = tempfile::tempdir().unwrap();
    let node = OneNode::start(&directory).await;
    let alice = node.account("alice").await;
    for token in [None, Some("x"), Some("0".repeat(64).as_str())] {
        let refused = node.watch("", token).await.unwrap_err();
        check_status(&refused, Code::Unauthenticated, "UNAUTHENTICATED");
    }
    let refused = node.watch("yesterday", Some(&alice)).await.unwrap_err();
    check_status(&refused, Code::InvalidArgument, "INVALID_REQUEST");
    let mut watches = Vec::new();
    let refused = loop {
        match node.watch("", Some(&alice)).await {
            Ok(watch) => watches.push(watch),
            Err(refused) => break refused,
        }
    };
    check_status(&refused, Code::ResourceExhausted, "TOO_MANY_WATCHES");
    assert_eq!(watches.len(), 16);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_stops_hands_its_watches_on() {
    let directory = tempfile::tempdir().unwrap();
    let node = OneNode::start(&directory).await;
    let alice = node.account("alice").await;
    let mut events = node.watch("", Some(&alice)).await.unwrap();
    let (_, cursor) = next(&mut events).await;
    let ((), ended) = tokio::join!(node.stop(), events.message());
    let ended = ended.unwrap_err();
    check_status(&ended, Code::Unavailable, "STOPPING");
    let info = ended.get_details_error_info().unwrap();
    assert_eq!(info.metadata["cursor"], cursor);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_ends_at_its_deadline() {
    let directory = tempfile::tempdir().unwrap();
    let node = OneNode::start(&directory).await;
    let alice = node.account("alice").await;
    let mut request = Request::new(WatchRequest::default());
    request
        .metadata_mut()
        .insert("grpc-timeout", "500m".parse().unwrap());
    let mut stub = ChatClient::new(node.clients.clone());
    let watch = stub.watch(authorized(request, Some(&alice))).await.unwrap();
    let mut events = watch.into_inner();
    assert_eq!(next(&mut events).await.0, "caught up");
    let late = events.message().await.unwrap_err();
    check_status(&late, Code::DeadlineExceeded, "DEADLINE");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_says_whether_the_node_serves() {
    let directory = tempfile::tempdir().unwrap();
    let node = OneNode::start(&directory).await;
    let mut health = HealthClient::new(node.clients.clone());
    let mut serving = Vec::new();
    for service in ["", "chat.v1.Chat"] {
        let request = HealthCheckRequest {
            service: service.to_owned(),
        };
        let mut changes = health.watch(request).await.unwrap().into_inner();
        let until_serving = async {
            while changes.message().await.unwrap().unwrap().status() != ServingStatus::Serving {}
        };
        tokio::time::timeout(TEST_TIMEOUT, until_serving)
            .await
            .unwrap();
        serving.push(changes);
    }
    let stopped = serving[0].message();
    let ((), stopped) = tokio::join!(node.stop(), stopped);
    assert_eq!(
        stopped.unwrap().unwrap().status(),
        ServingStatus::NotServing
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_says_what_may_be_called() {
    let directory = tempfile::tempdir().unwrap();
    let node = OneNode::start(&directory).await;
    let mut reflection = ServerReflectionClient::new(node.clients.clone());
    let question = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let answers = reflection.server_reflection_info(tokio_stream::once(question));
    let answer = answers.await.unwrap().into_inner().message().await.unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.unwrap().message_response else {
        panic!("that was not the question");
    };
    let names: Vec<String> = list
        .service
        .into_iter()
        .map(|service| service.name)
        .collect();
    let expected = [
        "chat.v1.Chat",
        "cluster.v1.Cluster",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
    ];
    assert_eq!(names, expected, "and nothing of replication");
    node.stop().await;
}
