//! How far readers see, and what is being published.

use chat_consensus::{LogIndex, Time};

/// What readers see.
#[derive(Debug)]
pub(super) struct Publishing {
    pub(super) published: LogIndex,
    /// What readers will see, and since when that is under way.
    pub(super) under_way: Option<(LogIndex, Time)>,
    /// When the last batch was applied.
    pub(super) applied_at: Time,
    /// Publishing is not done again before.
    pub(super) not_before: Time,
}

impl Publishing {
    pub(super) fn new(applied: LogIndex, now: Time) -> Self {
        Self {
            published: applied,
            under_way: None,
            applied_at: now,
            not_before: now,
        }
    }

    /// Readers see everything up to here.
    pub(super) fn published(&self) -> LogIndex {
        self.published
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    pub(super) fn record_applied(&mut self, now: Time) {
        self.applied_at = now;
    }
}
