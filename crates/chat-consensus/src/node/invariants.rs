//! What must hold after every step. Asserted, not logged: a node that breaks these must stop.

use crate::node::{Node, Role};
use crate::types::{LogIndex, Position, Term};

impl Node {
    pub(super) fn check_invariants(&self) {
        let last = self.log.last();
        assert!(
            self.commit_index <= last.index,
            "what is committed is in the log"
        );
        assert!(
            last.term <= self.hard_state.term,
            "no entry is from the future"
        );
        assert!(
            self.match_index <= last.index,
            "what was matched is in the log"
        );
        assert!(
            self.membership.is_some() == (last.index > LogIndex::ZERO),
            "the log begins with the birth"
        );
        assert!(
            self.synced.hard_state.term <= self.hard_state.term
                || !self.is_voter()
                || self.synced.last == Position::ZERO,
            "the term never moves back, but for a disk that has promised nothing"
        );
        if let Some(vote) = self.hard_state.vote {
            assert!(self.hard_state.term > Term(0), "term 0 has no election");
            assert!(
                self.membership.is_some(),
                "an empty node does not vote for {vote:?}"
            );
        }
        match &self.role {
            Role::Follower(_) => {
                assert!(
                    self.leader != Some(self.config.node),
                    "nobody follows itself"
                );
            }
            Role::Campaigning(_) => assert!(self.may_vote(), "only voters stand"),
            Role::Leader(leading) => {
                assert!(self.may_vote(), "only voters lead");
                assert!(self.leader == Some(self.config.node));
                assert!(
                    self.hard_state.vote == Some(self.me()),
                    "a leader voted for itself"
                );
                assert!(
                    self.synced.hard_state == self.hard_state,
                    "its vote is durable"
                );
                assert!(
                    leading.term_start <= last.index,
                    "a term begins with an entry"
                );
                assert!(
                    self.match_index == LogIndex::ZERO,
                    "a leader is not matched by another"
                );
            }
        }
    }
}
