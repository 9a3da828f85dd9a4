//! The chat's tables as the replica's state machine.

use std::sync::Arc;

use bytes::Bytes;
use chat_replication::{Applied, BoxError, Committed, StateMachine};
use chat_store::{AppliedEntry, ChatState, LogIndex, StateError, Term};

use crate::watch::Ring;

/// Applies the log to the chat's tables, and tells those who watch.
#[derive(Debug)]
pub struct ChatMachine {
    /// `None` only while a thread works on it.
    state: Option<ChatState>,
    ring: Arc<Ring>,
}

impl ChatMachine {
    /// Takes over the tables; `ring` must begin with what they have applied.
    pub(crate) fn new(state: ChatState, ring: Arc<Ring>) -> Self {
        Self {
            state: Some(state),
            ring,
        }
    }

    /// Lets a thread `work` on the tables, which blocks. A panic there takes the tables with it.
    async fn work_on<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut ChatState) -> Result<T, StateError> + Send + 'static,
    ) -> Result<T, BoxError> {
        let mut state = self.state.take().ok_or("the tables are lost")?;
        let working = tokio::task::spawn_blocking(move || {
            let result = work(&mut state);
            (state, result)
        });
        let (state, result) = working.await?;
        self.state = Some(state);
        Ok(result?)
    }
}

impl StateMachine for ChatMachine {
    fn applied(&self) -> Applied {
        let applied = self.state.as_ref().map(ChatState::applied);
        applied.map_or_else(Applied::default, |position| Applied {
            index: position.index.0,
            term: position.term.0,
        })
    }

    async fn apply(&mut self, batch: &[Committed]) -> Result<Vec<Bytes>, BoxError> {
        let entries: Vec<AppliedEntry> = batch
            .iter()
            .map(|entry| AppliedEntry {
                index: LogIndex(entry.index),
                term: Term(entry.term),
                command: entry.command.clone(),
            })
            .collect();
        let working = self.work_on(move |state| {
            let applied = state.apply(&entries)?;
            Ok((applied, state.applied_index()))
        });
        let (applied, index) = working.await?;
        self.ring.put(applied.events, index);
        Ok(applied.outcomes)
    }

    async fn make_visible(&mut self) -> Result<(), BoxError> {
        self.work_on(ChatState::commit).await
    }
}
