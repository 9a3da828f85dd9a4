//! The course of a campaign: the pre-vote, the election, and what ends them (R2, R5, R7, R17).

use core::time::Duration;

use crate::entry::HardState;
use crate::input::Fault;
use crate::message::{ElectionKind, ElectionReply, Header};
use crate::node::candidate::{Candidate, Round};
use crate::node::{Node, Role};
use crate::types::{LogIndex, NodeId, RequestId};

/// When the end of a leader was noticed, a pre-vote starts after a random time up to this, so that
/// the remaining nodes rarely start together (R17).
const FAST_ELECTION_DELAY_MAX: Duration = Duration::from_millis(5);
/// A fast campaign that failed is repeated after a random time between these (R17).
const FAST_ELECTION_RETRY_MIN: Duration = Duration::from_millis(10);
const FAST_ELECTION_RETRY_MAX: Duration = Duration::from_millis(50);
/// A fast pre-vote waits this long for replies.
const FAST_PRE_VOTE_TIMEOUT: Duration = Duration::from_millis(60);
/// After this many failed fast campaigns only the election timeout is left: about a second.
const FAST_ELECTION_RETRIES: u32 = 20;

impl Node {
    /// Finds out, in the current term, whether an election could be won (R7).
    pub(super) fn start_pre_vote(&mut self) {
        if self.context.is_only_voter() {
            return self.start_election();
        }
        let timeout = if self.election.fast_retries_left > 0 {
            FAST_PRE_VOTE_TIMEOUT
        } else {
            self.context.config.timing.election_timeout
        };
        let candidate = Candidate::start(&mut self.context, Round::PreVote, timeout);
        self.role = Role::Candidate(candidate);
        self.count_own_vote();
    }

    /// Starts the next term as a candidate. The own vote counts, and the requests are sent, when
    /// it is durable (R1).
    pub(super) fn start_election(&mut self) {
        let context = &mut self.context;
        assert!(context.may_campaign());
        context.leader.forget();
        context.leader.match_index = LogIndex::ZERO;
        context.set_hard_state(HardState {
            term: context.hard_state.term.next(),
            vote: Some(context.own_voter()),
            ..context.hard_state
        });
        self.election.backed_off_for.clear();
        let timing = context.config.timing;
        let timeout =
            context.random_between(timing.election_timeout, timing.election_timeout_max());
        self.role = Role::Candidate(Candidate::start(context, Round::Vote, timeout));
    }

    /// Counts this candidate's own vote once it is on the disk; that for a pre-vote at once. It counts
    /// only if its disk is a voter of its newest members (R19).
    pub(super) fn count_own_vote(&mut self) {
        let own = self.context.id();
        let is_durable = self.context.synced.hard_state == self.context.hard_state;
        if let Role::Candidate(candidate) = &mut self.role
            && !candidate.voted
            && (candidate.is_pre_vote() || is_durable)
        {
            candidate.voted = true;
            if candidate.round == Round::Vote {
                // The requests are sent now, so the time for their replies begins now.
                candidate.deadline = self.context.now + candidate.timeout;
            }
            if self.context.is_voter() {
                self.record_vote_granted(own);
            }
        }
    }

    /// Handles the reply to a probe, a pre-vote or a vote.
    ///
    /// # Errors
    ///
    /// It shows that this disk has forgotten (R18).
    pub(super) fn handle_election_reply(
        &mut self,
        header: &Header,
        reply: ElectionReply,
    ) -> Result<(), Fault> {
        if reply.kind == ElectionKind::Bootstrap {
            self.handle_bootstrap_reply(header, reply);
        } else if let Role::Candidate(candidate) = &self.role
            && candidate.expects(header, reply.kind)
        {
            self.context
                .check_memory_of_peer(header, reply.remembered_block)?;
            if reply.removed {
                self.become_follower();
                self.exclude();
                return Ok(());
            }
            self.count_vote(header, reply);
        }
        Ok(())
    }

    /// Counts a reply that belongs to this attempt.
    fn count_vote(&mut self, header: &Header, reply: ElectionReply) {
        let Role::Candidate(candidate) = &mut self.role else {
            return;
        };
        // The node that counts the votes checks identity (R12).
        let admitted = self.context.admits(header.from, header.storage);
        if reply.granted && admitted {
            return self.record_vote_granted(header.from);
        }
        if reply.leader == Some(header.from) && admitted {
            // The leader itself: it is running, and is followed at once (R7).
            self.election.fast_retries_left = 0;
            self.fail_campaign();
            return self.accept_leader_hint(reply.leader);
        }
        if candidate.record_denial(&mut self.context, header.from) {
            return;
        }
        self.record_vote_denied(header.from);
        self.accept_leader_hint(reply.leader);
    }

    /// A voter that will not reply counts as one that denied.
    pub(super) fn record_vote_failed(&mut self, peer: NodeId, request: RequestId) {
        if let Role::Candidate(candidate) = &self.role
            && candidate.outstanding.get(&peer) == Some(&request)
        {
            self.record_vote_denied(peer);
        }
    }

    pub(super) fn record_vote_denied(&mut self, peer: NodeId) {
        let voters = self.context.voters().len();
        let majority = self.context.majority();
        if let Role::Candidate(candidate) = &mut self.role
            && !candidate.granted.contains(&peer)
            && candidate.outstanding.contains_key(&peer)
        {
            candidate.not_granted.insert(peer);
            if voters - candidate.not_granted.len() < majority {
                self.fail_campaign();
            }
        }
    }

    fn record_vote_granted(&mut self, from: NodeId) {
        let majority = self.context.majority();
        let Role::Candidate(candidate) = &mut self.role else {
            return;
        };
        candidate.granted.insert(from);
        if candidate.granted.len() < majority {
            return;
        }
        match candidate.round {
            Round::PreVote => self.start_election(),
            Round::Vote => self.become_leader(),
        }
    }

    /// Returns to following: the term's leader if one is known, else the first that claims the
    /// term. After a lost election a pre-vote starts at once: its wait is over already (R7).
    pub(super) fn fail_campaign(&mut self) {
        let was_pre_vote =
            matches!(&self.role, Role::Candidate(candidate) if candidate.is_pre_vote());
        self.election.backed_off_for.clear();
        self.become_follower();
        if !was_pre_vote {
            return self.start_pre_vote();
        }
        if self.election.fast_retries_left > 0 {
            self.election.fast_retries_left -= 1;
            let (least, most) = (FAST_ELECTION_RETRY_MIN, FAST_ELECTION_RETRY_MAX);
            self.election.reset_between(&mut self.context, least, most);
        }
    }

    /// The leader is gone for certain: campaigns within milliseconds (R17).
    pub(super) fn campaign_soon(&mut self) {
        self.campaign_between(Duration::ZERO, FAST_ELECTION_DELAY_MAX);
    }

    /// The leader resigned and named a successor: campaigns only if that one does not.
    pub(super) fn campaign_after_successor(&mut self) {
        self.campaign_between(FAST_ELECTION_RETRY_MAX, FAST_ELECTION_RETRY_MAX * 2);
    }

    fn campaign_between(&mut self, least: Duration, most: Duration) {
        let pause = self.context.random_between(least, most);
        self.context.leader.forget();
        self.election.fast_retries_left = FAST_ELECTION_RETRIES;
        self.become_follower();
        self.election.deadline = self.context.now + pause;
    }

    /// Follows again at once when a message of the leader arrives during a pre-vote (R7).
    pub(super) fn abandon_pre_vote(&mut self) {
        if matches!(&self.role, Role::Candidate(candidate) if candidate.is_pre_vote()) {
            self.election.backed_off_for.clear();
            self.become_follower();
        }
    }
}
