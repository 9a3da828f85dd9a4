//! The chat as `chat-replication` embeds it: its state machine, its preparation, and the replica as its
//! logic sees it.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use chat_app::host::{Proposer, ReadBarrier};
use chat_app::log_clock::LogClock;
use chat_app::preparation::{LeaderPreparation, Preparing, ReplyBuilder};
use chat_replication::{
    Applied, BoxError, ChainValue, CommittedEntry, Handle, LeaderContext, LogBase, MakeReply as _,
    Preparation, Prepare, Prepared, ProposeError, ReadError, ReplyMaker, SnapshotSource,
    StateMachine,
};
use chat_store::{ChatState, LogIndex};

use crate::api::watch::ChangeBuffer;
use crate::app::host::Machine;
use crate::auth::passwords::Passwords;

/// A replica that runs.
#[derive(Clone, Debug)]
pub(crate) struct RunningReplica(pub(crate) Handle);

/// The replica that leads, within a preparation.
#[derive(Debug)]
pub(crate) struct LeadingReplica(pub(crate) LeaderContext);

/// Prepares requests in the event loop where that needs nothing that waits, and in a task otherwise.
#[derive(Debug)]
pub(crate) struct ChatPreparation(pub(crate) LeaderPreparation<Passwords, Machine>);

impl Prepare for ChatPreparation {
    fn prepare(self: Arc<Self>, request: Bytes, leader: &LeaderContext) -> Preparation {
        match self.0.begin(request) {
            Preparing::Ready(prepared) => Preparation::Ready(boxed(prepared)),
            Preparing::Unfinished(unfinished) => {
                let leader = LeadingReplica(leader.clone());
                Preparation::Later(Box::pin(async move {
                    boxed(self.0.finish(unfinished, &leader).await)
                }))
            }
        }
    }
}

fn boxed(prepared: Prepared<ReplyBuilder>) -> Prepared<ReplyMaker> {
    prepared.map(|make_reply| match make_reply {
        ReplyBuilder::Outcome => ReplyMaker::answer(),
        session @ ReplyBuilder::Session { .. } => {
            ReplyMaker::new(move |index, outcome| session.make_reply(LogIndex(index), outcome))
        }
    })
}

/// Applies the log to the chat's tables, and adds the changes to the change buffer.
#[derive(Debug)]
pub(crate) struct ChatMachine {
    state: ChatState,
    change_buffer: Arc<ChangeBuffer>,
    clock: Arc<LogClock>,
}

impl ChatMachine {
    /// Becomes the owner of the tables; `change_buffer` must begin at their applied index.
    pub(crate) fn new(
        state: ChatState,
        change_buffer: Arc<ChangeBuffer>,
        clock: Arc<LogClock>,
    ) -> Self {
        Self {
            state,
            change_buffer,
            clock,
        }
    }
}

impl StateMachine for ChatMachine {
    fn applied(&self) -> Applied {
        let applied = self.state.applied();
        Applied {
            index: applied.index.0,
            term: applied.term.0,
        }
    }

    fn last_ever_applied(&self) -> Applied {
        let applied = self.state.set_aside().max(self.state.applied());
        Applied {
            index: applied.index.0,
            term: applied.term.0,
        }
    }

    fn applied_chain(&self) -> Option<ChainValue> {
        self.state.applied_chain()
    }

    async fn apply(&mut self, batch: &[CommittedEntry]) -> Result<Vec<Bytes>, BoxError> {
        let applied = self.state.apply(batch).await?;
        // A batch without a command brings no new time; observing the same time again does no harm.
        self.clock.observe(self.state.log_time());
        self.change_buffer
            .put(applied.events, self.state.applied_index());
        Ok(applied.outcomes)
    }

    const BEGINS_AGAIN: bool = true;

    async fn begin_again(&mut self, why: &str) -> Result<(), BoxError> {
        self.state.begin_again(why).await?;
        self.change_buffer.begin_again(self.state.applied_index());
        Ok(())
    }

    async fn publish(&mut self) -> Result<(), BoxError> {
        Ok(self.state.commit().await?)
    }

    async fn snapshot(&mut self) -> Result<Option<SnapshotSource>, BoxError> {
        let writer = self.state.snapshot().await?;
        Ok(Some(SnapshotSource::new(move |path, pace| {
            writer.write(path, &mut |bytes| pace.advance(bytes))?;
            Ok(())
        })))
    }

    async fn install(&mut self, path: &Path, base: &LogBase) -> Result<(), BoxError> {
        self.state.install(path, base).await?;
        self.clock.observe(self.state.log_time());
        // Cached sessions and counts of inboxes are checked again before they matter; only watches
        // depend on every change.
        self.change_buffer.begin_again(self.state.applied_index());
        Ok(())
    }
}

impl ReadBarrier for RunningReplica {
    async fn ensure_linearizable(&self, deadline: Instant) -> Result<(), ReadError> {
        self.0.ensure_linearizable(deadline).await.map(drop)
    }
}

impl Proposer for RunningReplica {
    async fn propose(&self, request: Bytes, deadline: Instant) -> Result<Bytes, ProposeError> {
        self.0.propose(request, deadline).await
    }
}

impl ReadBarrier for LeadingReplica {
    async fn ensure_linearizable(&self, deadline: Instant) -> Result<(), ReadError> {
        self.0.ensure_linearizable(deadline).await.map(drop)
    }
}
