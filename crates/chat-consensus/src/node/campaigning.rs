//! Standing for election: the trial round, the real one, and what ends them (R2, R5, R7, R17).

use alloc::collections::{BTreeMap, BTreeSet};
use core::time::Duration;

use crate::entry::{Formation, HardState};
use crate::input::Fault;
use crate::message::{Election, ElectionKind, ElectionReply, Header, Message};
use crate::node::{Node, Role};
use crate::types::{LogIndex, NodeId, RequestId, Time};

/// A trial that follows a leader's noticed end starts after a random time up to this, so that
/// the survivors rarely start together (R17).
const QUICK_START_MAX: Duration = Duration::from_millis(5);
/// A quick attempt that failed is repeated after a random time between these (R17).
const QUICK_RETRY_MIN: Duration = Duration::from_millis(10);
const QUICK_RETRY_MAX: Duration = Duration::from_millis(50);
/// A quick trial waits this long for answers.
const QUICK_TRIAL: Duration = Duration::from_millis(60);
/// After this many failed quick attempts only the election timeout is left: about a second.
const QUICK_ATTEMPTS: u32 = 20;

/// One attempt to be elected.
#[derive(Debug)]
pub(super) struct Campaign {
    kind: ElectionKind,
    /// The question that each voter was asked; only its answer counts (R4).
    asked: BTreeMap<NodeId, RequestId>,
    granted: BTreeSet<NodeId>,
    /// Those that refused, and those that cannot be reached.
    refused: BTreeSet<NodeId>,
    /// Those of `refused` that said so themselves: they live (R7).
    denied: BTreeSet<NodeId>,
    /// Those whose own trial was refused while this one was under way (R7).
    refused_theirs: BTreeSet<NodeId>,
    /// Those that were asked again (R7).
    asked_again: BTreeSet<NodeId>,
    /// How long answers are waited for once the question is sent.
    patience: Duration,
    /// When the attempt is given up.
    pub(super) deadline: Time,
}

impl Campaign {
    pub(super) fn is_trial(&self) -> bool {
        self.kind == ElectionKind::Trial
    }

    /// Whether `node` has refused this very attempt.
    pub(super) fn was_denied_by(&self, node: NodeId) -> bool {
        self.denied.contains(&node)
    }
}

impl Node {
    /// Asks, in the current term, whether an election could be won (R7).
    pub(super) fn start_trial(&mut self) {
        if self.voter_count() == 1 {
            return self.start_election();
        }
        let patience = if self.quick_attempts > 0 {
            QUICK_TRIAL
        } else {
            self.config.timing.election_timeout
        };
        self.campaign(ElectionKind::Trial, patience);
        self.count_grant(self.config.node);
    }

    /// Begins the next term and stands in it. The own vote counts, and the others hear of the
    /// candidacy, when it is durable (R1).
    pub(super) fn start_election(&mut self) {
        assert!(self.may_vote());
        self.forget_leader();
        self.matched = LogIndex::ZERO;
        self.hard_state = HardState {
            term: self.hard_state.term.next(),
            vote: Some(self.me()),
            ..self.hard_state
        };
        self.writes.hard_state = Some(self.hard_state);
        self.yielded_to.clear();
        let timing = self.config.timing;
        let patience = self.random_between(timing.election_timeout, timing.election_timeout_max());
        self.campaign(ElectionKind::Real, patience);
    }

    /// Counts this candidate's own vote once it is on the disk.
    pub(super) fn count_own_vote(&mut self) {
        if let Role::Campaigning(campaign) = &self.role
            && campaign.kind == ElectionKind::Real
            && self.synced.hard_state == self.hard_state
            && !campaign.granted.contains(&self.config.node)
        {
            // The question leaves now, so the time for its answers begins now.
            let deadline = self.now + campaign.patience;
            if let Role::Campaigning(campaign) = &mut self.role {
                campaign.deadline = deadline;
            }
            self.count_grant(self.config.node);
        }
    }

    pub(super) fn handle_election_reply(
        &mut self,
        header: &Header,
        reply: ElectionReply,
    ) -> Result<(), Fault> {
        if reply.kind == ElectionKind::Birth {
            return self.handle_birth_reply(header, reply);
        }
        let fits = matches!(&self.role, Role::Campaigning(campaign)
            if campaign.kind == reply.kind
                && campaign.asked.get(&header.from) == Some(&header.request));
        if !fits {
            return Ok(());
        }
        // Whoever counts enforces identity (R12).
        if reply.granted && self.admits(header.from, header.storage) {
            self.count_grant(header.from);
            return Ok(());
        }
        if reply.leader == Some(header.from) && self.admits(header.from, header.storage) {
            // The leader itself: it lives, and is followed at once (R7).
            self.quick_attempts = 0;
            self.fail_campaign();
            self.learn_leader(reply.leader);
            return Ok(());
        }
        if let Role::Campaigning(campaign) = &mut self.role {
            campaign.denied.insert(header.from);
            let refused_theirs = campaign.refused_theirs.contains(&header.from);
            if refused_theirs && self.ask_again(header.from) {
                return Ok(());
            }
        }
        self.count_refusal(header.from);
        self.learn_leader(reply.leader);
        Ok(())
    }

    /// Someone who will not answer has as good as refused.
    pub(super) fn count_failed_question(&mut self, peer: NodeId, request: RequestId) {
        if let Role::Campaigning(campaign) = &self.role
            && campaign.asked.get(&peer) == Some(&request)
        {
            self.count_refusal(peer);
        }
    }

    pub(super) fn count_refusal(&mut self, peer: NodeId) {
        let voters = self.voter_count();
        let majority = self.majority();
        if let Role::Campaigning(campaign) = &mut self.role
            && !campaign.granted.contains(&peer)
            && campaign.asked.contains_key(&peer)
        {
            campaign.refused.insert(peer);
            if voters - campaign.refused.len() < majority {
                self.fail_campaign();
            }
        }
    }

    /// Returns to following: the term's leader if one is known, else whoever comes forward. After
    /// a candidacy a trial follows at once: waiting was paid for already (R7).
    pub(super) fn fail_campaign(&mut self) {
        let was_trial = matches!(&self.role, Role::Campaigning(campaign) if campaign.is_trial());
        self.yielded_to.clear();
        self.become_follower();
        if !was_trial {
            return self.start_trial();
        }
        if self.quick_attempts > 0 {
            self.quick_attempts -= 1;
            let pause = self.random_between(QUICK_RETRY_MIN, QUICK_RETRY_MAX);
            self.election_deadline = self.now + pause;
        }
    }

    /// The leader is gone for certain: stand within milliseconds (R17).
    pub(super) fn stand_soon(&mut self) {
        let pause = self.random_between(Duration::ZERO, QUICK_START_MAX);
        self.stand_after(pause);
    }

    /// The leader resigned and named another: stand only if that one does not come forward.
    pub(super) fn stand_after_successor(&mut self) {
        let pause = self.random_between(QUICK_RETRY_MAX, QUICK_RETRY_MAX * 2);
        self.stand_after(pause);
    }

    fn stand_after(&mut self, pause: Duration) {
        self.forget_leader();
        self.quick_attempts = QUICK_ATTEMPTS;
        self.become_follower();
        self.election_deadline = self.now + pause;
    }

    /// Follows on at once when the leader shows itself during a trial (R7).
    pub(super) fn give_up_trial(&mut self) {
        if matches!(&self.role, Role::Campaigning(campaign) if campaign.is_trial()) {
            self.yielded_to.clear();
            self.become_follower();
        }
    }

    /// Notes that the trial of `voter` is refused while this one is under way, and asks it again if
    /// it has refused this one (R7).
    pub(super) fn note_refused_trial(&mut self, voter: NodeId) {
        if let Role::Campaigning(campaign) = &mut self.role {
            campaign.refused_theirs.insert(voter);
            if campaign.denied.contains(&voter) {
                self.ask_again(voter);
            }
        }
    }

    /// A voter that refused this trial for the sake of a leader looks for one itself by now: the
    /// question is put to it once more (R7). Says whether it was.
    fn ask_again(&mut self, voter: NodeId) -> bool {
        let Role::Campaigning(campaign) = &mut self.role else {
            return false;
        };
        if !campaign.is_trial() || !campaign.asked_again.insert(voter) {
            return false;
        }
        let election = self.election(ElectionKind::Trial);
        let request = self.request(voter, Message::Election(election));
        if let Role::Campaigning(campaign) = &mut self.role {
            campaign.asked.insert(voter, request);
            campaign.refused.remove(&voter);
            campaign.denied.remove(&voter);
        }
        true
    }

    fn campaign(&mut self, kind: ElectionKind, patience: Duration) {
        // A candidate's own vote is written first, however slow the disk is.
        let deadline = self.now
            + match kind {
                ElectionKind::Real => patience.max(self.config.timing.write_limit()),
                ElectionKind::Trial | ElectionKind::Birth => patience,
            };
        self.role = Role::Campaigning(Campaign {
            kind,
            asked: BTreeMap::new(),
            granted: BTreeSet::new(),
            refused: BTreeSet::new(),
            denied: BTreeSet::new(),
            refused_theirs: BTreeSet::new(),
            asked_again: BTreeSet::new(),
            patience,
            deadline,
        });
        let election = self.election(kind);
        for voter in self.other_voters() {
            let request = self.request(voter, Message::Election(election.clone()));
            if let Role::Campaigning(campaign) = &mut self.role {
                campaign.asked.insert(voter, request);
            }
        }
    }

    fn election(&self, kind: ElectionKind) -> Election {
        Election {
            kind,
            last: self.log.last(),
            formation: self.formation.clone(),
        }
    }

    fn count_grant(&mut self, from: NodeId) {
        let majority = self.majority();
        let Role::Campaigning(campaign) = &mut self.role else {
            return;
        };
        campaign.granted.insert(from);
        if campaign.granted.len() < majority {
            return;
        }
        match campaign.kind {
            ElectionKind::Trial => self.start_election(),
            ElectionKind::Real => self.become_leader(),
            ElectionKind::Birth => unreachable!("a birth inquiry is no campaign"),
        }
    }

    pub(super) fn majority(&self) -> usize {
        self.formation
            .as_ref()
            .map_or(usize::MAX, Formation::majority)
    }

    fn voter_count(&self) -> usize {
        self.formation
            .as_ref()
            .map_or(0, |formation| formation.voters.len())
    }
}
