//! How a node answers a candidate (R5, R7).

use crate::message::{Election, ElectionKind, ElectionReply, Header, Message};
use crate::node::{Node, Role};
use crate::types::{NodeId, Position, Voter};
use core::time::Duration;

/// A node that granted a trial lets the asker go first: it puts off its own for a random time
/// between these, so that two survivors do not block each other (R17).
const PRE_VOTE_BACKOFF_MIN: Duration = Duration::from_millis(20);
const PRE_VOTE_BACKOFF_MAX: Duration = Duration::from_millis(50);

impl Node {
    pub(super) fn handle_election(&mut self, header: &Header, election: Election) {
        if election.kind == ElectionKind::Bootstrap {
            return self.handle_bootstrap_probe(header);
        }
        self.accept_membership(header, election.membership);
        let current = header.term == self.hard_state.term && self.may_vote();
        let granted = current
            && match election.kind {
                ElectionKind::Bootstrap => unreachable!("answered above"),
                ElectionKind::PreVote => self.grant_pre_vote(header.from, election.last),
                ElectionKind::Vote => self.is_up_to_date(election.last) && self.grant_vote(header),
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
    fn grant_pre_vote(&mut self, from: NodeId, last: Position) -> bool {
        let until = self.now + self.random_between(PRE_VOTE_BACKOFF_MIN, PRE_VOTE_BACKOFF_MAX);
        if let Role::Campaigning(campaign) = &self.role
            && campaign.is_pre_vote()
        {
            let denied = campaign.was_denied_by(from);
            if !self.backs_off_for(from, last, denied) {
                self.record_denied_pre_vote(from);
                return false;
            }
            self.backed_off_for.insert(from);
            self.become_follower();
            // The own attempt was due: it is only put off.
            self.election_deadline = until;
            return true;
        }
        if self.has_recent_leader_contact() || !self.is_up_to_date(last) {
            return false;
        }
        self.election_deadline = self.election_deadline.max(until);
        true
    }

    /// Whether the own trial is given up for that of `from`: of two that ask each other at once one
    /// goes first, and both agree which (R7).
    fn backs_off_for(&self, from: NodeId, last: Position, denied: bool) -> bool {
        let greater = (last, from) > (self.log.last(), self.config.node);
        let hopeless = denied && self.is_up_to_date(last);
        (greater || hopeless) && !self.backed_off_for.contains(&from)
    }

    /// One vote a term (R5). The reply waits for the vote to be durable (R1).
    fn grant_vote(&mut self, header: &Header) -> bool {
        let candidate = Voter {
            node: header.from,
            storage: header.storage,
        };
        let voted_otherwise = self.hard_state.vote.is_some_and(|vote| vote != candidate);
        if voted_otherwise || self.leader.is_some_and(|leader| leader != header.from) {
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
    pub(super) fn has_recent_leader_contact(&self) -> bool {
        match &self.role {
            Role::Leader(_) => true,
            Role::Follower(following) => {
                self.leader.is_some()
                    && following
                        .leader_contact_at
                        .is_some_and(|at| self.now.since(at) < self.config.timing.election_timeout)
            }
            Role::Campaigning(_) => false,
        }
    }
}
