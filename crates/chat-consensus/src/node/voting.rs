//! How a node answers a candidate (R5, R7).

use crate::message::{Election, ElectionKind, ElectionReply, Header, Message};
use crate::node::{Node, Role};
use crate::types::{Position, Voter};
use core::time::Duration;

/// A node that granted a trial lets the asker go first: it puts off its own for a random time
/// between these, so that two survivors do not block each other (R17).
const YIELD_MIN: Duration = Duration::from_millis(20);
const YIELD_MAX: Duration = Duration::from_millis(50);

impl Node {
    pub(super) fn handle_election(&mut self, header: &Header, election: Election) {
        if election.kind == ElectionKind::Birth {
            return self.handle_birth_inquiry(header);
        }
        self.accept_formation(header, election.formation);
        let current = header.term == self.hard_state.term && self.is_voter();
        let granted = current
            && self.is_up_to_date(election.last)
            && match election.kind {
                ElectionKind::Birth => unreachable!("answered above"),
                ElectionKind::Trial => self.grant_trial(),
                ElectionKind::Real => self.grant_vote(header),
            };
        let reply = ElectionReply {
            kind: election.kind,
            granted,
            leader: self.leader,
        };
        self.reply(header, Message::ElectionReply(reply));
    }

    /// Whether a log that ends at `last` holds everything that ours may have helped to commit.
    fn is_up_to_date(&self, last: Position) -> bool {
        last >= self.log.last()
    }

    /// A trial changes nothing that lasts. It is refused while a leader is heard, so that a node
    /// which lost sight of the leader alone does not end its term (R7).
    fn grant_trial(&mut self) -> bool {
        if self.is_leader_heard() {
            return false;
        }
        let until = self.now + self.random_between(YIELD_MIN, YIELD_MAX);
        self.election_deadline = self.election_deadline.max(until);
        true
    }

    /// One vote a term (R5). The reply waits for the vote to be durable (R1).
    fn grant_vote(&mut self, header: &Header) -> bool {
        let candidate = Voter {
            node: header.from,
            storage: header.storage,
        };
        if self.hard_state.vote.is_some_and(|vote| vote != candidate) {
            return false;
        }
        if self.hard_state.vote.is_none() {
            self.hard_state.vote = Some(candidate);
            self.writes.hard_state = Some(self.hard_state);
        }
        if matches!(self.role, Role::Campaigning(_)) {
            self.become_follower();
        }
        self.reset_election_timer();
        true
    }

    /// Whether this node itself has good reason to believe that the leader lives.
    fn is_leader_heard(&self) -> bool {
        match &self.role {
            Role::Leader(_) => true,
            Role::Follower(following) => {
                self.leader.is_some()
                    && following
                        .heard
                        .is_some_and(|at| self.now.since(at) < self.config.timing.election_timeout)
            }
            Role::Campaigning(_) => false,
        }
    }
}
