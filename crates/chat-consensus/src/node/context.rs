//! What a node has in every role: its configuration and identity, the persistent state, the terms of
//! the log, what it knows of the term's leader, and what it has decided to write, send and report.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::time::Duration;

use crate::batch::{SyncedState, Writes};
use crate::config::Config;
use crate::entry::{Entry, HardState, LogBase, MembershipChange};
use crate::input::{Fault, Report};
use crate::membership::Membership;
use crate::message::{Envelope, GetCommitsReply, GetSnapshot, Header, Reply, Request};
use crate::node::voter_disks::VoterDisks;
use crate::outgoing::{Outgoing, PieceReply};
use crate::random::Random;
use crate::snapshot::Snapshot;
use crate::term_index::TermIndex;
use crate::types::{
    BlockNumber, ClusterId, LogIndex, NodeId, Position, RequestId, RunId, StorageId, Time, Voter,
};

/// See the file's first lines.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct NodeContext {
    pub(super) config: Config,
    pub(super) random: Random,
    /// The greatest time that was ever passed in.
    pub(super) now: Time,
    pub(super) storage: StorageId,
    /// How often the disk was started; the part of the run's id that orders runs (R4).
    pub(super) boot_count: u64,
    /// This run; a part of every request id (R4).
    pub(super) run: RunId,
    pub(super) requests_made: u64,

    /// Term and vote as decided; what of it is on the disk is in `synced`.
    pub(super) hard_state: HardState,
    /// The log as accepted; what of it is on the disk is in `synced`.
    pub(super) log: TermIndex,
    /// Where the log begins, once this disk has a base (R12).
    pub(super) base: Option<LogBase>,
    /// The changes of the members in the log, ascending; all but the newest are committed (R19).
    pub(super) changes: Vec<MembershipChange>,
    /// How often the log was replaced by a snapshot's base in this run (R24).
    pub(super) log_replacements: u64,
    /// The state ends before the log begins: nothing is applied until a snapshot is installed (R24).
    pub(super) lost_state: bool,
    /// The number of the newest synced block that the start found, and the one of now (R18).
    pub(super) block_at_start: BlockNumber,
    pub(super) synced_block: BlockNumber,
    /// What is remembered of the other voters' disks.
    pub(super) voter_disks: VoterDisks,
    /// Another node has answered that this one is no member, and no fetch was answered otherwise since: it
    /// does not campaign before then (R19).
    pub(super) excluded_until: Option<Time>,
    /// The newest complete snapshot of this node.
    pub(super) snapshot: Option<Box<Snapshot>>,
    /// Never moves back (R3).
    pub(super) commit_index: LogIndex,
    pub(super) leader: KnownLeader,

    /// What the disk holds for certain; moved by `SyncedBatch` alone (R1).
    pub(super) synced: SyncedState,
    /// Decided and not yet taken.
    pub(super) writes: Writes,
    /// Messages that must not leave before `writes` are synced (R1).
    pub(super) awaiting_sync: Vec<Outgoing>,
    /// The batch that is being written.
    pub(super) syncing: Option<Syncing>,

    pub(super) outgoing: Vec<Outgoing>,
    pub(super) reports: Vec<Report>,
    /// When the next refused message may be reported.
    pub(super) refusal_reported_until: Time,
}

/// What a node knows of the leader of its term.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct KnownLeader {
    /// Who it is; on a leader this node itself.
    pub(super) id: Option<NodeId>,
    /// `id` has claimed the term itself, or answered as its leader; otherwise another node named
    /// it (R5).
    pub(super) has_claimed: bool,
    /// As a follower: the last entry that a reply of this term has matched (R3).
    pub(super) match_index: LogIndex,
    /// The voters that the last known leader does not count.
    pub(super) uncounted: Vec<NodeId>,
}

/// What is known of a batch while it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Syncing {
    pub(super) since: Time,
    /// It holds entries, so that its time shows how fast the disk is for them (R10).
    pub(super) has_entries: bool,
}

impl KnownLeader {
    /// Forgets who leads, not what has matched.
    pub(super) fn forget(&mut self) {
        self.id = None;
        self.has_claimed = false;
    }
}

impl NodeContext {
    pub(super) fn id(&self) -> NodeId {
        self.config.node
    }

    pub(super) fn cluster(&self) -> Option<ClusterId> {
        self.hard_state.cluster
    }

    /// Whether this disk has neither a base nor a cluster, and forgot neither as far as is known: it
    /// has promised nothing (R12, R18).
    pub(super) fn is_uninitialized(&self) -> bool {
        self.hard_state.cluster.is_none() && self.is_complete()
    }

    /// The newest members that the log names, committed or not, once this node knows them. All
    /// counting is by these (R19).
    pub(super) fn membership(&self) -> Option<&Membership> {
        self.membership_after(self.changes.len())
    }

    /// The members before the newest ones, while it is not known that those are committed. These are
    /// (R19).
    pub(super) fn previous_membership(&self) -> Option<&Membership> {
        let newest = self.changes.last()?;
        let before = self.membership_after(self.changes.len() - 1);
        before.filter(|_| newest.index > self.commit_index)
    }

    /// The members as of an index of the log, or of its base.
    pub(super) fn membership_at(&self, index: LogIndex) -> Option<&Membership> {
        self.membership_after(self.changes.partition_point(|change| change.index <= index))
    }

    /// The members after so many of the changes.
    fn membership_after(&self, changes: usize) -> Option<&Membership> {
        match changes.checked_sub(1) {
            Some(newest) => Some(&self.changes[newest].membership),
            None => self.base.as_ref().map(|base| &base.membership),
        }
    }

    /// The newest members, and those before while the newest may be undone (R19).
    fn possible_memberships(&self) -> impl Iterator<Item = &Membership> {
        let possible = [self.membership(), self.previous_membership()];
        possible.into_iter().flatten()
    }

    /// Whether a disk is a voter of the newest members, or of those before while the newest may be undone
    /// (R19).
    fn may_count(&self, voter: Voter) -> bool {
        self.possible_memberships()
            .any(|members| members.admits(voter.node, voter.storage))
    }

    /// The voters of the newest members; empty before they are known.
    pub(super) fn voters(&self) -> &[Voter] {
        self.membership()
            .map_or(&[], |membership| &membership.voters)
    }

    /// How many voters must agree; impossible to reach without a base.
    pub(super) fn majority(&self) -> usize {
        self.membership().map_or(usize::MAX, Membership::majority)
    }

    /// This node with its disk.
    pub(super) fn own_voter(&self) -> Voter {
        Voter {
            node: self.id(),
            storage: self.storage,
        }
    }

    pub(super) fn is_voter(&self) -> bool {
        self.admits(self.id(), self.storage)
    }

    pub(super) fn is_only_voter(&self) -> bool {
        *self.voters() == [self.own_voter()]
    }

    /// Whether this node may campaign: its disk is a voter of the newest members, or of those before while the
    /// newest may be undone; it is complete, and has the state (R18, R19, R24).
    pub(super) fn may_campaign(&self) -> bool {
        self.may_count(self.own_voter()) && self.is_complete() && !self.lost_state
    }

    /// Whether this disk lost nothing that it had acknowledged, as far as is known (R18).
    pub(super) fn is_complete(&self) -> bool {
        self.hard_state.repair_through == LogIndex::ZERO
    }

    /// Whether `node` counts in quorums with the disk that its message showed (R12).
    pub(super) fn admits(&self, node: NodeId, storage: StorageId) -> bool {
        self.membership()
            .is_some_and(|membership| membership.admits(node, storage))
    }

    /// The other nodes that this one talks to, ascending: those of the newest members, and of those before
    /// while the newest may be undone (R19). The configured ones while it knows no members.
    pub(super) fn other_nodes(&self) -> Vec<NodeId> {
        let mut nodes: BTreeSet<NodeId> = self
            .possible_memberships()
            .flat_map(Membership::nodes)
            .collect();
        if self.base.is_none() {
            nodes.extend(&self.config.configured);
        }
        nodes.remove(&self.id());
        nodes.into_iter().collect()
    }

    /// Whether a node is one of those members; any node is, while this one knows no members.
    pub(super) fn may_be_member(&self, node: NodeId) -> bool {
        self.base.is_none()
            || self
                .possible_memberships()
                .any(|members| members.names(node))
    }

    /// Whether `node` left the cluster, which is committed: it never returns (R19). What is behind a hole need not
    /// be committed (R24).
    pub(super) fn has_removed(&self, node: NodeId) -> bool {
        let committed = self.membership_at(self.commit_index);
        let committed = committed.filter(|_| self.commit_index >= self.log.base().index);
        committed.is_some_and(|members| members.has_removed(node))
    }

    pub(super) fn other_voters(&self) -> Vec<Voter> {
        let voters = self.voters().iter().copied();
        voters.filter(|voter| voter.node != self.id()).collect()
    }

    pub(super) fn new_request_header(&mut self, to: NodeId) -> Header {
        self.requests_made += 1;
        let request = RequestId {
            start: self.run,
            number: self.requests_made,
        };
        let voter = self.membership().and_then(|members| members.voter(to));
        Header {
            to_storage: voter.map(|voter| voter.storage),
            ..self.header(to, request)
        }
    }

    pub(super) fn reply_header(&self, header: &Header) -> Header {
        self.header(header.from, header.request)
    }

    fn header(&self, to: NodeId, request: RequestId) -> Header {
        Header {
            cluster: self.cluster(),
            term: self.hard_state.term,
            from: self.id(),
            to,
            storage: self.storage,
            to_storage: None,
            request,
        }
    }

    /// Sends a new request as soon as the term it shows is durable (R1).
    pub(super) fn request(&mut self, to: NodeId, message: Request) -> RequestId {
        let header = self.new_request_header(to);
        self.send(Outgoing::Request(Envelope { header, message }));
        header.request
    }

    /// Replies to a request as soon as the term and the vote it shows are durable (R1).
    pub(super) fn reply(&mut self, to: &Header, message: Reply) {
        let header = self.reply_header(to);
        self.send(Outgoing::Reply(Envelope { header, message }));
    }

    /// Replies with a piece of a snapshot, if the driver has it (R24).
    pub(super) fn serve_piece(&mut self, to: &Header, wanted: GetSnapshot) {
        let reply = PieceReply {
            header: self.reply_header(to),
            wanted,
            leads: self.leader.id == Some(self.id()),
        };
        self.send(Outgoing::Piece(reply));
    }

    /// Replies to a fetch that this node does not serve.
    pub(super) fn reject_fetch(&mut self, header: &Header) {
        let leader = self.leader.id;
        let rejection = GetCommitsReply::NotLeading { leader };
        self.reply(header, Reply::GetCommits(rejection));
    }

    /// Records what a request shows of its sender's disk. Returns the higher block number of an earlier
    /// run, if that disk has forgotten (R18).
    pub(super) fn record_disk(
        &mut self,
        header: &Header,
        synced_block: BlockNumber,
    ) -> Option<BlockNumber> {
        let (voter, run) = (header.sender(), header.request.start);
        let mut disks = core::mem::take(&mut self.voter_disks);
        // What is undone must not have made a disk forgotten.
        let remembered = disks.record(voter, run, synced_block, |voter| self.may_count(voter));
        self.voter_disks = disks;
        remembered
    }

    /// `remembered` was the reply to the fetch under way to the leader, or to a request for a vote of
    /// this attempt: then this disk has forgotten if it began this run with fewer blocks (R18). Whether
    /// the members that this log names have that node does not matter: they may be old (R19).
    pub(super) fn check_memory_of_peer(
        &self,
        header: &Header,
        remembered: BlockNumber,
    ) -> Result<(), Fault> {
        let found = self.block_at_start;
        let known = self.synced_block > BlockNumber::UNKNOWN;
        if known && remembered > found {
            return Err(Fault::DiskForgot {
                peer: header.from,
                remembered,
                found,
            });
        }
        Ok(())
    }

    pub(super) fn report(&mut self, report: Report) {
        self.reports.push(report);
    }

    /// Adds an entry at the end of the log.
    pub(super) fn append(&mut self, entry: Entry) {
        assert!(self.base.is_some(), "a log begins with a base (R12)");
        self.log.append(entry.position);
        self.changes.extend(MembershipChange::of(&entry));
        self.writes.entries.push(entry);
    }

    /// Begins the log of a disk that has no base (R12).
    pub(super) fn install_base(&mut self, base: LogBase) {
        assert!(self.base.is_none(), "a disk gets one base (R12)");
        let cluster = base.membership.cluster;
        let own = self.hard_state.cluster.replace(cluster);
        assert!(
            own.is_none_or(|own| own == cluster),
            "a disk belongs to one cluster (R12)"
        );
        if own.is_none() {
            self.set_hard_state(self.hard_state);
        }
        self.log = TermIndex::new(base.position, Vec::new(), base.position.index);
        self.changes.clear();
        self.writes.base = Some(Box::new(base.clone()));
        self.base = Some(base);
    }

    /// Begins the log at the base of a snapshot, whatever it held (R24). The state there is to be
    /// installed.
    pub(super) fn replace_log(&mut self, base: LogBase) {
        self.writes.truncate_after = None;
        self.writes.entries.clear();
        self.base = None;
        self.log_replacements += 1;
        self.lost_state = true;
        self.install_base(base);
    }

    /// Whether `position`, or that of the log's base, and all before it is synced.
    pub(super) fn is_synced_through(&self, position: Position) -> bool {
        // Before the first sync of a run what it found may still be lost (R4).
        self.has_started()
            && self.synced.log_replacements == self.log_replacements
            && self.synced.has_base == self.base.is_some()
            && self.synced.last.index >= position.index
    }

    /// The log begins at `base` from here on; what was before it is applied and in a snapshot (R24).
    pub(super) fn compact(&mut self, base: LogBase) {
        let position = base.position;
        if position.index <= self.log.base().index {
            // The log was replaced meanwhile, or nothing could be removed.
            return;
        }
        assert!(
            position.index <= self.commit_index && self.is_synced_through(position),
            "only what is committed and synced is compacted (R24)"
        );
        assert!(!self.lost_state, "a log without its state is not compacted");
        assert!(
            self.membership_at(position.index) == Some(&base.membership),
            "a base has the members as of its position (R19)"
        );
        self.changes.retain(|change| change.index > position.index);
        self.log.compact(position);
        self.base = Some(base);
    }

    /// Removes all entries after `last` (R11).
    pub(super) fn truncate_after(&mut self, last: Position) {
        assert!(
            self.writes.entries.is_empty(),
            "a fetch is sent only when all is synced"
        );
        self.log.truncate_after(last.index);
        self.changes.retain(|change| change.index <= last.index);
        self.writes.truncate_after = Some(last.index);
    }

    /// Moves the commit index forward, never back (R3).
    pub(super) fn raise_commit_index(&mut self, index: LogIndex) {
        self.commit_index = self.commit_index.max(index);
    }

    /// Sets term, vote or repair; durable before any message that shows it (R1).
    pub(super) fn set_hard_state(&mut self, hard_state: HardState) {
        self.hard_state = hard_state;
        self.writes.hard_state = Some(hard_state);
    }

    /// Continues as a run that comes after all that this disk has shown: its boot count was rolled
    /// back (R18). Nothing is sent before the new boot count is durable (R4).
    pub(super) fn start_run_after(&mut self, shown: u64) {
        self.boot_count = shown + 1;
        self.run = RunId::new(self.boot_count, self.random.bits());
        self.writes.boot_count = Some(self.boot_count);
    }

    pub(super) fn random_between(&mut self, least: Duration, most: Duration) -> Duration {
        self.random.between(least, most)
    }
}
