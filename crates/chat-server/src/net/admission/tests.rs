//! Requests that do not arrive, and replies that are not read.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use http_body::{Body as HttpBody, Frame};
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tonic::{Code, Status};
use tower::{Layer as _, Service as _};

use super::AdmissionLayer;
use super::budgets::Budgets;
use super::reply_body::ReplyBody;
use super::request_body::{REQUEST_MESSAGE_BYTES_MAX, RequestBody};
use crate::net::connection_limit::{Connection, ConnectionLimits, Connections};

/// Frames of these lengths, and then no end.
struct Endless(Vec<usize>);

impl HttpBody for Endless {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        match self.0.pop() {
            Some(length) => Poll::Ready(Some(Ok(Frame::data(vec![0; length].into())))),
            None => Poll::Pending,
        }
    }
}

fn connection() -> Arc<Connection> {
    let limits = ConnectionLimits {
        total: 1,
        per_source: 1,
        idle: None,
    };
    Connections::new("test", limits).admit(None).unwrap()
}

async fn next(
    body: &mut (impl HttpBody<Data = Bytes, Error = Status> + Unpin),
) -> Result<Frame<Bytes>, Status> {
    std::future::poll_fn(|context| Pin::new(&mut *body).poll_frame(context))
        .await
        .expect("it has no end")
}

#[tokio::test(start_paused = true)]
async fn request_must_arrive_in_time() {
    let budgets = Budgets::new();
    let admitted = budgets.admit(&connection(), 0).unwrap();
    let mut body = RequestBody::new(Body::new(Endless(vec![100])), admitted);
    // A message of no bytes, and more.
    assert!(next(&mut body).await.is_ok());
    assert!(next(&mut body).now_or_never().is_none());
    tokio::time::advance(Duration::from_secs(9)).await;
    assert!(next(&mut body).now_or_never().is_none());
    tokio::time::advance(Duration::from_secs(2)).await;
    let late = next(&mut body).await.unwrap_err();
    assert_eq!(late.code(), Code::DeadlineExceeded);
}

#[tokio::test(start_paused = true)]
async fn request_is_handled_once_its_message_is_complete() {
    let handled = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&handled);
    let handler = tower::service_fn(move |_request: Request<Body>| {
        count.fetch_add(1, Ordering::Relaxed);
        async { Ok::<_, Status>(Response::new(Body::empty())) }
    });
    let mut admission = AdmissionLayer::new(Some(Budgets::new())).layer(handler);
    let mut call = |length| {
        let mut request = Request::new(Body::new(Endless(vec![length])));
        request.extensions_mut().insert(connection());
        admission.call(request)
    };
    let mut half = call(4);
    assert!((&mut half).now_or_never().is_none());
    assert!(call(5).await.is_ok(), "a message of no bytes");
    assert_eq!(handled.load(Ordering::Relaxed), 1);
    let rejected = half.await.unwrap();
    assert_eq!(rejected.headers()["grpc-status"], "4", "too late");
    assert_eq!(handled.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn request_longer_than_the_limit_is_rejected() {
    let budgets = Budgets::new();
    let admitted = budgets.admit(&connection(), 0).unwrap();
    let half = REQUEST_MESSAGE_BYTES_MAX / 2;
    let mut body = RequestBody::new(Body::new(Endless(vec![half; 3])), admitted);
    assert!(next(&mut body).await.is_ok());
    assert!(next(&mut body).await.is_ok());
    let long = next(&mut body).await.unwrap_err();
    assert_eq!(long.code(), Code::OutOfRange);
}

#[test]
fn reply_counts_until_it_is_sent() {
    let budgets = Budgets::new();
    let connection = connection();
    let reply = |length: usize| {
        let body = Body::new(Endless(vec![length]));
        let under_way = connection.begin_request();
        let (budgets, connection) = (Arc::clone(&budgets), Arc::clone(&connection));
        ReplyBody::counted(body, under_way, budgets, connection, None)
    };
    let frame = |mut reply_body: ReplyBody| {
        let context = &mut Context::from_waker(Waker::noop());
        match Pin::new(&mut reply_body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => frame,
            other => panic!("{other:?}"),
        }
    };
    let long = 6 << 20;
    let unsent = frame(reply(long)).into_data().unwrap();
    assert_eq!(unsent.len(), long);
    // HTTP/2 has taken the reply, and its bytes are still in memory.
    let rejected = frame(reply(long)).into_trailers().unwrap();
    assert_eq!(rejected["grpc-status"], "8");
    assert!(rejected.contains_key("grpc-status-details-bin"));
    drop(unsent);
    assert!(frame(reply(long)).is_data());
}
