//! The preparation of requests on the leader, which an embedder may write.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use crate::error::ReadError;
use crate::event::Prepared;
use crate::runner::loop_event::LoopEvent;
use crate::runner::reply_maker::ReplyMaker;

/// Makes a command from a client's request, on the leader, before anything is appended. Here, and
/// nowhere later, belong clocks, random numbers, password hashes and early refusals.
pub trait Prepare: Send + Sync + 'static {
    /// Prepares one request. It may be called again for the same request, on this or another node.
    ///
    /// Called in the event loop, so it must return soon: what takes longer than some microseconds,
    /// or waits, belongs in [`Preparation::Later`]. A panic ends this preparation alone; its client
    /// gets [`ProposeError::Unknown`](crate::ProposeError::Unknown).
    fn prepare(self: Arc<Self>, request: Bytes, leader: &LeaderContext) -> Preparation;
}

/// The outcome of a preparation, or a task that will have it.
pub enum Preparation {
    /// It needed nothing that waits.
    Ready(Prepared<ReplyMaker>),
    /// Runs in a task of its own.
    Later(Pin<Box<dyn Future<Output = Prepared<ReplyMaker>> + Send>>),
}

/// What a preparation may ask of the leader that it runs on.
#[derive(Clone, Debug)]
pub struct LeaderContext {
    pub(super) events: mpsc::Sender<LoopEvent>,
}

/// Appends every request as it is and replies what the state machine answers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Passthrough;

impl fmt::Debug for Preparation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready(prepared) => f.debug_tuple("Ready").field(prepared).finish(),
            Self::Later(_) => f.write_str("Later"),
        }
    }
}

impl Preparation {
    /// `command` is appended, and the state machine's answer is the reply.
    pub fn append(command: impl Into<Bytes>) -> Self {
        Self::Ready(Prepared::Append {
            command: command.into(),
            make_reply: ReplyMaker::answer(),
        })
    }

    /// Nothing is appended, and this is the reply.
    pub fn reply(reply: impl Into<Bytes>) -> Self {
        Self::Ready(Prepared::Reply(reply.into()))
    }
}

impl LeaderContext {
    /// Returns the index that a read must see to be linearizable, once this node has applied and
    /// published it.
    ///
    /// # Errors
    ///
    /// See [`ReadError`].
    pub async fn ensure_linearizable(&self, deadline: Instant) -> Result<u64, ReadError> {
        ensure_linearizable(&self.events, deadline).await
    }
}

impl Prepare for Passthrough {
    fn prepare(self: Arc<Self>, request: Bytes, _leader: &LeaderContext) -> Preparation {
        Preparation::append(request)
    }
}

/// Has the replica confirm a read, and waits for it.
pub(super) async fn ensure_linearizable(
    events: &mpsc::Sender<LoopEvent>,
    deadline: Instant,
) -> Result<u64, ReadError> {
    let (client, completed) = oneshot::channel();
    let read = LoopEvent::Read { deadline, client };
    events.try_send(read).map_err(|refused| match refused {
        mpsc::error::TrySendError::Full(_) => ReadError::Overloaded,
        mpsc::error::TrySendError::Closed(_) => ReadError::Stopped,
    })?;
    match completed.await {
        Ok(result) => result.map(|index| index.0),
        Err(_dropped) => Err(ReadError::Stopped),
    }
}
