//! A candidate: one round of a campaign, and the replies to it (R4, R5, R7).

use alloc::collections::{BTreeMap, BTreeSet};
use core::time::Duration;

use crate::message::{Candidacy, Election, ElectionKind, Header, Request};
use crate::node::context::NodeContext;
use crate::types::{NodeId, RequestId, Time};

/// Which of the two rounds of a campaign this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Round {
    /// Finds out, in the current term, whether an election could be won (R7).
    PreVote,
    /// Requests votes in a new term (R5).
    Vote,
}

/// What only a candidate has: one round of a campaign.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Candidate {
    pub(super) round: Round,
    /// The request that was sent to each voter; only the reply to it counts (R4).
    pub(super) outstanding: BTreeMap<NodeId, RequestId>,
    pub(super) granted: BTreeSet<NodeId>,
    /// This node has voted for itself, durably; it counts only if it is a voter (R19).
    pub(super) voted: bool,
    /// Those that denied, and those that cannot be reached.
    pub(super) not_granted: BTreeSet<NodeId>,
    /// Those of `not_granted` that denied themselves: they are running (R7).
    denied: BTreeSet<NodeId>,
    /// Those whose own pre-vote was denied while this one was under way (R7).
    denied_by_us: BTreeSet<NodeId>,
    /// Those to which the request was sent again (R7).
    retried: BTreeSet<NodeId>,
    /// How long this candidate waits for replies once the requests are sent.
    pub(super) timeout: Duration,
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
            synced_block: context.synced_block,
        };
        Request::Election(match self {
            Self::PreVote => Election::PreVote(candidacy),
            Self::Vote => Election::Vote(candidacy),
        })
    }
}

impl Candidate {
    /// Sends the request to every other voter.
    pub(super) fn start(context: &mut NodeContext, round: Round, timeout: Duration) -> Self {
        // A candidate's own vote is written first, however slow the disk is.
        let wait = match round {
            Round::Vote => timeout.max(context.config.timing.write_limit()),
            Round::PreVote => timeout,
        };
        let mut outstanding = BTreeMap::new();
        for voter in context.other_voters() {
            let request = round.request(context);
            outstanding.insert(voter.node, context.request(voter.node, request));
        }
        Self {
            round,
            outstanding,
            granted: BTreeSet::new(),
            voted: false,
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

    /// Whether a reply of this kind belongs to the newest request to its sender (R4).
    pub(super) fn expects(&self, header: &Header, kind: ElectionKind) -> bool {
        self.round.kind() == kind && self.outstanding.get(&header.from) == Some(&header.request)
    }

    /// Records that the pre-vote of `voter` is denied while this one is under way, and repeats the
    /// request if it has denied this one (R7).
    pub(super) fn record_denied_pre_vote(&mut self, context: &mut NodeContext, voter: NodeId) {
        self.denied_by_us.insert(voter);
        if self.denied.contains(&voter) {
            self.retry_vote_request(context, voter);
        }
    }

    /// A voter that denied this pre-vote because of a leader looks for one itself by now: the
    /// request is repeated once (R7). Returns whether it was.
    fn retry_vote_request(&mut self, context: &mut NodeContext, voter: NodeId) -> bool {
        if !self.is_pre_vote() || !self.retried.insert(voter) {
            return false;
        }
        let request = self.round.request(context);
        let request = context.request(voter, request);
        self.outstanding.insert(voter, request);
        self.not_granted.remove(&voter);
        self.denied.remove(&voter);
        true
    }

    /// Records a denial; returns whether it was answered with a repeated request.
    pub(super) fn record_denial(&mut self, context: &mut NodeContext, voter: NodeId) -> bool {
        self.denied.insert(voter);
        self.denied_by_us.contains(&voter) && self.retry_vote_request(context, voter)
    }
}
