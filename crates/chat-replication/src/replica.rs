//! The replica: the node that decides, and around it what is persisted, sent, applied and
//! answered, in that order. Event-driven and without I/O: the simulator drives this very code.

mod applying;
mod autopilot;
mod changing_members;
mod dead_voters;
mod deadlines;
mod entry_cache;
mod fetch_responses;
mod leadership;
mod limits;
mod log_read;
mod machine;
mod members_changes;
mod proposals;
mod proposing;
mod publishing;
mod reading;
mod reads;
mod snapshots;
mod snapshotting;
mod start;
mod weights;

use std::collections::BTreeMap;

use chat_consensus::{
    Config, EntriesReply, Envelope, Fault, Header, Input, LogIndex, Node, NodeId, Outgoing, Report,
    RequestId, Stored, Time,
};

use crate::event::{Effect, Event, LogReadId, MakeReply, ReplicaStatus};
use crate::peer_message::{PeerReply, PeerRequest, consensus_reply};

use applying::Applying;
use entry_cache::EntryCache;
use leadership::Leadership;
use log_read::LogRead;
use members_changes::MembersChanges;
use proposals::Proposals;
use publishing::Publishing;
use reads::Reads;
use snapshots::Snapshots;

pub use autopilot::Autopilot;
pub use limits::Limits;
pub use start::Start;

/// How many entries a follower gets at once that is so far behind that they are read from the log. Making
/// them into a message takes time in which others wait; and it gets the next ones as soon as it has
/// synced these.
const FAR_BEHIND_ENTRIES_MAX: usize = 512;

/// One member of a replicated log, without its disk, network and clock.
///
/// Drive it so: pass everything that happens to [`Replica::handle`]; then carry out
/// [`Replica::take_effects`], in their order; then wait until something happens or
/// [`Replica::next_deadline`] has come. A [`Fault`] means: stop this replica, loudly.
#[derive(Debug)]
pub struct Replica<F> {
    node: Node,
    limits: Limits,
    entry_cache: EntryCache,
    proposals: Proposals<F>,
    reads: Reads,
    applying: Applying,
    publishing: Publishing,
    snapshots: Snapshots,
    members: MembersChanges,
    /// When dead voters become learners; never without it (R21).
    autopilot: Option<Autopilot>,
    watch: autopilot::Watch,
    /// Who led when the waiting proposals and reads were last tried.
    known_leadership: Leadership,
    /// What each read of the log is for: one for each follower at most, and one to apply.
    log_reads: BTreeMap<LogReadId, LogRead>,
    /// The answer to each follower's newest fetch that waits for the read before it. A newer one
    /// takes its place: the follower has given up the older.
    waiting_log_reads: BTreeMap<NodeId, (EntriesReply, usize)>,
    log_reads_made: u64,
    elections_won: u64,
    now: Time,
    effects: Vec<Effect>,
}

impl<F: MakeReply> Replica<F> {
    /// A replica that has just started: with what its log held, and the index up to which its
    /// state machine has applied it. `seed` should differ at every start.
    pub fn new(config: Config, stored: Stored, applied: LogIndex, start: Start) -> Self {
        let last = stored.last.index;
        let node = Node::new(config, stored, applied, start.seed, start.now);
        Self {
            node: node.with_snapshots(start.snapshots.last().cloned(), start.partial),
            snapshots: Snapshots::new(&start, applied),
            limits: start.limits,
            members: MembersChanges::default(),
            autopilot: start.autopilot,
            watch: autopilot::Watch::default(),
            entry_cache: EntryCache::new(last, start.limits),
            proposals: Proposals::default(),
            reads: Reads::default(),
            applying: Applying::new(applied),
            publishing: Publishing::new(applied, start.now),
            known_leadership: Leadership::default(),
            log_reads: BTreeMap::new(),
            waiting_log_reads: BTreeMap::new(),
            log_reads_made: 0,
            elections_won: 0,
            now: start.now,
            effects: Vec::new(),
        }
    }

    /// Lets the replica decide what follows from `event`.
    ///
    /// # Errors
    ///
    /// A [`Fault`]: the replica must not be used again.
    pub fn handle(&mut self, now: Time, event: Event<F>) -> Result<(), Fault> {
        self.now = self.now.max(now);
        match event {
            Event::Request(request) => self.handle_request(request)?,
            Event::Reply(reply) => self.handle_reply(reply)?,
            Event::CallFailed(peer, request) => self.handle_call_failed(peer, request)?,
            Event::CallNotSent(peer, request) => {
                self.refuse_unsent_proposal(request);
                self.handle_call_failed(peer, request)?;
            }
            Event::ConnectionRefused(peer) => self.step(Input::ConnectionRefused(peer))?,
            Event::Synced(batch) => self.step(Input::Synced(batch))?,
            Event::EntriesRead(id, entries) => self.handle_entries_read(id, entries),
            Event::Applied(answers) => self.handle_applied(answers),
            Event::Published => self.handle_published(),
            Event::Propose {
                ticket,
                request,
                deadline,
            } => self.handle_propose(ticket, request, deadline)?,
            Event::ProposalAbandoned(ticket) => self.abandon_proposal(ticket),
            Event::Prepared(id, prepared) => self.handle_prepared(id, prepared)?,
            Event::Read { ticket, deadline } => self.handle_read(ticket, deadline)?,
            Event::ReadAbandoned(ticket) => self.abandon_read(ticket),
            Event::SnapshotTaken(taken) => self.handle_snapshot_taken(taken)?,
            Event::Compacted(base) => self.handle_compacted(base)?,
            Event::PieceRead(id, bytes) => self.handle_piece_read(id, bytes)?,
            Event::PieceStored(id, stored) => self.step(Input::PieceStored(id, stored))?,
            Event::DownloadFinished(snapshot, complete) => {
                self.handle_download_finished(snapshot, complete)?;
            }
            Event::StateInstalled(installed) => self.handle_state_installed(installed)?,
            Event::TransferLeadership => self.step(Input::TransferRequested)?,
            Event::ChangeMembers(ticket, edit) => self.handle_change_members(ticket, &edit)?,
            Event::DeadlinePassed => self.step(Input::DeadlinePassed)?,
        }
        self.run_autopilot()?;
        self.fire_proposal_timers()?;
        self.fire_read_timers()?;
        self.retry_if_leadership_changed()
    }

    /// What is to be done now. Call it after one or several calls of [`Replica::handle`]: what
    /// happened together is written and sent together. Preparations are handed out first and alone,
    /// so that commands that are ready at once are written with the rest; after them call it again.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        if let Some(preparations) = self.proposals.take_preparations() {
            return preparations;
        }
        let outgoing = self.node.take_outgoing();
        // Filled before the batch is taken: the newest entries are still the node's.
        for outgoing in outgoing {
            self.send_outgoing(outgoing);
        }
        self.apply_node_reports();
        if let Some(batch) = self.node.take_batch() {
            if let Some(last) = batch.writes().truncate_after {
                let applied = self.applied_index();
                assert!(last >= applied, "what was applied is never truncated (R11)");
            }
            self.entry_cache.follow(batch.writes());
            self.effects.push(Effect::Persist(batch));
        }
        self.complete_committed_changes();
        self.complete_ready_reads();
        self.look_after_snapshots();
        self.publish_if_due();
        self.apply_more();
        std::mem::take(&mut self.effects)
    }

    /// Ends the requests of clients and peers that were not appended, because the replica is shut
    /// down: the last effects, after which it must not be used again.
    pub fn shut_down(&mut self) -> Vec<Effect> {
        self.refuse_unappended_proposals();
        std::mem::take(&mut self.effects)
    }

    /// When [`Event::DeadlinePassed`] is due, if nothing else happens before.
    pub fn next_deadline(&self) -> Time {
        let clients = self
            .proposals
            .next_deadline()
            .min(self.reads.next_deadline());
        let machine = if self.is_machine_busy() {
            Time::NEVER
        } else {
            self.applying.deadline().min(self.publish_deadline())
        };
        let snapshots = self
            .snapshots
            .deadline(self.now, self.limits.snapshot_pinned);
        let others = clients
            .min(machine)
            .min(snapshots)
            .min(self.autopilot_deadline());
        self.node.next_deadline().min(others)
    }

    /// The node that decides, for checkers and status.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Whether a command prepared now may be appended here.
    pub fn is_leading(&self) -> bool {
        self.node.leads(self.node.term())
    }

    /// Whether the outcome of a proposal is still awaited here.
    pub fn has_pending_proposals(&self) -> bool {
        self.proposals.has_pending()
    }

    /// Everything up to here is applied.
    pub fn applied_index(&self) -> LogIndex {
        self.applying.applied()
    }

    /// What this replica knows of itself and its cluster.
    pub fn status(&self) -> ReplicaStatus {
        ReplicaStatus {
            role: self.node.role(),
            term: self.node.term(),
            leader: self.node.leader(),
            last: self.node.log().last().index,
            committed: self.node.commit_index(),
            applied: self.applied_index(),
            repair_through: self.node.repair_through(),
            log_begins: self.node.log().base().index,
            snapshot: self
                .snapshots
                .newest()
                .map(|newest| newest.base.position.index),
            lost_state: self.node.has_lost_state(),
            download: self.download_progress(),
            bootstrap_awaits: self.node.bootstrap_awaits(),
            counted_voters: self.node.counted_voters(),
            quorum: self.node.quorum(),
            followers: self.node.followers(),
            membership: self.node.membership().cloned(),
            committed_membership: self.node.membership_at(self.node.commit_index()).cloned(),
            elections_won: self.elections_won,
            at: self.now,
        }
    }

    fn step(&mut self, input: Input) -> Result<(), Fault> {
        self.node.handle(self.now, input)?;
        self.apply_node_reports();
        Ok(())
    }

    fn handle_request(&mut self, request: Envelope<PeerRequest>) -> Result<(), Fault> {
        let Envelope { header, message } = request;
        match message {
            PeerRequest::Consensus(message) => {
                self.step(Input::Request(Envelope { header, message }))
            }
            PeerRequest::ReadIndex => self.handle_read_index(&header),
            PeerRequest::Propose { request } => {
                self.handle_forwarded_proposal(header, request);
                Ok(())
            }
        }
    }

    fn handle_reply(&mut self, reply: Envelope<PeerReply>) -> Result<(), Fault> {
        let Envelope { header, message } = reply;
        match message {
            PeerReply::Consensus(message) => self.step(Input::Reply(Envelope { header, message })),
            PeerReply::Propose(outcome) => {
                self.handle_propose_reply(header.request, outcome);
                Ok(())
            }
            PeerReply::ReadIndex(index) => {
                self.handle_read_index_reply(header.request, index);
                Ok(())
            }
        }
    }

    fn handle_call_failed(&mut self, peer: NodeId, request: RequestId) -> Result<(), Fault> {
        self.fail_forwarded_proposal(request);
        self.fail_forwarded_read(request);
        self.step(Input::CallFailed(peer, request))
    }

    fn send_outgoing(&mut self, outgoing: Outgoing) {
        match outgoing {
            Outgoing::Request(request) => {
                let request = request.map(PeerRequest::Consensus);
                self.effects.push(Effect::Call(request));
            }
            Outgoing::Reply(reply) => self.effects.push(Effect::Reply(consensus_reply(reply))),
            Outgoing::Entries(reply) => {
                let bytes_max = usize::try_from(reply.bytes_max()).unwrap_or(usize::MAX);
                self.serve(reply, bytes_max);
            }
            Outgoing::Piece(piece) => self.serve_piece(piece),
        }
    }

    fn apply_node_reports(&mut self) {
        for report in self.node.take_reports() {
            self.members.note(&report);
            match report {
                Report::Appended(id, position) => self.proposals.record_appended(id, position),
                Report::ProposalRefused(id) => self.refuse_offered_proposal(id),
                Report::ReadConfirmed(id, index) => self.handle_read_confirmed(id, index),
                Report::ReadRefused(id) => self.handle_read_refused(id),
                Report::BecameLeader(_) => self.elections_won += 1,
                Report::SteppedDown(_) => {
                    self.fail_uncommitted_proposals();
                    self.fail_uncommitted_changes();
                }
                Report::FollowerRolledBack(..)
                | Report::PeerForgot { .. }
                | Report::RolledBack { .. }
                | Report::LeaderClaimRefused(_)
                | Report::TermTooFarAhead(..)
                | Report::DisksAlternate(_)
                | Report::DiskIsSlow { .. }
                | Report::MembershipAppended(..)
                | Report::MembershipRefused(_)
                | Report::NotMember
                | Report::DownloadBegun { .. } => self.effects.push(Effect::Warn(report)),
                Report::SnapshotWanted(_, index) => self.want_snapshot(index),
                Report::StorePiece { id, offset, bytes } => self.effects.push(Effect::StorePiece {
                    snapshot: id,
                    offset,
                    bytes,
                }),
                Report::FinishDownload(snapshot) => {
                    self.effects.push(Effect::FinishDownload(*snapshot));
                }
                Report::DownloadDropped(id) => self.effects.push(Effect::DropDownload(id)),
                Report::StateWanted(snapshot) => self.install_when_idle(*snapshot),
            }
        }
    }

    /// Reads of the log share the disk with what must be written: at most one for each follower is
    /// under way.
    fn read_log_for_follower(
        &mut self,
        answer: EntriesReply,
        bytes_max: usize,
        after: LogIndex,
        last: LogIndex,
    ) {
        let follower = answer.follower();
        let for_it =
            |read: &LogRead| matches!(read, LogRead::Serve(other) if other.follower() == follower);
        if self.log_reads.values().any(for_it) {
            self.waiting_log_reads.insert(follower, (answer, bytes_max));
        } else {
            self.read_log(LogRead::Serve(answer), after, last, bytes_max);
        }
    }

    fn read_log(&mut self, purpose: LogRead, after: LogIndex, last: LogIndex, bytes_max: usize) {
        self.log_reads_made += 1;
        let id = LogReadId(self.log_reads_made);
        let entries_max = match purpose {
            LogRead::Serve(_) => FAR_BEHIND_ENTRIES_MAX.min(self.limits.batch_entries_max),
            LogRead::Apply => self.limits.batch_entries_max,
        };
        self.log_reads.insert(id, purpose);
        self.effects.push(Effect::ReadEntries {
            id,
            after,
            last,
            entries_max,
            bytes_max,
        });
    }

    fn handle_entries_read(&mut self, id: LogReadId, entries: Vec<chat_consensus::Entry>) {
        match self.log_reads.remove(&id) {
            Some(LogRead::Serve(answer)) => {
                let follower = answer.follower();
                self.serve_read_entries(answer, entries);
                if let Some((newer, bytes_max)) = self.waiting_log_reads.remove(&follower) {
                    self.serve(newer, bytes_max);
                }
            }
            Some(LogRead::Apply) => self.apply_read_entries(entries),
            None => {}
        }
    }

    /// Who leads, as far as this node knows.
    fn leadership(&self) -> Leadership {
        Leadership {
            term: self.node.term(),
            leader: self.node.leader(),
        }
    }

    /// Whether the state machine applies, publishes or installs a state: it does one of them at a time.
    fn is_machine_busy(&self) -> bool {
        self.applying.is_under_way()
            || self.publishing.is_under_way()
            || self.snapshots.installing.is_some()
    }

    fn other_leader(&self) -> Option<NodeId> {
        let leader = self.node.leader();
        leader.filter(|leader| *leader != self.node.id())
    }

    /// What waits for a leader is tried again.
    fn retry_if_leadership_changed(&mut self) -> Result<(), Fault> {
        let known = self.leadership();
        if known != self.known_leadership {
            self.known_leadership = known;
            self.retry_proposals(known)?;
            self.retry_reads(known)?;
        }
        Ok(())
    }

    /// Whether a request that is not the protocol's own comes from a member of our cluster, to us.
    fn is_from_own_cluster(&self, header: &Header) -> bool {
        let cluster = self.node.cluster();
        header.to == self.node.id()
            && cluster.is_some()
            && header.cluster == cluster
            && self.node.may_be_member(header.from)
    }

    fn reply(&mut self, to: &Header, message: PeerReply) {
        if !self.node.has_started() {
            // Nothing at all is sent before the start is durable (R4); the asker's call fails.
            return;
        }
        let header = self.node.reply_header(to);
        self.effects
            .push(Effect::Reply(Envelope { header, message }));
    }
}
