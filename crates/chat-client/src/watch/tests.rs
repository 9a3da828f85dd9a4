//! A watch over nodes whose replies are scripted by the test.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chat_proto::chat::v1::chat_server::{Chat, ChatServer};
use chat_proto::chat::v1::watch_event::Event;
use chat_proto::chat::v1::{
    CaughtUp, ExecuteRequest, ExecuteResponse, MessagesRead, NewMessage, Resync, WatchRequest,
};
use test_kit::serve;
use tokio_stream::{Stream, StreamExt};
use tonic::transport::Server;
use tonic::{Request, Response, Status};

use super::{Cursor, WatchEvent, WatchState};
use crate::{ChatClient, ClientError, Session};

const ID: &str = "67e55044-10b1-426f-9247-bb680e5fe0c8";

type Events = Vec<Result<super::wire::WatchEvent, Status>>;

/// What a node does with one watch.
enum Act {
    Refuse(Status),
    /// Sends the events, then ends the stream.
    Send(Events),
    /// Sends the events, then nothing.
    SendAndWait(Events),
    /// Never answers.
    Hang,
}

#[derive(Clone, Default)]
struct Scripted {
    acts: Arc<Mutex<VecDeque<Act>>>,
    cursors: Arc<Mutex<Vec<String>>>,
}

struct Node {
    address: String,
    script: Scripted,
}

#[tonic::async_trait]
impl Chat for Scripted {
    async fn execute(
        &self,
        _request: Request<ExecuteRequest>,
    ) -> Result<Response<ExecuteResponse>, Status> {
        Err(Status::unimplemented("see the tests of `client`"))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<super::wire::WatchEvent, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        assert!(!request.metadata().contains_key("grpc-timeout"));
        let cursor = request.into_inner().cursor;
        self.cursors.lock().unwrap().push(cursor);
        let act = self.acts.lock().unwrap().pop_front();
        match act.expect("the script has an act for every call") {
            Act::Refuse(status) => Err(status),
            Act::Send(events) => Ok(Response::new(Box::pin(tokio_stream::iter(events)))),
            Act::SendAndWait(events) => {
                let events = tokio_stream::iter(events).chain(tokio_stream::pending());
                Ok(Response::new(Box::pin(events)))
            }
            Act::Hang => std::future::pending().await,
        }
    }
}

impl Node {
    async fn start(acts: impl IntoIterator<Item = Act>) -> Self {
        let script = Scripted::default();
        script.acts.lock().unwrap().extend(acts);
        let service = ChatServer::new(script.clone());
        let address = serve(Server::builder().add_service(service)).await;
        Self { address, script }
    }

    fn cursors(&self) -> Vec<String> {
        self.script.cursors.lock().unwrap().clone()
    }
}

fn event(cursor: &str, event: Option<Event>) -> Result<super::wire::WatchEvent, Status> {
    Ok(super::wire::WatchEvent {
        cursor: cursor.to_owned(),
        event,
    })
}

fn caught_up(cursor: &str) -> Result<super::wire::WatchEvent, Status> {
    event(cursor, Some(Event::CaughtUp(CaughtUp {})))
}

fn message(cursor: &str, body: &str) -> Result<super::wire::WatchEvent, Status> {
    let message = NewMessage {
        id: ID.to_owned(),
        body: body.to_owned(),
        sender_since: 7,
        ..NewMessage::default()
    };
    event(cursor, Some(Event::Message(message)))
}

fn client(nodes: &[&Node]) -> ChatClient {
    let addresses = nodes.iter().map(|node| node.address.as_str());
    let client = ChatClient::new(addresses).unwrap();
    client.with_deadline(Duration::from_secs(20))
}

fn alice() -> Session {
    Session::new("alice", "secret").unwrap()
}

/// `message hi @2`.
async fn line(watch: &mut super::Watch) -> String {
    let update = watch.next().await.unwrap();
    let what = match update.event {
        WatchEvent::Message(message) => {
            assert_eq!(message.sender_since, Some(7));
            format!("message {}", message.body)
        }
        WatchEvent::Read(ids) => format!("read {}", ids.len()),
        WatchEvent::Deleted(ids) => format!("deleted {}", ids.len()),
        WatchEvent::CaughtUp => "caught up".to_owned(),
        WatchEvent::Resync => "resync".to_owned(),
    };
    format!("{what} @{}", update.cursor)
}

#[tokio::test]
async fn watch_continues_on_another_node_from_the_last_cursor() {
    let stopping = Err(Status::unavailable("stopping"));
    let one = Node::start([
        Act::Send(vec![caught_up("1"), message("2", "a"), stopping]),
        Act::SendAndWait(vec![message("4", "c")]),
    ])
    .await;
    let two = Node::start([
        Act::Refuse(Status::unavailable("no leader")),
        // A stream that ends without an error.
        Act::Send(vec![message("3", "b")]),
    ])
    .await;
    let dead = Node {
        address: "127.0.0.1:9".to_owned(),
        script: Scripted::default(),
    };
    let mut watch = client(&[&one, &dead, &two]).watch(&alice(), None);
    for expected in ["caught up @1", "message a @2"] {
        assert_eq!(line(&mut watch).await, expected);
    }
    // The cursor is the same on whichever node is tried next.
    one.script
        .acts
        .lock()
        .unwrap()
        .push_front(Act::Refuse(Status::unavailable("still")));
    for expected in ["message b @3", "message c @4"] {
        assert_eq!(line(&mut watch).await, expected);
    }
    assert_eq!(two.cursors(), ["2", "2"]);
    assert_eq!(one.cursors(), ["", "2", "3"]);
    assert_eq!(watch.cursor(), Some(&Cursor::new("4")));
}

#[tokio::test]
async fn hanging_node_is_skipped() {
    let hanging = Node::start([Act::Hang]).await;
    let node = Node::start([Act::SendAndWait(vec![caught_up("7")])]).await;
    let mut watch = client(&[&hanging, &node]).watch(&alice(), Some(Cursor::new("5")));
    let state = watch.state();
    let reconnecting = WatchState::Reconnecting { why: String::new() };
    assert_eq!(*state.borrow(), reconnecting);
    assert_eq!(line(&mut watch).await, "caught up @7");
    let address = node.address.clone();
    assert_eq!(*state.borrow(), WatchState::Connected { address });
    assert_eq!(
        (hanging.cursors(), node.cursors()),
        (vec!["5".to_owned()], vec!["5".to_owned()])
    );
}

#[tokio::test]
async fn unknown_events_are_skipped() {
    let read = Event::Read(MessagesRead {
        ids: vec![ID.to_owned()],
    });
    let events = vec![
        event("1", Some(Event::Resync(Resync {}))),
        event("2", Some(read)),
        event("3", None),
        message("4", "x"),
    ];
    let node = Node::start([Act::SendAndWait(events)]).await;
    let mut watch = client(&[&node]).watch(&alice(), None);
    for expected in ["resync @1", "read 1 @2", "message x @4"] {
        assert_eq!(line(&mut watch).await, expected);
    }
}

#[tokio::test]
async fn ended_session_ends_the_watch() {
    let ended = || Status::unauthenticated("the session has ended");
    let node = Node::start([
        Act::Send(vec![caught_up("1"), Err(ended())]),
        Act::Refuse(ended()),
    ])
    .await;
    let mut watch = client(&[&node]).watch(&alice(), None);
    assert_eq!(line(&mut watch).await, "caught up @1");
    for _ in 0..2 {
        let error = watch.next().await.unwrap_err();
        assert!(matches!(error, ClientError::Status { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn watch_continues_after_it_was_unavailable() {
    let refusals = (0..1000).map(|_| Act::Refuse(Status::unavailable("no leader")));
    let node = Node::start(refusals).await;
    let client = client(&[&node]).with_deadline(Duration::from_millis(200));
    let mut watch = client.watch(&alice(), Some(Cursor::new("5")));
    let error = watch.next().await.unwrap_err();
    assert!(
        matches!(error, ClientError::Unavailable { .. }),
        "{error:?}"
    );
    // More than one: an attempt that ended at the deadline may still arrive.
    let recovered = || Act::SendAndWait(vec![message("6", "x")]);
    *node.script.acts.lock().unwrap() = VecDeque::from([recovered(), recovered()]);
    assert_eq!(line(&mut watch).await, "message x @6");
}

/// One log on several nodes, each of which closes the stream, refuses it, or lags behind, at random.
#[derive(Clone)]
struct Unreliable {
    rng: Arc<Mutex<fastrand::Rng>>,
    watches: Arc<Mutex<u64>>,
}

/// How many messages the log has.
const LOG: usize = 300;

#[tonic::async_trait]
impl Chat for Unreliable {
    async fn execute(
        &self,
        _request: Request<ExecuteRequest>,
    ) -> Result<Response<ExecuteResponse>, Status> {
        Err(Status::unimplemented("see the tests of `client`"))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<super::wire::WatchEvent, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        *self.watches.lock().unwrap() += 1;
        let from: usize = request.into_inner().cursor.parse().unwrap_or(0);
        let mut rng = self.rng.lock().unwrap();
        let sent = from..LOG.min(from + rng.usize(0..12));
        let mut events: Events = sent
            .map(|place| message(&(place + 1).to_string(), &place.to_string()))
            .collect();
        match rng.u8(0..5) {
            0 => return Err(Status::unavailable("no leader")),
            1 => return Err(Status::resource_exhausted("too many")),
            2 => events.push(Err(Status::unavailable("stopping"))),
            3 => events.push(Err(Status::unknown("connection reset"))),
            // The stream ends without an error.
            _ => {}
        }
        if rng.bool() {
            let at = rng.usize(..=events.len());
            let cursor = (from + at.min(LOG - from)).to_string();
            if events.iter().take(at).all(Result::is_ok) {
                events.insert(at, caught_up(&cursor));
            }
        }
        Ok(Response::new(Box::pin(tokio_stream::iter(events))))
    }
}

#[tokio::test]
async fn unreliable_nodes_together_deliver_every_event_once() {
    let service = Unreliable {
        rng: Arc::new(Mutex::new(fastrand::Rng::with_seed(7))),
        watches: Arc::default(),
    };
    let mut addresses = Vec::new();
    for _ in 0..3 {
        let service = ChatServer::new(service.clone());
        addresses.push(serve(Server::builder().add_service(service)).await);
    }
    let client = ChatClient::new(addresses).unwrap();
    let client = client.with_deadline(Duration::from_secs(20));
    let mut watch = client.watch(&alice(), None);
    let mut bodies = Vec::new();
    while bodies.len() < LOG {
        if let WatchEvent::Message(message) = watch.next().await.unwrap().event {
            bodies.push(message.body.parse::<usize>().unwrap());
        }
    }
    assert_eq!(bodies, (0..LOG).collect::<Vec<_>>());
    assert!(
        *service.watches.lock().unwrap() > 20,
        "the nodes were unreliable"
    );
}
