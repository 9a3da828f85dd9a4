//! One fail-over from the loss of the leader to the first message that could be sent again, as this
//! window saw it. Times are as fine as the interval of the backend's poller.

use std::time::Duration;

use crate::model::names::{NodeId, Term};
use crate::model::time::Moment;

/// One fail-over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failover {
    /// Who led before.
    pub old_leader: Option<NodeId>,
    /// In which term.
    pub old_term: Term,
    /// When the leader was seen for the last time, or the first send began that it did not answer.
    pub lost_at: Moment,
    /// When a candidate, or a higher term, was first seen.
    pub candidate_at: Option<Moment>,
    /// When the new leader was first seen.
    pub elected_at: Option<Moment>,
    /// Who that is, and in which term.
    pub new_leader: Option<(NodeId, Term)>,
    /// When something was first committed in the new term.
    pub first_commit_at: Option<Moment>,
    /// When this window could send again.
    pub online_at: Option<Moment>,
}

/// A stage of a fail-over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailoverStage {
    /// A node campaigns.
    Candidate,
    /// A node leads.
    Elected,
    /// Something is committed in the new term.
    FirstCommit,
    /// This window can send again.
    Online,
}

impl Failover {
    /// The stages so far with the time since the leader was lost, in order.
    pub fn stages(&self) -> impl Iterator<Item = (FailoverStage, Duration)> {
        [
            (FailoverStage::Candidate, self.candidate_at),
            (FailoverStage::Elected, self.elected_at),
            (FailoverStage::FirstCommit, self.first_commit_at),
            (FailoverStage::Online, self.online_at),
        ]
        .into_iter()
        .filter_map(move |(stage, at)| Some((stage, at?.since(self.lost_at))))
    }

    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        self.online_at.is_some()
    }

    /// How long nothing could be sent; `None` while it lasts.
    pub fn duration(&self) -> Option<Duration> {
        self.online_at.map(|at| at.since(self.lost_at))
    }
}
