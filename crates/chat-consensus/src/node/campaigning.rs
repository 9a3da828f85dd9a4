//! Standing for election: the trial round, the real one, and what ends them (R2, R5, R7, R17).

use alloc::collections::{BTreeMap, BTreeSet};
use core::time::Duration;

use crate::entry::{HardState, Membership};
use crate::input::Fault;
use crate::message::{Election, ElectionKind, ElectionReply, Header, Message};
use crate::node::{Node, Role};
use crate::types::{LogIndex, NodeId, RequestId, Time};

/// A trial that follows a leader's noticed end starts after a random time up to this, so that
/// the survivors rarely start together (R17).
const FAST_ELECTION_DELAY_MAX: Duration = Duration::from_millis(5);
/// A quick attempt that failed is repeated after a random time between these (R17).
const FAST_ELECTION_RETRY_MIN: Duration = Duration::from_millis(10);
const FAST_ELECTION_RETRY_MAX: Duration = Duration::from_millis(50);
/// A quick trial waits this long for answers.
const FAST_PRE_VOTE_TIMEOUT: Duration = Duration::from_millis(60);
/// After this many failed quick attempts only the election timeout is left: about a second.
const FAST_ELECTION_RETRIES: u32 = 20;

/// One attempt to be elected.
#[derive(Debug)]
pub(super) struct Campaign {
    kind: ElectionKind,
    /// The question that each voter was asked; only its answer counts (R4).
    outstanding: BTreeMap<NodeId, RequestId>,
    granted: BTreeSet<NodeId>,
    /// Those that refused, and those that cannot be reached.
    not_granted: BTreeSet<NodeId>,
    /// Those of `refused` that said so themselves: they live (R7).
    denied: BTreeSet<NodeId>,
    /// Those whose own trial was refused while this one was under way (R7).
    denied_by_us: BTreeSet<NodeId>,
    /// Those that were asked again (R7).
    retried: BTreeSet<NodeId>,
    /// How long answers are waited for once the question is sent.
    timeout: Duration,
    /// When the attempt is given up.
    pub(super) deadline: Time,
}

impl Campaign {
    pub(super) fn is_pre_vote(&self) -> bool {
        self.kind == ElectionKind::PreVote
    }

    /// Whether `node` has refused this very attempt.
    pub(super) fn was_denied_by(&self, node: NodeId) -> bool {
        self.denied.contains(&node)
    }
}

impl Node {
    /// Asks, in the current term, whether an election could be won (R7).
    pub(super) fn start_pre_vote(&mut self) {
        if self.voter_count() == 1 {
            return self.start_election();
        }
        let timeout = if self.fast_retries_left > 0 {
            FAST_PRE_VOTE_TIMEOUT
        } else {
            self.config.timing.election_timeout
        };
        self.campaign(ElectionKind::PreVote, timeout);
        self.record_vote_granted(self.config.node);
    }

    /// Begins the next term and stands in it. The own vote counts, and the others hear of the
    /// candidacy, when it is durable (R1).
    pub(super) fn start_election(&mut self) {
        assert!(self.may_vote());
        self.forget_leader();
        self.match_index = LogIndex::ZERO;
        self.hard_state = HardState {
            term: self.hard_state.term.next(),
            vote: Some(self.me()),
            ..self.hard_state
        };
        self.writes.hard_state = Some(self.hard_state);
        self.backed_off_for.clear();
        let timing = self.config.timing;
        let timeout = self.random_between(timing.election_timeout, timing.election_timeout_max());
        self.campaign(ElectionKind::Vote, timeout);
    }

    /// Counts this candidate's own vote once it is on the disk.
    pub(super) fn count_own_vote(&mut self) {
        if let Role::Campaigning(campaign) = &self.role
            && campaign.kind == ElectionKind::Vote
            && self.synced.hard_state == self.hard_state
            && !campaign.granted.contains(&self.config.node)
        {
            // The question leaves now, so the time for its answers begins now.
            let deadline = self.now + campaign.timeout;
            if let Role::Campaigning(campaign) = &mut self.role {
                campaign.deadline = deadline;
            }
            self.record_vote_granted(self.config.node);
        }
    }

    pub(super) fn handle_election_reply(
        &mut self,
        header: &Header,
        reply: ElectionReply,
    ) -> Result<(), Fault> {
        if reply.kind == ElectionKind::Bootstrap {
            return self.handle_bootstrap_reply(header, reply);
        }
        let fits = matches!(&self.role, Role::Campaigning(campaign)
            if campaign.kind == reply.kind
                && campaign.outstanding.get(&header.from) == Some(&header.request));
        if !fits {
            return Ok(());
        }
        // Whoever counts enforces identity (R12).
        if reply.granted && self.admits(header.from, header.storage) {
            self.record_vote_granted(header.from);
            return Ok(());
        }
        if reply.leader == Some(header.from) && self.admits(header.from, header.storage) {
            // The leader itself: it lives, and is followed at once (R7).
            self.fast_retries_left = 0;
            self.fail_campaign();
            self.accept_leader_hint(reply.leader);
            return Ok(());
        }
        if let Role::Campaigning(campaign) = &mut self.role {
            campaign.denied.insert(header.from);
            let denied_by_us = campaign.denied_by_us.contains(&header.from);
            if denied_by_us && self.retry_vote_request(header.from) {
                return Ok(());
            }
        }
        self.record_vote_denied(header.from);
        self.accept_leader_hint(reply.leader);
        Ok(())
    }

    /// Someone who will not answer has as good as refused.
    pub(super) fn record_vote_failed(&mut self, peer: NodeId, request: RequestId) {
        if let Role::Campaigning(campaign) = &self.role
            && campaign.outstanding.get(&peer) == Some(&request)
        {
            self.record_vote_denied(peer);
        }
    }

    pub(super) fn record_vote_denied(&mut self, peer: NodeId) {
        let voters = self.voter_count();
        let majority = self.majority();
        if let Role::Campaigning(campaign) = &mut self.role
            && !campaign.granted.contains(&peer)
            && campaign.outstanding.contains_key(&peer)
        {
            campaign.not_granted.insert(peer);
            if voters - campaign.not_granted.len() < majority {
                self.fail_campaign();
            }
        }
    }

    /// Returns to following: the term's leader if one is known, else whoever comes forward. After
    /// a candidacy a trial follows at once: waiting was paid for already (R7).
    pub(super) fn fail_campaign(&mut self) {
        let was_pre_vote =
            matches!(&self.role, Role::Campaigning(campaign) if campaign.is_pre_vote());
        self.backed_off_for.clear();
        self.become_follower();
        if !was_pre_vote {
            return self.start_pre_vote();
        }
        if self.fast_retries_left > 0 {
            self.fast_retries_left -= 1;
            let pause = self.random_between(FAST_ELECTION_RETRY_MIN, FAST_ELECTION_RETRY_MAX);
            self.election_deadline = self.now + pause;
        }
    }

    /// The leader is gone for certain: stand within milliseconds (R17).
    pub(super) fn campaign_soon(&mut self) {
        let pause = self.random_between(Duration::ZERO, FAST_ELECTION_DELAY_MAX);
        self.campaign_after(pause);
    }

    /// The leader resigned and named another: stand only if that one does not come forward.
    pub(super) fn campaign_after_successor(&mut self) {
        let pause = self.random_between(FAST_ELECTION_RETRY_MAX, FAST_ELECTION_RETRY_MAX * 2);
        self.campaign_after(pause);
    }

    fn campaign_after(&mut self, pause: Duration) {
        self.forget_leader();
        self.fast_retries_left = FAST_ELECTION_RETRIES;
        self.become_follower();
        self.election_deadline = self.now + pause;
    }

    /// Follows on at once when the leader shows itself during a trial (R7).
    pub(super) fn abandon_pre_vote(&mut self) {
        if matches!(&self.role, Role::Campaigning(campaign) if campaign.is_pre_vote()) {
            self.backed_off_for.clear();
            self.become_follower();
        }
    }

    /// Notes that the trial of `voter` is refused while this one is under way, and asks it again if
    /// it has refused this one (R7).
    pub(super) fn record_denied_pre_vote(&mut self, voter: NodeId) {
        if let Role::Campaigning(campaign) = &mut self.role {
            campaign.denied_by_us.insert(voter);
            if campaign.denied.contains(&voter) {
                self.retry_vote_request(voter);
            }
        }
    }

    /// A voter that refused this trial for the sake of a leader looks for one itself by now: the
    /// question is put to it once more (R7). Says whether it was.
    fn retry_vote_request(&mut self, voter: NodeId) -> bool {
        let Role::Campaigning(campaign) = &mut self.role else {
            return false;
        };
        if !campaign.is_pre_vote() || !campaign.retried.insert(voter) {
            return false;
        }
        let election = self.election(ElectionKind::PreVote);
        let request = self.request(voter, Message::Election(election));
        if let Role::Campaigning(campaign) = &mut self.role {
            campaign.outstanding.insert(voter, request);
            campaign.not_granted.remove(&voter);
            campaign.denied.remove(&voter);
        }
        true
    }

    fn campaign(&mut self, kind: ElectionKind, timeout: Duration) {
        // A candidate's own vote is written first, however slow the disk is.
        let deadline = self.now
            + match kind {
                ElectionKind::Vote => timeout.max(self.config.timing.write_limit()),
                ElectionKind::PreVote | ElectionKind::Bootstrap => timeout,
            };
        self.role = Role::Campaigning(Campaign {
            kind,
            outstanding: BTreeMap::new(),
            granted: BTreeSet::new(),
            not_granted: BTreeSet::new(),
            denied: BTreeSet::new(),
            denied_by_us: BTreeSet::new(),
            retried: BTreeSet::new(),
            timeout,
            deadline,
        });
        let election = self.election(kind);
        for voter in self.other_voters() {
            let request = self.request(voter, Message::Election(election.clone()));
            if let Role::Campaigning(campaign) = &mut self.role {
                campaign.outstanding.insert(voter, request);
            }
        }
    }

    fn election(&self, kind: ElectionKind) -> Election {
        Election {
            kind,
            last: self.log.last(),
            membership: self.membership.clone(),
        }
    }

    fn record_vote_granted(&mut self, from: NodeId) {
        let majority = self.majority();
        let Role::Campaigning(campaign) = &mut self.role else {
            return;
        };
        campaign.granted.insert(from);
        if campaign.granted.len() < majority {
            return;
        }
        match campaign.kind {
            ElectionKind::PreVote => self.start_election(),
            ElectionKind::Vote => self.become_leader(),
            ElectionKind::Bootstrap => unreachable!("a birth inquiry is no campaign"),
        }
    }

    pub(super) fn majority(&self) -> usize {
        self.membership
            .as_ref()
            .map_or(usize::MAX, Membership::majority)
    }

    fn voter_count(&self) -> usize {
        self.membership
            .as_ref()
            .map_or(0, |membership| membership.voters.len())
    }
}
