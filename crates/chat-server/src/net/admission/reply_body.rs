//! The body of a reply, until the connection has taken it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use chat_app::error::RequestError;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::HeaderMap;

use super::budgets::{Budgets, ReplyHold};
use crate::limits::read_permits::ReadPermit;
use crate::net::connection_limit::{Connection, RequestUnderWay};
use crate::status::into_status;

/// Shorter frames are not counted: there are only a few for each request of a connection.
const SMALL_BYTES: usize = 1_024;

/// Counts the bytes of a reply until the connection has taken them, not only until HTTP/2 has: HTTP/2
/// takes a whole message at once, and keeps it until the client's window has room.
pub(super) struct ReplyBody {
    /// `None` once it was rejected.
    body: Option<Body>,
    counting: Option<Counting>,
    _under_way: RequestUnderWay,
}

struct Counting {
    budgets: Arc<Budgets>,
    connection: Arc<Connection>,
    permit: Option<Arc<ReadPermit>>,
}

/// Bytes that are counted until they are dropped.
struct Held {
    bytes: Bytes,
    _hold: ReplyHold,
    _permit: Option<Arc<ReadPermit>>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl ReplyBody {
    pub(super) fn tracked(body: Body, under_way: RequestUnderWay) -> Self {
        Self {
            body: Some(body),
            counting: None,
            _under_way: under_way,
        }
    }

    pub(super) fn counted(
        body: Body,
        under_way: RequestUnderWay,
        budgets: Arc<Budgets>,
        connection: Arc<Connection>,
        permit: Option<Arc<ReadPermit>>,
    ) -> Self {
        Self {
            body: Some(body),
            counting: Some(Counting {
                budgets,
                connection,
                permit,
            }),
            _under_way: under_way,
        }
    }

    /// `frame`, counted; if there is no room for it, the end of the reply with an error. Only pages that
    /// were read are that long, so nothing was changed.
    fn count(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        let Some(counting) = &self.counting else {
            return frame;
        };
        let permit = counting.permit.as_ref();
        match frame.into_data() {
            Ok(bytes) if bytes.len() > SMALL_BYTES => {
                let hold = counting
                    .budgets
                    .hold_reply(&counting.connection, bytes.len());
                match hold {
                    Some(hold) => {
                        if let Some(permit) = permit {
                            permit.add_bytes(bytes.len());
                        }
                        Frame::data(Bytes::from_owner(Held {
                            bytes,
                            _hold: hold,
                            _permit: permit.cloned(),
                        }))
                    }
                    None => {
                        if let Some(permit) = permit {
                            permit.set_without_room();
                        }
                        self.body = None;
                        Frame::trailers(overloaded())
                    }
                }
            }
            Ok(bytes) => {
                if let Some(permit) = permit {
                    permit.add_bytes(bytes.len());
                }
                Frame::data(bytes)
            }
            Err(trailers) => trailers,
        }
    }
}

fn overloaded() -> HeaderMap {
    let mut trailers = HeaderMap::new();
    let added = into_status(RequestError::Overloaded, None).add_header(&mut trailers);
    added.expect("our error fits into headers");
    trailers
}

impl HttpBody for ReplyBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        Pin::new(body)
            .poll_frame(context)
            .map(|frame| frame.map(|frame| frame.map(|frame| self.count(frame))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        // Not that of the body: it may be rejected in the middle.
        SizeHint::default()
    }
}
