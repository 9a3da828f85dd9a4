//! The body of a request, on its way in.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Sleep;
use tonic::Status;
use tonic::body::Body;

use super::budgets::{Admitted, Stalled};
use crate::refusal::Refusal;

/// The longest message that is read: the longest request, escaped and wrapped.
pub(crate) const REQUEST_MESSAGE_BYTES_MAX: usize = 160 * 1024;
/// What stands before a message in gRPC.
const PREFIX_BYTES: usize = 5;
/// How long a body may take. The longest request over less than 200 kilobits per second.
const ARRIVAL_TIMEOUT: Duration = Duration::from_secs(10);

/// Counts what arrives, and ends what arrives too slowly or is too much. A body that is there when
/// it is first looked for, as most are, costs next to nothing.
pub(super) struct Arriving {
    body: Body,
    admitted: Arc<Admitted>,
    received: usize,
    waiting: Option<Waiting>,
}

struct Waiting {
    number: u64,
    stalled: Arc<Stalled>,
    admitted: Arc<Admitted>,
    deadline: Pin<Box<Sleep>>,
}

impl Arriving {
    pub(super) fn new(body: Body, admitted: Arc<Admitted>) -> Self {
        Self {
            body,
            admitted,
            received: 0,
            waiting: None,
        }
    }

    fn receive(&mut self, frame: &Frame<Bytes>) -> Result<(), Status> {
        let Some(data) = frame.data_ref() else {
            return Ok(());
        };
        self.received += data.len();
        if self.received > REQUEST_MESSAGE_BYTES_MAX + PREFIX_BYTES {
            let problem = format!("a request is at most {REQUEST_MESSAGE_BYTES_MAX} bytes long");
            return Err(Status::out_of_range(problem));
        }
        if self.admitted.grow(data.len()) {
            Ok(())
        } else {
            Err(overloaded())
        }
    }

    fn wait(&mut self, context: &mut Context<'_>) -> Result<(), Status> {
        let waiting = match &mut self.waiting {
            Some(waiting) => waiting,
            none => {
                let (number, stalled) = self.admitted.stall().ok_or_else(overloaded)?;
                none.insert(Waiting {
                    number,
                    stalled,
                    admitted: Arc::clone(&self.admitted),
                    deadline: Box::pin(tokio::time::sleep(ARRIVAL_TIMEOUT)),
                })
            }
        };
        if waiting.stalled.is_gone(context.waker()) {
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
    Refusal::Overloaded.into_status(None)
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.admitted.end_stall(self.number);
    }
}

impl HttpBody for Arriving {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                let received = self.receive(&frame);
                Poll::Ready(Some(received.map(|()| frame)))
            }
            Poll::Ready(None) => {
                self.waiting = None;
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error))),
            Poll::Pending => match self.wait(context) {
                Ok(()) => Poll::Pending,
                Err(status) => Poll::Ready(Some(Err(status))),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
