//! The chat's tables as the replica's state machine.

use bytes::Bytes;
use chat_replication::{BoxError, Committed, StateMachine};
use chat_store::{AppliedEntry, ChatState, LogIndex, Term};

/// Applies the log to the chat's tables.
#[derive(Debug)]
pub struct ChatMachine {
    state: ChatState,
}

impl ChatMachine {
    /// Takes over the tables.
    pub fn new(state: ChatState) -> Self {
        Self { state }
    }
}

impl StateMachine for ChatMachine {
    fn applied_index(&self) -> u64 {
        self.state.applied_index().0
    }

    fn apply(&mut self, batch: &[Committed]) -> Result<Vec<Bytes>, BoxError> {
        let entries: Vec<AppliedEntry> = batch
            .iter()
            .map(|entry| AppliedEntry {
                index: LogIndex(entry.index),
                term: Term(entry.term),
                command: entry.command.clone(),
            })
            .collect();
        Ok(self.state.apply(&entries)?.outcomes)
    }

    fn make_visible(&mut self) -> Result<(), BoxError> {
        Ok(self.state.commit()?)
    }
}
