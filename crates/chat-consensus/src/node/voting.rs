//! How a node replies to a candidate (R5, R7).

use core::time::Duration;

use crate::message::{Election, ElectionReply, Header, Reply};
use crate::node::{Node, Role};
use crate::types::{BlockNumber, NodeId, Position, Term};

/// A node that granted a pre-vote lets the candidate go first: it puts off its own for a random
/// time between these, so that two remaining nodes do not block each other (R17).
const PRE_VOTE_BACKOFF_MIN: Duration = Duration::from_millis(20);
const PRE_VOTE_BACKOFF_MAX: Duration = Duration::from_millis(50);

impl Node {
    /// `remembered` is the higher block number of an earlier run of the candidate's disk (R18).
    pub(super) fn handle_election(
        &mut self,
        header: &Header,
        election: Election,
        remembered: Option<BlockNumber>,
    ) {
        let kind = election.kind();
        let context = &self.context;
        let superseded = context
            .voter_disks
            .is_superseded(header.sender(), header.request.start);
        let intact = remembered.is_none() && !superseded;
        let granted = match election {
            // A node that another cluster's leader has reached is about to belong there.
            Election::Bootstrap => {
                self.context.config.may_bootstrap
                    && self.context.is_uninitialized()
                    && !self.has_recent_leader_contact()
            }
            Election::PreVote(candidacy) => {
                intact
                    && self.may_vote_in(header)
                    && self.grant_pre_vote(header.from, candidacy.last)
            }
            Election::Vote(candidacy) => {
                intact
                    && self.may_vote_in(header)
                    && self.is_up_to_date(candidacy.last)
                    && self.grant_vote(header)
            }
        };
        let reply = ElectionReply {
            kind,
            granted,
            leader: self.context.leader.id,
            remembered_block: remembered.unwrap_or_default(),
            removed: self.context.has_removed(header.from),
        };
        self.context.reply(header, Reply::Election(reply));
    }

    /// Whether this node may vote in the candidate's term: it is asked as the voter that it is by the
    /// candidate's members, not by its own (R12, R19), and its disk is complete (R18).
    fn may_vote_in(&self, header: &Header) -> bool {
        let context = &self.context;
        header.term == context.hard_state.term
            && header.term > Term(0)
            && header.cluster.is_some()
            && header.to_storage == Some(context.storage)
            && context.is_complete()
    }

    /// Whether a log that ends at `last` holds everything that this one may have helped to commit.
    fn is_up_to_date(&self, last: Position) -> bool {
        last >= self.context.log.last()
    }

    /// A pre-vote changes nothing durable. It is denied while this node is in contact with a
    /// leader, so that a node that alone has lost contact to the leader does not end its term (R7).
    fn grant_pre_vote(&mut self, from: NodeId, last: Position) -> bool {
        let (least, most) = (PRE_VOTE_BACKOFF_MIN, PRE_VOTE_BACKOFF_MAX);
        let until = self.context.now + self.context.random_between(least, most);
        if let Role::Candidate(candidate) = &self.role
            && candidate.is_pre_vote()
        {
            let denied = candidate.was_denied_by(from);
            if !self.backs_off_for(from, last, denied) {
                if let Role::Candidate(candidate) = &mut self.role {
                    candidate.record_denied_pre_vote(&mut self.context, from);
                }
                return false;
            }
            self.election.backed_off_for.insert(from);
            self.become_follower();
            // The own campaign was due: it is only put off.
            self.election.deadline = until;
            return true;
        }
        if self.has_recent_leader_contact() || !self.is_up_to_date(last) {
            return false;
        }
        self.election.deadline = self.election.deadline.max(until);
        true
    }

    /// Whether the own pre-vote is given up for that of `from`: of two nodes that request each
    /// other's pre-vote at once, one goes first, and both agree which (R7).
    fn backs_off_for(&self, from: NodeId, last: Position, denied: bool) -> bool {
        let greater = (last, from) > (self.context.log.last(), self.context.id());
        let hopeless = denied && self.is_up_to_date(last);
        (greater || hopeless) && !self.election.backed_off_for.contains(&from)
    }

    /// One vote a term (R5). The reply waits for the vote to be durable (R1).
    fn grant_vote(&mut self, header: &Header) -> bool {
        let candidate = header.sender();
        let mut hard_state = self.context.hard_state;
        let voted_otherwise = hard_state.vote.is_some_and(|vote| vote != candidate);
        let leader = self.context.leader.id;
        if voted_otherwise || leader.is_some_and(|leader| leader != header.from) {
            return false;
        }
        if hard_state.vote.is_none() {
            hard_state.vote = Some(candidate);
            // An uninitialized disk belongs to the candidate's cluster from here on (R12).
            hard_state.cluster = hard_state.cluster.or(header.cluster);
            self.context.set_hard_state(hard_state);
        }
        if matches!(self.role, Role::Candidate(_)) {
            self.become_follower();
        }
        self.election.reset(&mut self.context);
        true
    }

    /// Whether this node leads, or itself had contact to the leader within the last election timeout.
    pub(super) fn has_recent_leader_contact(&self) -> bool {
        match &self.role {
            Role::Leader(_) => true,
            Role::Follower(follower) => follower.has_recent_leader_contact(&self.context),
            Role::Candidate(_) => false,
        }
    }
}
