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

    /// It is over: nothing could be sent from `lost_at` to `online_at`. No stage is later.
    pub(super) fn end(&mut self, lost_at: Moment, online_at: Moment) {
        for stage in [
            &mut self.candidate_at,
            &mut self.elected_at,
            &mut self.first_commit_at,
        ] {
            *stage = Some(stage.map_or(online_at, |at| at.min(online_at)));
        }
        self.lost_at = lost_at;
        self.online_at = Some(online_at);
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

/// How long several fail-overs took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailoverSummary {
    /// How many they were.
    pub count: usize,
    /// At least half of them took no longer.
    pub half_within: Duration,
    /// The longest.
    pub longest: Duration,
}

/// How long the fail-overs took that are over; `None` without any.
pub fn summary<'a>(failovers: impl IntoIterator<Item = &'a Failover>) -> Option<FailoverSummary> {
    let mut all: Vec<Duration> = failovers
        .into_iter()
        .filter_map(Failover::duration)
        .collect();
    all.sort_unstable();
    Some(FailoverSummary {
        count: all.len(),
        longest: *all.last()?,
        half_within: all[(all.len() - 1) / 2],
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Failover, summary};
    use crate::model::names::Term;
    use crate::model::time::Moment;

    #[test]
    fn summary_names_the_middle_and_the_longest() {
        let milliseconds = Duration::from_millis;
        for (durations, half_within) in [
            (&[355][..], 355),
            (&[468, 355], 355),
            (&[468, 355, 400], 400),
            (&[4, 3, 2, 1], 2),
        ] {
            let mut all: Vec<Failover> = Vec::new();
            for duration in durations {
                let mut failover = Failover {
                    old_leader: None,
                    old_term: Term(1),
                    lost_at: Moment(0),
                    candidate_at: None,
                    elected_at: None,
                    new_leader: None,
                    first_commit_at: None,
                    online_at: None,
                };
                all.push(failover);
                failover.end(Moment(10), Moment(10 + duration));
                all.push(failover);
            }
            let found = summary(&all).unwrap();
            assert_eq!(found.count, durations.len(), "one that lasts is left out");
            assert_eq!(found.half_within, milliseconds(half_within));
            assert_eq!(
                found.longest,
                milliseconds(*durations.iter().max().unwrap())
            );
        }
        assert_eq!(summary(&[]), None);
    }
}
