//! The body of a request, as it arrives.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use chat_app::error::RequestError;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Sleep;
use tonic::Status;
use tonic::body::Body;

use super::budgets::{Admitted, Stalled};
use crate::status::into_status;

/// The longest message that is accepted: the longest request, escaped and wrapped.
pub(crate) const REQUEST_MESSAGE_BYTES_MAX: usize = 160 * 1024;
/// The prefix of a message in gRPC.
const PREFIX_BYTES: usize = 5;
/// How long a body may take. The longest request over less than 200 kilobits per second.
const ARRIVAL_TIMEOUT: Duration = Duration::from_secs(10);

/// Buffers a body until its first message is complete: the decoder allocates the whole message as soon
/// as its length is known. Counts the bytes that arrive, and rejects a body that is too slow or too
/// long.
pub(super) struct RequestBody {
    body: Body,
    admitted: Arc<Admitted>,
    received: usize,
    /// The prefix of the first message, with its length.
    head: Vec<u8>,
    buffered: VecDeque<Frame<Bytes>>,
    /// The first message or the end of the body has arrived.
    is_complete: bool,
    waiting: Option<Waiting>,
}

struct Waiting {
    number: u64,
    stalled: Arc<Stalled>,
    admitted: Arc<Admitted>,
    deadline: Pin<Box<Sleep>>,
}

impl RequestBody {
    pub(super) fn new(body: Body, admitted: Arc<Admitted>) -> Self {
        Self {
            body,
            admitted,
            received: 0,
            head: Vec::new(),
            buffered: VecDeque::new(),
            is_complete: false,
            waiting: None,
        }
    }

    /// Waits until the first message is complete, or the body has ended.
    pub(super) async fn buffer_message(&mut self) -> Result<(), Status> {
        poll_fn(|context| self.poll_complete(context)).await
    }

    fn poll_complete(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Status>> {
        while !self.is_complete {
            match Pin::new(&mut self.body).poll_frame(context) {
                Poll::Ready(Some(frame)) => self.receive(frame?)?,
                Poll::Ready(None) => self.is_complete = true,
                Poll::Pending => {
                    self.wait(context)?;
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    fn receive(&mut self, frame: Frame<Bytes>) -> Result<(), Status> {
        if let Some(data) = frame.data_ref() {
            self.received += data.len();
            let missing = PREFIX_BYTES - self.head.len();
            self.head.extend(data.iter().take(missing));
            let announced = match *self.head {
                [_, a, b, c, d] => u32::from_be_bytes([a, b, c, d]) as usize,
                _ => 0,
            };
            let longest = announced.max(self.received.saturating_sub(PREFIX_BYTES));
            if longest > REQUEST_MESSAGE_BYTES_MAX {
                let problem =
                    format!("a request is at most {REQUEST_MESSAGE_BYTES_MAX} bytes long");
                return Err(Status::out_of_range(problem));
            }
            if !self.admitted.grow(data.len()) {
                return Err(overloaded());
            }
            self.is_complete |=
                self.head.len() == PREFIX_BYTES && self.received >= PREFIX_BYTES + announced;
        }
        self.buffered.push_back(frame);
        Ok(())
    }

    fn wait(&mut self, context: &mut Context<'_>) -> Result<(), Status> {
        let waiting = match &mut self.waiting {
            Some(waiting) => waiting,
            none => {
                let (number, stalled) = self.admitted.stall();
                none.insert(Waiting {
                    number,
                    stalled,
                    admitted: Arc::clone(&self.admitted),
                    deadline: Box::pin(tokio::time::sleep(ARRIVAL_TIMEOUT)),
                })
            }
        };
        if waiting.stalled.is_evicted(context.waker()) {
            return Err(overloaded());
        }
        if waiting.deadline.as_mut().poll(context).is_ready() {
            return Err(Status::deadline_exceeded(
                "the request did not arrive in time",
            ));
        }
        Ok(())
    }
}

fn overloaded() -> Status {
    into_status(RequestError::Overloaded, None)
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.admitted.end_stall(self.number);
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        ready!(this.poll_complete(context))?;
        if let Some(frame) = this.buffered.pop_front() {
            return Poll::Ready(Some(Ok(frame)));
        }
        match Pin::new(&mut this.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                this.receive(frame)?;
                Poll::Ready(this.buffered.pop_front().map(Ok))
            }
            Poll::Ready(None) => {
                this.waiting = None;
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error))),
            Poll::Pending => match this.wait(context) {
                Ok(()) => Poll::Pending,
                Err(status) => Poll::Ready(Some(Err(status))),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.buffered.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
