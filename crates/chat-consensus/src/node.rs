//! The node: its state, what can happen to it, and how it changes its role.
//!
//! The state that every role has is in `context`; `follower`, `candidate` and `leader` have the rest.
//! The files that extend [`Node`] itself import it, and it imports none of them.

mod bootstrap;
mod bootstrapping;
mod campaign;
mod candidate;
mod context;
mod disks_seen;
mod download;
mod downloading;
mod durability;
mod election_timer;
mod fetch_service;
mod follower;
mod invariants;
mod leader;
mod leader_messages;
mod leadership_transfer;
mod membership_changes;
mod peer_call;
mod progress;
mod read_rounds;
mod readmissions;
mod reads;
mod receiving;
mod slow_disk;
mod snapshot_service;
mod sync_samples;
#[cfg(test)]
mod test_case;
mod timers;
mod transfer_size;
mod views;
mod voter_disks;
mod voting;

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::batch::{SyncedState, UnsyncedBatch, Writes};
use crate::config::Config;
use crate::entry::{Entry, HardState, LogBase, Stored};
use crate::input::{Fault, Input, MembershipRefusal, Report};
use crate::membership::Membership;
use crate::message::{Header, Request};
use crate::outgoing::Outgoing;
use crate::random::Random;
use crate::snapshot::{PartialDownload, Snapshot};
use crate::status::RoleName;
use crate::term_index::TermIndex;
use crate::types::{
    BOOT_COUNT_MAX, ClusterId, LogIndex, NodeId, Position, RunId, StorageId, Term, Time,
};

use bootstrap::Bootstrap;
use candidate::Candidate;
use context::{KnownLeader, NodeContext};
use download::Downloads;
use election_timer::ElectionTimer;
use follower::Follower;
use leader::{Leader, Resignation};
use transfer_size::TransferSize;
use voter_disks::VoterDisks;

/// One member of a cluster. See the crate's documentation for how it is driven.
///
/// It is plain data: a copy decides as the original does, and equal nodes have equal hashes, so
/// that a model checker can explore what it may do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    context: NodeContext,
    election: ElectionTimer,
    fetch_size: TransferSize,
    downloads: Downloads,
    /// While this node is uninitialized and may bootstrap the cluster (R12).
    bootstrap: Option<Bootstrap>,
    role: Role,
}

/// What a node is to its cluster right now.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Role {
    Follower(Follower),
    Candidate(Candidate),
    Leader(Leader),
}

impl Node {
    /// A node that has just started, with what its disk held and what its state machine has
    /// applied of it, which was committed (R3). If that ends before the base, the state is lost (R24).
    ///
    /// `seed` should differ from start to start and from node to node; equal seeds decide equally.
    /// The first batch syncs the new boot count, and nothing is sent before (R4).
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
        let base = stored.base.as_ref();
        let has_base = base.is_some();
        let synced = SyncedState::found(&stored);
        let beginning = base.map_or(Position::ZERO, |base| base.position);
        // That the log begins behind a hole does not show what is committed (R24).
        let committed = if stored.behind_hole {
            LogIndex::ZERO
        } else {
            beginning.index
        };
        let boot_count = (stored.boot_count + 1).min(BOOT_COUNT_MAX);
        let mut random = Random::with_seed(seed);
        let mut node = Self {
            context: NodeContext {
                run: RunId::new(boot_count, random.bits()),
                random,
                now,
                storage: stored.storage,
                boot_count,
                requests_made: 0,
                hard_state: stored.hard_state,
                log: TermIndex::new(beginning, stored.terms, stored.last.index),
                base: stored.base,
                changes: stored.changes,
                log_replacements: 0,
                lost_state: applied < beginning.index,
                block_at_start: stored.synced_block,
                synced_block: stored.synced_block,
                voter_disks: VoterDisks::default(),
                excluded_until: None,
                snapshot: None,
                commit_index: applied.max(committed),
                leader: KnownLeader::default(),
                synced,
                writes: Writes {
                    boot_count: Some(boot_count),
                    ..Writes::default()
                },
                awaiting_sync: Vec::new(),
                syncing: None,
                outgoing: Vec::new(),
                reports: Vec::new(),
                refusal_reported_until: now,
                config,
            },
            election: ElectionTimer::new(),
            fetch_size: TransferSize::of_fetch(),
            downloads: Downloads::new(),
            bootstrap: None,
            role: Role::Follower(Follower::default()),
        };
        // A crash between the first base and the term that came with it: no cluster is in term 0 (R12).
        if has_base && node.context.hard_state.term == Term(0) {
            let hard_state = HardState {
                term: Term(1),
                ..node.context.hard_state
            };
            node.context.set_hard_state(hard_state);
        }
        node.election.reset(&mut node.context);
        if node.context.is_uninitialized() {
            node.bootstrap = Bootstrap::prepare(&node.context);
        }
        // A single voter waits for no other (R2).
        if node.context.is_only_voter() {
            node.election.deadline = now;
        }
        node.check_invariants();
        node
    }

    /// The same node with the newest complete snapshot that its driver has, and with what it has of a
    /// download that was not finished (R24).
    #[must_use]
    pub fn with_snapshots(
        mut self,
        newest: Option<Snapshot>,
        partial: Option<PartialDownload>,
    ) -> Self {
        self.context.snapshot = newest.map(Box::new);
        self.downloads.partial = partial;
        self
    }

    /// Lets the node decide what follows from `input`.
    ///
    /// # Errors
    ///
    /// A [`Fault`] means that the protocol's promises no longer hold here or elsewhere; the node
    /// must not be used again.
    pub fn handle(&mut self, now: Time, input: Input) -> Result<(), Fault> {
        self.context.now = self.context.now.max(now);
        // What is late by now is late whatever comes next (R8).
        self.fire_timers();
        match input {
            Input::Request(request) => self.handle_request(request)?,
            Input::Reply(reply) => self.handle_reply(reply)?,
            Input::CallFailed(peer, request) => self.handle_call_failed(peer, request),
            Input::ConnectionRefused(peer) => self.handle_connection_refused(peer),
            Input::Synced(batch) => {
                let syncing = self.context.finish_sync(batch);
                self.count_own_vote();
                if let Role::Leader(leader) = &mut self.role {
                    leader.record_own_sync(self.context.now, syncing);
                    leader.advance_commit_index(&mut self.context);
                }
            }
            Input::Proposed(id, command) => match &mut self.role {
                Role::Leader(leader) => leader.handle_proposed(&mut self.context, id, command),
                Role::Follower(_) | Role::Candidate(_) => {
                    self.context.report(Report::ProposalRefused(id));
                }
            },
            Input::ReadRequested(id) => match &mut self.role {
                Role::Leader(leader) => leader.handle_read_requested(&self.context, id),
                Role::Follower(_) | Role::Candidate(_) => {
                    self.context.report(Report::ReadRefused(id));
                }
            },
            Input::TransferRequested => {
                if let Role::Leader(leader) = &mut self.role
                    && let Some(resignation) = leader.start_transfer(&self.context)
                {
                    self.resign(resignation);
                }
            }
            Input::MembershipRequested(next) => {
                let changed = match &mut self.role {
                    Role::Leader(leader) => leader.change_members(&mut self.context, *next),
                    Role::Follower(_) | Role::Candidate(_) => Err(MembershipRefusal::NotLeading),
                };
                if let Err(refusal) = changed {
                    self.context.report(Report::MembershipRefused(refusal));
                }
            }
            Input::SnapshotChanged(newest) => self.context.snapshot = newest,
            Input::Compacted(base) => self.context.compact(*base),
            Input::PieceStored(id, stored) => self.handle_piece_stored(id, stored),
            Input::DownloadFinished(snapshot, complete) => {
                self.handle_download_finished(snapshot, complete);
            }
            Input::StateInstalled(position, done) => self.handle_state_installed(position, done),
            Input::DeadlinePassed => {}
        }
        if !self.context.is_uninitialized() {
            self.bootstrap = None;
        }
        self.fire_timers();
        self.continue_download();
        let state = self.follower_state();
        if let Role::Follower(follower) = &mut self.role {
            follower.fetch_if_due(&mut self.context, &self.fetch_size, state);
        }
        self.check_invariants();
        Ok(())
    }

    /// What must be written next; `None` while a batch is being written or nothing is to be.
    pub fn take_batch(&mut self) -> Option<UnsyncedBatch> {
        self.context.take_batch()
    }

    /// Everything that was decided to be sent since the last call.
    pub fn take_outgoing(&mut self) -> Vec<Outgoing> {
        if let Role::Leader(leader) = &mut self.role {
            leader.start_read_round_if_wanted(&mut self.context);
        }
        core::mem::take(&mut self.context.outgoing)
    }

    /// Everything that was reported since the last call.
    pub fn take_reports(&mut self) -> Vec<Report> {
        core::mem::take(&mut self.context.reports)
    }

    /// What the node is to its cluster.
    pub fn role(&self) -> RoleName {
        match &self.role {
            Role::Leader(_) => RoleName::Leader,
            Role::Candidate(candidate) if candidate.is_pre_vote() => RoleName::PreCandidate,
            Role::Candidate(_) => RoleName::Candidate,
            Role::Follower(_) if self.is_removed() => RoleName::Removed,
            Role::Follower(_) if self.context.base.is_none() => RoleName::Uninitialized,
            Role::Follower(_) if !self.context.is_voter() => RoleName::Learner,
            Role::Follower(_) => RoleName::Follower,
        }
    }

    /// The highest term seen.
    pub fn term(&self) -> Term {
        self.context.hard_state.term
    }

    /// Whether this node leads `term`.
    pub fn leads(&self, term: Term) -> bool {
        matches!(self.role, Role::Leader(_)) && self.term() == term
    }

    /// Who leads the current term, as far as is known; this node itself included.
    pub fn leader(&self) -> Option<NodeId> {
        self.context.leader.id
    }

    /// Everything up to here is committed.
    pub fn commit_index(&self) -> LogIndex {
        self.context.commit_index
    }

    /// Everything up to here may be applied: committed, and on this node's own disk (R3). Nothing,
    /// while the state is lost (R24).
    pub fn apply_limit(&self) -> LogIndex {
        if self.context.lost_state {
            return LogIndex::ZERO;
        }
        self.context
            .commit_index
            .min(self.context.synced.last.index)
    }

    /// The log as accepted.
    pub fn log(&self) -> &TermIndex {
        &self.context.log
    }

    /// The newest entries of the log: those that no batch has taken yet.
    pub fn unbatched_entries(&self) -> &[Entry] {
        &self.context.writes.entries
    }

    /// The end of what is synced on this node's disk.
    pub fn synced_position(&self) -> Position {
        self.context.synced.last
    }

    /// The newest members that this log names, committed or not, once this node knows them (R19).
    pub fn membership(&self) -> Option<&Membership> {
        self.context.membership()
    }

    /// The members as of an index of the log, or of its base.
    pub fn membership_at(&self, index: LogIndex) -> Option<&Membership> {
        self.context.membership_at(index)
    }

    /// Where the log begins, once this disk has a base (R12).
    pub fn base(&self) -> Option<&LogBase> {
        self.context.base.as_ref()
    }

    /// The cluster that this disk belongs to, once it belongs to one (R12).
    pub fn cluster(&self) -> Option<ClusterId> {
        self.context.cluster()
    }

    /// Until this node holds its leader's log through here it neither votes nor campaigns nor
    /// counts, because its disk lost what it had acknowledged (R18); 0 when nothing was lost.
    pub fn repair_through(&self) -> LogIndex {
        self.context.hard_state.repair_through
    }

    /// This run, as the ids of this node's requests have it.
    pub fn run(&self) -> RunId {
        self.context.run
    }

    /// This node's disk.
    pub fn storage(&self) -> StorageId {
        self.context.storage
    }

    /// This node.
    pub fn id(&self) -> NodeId {
        self.context.id()
    }

    /// The header for a new request to `to`; also for requests that are not the protocol's own.
    pub fn new_request_header(&mut self, to: NodeId) -> Header {
        self.context.new_request_header(to)
    }

    /// The header for a reply to the request with `header`.
    pub fn reply_header(&self, header: &Header) -> Header {
        self.context.reply_header(header)
    }

    /// Whether this run's first write is synced: before, nothing at all may be sent (R4).
    pub fn has_started(&self) -> bool {
        self.context.has_started()
    }

    /// Enters a higher term as a follower that knows no leader. The election timer goes on: a term
    /// is no sign of a leader (R8).
    fn adopt_term(&mut self, term: Term) {
        let context = &self.context;
        assert!(
            term > context.hard_state.term || context.is_uninitialized(),
            "who may have voted never goes back to a lower term"
        );
        self.stop_leading();
        let context = &mut self.context;
        // A message that waits to be sent may show a term that is not durable any more then.
        context
            .awaiting_sync
            .retain(|outgoing| outgoing.header().term <= term);
        context.set_hard_state(HardState {
            term,
            vote: None,
            ..context.hard_state
        });
        context.leader.forget();
        context.leader.match_index = LogIndex::ZERO;
        self.become_follower();
    }

    fn become_follower(&mut self) {
        if !matches!(self.role, Role::Follower(_)) {
            self.election.reset(&mut self.context);
        }
        self.role = Role::Follower(Follower::default());
    }

    fn become_leader(&mut self) {
        self.election.fast_retries_left = 0;
        self.role = Role::Leader(Leader::start(&mut self.context));
    }

    /// Fetches from `leader`, the leader of this term, from here on.
    fn become_follower_of(&mut self, leader: NodeId) {
        let known = self.context.leader.id;
        // Another node may remember a leadership of this one that has ended (R2).
        if leader == self.context.id() || known == Some(leader) {
            return;
        }
        assert!(known.is_none(), "one leader is followed at a time");
        self.context.leader.id = Some(leader);
        self.election.fast_retries_left = 0;
        self.election.backed_off_for.clear();
        self.role = Role::Follower(Follower::default());
        self.election.reset(&mut self.context);
    }

    /// Follows the leader of this term that a peer names, unless this node knows one.
    fn accept_leader_hint(&mut self, leader: Option<NodeId>) {
        if let Some(leader) = leader
            && self.context.leader.id.is_none()
            && self.election.fast_retries_left == 0
        {
            self.become_follower_of(leader);
        }
    }

    /// Checks the claim of `from` to lead this term (R5).
    fn check_leader_claim(&mut self, from: NodeId) -> Result<(), Fault> {
        let known = &mut self.context.leader;
        if let Some(first) = known.id
            && first != from
        {
            if known.has_claimed && self.context.base.is_some() {
                return Err(Fault::TwoLeaders {
                    term: self.term(),
                    first,
                    second: from,
                });
            }
            // Named by another node, or claimed before the voters were known.
            known.forget();
            self.become_follower();
        }
        Ok(())
    }

    /// Stops leading by its own decision: no contact with a majority, its own disk too slow, or
    /// a transfer. The others receive that if they are reachable (R10, R17).
    fn resign(&mut self, resignation: Resignation) {
        let Resignation { successor } = resignation;
        for node in self.context.other_nodes() {
            self.context.request(node, Request::Resign { successor });
        }
        self.stop_leading();
        self.context.leader.forget();
        self.become_follower();
    }

    /// Completes every pending request of clients and followers; does nothing on a node that does
    /// not lead.
    fn stop_leading(&mut self) {
        if let Role::Leader(leader) = &mut self.role {
            leader.stop(&mut self.context);
        }
    }
}
