//! A planned change of leader: stop appending, wait for the best successor, resign to it (R17).

use crate::node::{Node, Role};
use crate::types::{LogIndex, NodeId};

impl Node {
    pub(super) fn handle_hand_over_requested(&mut self) {
        let by = self.now + self.config.timing.election_timeout;
        let has_others = !self.other_voters().is_empty();
        if let Role::Leader(leading) = &mut self.role
            && has_others
        {
            leading.hand_over_by.get_or_insert(by);
            self.resign_if_handed_over();
        }
    }

    /// Resigns once a voter holds the whole log and all of it is committed, or at the deadline in
    /// favour of whoever holds most.
    pub(super) fn resign_if_handed_over(&mut self) {
        let Role::Leader(leading) = &self.role else {
            return;
        };
        let Some(by) = leading.hand_over_by else {
            return;
        };
        let best = self.best_successor();
        let end = self.log.last().index;
        let complete = self.commit_index == end && best.is_some_and(|(matched, _)| matched == end);
        if complete || self.now >= by {
            self.resign(best.map(|(_, node)| node));
        }
    }

    fn best_successor(&self) -> Option<(LogIndex, NodeId)> {
        let Role::Leader(leading) = &self.role else {
            return None;
        };
        let voters = leading
            .followers
            .iter()
            .filter(|(_, progress)| progress.voter);
        voters
            .map(|(node, progress)| (progress.matched, *node))
            .max()
    }
}
