//! R21: a voter that makes no progress for long becomes a learner, so that the next failure is survived, too.
//! A policy: the node decides whether the change is allowed (R19), and makes the learner a voter again (R20).

use std::collections::BTreeSet;
use std::time::Duration;

use chat_consensus::{NodeId, Term, Time};

/// When a voter that makes no progress becomes a learner (R21).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Autopilot {
    /// For how long it must have made no progress.
    pub dead_after: Duration,
    /// Fewer voters are not left.
    pub min_voters: usize,
}

impl Default for Autopilot {
    fn default() -> Self {
        Self {
            dead_after: Duration::from_secs(5 * 60),
            min_voters: 3,
        }
    }
}

/// What the autopilot of a leader knows. It begins anew with each term, and when the leader was paused: a
/// silence counts only while the leader itself ran.
#[derive(Debug, Default)]
pub(super) struct Watch {
    pub(super) term: Option<Term>,
    pub(super) counted_since: Time,
    pub(super) looked_at: Time,
    /// The voters that were silent for long at the last look.
    pub(super) silent: BTreeSet<NodeId>,
    pub(super) returned_at: Option<Time>,
    pub(super) changed_at: Option<Time>,
    pub(super) refused_at: Option<Time>,
}
