//! A candidate: the pre-vote, the election, and what ends them (R2, R5, R7, R17).

use alloc::collections::{BTreeMap, BTreeSet};
use core::time::Duration;

use crate::entry::HardState;
use crate::message::{Candidacy, Election, ElectionKind, ElectionReply, Header, Request};
use crate::node::context::NodeContext;
use crate::node::{Node, Role};
use crate::types::{LogIndex, NodeId, RequestId, Time};

/// A pre-vote that follows a leader's noticed end starts after a random time up to this, so that
/// the survivors rarely start together (R17).
const FAST_ELECTION_DELAY_MAX: Duration = Duration::from_millis(5);
/// A fast campaign that failed is repeated after a random time between these (R17).
const FAST_ELECTION_RETRY_MIN: Duration = Duration::from_millis(10);
const FAST_ELECTION_RETRY_MAX: Duration = Duration::from_millis(50);
/// A fast pre-vote waits this long for answers.
const FAST_PRE_VOTE_TIMEOUT: Duration = Duration::from_millis(60);
/// After this many failed fast campaigns only the election timeout is left: about a second.
const FAST_ELECTION_RETRIES: u32 = 20;

/// Which of the two rounds of a campaign this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Round {
    /// Asks, in the current term, whether an election could be won (R7).
    PreVote,
    /// Asks for votes in a new term (R5).
    Vote,
}

/// What only a candidate has: one round of a campaign.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Candidate {
    round: Round,
    /// The request that each voter was sent; only its answer counts (R4).
    outstanding: BTreeMap<NodeId, RequestId>,
    granted: BTreeSet<NodeId>,
    /// Those that denied, and those that cannot be reached.
    not_granted: BTreeSet<NodeId>,
    /// Those of `not_granted` that denied themselves: they live (R7).
    denied: BTreeSet<NodeId>,
    /// Those whose own pre-vote was denied while this one was under way (R7).
    denied_by_us: BTreeSet<NodeId>,
    /// Those that were asked again (R7).
    retried: BTreeSet<NodeId>,
    /// How long answers are waited for once the requests are sent.
    timeout: Duration,
    /// When the round is given up.
    pub(super) deadline: Time,
}

impl Round {
    fn kind(self) -> ElectionKind {
        match self {
            Self::PreVote => ElectionKind::PreVote,
            Self::Vote => ElectionKind::Vote,
        }
    }

    fn request(self, context: &NodeContext) -> Request {
        let candidacy = Candidacy {
            last: context.log.last(),
            membership: context.membership.clone(),
        };
        Request::Election(match self {
            Self::PreVote => Election::PreVote(candidacy),
            Self::Vote => Election::Vote(candidacy),
        })
    }
}

impl Candidate {
    /// Asks every other voter.
    fn start(context: &mut NodeContext, round: Round, timeout: Duration) -> Self {
        // A candidate's own vote is written first, however slow the disk is.
        let wait = match round {
            Round::Vote => timeout.max(context.config.timing.write_limit()),
            Round::PreVote => timeout,
        };
        let request = round.request(context);
        let mut outstanding = BTreeMap::new();
        for voter in context.other_voters() {
            outstanding.insert(voter, context.request(voter, request.clone()));
        }
        Self {
            round,
            outstanding,
            granted: BTreeSet::new(),
            not_granted: BTreeSet::new(),
            denied: BTreeSet::new(),
            denied_by_us: BTreeSet::new(),
            retried: BTreeSet::new(),
            timeout,
            deadline: context.now + wait,
        }
    }

    pub(super) fn is_pre_vote(&self) -> bool {
        self.round == Round::PreVote
    }

    /// Whether `node` has denied this very round.
    pub(super) fn was_denied_by(&self, node: NodeId) -> bool {
        self.denied.contains(&node)
    }

    /// Whether a reply of this kind answers the newest request to its sender (R4).
    fn expects(&self, header: &Header, kind: ElectionKind) -> bool {
        self.round.kind() == kind && self.outstanding.get(&header.from) == Some(&header.request)
    }

    /// Records that the pre-vote of `voter` is denied while this one is under way, and asks it
    /// again if it has denied this one (R7).
    pub(super) fn record_denied_pre_vote(&mut self, context: &mut NodeContext, voter: NodeId) {
        self.denied_by_us.insert(voter);
        if self.denied.contains(&voter) {
            self.retry_vote_request(context, voter);
        }
    }

    /// A voter that denied this pre-vote because of a leader looks for one itself by now: it is
    /// asked once more (R7). Returns whether it was.
    fn retry_vote_request(&mut self, context: &mut NodeContext, voter: NodeId) -> bool {
        if !self.is_pre_vote() || !self.retried.insert(voter) {
            return false;
        }
        let request = context.request(voter, self.round.request(context));
        self.outstanding.insert(voter, request);
        self.not_granted.remove(&voter);
        self.denied.remove(&voter);
        true
    }

    /// Records a denial; returns whether it was answered with a repeated request.
    fn record_denial(&mut self, context: &mut NodeContext, voter: NodeId) -> bool {
        self.denied.insert(voter);
        self.denied_by_us.contains(&voter) && self.retry_vote_request(context, voter)
    }
}

impl Node {
    /// Asks, in the current term, whether an election could be won (R7).
    pub(super) fn start_pre_vote(&mut self) {
        if self.context.voters().len() == 1 {
            return self.start_election();
        }
        let timeout = if self.election.fast_retries_left > 0 {
            FAST_PRE_VOTE_TIMEOUT
        } else {
            self.context.config.timing.election_timeout
        };
        let candidate = Candidate::start(&mut self.context, Round::PreVote, timeout);
        self.role = Role::Candidate(candidate);
        self.record_vote_granted(self.context.id());
    }

    /// Starts the next term as a candidate. The own vote counts, and the requests are sent, when
    /// it is durable (R1).
    pub(super) fn start_election(&mut self) {
        let context = &mut self.context;
        assert!(context.may_vote());
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

    /// Counts this candidate's own vote once it is on the disk.
    pub(super) fn count_own_vote(&mut self) {
        let own = self.context.id();
        if let Role::Candidate(candidate) = &mut self.role
            && candidate.round == Round::Vote
            && self.context.synced.hard_state == self.context.hard_state
            && !candidate.granted.contains(&own)
        {
            // The requests are sent now, so the time for their answers begins now.
            candidate.deadline = self.context.now + candidate.timeout;
            self.record_vote_granted(own);
        }
    }

    pub(super) fn handle_election_reply(&mut self, header: &Header, reply: ElectionReply) {
        if reply.kind == ElectionKind::Bootstrap {
            return self.handle_bootstrap_reply(header, reply);
        }
        let Role::Candidate(candidate) = &mut self.role else {
            return;
        };
        if !candidate.expects(header, reply.kind) {
            return;
        }
        // The node that counts the votes checks identity (R12).
        let admitted = self.context.admits(header.from, header.storage);
        if reply.granted && admitted {
            return self.record_vote_granted(header.from);
        }
        if reply.leader == Some(header.from) && admitted {
            // The leader itself: it lives, and is followed at once (R7).
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

    /// A voter that will not answer counts as one that denied.
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

    /// Follows again at once when the leader is heard of during a pre-vote (R7).
    pub(super) fn abandon_pre_vote(&mut self) {
        if matches!(&self.role, Role::Candidate(candidate) if candidate.is_pre_vote()) {
            self.election.backed_off_for.clear();
            self.become_follower();
        }
    }
}
