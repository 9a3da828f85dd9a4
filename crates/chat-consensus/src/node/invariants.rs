//! What must hold after every step. Asserted, not logged: a node that breaks these must stop.

use crate::node::{Node, Role};
use crate::types::{LogIndex, Position, Term};

impl Node {
    pub(super) fn check_invariants(&self) {
        self.check_base();
        self.check_state_and_role();
    }

    fn check_base(&self) {
        let context = &self.context;
        let base = context.base.as_ref();
        let base_cluster = base.map(|base| base.membership.cluster);
        assert!(
            base_cluster.is_none() || base_cluster == context.cluster(),
            "the base is of this disk's cluster"
        );
        assert!(
            base.is_some() || context.log.last() == Position::ZERO,
            "without a base there is no entry"
        );
        let last = context.log.last().index;
        let changes = &context.changes;
        assert!(
            changes
                .iter()
                .all(|change| change.index > context.log.base().index
                    && change.index <= last
                    && Some(change.membership.cluster) == base_cluster),
            "changes of the members are entries of the log"
        );
        assert!(
            changes.windows(2).all(|pair| pair[0].index < pair[1].index),
            "changes are in their order"
        );
        assert!(
            context.log.base() == base.map_or(Position::ZERO, |base| base.position),
            "the log begins with its base"
        );
        assert!(
            context.commit_index >= context.log.base().index || context.lost_state,
            "what is before the log is committed, but for a hole that the state does not reach beyond"
        );
    }

    fn check_state_and_role(&self) {
        let context = &self.context;
        let last = context.log.last();
        let hard_state = context.hard_state;
        let leader_view = &context.leader;
        assert!(
            context.commit_index <= last.index,
            "what is committed is in the log"
        );
        assert!(last.term <= hard_state.term, "no entry is from the future");
        assert!(
            leader_view.match_index <= last.index,
            "what was matched is in the log"
        );
        assert!(
            context.synced.hard_state.term <= hard_state.term
                || context.synced.hard_state.cluster.is_none(),
            "the term never moves back, but for a disk that has promised nothing"
        );
        if let Some(vote) = hard_state.vote {
            assert!(hard_state.term > Term(0), "term 0 has no election");
            assert!(
                context.cluster().is_some(),
                "an uninitialized node does not vote for {vote:?}"
            );
        }
        let own = context.id();
        match &self.role {
            Role::Follower(_) => {
                assert!(leader_view.id != Some(own), "no node follows itself");
            }
            Role::Candidate(_) => assert!(context.may_campaign(), "only voters campaign"),
            Role::Leader(leader) => {
                assert!(leader_view.id == Some(own));
                assert!(
                    hard_state.vote == Some(context.own_voter()),
                    "a leader voted for itself"
                );
                assert!(
                    context.synced.hard_state == hard_state,
                    "its vote is durable"
                );
                assert!(
                    leader.term_start <= last.index,
                    "a term begins with an entry"
                );
                assert!(
                    leader_view.match_index == LogIndex::ZERO,
                    "a leader is not matched by another"
                );
            }
        }
    }
}
