//! What a leader remembers for changes of the members (R19, R20).

use alloc::collections::BTreeMap;

use crate::types::{LogIndex, NodeId, Time};

/// See the file's first line.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Readmissions {
    /// Where the log ended at the last two heartbeats, the earlier one first.
    ends: [LogIndex; 2],
    /// When this leader made each node a voter.
    pub(super) promoted_at: BTreeMap<NodeId, Time>,
}

impl Readmissions {
    pub(super) fn new(end: LogIndex) -> Self {
        Self {
            ends: [end; 2],
            promoted_at: BTreeMap::new(),
        }
    }

    /// A heartbeat is sent, and the log ends at `end`.
    pub(super) fn note_end(&mut self, end: LogIndex) {
        self.ends = [self.ends[1], end];
    }

    /// Where the log ended one to two heartbeat intervals ago: a follower that has that keeps up.
    pub(super) fn recent_end(&self) -> LogIndex {
        self.ends[0]
    }
}
