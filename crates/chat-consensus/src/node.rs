//! The node: its state, what can happen to it, and the rules common to all roles.
//!
//! Each role's own conduct is in a file of its own below; the durable part is in `durability`.

mod bootstrap;
mod campaigning;
mod disks_seen;
mod durability;
mod following;
mod invariants;
mod leadership_transfer;
mod leading;
mod progress;
mod reading;
mod receiving;
mod serving_fetches;
mod slow_disk;
mod voting;

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::time::Duration;

use crate::batch::{SyncedState, Writes};
use crate::config::Config;
use crate::entry::{Entry, HardState, Membership, Stored};
use crate::input::{Fault, Input, Report};
use crate::message::{Envelope, GetCommitsReply, Header, Message};
use crate::status::RoleName;
use crate::term_index::TermIndex;
use crate::types::{
    BOOT_COUNT_MAX, ClusterId, LogIndex, NodeId, Position, RequestId, RunId, StorageId, Term, Time,
    Voter,
};

use bootstrap::Bootstrap;
use campaigning::Campaign;
use following::{FETCH_BYTES_MAX, Following};
use leading::Leading;

/// One member of a cluster. See the crate's documentation for how it is driven.
#[derive(Debug)]
pub struct Node {
    config: Config,
    random: fastrand::Rng,
    /// The greatest time that was ever passed in.
    now: Time,
    storage: StorageId,
    /// How often the disk was started; the part of the run's name that orders runs (R4).
    boot_count: u64,
    /// This run; a part of every request id (R4).
    run: RunId,
    requests_made: u64,

    /// Term and vote as decided; what of it is on the disk is in `synced`.
    hard_state: HardState,
    /// The log as accepted; what of it is on the disk is in `synced`.
    log: TermIndex,
    membership: Option<Membership>,
    /// Never moves back (R3).
    commit_index: LogIndex,
    /// As a follower: the last entry that an answer of this term has matched (R3).
    match_index: LogIndex,
    /// Who leads this term, as far as we know.
    leader: Option<NodeId>,
    /// `leader` has claimed the term itself, or answered as its leader; otherwise another node
    /// named it (R5).
    leader_claimed: bool,
    /// The voters that the leader heard last does not count.
    uncounted: Vec<NodeId>,
    role: Role,
    /// When a follower stands. It has no meaning for a leader.
    election_deadline: Time,
    /// How many more failed attempts are repeated quickly, after a leader's end was noticed (R17).
    fast_retries_left: u32,
    /// For whom an own trial was given up since the last attempt of our own was finished (R7).
    backed_off_for: BTreeSet<NodeId>,
    /// How much the next fetch asks for, in bytes (R8).
    fetch_bytes_max: u32,
    /// When a refused message may be reported again.
    refusal_reported_until: Time,
    /// Set while this node is empty and may form the cluster (R12).
    bootstrap: Option<Bootstrap>,

    /// What the disk holds for certain; moved by `SyncedBatch` alone (R1).
    synced: SyncedState,
    /// Decided and not yet taken.
    writes: Writes,
    /// Messages that must not leave before `writes` are synced (R1).
    awaiting_sync: Vec<Envelope>,
    /// The batch that is being written.
    writing: Option<Writing>,

    outgoing: Vec<Outgoing>,
    reports: Vec<Report>,
}

/// What is known of a batch while it is written.
#[derive(Clone, Copy, Debug)]
struct Writing {
    since: Time,
    /// It holds entries, so that its time tells how fast the disk is for them (R10).
    has_entries: bool,
}

/// What a node is to its cluster right now.
#[derive(Debug)]
enum Role {
    Follower(Following),
    Campaigning(Campaign),
    Leader(Leading),
}

/// A message to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// As it is.
    Message(Envelope),
    /// A [`GetCommitsReply::Entries`] into which the caller first puts the entries that follow
    /// `after`, as many as it wants to send at once. They are those of this leader's log as long
    /// as [`Node::leads`] the header's term; afterwards the message must not be sent.
    Entries {
        /// The answer, still without entries.
        envelope: Envelope,
        /// How much payload the asker wants at most, in bytes; one entry is always welcome (R8).
        bytes_max: u32,
    },
}

impl Node {
    /// A node that has just started, with what its disk held and what its state machine has
    /// applied of it, which was committed (R3).
    ///
    /// `seed` should differ from start to start and from node to node; equal seeds decide equally.
    /// The first batch syncs the new start counter, and nothing is sent before (R4).
    ///
    /// # Panics
    ///
    /// If `applied` is beyond the end of the log: then disk and state do not belong together, and
    /// the caller must not start a node.
    pub fn new(config: Config, stored: Stored, applied: LogIndex, seed: u64, now: Time) -> Self {
        assert!(
            applied <= stored.last.index,
            "the state machine is ahead of its log"
        );
        let boot_count = (stored.boot_count + 1).min(BOOT_COUNT_MAX);
        let mut random = fastrand::Rng::with_seed(seed);
        let mut node = Self {
            run: RunId::new(boot_count, random.u32(..)),
            random,
            now,
            storage: stored.storage,
            boot_count,
            requests_made: 0,
            hard_state: stored.hard_state,
            log: TermIndex::new(stored.terms, stored.last.index),
            membership: stored.membership,
            commit_index: applied,
            match_index: LogIndex::ZERO,
            leader: None,
            leader_claimed: false,
            uncounted: Vec::new(),
            role: Role::Follower(Following::default()),
            election_deadline: Time::NEVER,
            fast_retries_left: 0,
            backed_off_for: BTreeSet::new(),
            fetch_bytes_max: FETCH_BYTES_MAX,
            refusal_reported_until: now,
            bootstrap: None,
            synced: SyncedState {
                boot_count: stored.boot_count,
                hard_state: stored.hard_state,
                last: stored.last,
            },
            writes: Writes {
                boot_count: Some(boot_count),
                ..Writes::default()
            },
            awaiting_sync: Vec::new(),
            writing: None,
            outgoing: Vec::new(),
            reports: Vec::new(),
            config,
        };
        node.reset_election_timer();
        match &node.membership {
            // A single voter has nobody to wait for (R2).
            Some(membership) if membership.voters.len() == 1 => node.election_deadline = now,
            Some(_) => {}
            None => node.start_bootstrap(),
        }
        node.check_invariants();
        node
    }

    /// Lets the node decide what follows from `input`.
    ///
    /// # Errors
    ///
    /// A [`Fault`] means that the protocol's promises no longer hold here or elsewhere; the node
    /// must not be used again.
    pub fn handle(&mut self, now: Time, input: Input) -> Result<(), Fault> {
        self.now = self.now.max(now);
        // What is late by now is late whatever comes next (R8).
        self.fire_timers();
        match input {
            Input::Received(envelope) => self.handle_received(envelope)?,
            Input::CallFailed(peer, request) => self.handle_call_failed(peer, request),
            Input::ConnectionRefused(peer) => self.handle_connection_refused(peer),
            Input::Synced(batch) => self.handle_synced(batch),
            Input::Proposed(id, command) => self.handle_proposed(id, command),
            Input::ReadRequested(id) => self.handle_read_requested(id),
            Input::TransferRequested => self.handle_transfer_requested(),
            Input::DeadlinePassed => {}
        }
        self.fire_timers();
        self.fetch_if_due();
        self.check_invariants();
        Ok(())
    }

    /// Everything that was decided to be sent since the last call.
    pub fn take_outgoing(&mut self) -> Vec<Outgoing> {
        self.start_read_round_if_wanted();
        core::mem::take(&mut self.outgoing)
    }

    /// Everything that was reported since the last call.
    pub fn take_reports(&mut self) -> Vec<Report> {
        core::mem::take(&mut self.reports)
    }

    /// When [`Input::DeadlinePassed`] is due, if nothing else happens before.
    pub fn next_deadline(&self) -> Time {
        let role = match &self.role {
            Role::Follower(following) => following.next_deadline().min(self.campaign_deadline()),
            Role::Campaigning(campaign) => campaign.deadline,
            Role::Leader(leading) => self.leading_deadline(leading),
        };
        role.min(
            self.bootstrap
                .as_ref()
                .map_or(Time::NEVER, |bootstrap| bootstrap.probe_at),
        )
    }

    /// What the node is to its cluster.
    pub fn role(&self) -> RoleName {
        match &self.role {
            Role::Leader(_) => RoleName::Leader,
            Role::Campaigning(campaign) if campaign.is_pre_vote() => RoleName::PreCandidate,
            Role::Campaigning(_) => RoleName::Candidate,
            Role::Follower(_) if self.membership.is_none() => RoleName::Uninitialized,
            Role::Follower(_) if !self.is_voter() => RoleName::Learner,
            Role::Follower(_) => RoleName::Follower,
        }
    }

    /// The highest term seen.
    pub fn term(&self) -> Term {
        self.hard_state.term
    }

    /// Whether this node leads `term`.
    pub fn leads(&self, term: Term) -> bool {
        matches!(self.role, Role::Leader(_)) && self.hard_state.term == term
    }

    /// Who leads the current term, as far as is known; this node itself included.
    pub fn leader(&self) -> Option<NodeId> {
        self.leader
    }

    /// Everything up to here is committed.
    pub fn commit_index(&self) -> LogIndex {
        self.commit_index
    }

    /// Everything up to here may be applied: committed, and on this node's own disk (R3).
    pub fn apply_limit(&self) -> LogIndex {
        self.commit_index.min(self.synced.last.index)
    }

    /// The log as accepted.
    pub fn log(&self) -> &TermIndex {
        &self.log
    }

    /// The newest entries of the log: those that no batch has taken yet.
    pub fn unbatched_entries(&self) -> &[Entry] {
        &self.writes.entries
    }

    /// The end of what is synced on this node's disk.
    pub fn synced_position(&self) -> Position {
        self.synced.last
    }

    /// The cluster's birth, once this node knows it.
    pub fn membership(&self) -> Option<&Membership> {
        self.membership.as_ref()
    }

    /// Until this node holds its leader's log through here it neither votes nor stands nor counts,
    /// because its disk lost what it had acknowledged (R18); 0 when nothing was lost.
    pub fn repair_through(&self) -> LogIndex {
        self.hard_state.repair_through
    }

    /// This run, as it stands in the ids of this node's requests.
    pub fn run(&self) -> RunId {
        self.run
    }

    /// The nodes that have not said that they are empty, while this node waits for all of them to
    /// form the cluster (R12); `None` when it does not.
    pub fn bootstrap_awaits(&self) -> Option<Vec<NodeId>> {
        let bootstrap = self.bootstrap.as_ref()?;
        let others = self.other_nodes().into_iter();
        Some(
            others
                .filter(|node| !bootstrap.has_answered(*node))
                .collect(),
        )
    }

    /// This node's disk.
    pub fn storage(&self) -> StorageId {
        self.storage
    }

    /// This node.
    pub fn id(&self) -> NodeId {
        self.config.node
    }

    /// The header for a new request to `to`; also for requests that are not the protocol's own.
    pub fn new_request_header(&mut self, to: NodeId) -> Header {
        self.requests_made += 1;
        self.header(
            to,
            RequestId {
                start: self.run,
                number: self.requests_made,
            },
        )
    }

    /// The header for an answer to the request with `header`.
    pub fn reply_header(&self, header: &Header) -> Header {
        self.header(header.from, header.request)
    }

    /// Whether this run's first write is synced: before, nothing at all may be sent (R4).
    pub fn has_started(&self) -> bool {
        self.synced.boot_count == self.boot_count
    }

    /// Goes on as a run that comes after all that this disk has shown: its counter was rolled back
    /// (R18). Nothing is sent before the new counter is durable (R4).
    fn start_run_after(&mut self, shown: u64) {
        self.boot_count = shown + 1;
        self.run = RunId::new(self.boot_count, self.random.u32(..));
        self.writes.boot_count = Some(self.boot_count);
    }

    fn header(&self, to: NodeId, request: RequestId) -> Header {
        Header {
            cluster: self.cluster(),
            term: self.hard_state.term,
            from: self.config.node,
            to,
            storage: self.storage,
            request,
        }
    }

    fn cluster(&self) -> Option<ClusterId> {
        self.membership
            .as_ref()
            .map(|membership| membership.cluster)
    }

    /// The voters that count, as far as this node knows: it, and while it follows, its leader, know
    /// which disks were replaced or have forgotten (R12, R18). Empty before the cluster is formed.
    pub fn counted_voters(&self) -> Vec<NodeId> {
        let Some(membership) = &self.membership else {
            return Vec::new();
        };
        let uncounted = match &self.role {
            Role::Leader(_) => self.uncounted_voters(),
            Role::Follower(_) | Role::Campaigning(_) => self.uncounted.clone(),
        };
        let counts = |voter: &&Voter| {
            if voter.node == self.config.node {
                self.may_vote()
            } else {
                !uncounted.contains(&voter.node)
            }
        };
        let voters = membership.voters.iter().filter(counts);
        voters.map(|voter| voter.node).collect()
    }

    /// How many voters must agree: a majority of all that the log names, counted or not. 0 before the
    /// cluster is formed.
    pub fn quorum(&self) -> usize {
        self.membership.as_ref().map_or(0, Membership::majority)
    }

    fn me(&self) -> Voter {
        Voter {
            node: self.config.node,
            storage: self.storage,
        }
    }

    fn is_voter(&self) -> bool {
        self.admits(self.config.node, self.storage)
    }

    /// Whether this node may vote and stand: it counts, and its disk has not forgotten (R12, R18).
    fn may_vote(&self) -> bool {
        self.is_voter() && self.hard_state.repair_through == LogIndex::ZERO
    }

    /// Whether `node` counts in quorums with the disk that its message showed (R12).
    fn admits(&self, node: NodeId, storage: StorageId) -> bool {
        self.membership
            .as_ref()
            .is_some_and(|membership| membership.admits(node, storage))
    }

    fn other_nodes(&self) -> Vec<NodeId> {
        let me = self.config.node;
        self.config
            .configured
            .iter()
            .copied()
            .filter(|node| *node != me)
            .collect()
    }

    fn other_voters(&self) -> Vec<NodeId> {
        let voters = self
            .membership
            .iter()
            .flat_map(|membership| &membership.voters);
        voters
            .map(|voter| voter.node)
            .filter(|node| *node != self.config.node)
            .collect()
    }

    fn refuse_fetch(&mut self, header: &Header) {
        let leader = self.leader;
        let refusal = GetCommitsReply::NotLeading { leader };
        self.reply(header, Message::GetCommitsReply(refusal));
    }

    /// Goes on to a higher term as a follower that knows no leader. The election timer goes on:
    /// a term is no sign of a leader (R8).
    fn adopt_term(&mut self, term: Term) {
        assert!(term > self.hard_state.term || !self.is_voter());
        self.stop_leading();
        // What waits to be sent may show a term that is not durable any more then.
        self.awaiting_sync
            .retain(|envelope| envelope.header.term <= term);
        self.hard_state = HardState {
            term,
            vote: None,
            ..self.hard_state
        };
        self.writes.hard_state = Some(self.hard_state);
        self.forget_leader();
        self.match_index = LogIndex::ZERO;
        self.become_follower();
    }

    fn forget_leader(&mut self) {
        self.leader = None;
        self.leader_claimed = false;
    }

    fn become_follower(&mut self) {
        if !matches!(self.role, Role::Follower(_)) {
            self.reset_election_timer();
        }
        self.role = Role::Follower(Following::default());
    }

    /// Judges a claim of this term that `from` makes for itself (R5).
    fn check_leader_claim(&mut self, from: NodeId) -> Result<(), Fault> {
        if let Some(first) = self.leader
            && first != from
        {
            if self.leader_claimed && self.membership.is_some() {
                return Err(Fault::TwoLeaders {
                    term: self.hard_state.term,
                    first,
                    second: from,
                });
            }
            // Named by another node, or claimed before the voters were known.
            self.forget_leader();
            self.become_follower();
        }
        Ok(())
    }

    /// Pulls from `leader`, the leader of this term, from here on.
    fn become_follower_of(&mut self, leader: NodeId) {
        // Someone may remember a leadership of ours that has ended (R2).
        if leader == self.config.node || self.leader == Some(leader) {
            return;
        }
        assert!(self.leader.is_none(), "one leader is followed at a time");
        self.leader = Some(leader);
        self.fast_retries_left = 0;
        self.backed_off_for.clear();
        self.role = Role::Follower(Following::default());
        self.reset_election_timer();
    }

    /// Takes a peer's word for who leads this term, unless we know better.
    fn accept_leader_hint(&mut self, leader: Option<NodeId>) {
        if let Some(leader) = leader
            && self.leader.is_none()
            && self.fast_retries_left == 0
        {
            self.become_follower_of(leader);
        }
    }

    fn fire_timers(&mut self) {
        self.probe_peers_if_due();
        match &self.role {
            Role::Follower(_) => {
                self.time_out_fetch();
                if self.now >= self.campaign_deadline() {
                    self.start_pre_vote();
                }
            }
            Role::Campaigning(campaign) if self.now >= campaign.deadline => self.fail_campaign(),
            Role::Campaigning(_) => {}
            Role::Leader(_) => self.tick_leader(),
        }
    }

    /// When this node stands: never while it does not count.
    fn campaign_deadline(&self) -> Time {
        if self.may_vote() {
            self.election_deadline
        } else {
            Time::NEVER
        }
    }

    /// Draws the time to stand anew (R8).
    fn reset_election_timer(&mut self) {
        let timing = self.config.timing;
        let timeout = self.random_between(timing.election_timeout, timing.election_timeout_max());
        self.election_deadline = self.now + timeout;
    }

    fn random_between(&mut self, least: Duration, most: Duration) -> Duration {
        let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(self.random.u64(micros(least)..=micros(most)))
    }
}
