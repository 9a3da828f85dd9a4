//! How far the state machine has applied, and what it applies at the moment.

use chat_consensus::{LogIndex, Time};

/// How far the state machine is.
#[derive(Debug)]
pub(super) struct Applying {
    pub(super) applied: LogIndex,
    /// The positions of the batch that is being read or applied; its answers come in this order.
    pub(super) under_way: Option<Vec<chat_consensus::Position>>,
    /// The payload of that batch, in bytes.
    pub(super) bytes_under_way: u64,
    /// When what has gathered is applied; `None` while nothing gathers.
    pub(super) gathered_by: Option<Time>,
}

impl Applying {
    pub(super) fn new(applied: LogIndex) -> Self {
        Self {
            applied,
            under_way: None,
            bytes_under_way: 0,
            gathered_by: None,
        }
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    pub(super) fn applied(&self) -> LogIndex {
        self.applied
    }

    pub(super) fn deadline(&self) -> Time {
        self.gathered_by.unwrap_or(Time::NEVER)
    }
}
