//! Who leads, as the replica compares it.

use std::time::Duration;

use chat_consensus::{NodeId, Term, Time};

/// Between two attempts while a leader is known that did not take the request.
const RETRY_PAUSE: Duration = Duration::from_millis(10);

/// Who leads a term, as far as a node knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Leadership {
    pub(super) term: Term,
    pub(super) leader: Option<NodeId>,
}

impl Leadership {
    /// When a request that it did not serve is tried again, unless it changes before: a leader that
    /// is known may take it soon.
    pub(super) fn retry_at(self, now: Time) -> Time {
        match self.leader {
            Some(_) => now + RETRY_PAUSE,
            None => Time::NEVER,
        }
    }
}
