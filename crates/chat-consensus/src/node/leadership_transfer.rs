//! Leadership transfer: stop appending, wait for the best successor, resign in its favour (R17).

use crate::node::context::NodeContext;
use crate::node::leader::{Leader, Resignation};
use crate::node::progress::Progress;
use crate::types::{LogIndex, NodeId};

impl Leader {
    /// A leader that is not a voter of the newest members leaves once they are committed (R19).
    pub(super) fn leave_if_removed(&mut self, context: &NodeContext) -> Option<Resignation> {
        let committed = context.previous_membership().is_none();
        if !committed || context.is_voter() || self.transfer_deadline.is_some() {
            return None;
        }
        self.start_transfer(context)
    }

    /// Starts a transfer, if there is another voter; returns the resignation if a successor is
    /// ready at once.
    pub(super) fn start_transfer(&mut self, context: &NodeContext) -> Option<Resignation> {
        if context.other_voters().is_empty() {
            return None;
        }
        let deadline = context.now + context.config.timing.election_timeout;
        self.transfer_deadline.get_or_insert(deadline);
        self.transfer_if_complete(context)
    }

    /// Resigns once a successor holds the whole log and all of it is committed, or at the deadline
    /// in favour of the one that holds most.
    pub(super) fn transfer_if_complete(&self, context: &NodeContext) -> Option<Resignation> {
        let deadline = self.transfer_deadline?;
        let best = self.best_successor(context);
        let end = context.log.last().index;
        let complete =
            context.commit_index == end && best.is_some_and(|(matched, _)| matched == end);
        (complete || context.now >= deadline).then(|| Resignation {
            successor: best.map(|(_, node)| node),
        })
    }

    /// The voter that holds most, of those that count, made progress lately and have a fetch
    /// pending: what a node holds alone does not show that it is still running.
    fn best_successor(&self, context: &NodeContext) -> Option<(LogIndex, NodeId)> {
        let timing = context.config.timing;
        let is_ready = |progress: &&Progress| {
            let progressed = progress.progress_time(timing.write_grace());
            let fast = self.successor_syncs_below.is_none_or(|limit| {
                let median = progress.syncs.median(context.now);
                median.is_some_and(|median| median < limit)
            });
            fast && progress.counts()
                && !progress.lost_state
                && progress.pending_fetch.is_some()
                && context.now.since(progressed) <= timing.successor_progress_age_max()
        };
        let followers = self.followers.iter();
        let successors = followers.filter(|(_, progress)| is_ready(progress));
        successors
            .map(|(node, progress)| (progress.match_index, *node))
            .max()
    }
}
