//! The chat's tables as the replica's state machine.

use std::sync::Arc;

use bytes::Bytes;
use chat_app::log_clock::LogClock;
use chat_replication::{Applied, BoxError, Committed, StateMachine};
use chat_store::{ChatState, CommittedEntry, LogIndex, Term};

use crate::api::watch::ChangeBuffer;

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

    async fn apply(&mut self, batch: &[Committed]) -> Result<Vec<Bytes>, BoxError> {
        let entries: Vec<CommittedEntry> = batch
            .iter()
            .map(|entry| CommittedEntry {
                index: LogIndex(entry.index),
                term: Term(entry.term),
                command: entry.command.clone(),
            })
            .collect();
        let applied = self.state.apply(&entries).await?;
        // A batch without a command brings no new time; observing the same time again does no harm.
        self.clock.observe(self.state.log_time());
        self.change_buffer
            .put(applied.events, self.state.applied_index());
        Ok(applied.outcomes)
    }

    async fn publish(&mut self) -> Result<(), BoxError> {
        Ok(self.state.commit().await?)
    }
}
