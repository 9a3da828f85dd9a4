//! A planned change of leader: stop appending, wait for the best successor, resign to it (R17).

use crate::node::progress::Progress;
use crate::node::{Node, Role};
use crate::types::{LogIndex, NodeId};

impl Node {
    pub(super) fn handle_transfer_requested(&mut self) {
        let by = self.now + self.config.timing.election_timeout;
        let has_others = !self.other_voters().is_empty();
        if let Role::Leader(leading) = &mut self.role
            && has_others
        {
            leading.transfer_deadline.get_or_insert(by);
            self.resign_if_transfer_complete();
        }
    }

    /// Resigns once a successor holds the whole log and all of it is committed, or at the deadline
    /// in favour of the one that holds most.
    pub(super) fn resign_if_transfer_complete(&mut self) {
        let Role::Leader(leading) = &self.role else {
            return;
        };
        let Some(by) = leading.transfer_deadline else {
            return;
        };
        let best = self.best_successor();
        let end = self.log.last().index;
        let complete = self.commit_index == end && best.is_some_and(|(matched, _)| matched == end);
        if complete || self.now >= by {
            self.resign(best.map(|(_, node)| node));
        }
    }

    /// The voter that holds most, of those that count, were in contact lately and wait for an
    /// answer: a dead one has held everything since it died, too.
    fn best_successor(&self) -> Option<(LogIndex, NodeId)> {
        let Role::Leader(leading) = &self.role else {
            return None;
        };
        let timing = self.config.timing;
        let is_there = |progress: &&Progress| {
            let contact = progress.progress_time(timing.write_grace());
            let fast = leading.successor_syncs_below.is_none_or(|limit| {
                let median = progress.syncs.median(self.now);
                median.is_some_and(|median| median < limit)
            });
            fast && progress.counts()
                && progress.pending_fetch.is_some()
                && self.now.since(contact) <= timing.successor_progress_age_max()
        };
        let followers = leading.followers.iter();
        let successors = followers.filter(|(_, progress)| is_there(progress));
        successors
            .map(|(node, progress)| (progress.match_index, *node))
            .max()
    }
}
