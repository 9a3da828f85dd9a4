//! A leader: the log's end, the commit index, heartbeats, and when it stops (R3, R6, R9, R10).
//! Replies to fetches are in `fetch_service`, reads in `read_rounds`.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use crate::entry::{Entry, Payload};
use crate::input::{ProposalId, Report};
use crate::message::{Header, Heartbeat, HeartbeatReply, Request};
use crate::node::context::NodeContext;
use crate::node::disks_seen::DisksSeen;
use crate::node::progress::{PendingFetch, Progress};
use crate::node::readmissions::Readmissions;
use crate::node::reads::Reads;
use crate::node::sync_samples::Samples;
use crate::quorum::majority_value;
use crate::status::FollowerStatus;
use crate::types::{LogIndex, NodeId, Position, Time};

/// So many times of sending are kept, at most four in a heartbeat interval: far more than
/// fit into a check-quorum interval.
const HEARTBEAT_SEND_TIMES_MAX: usize = 64;

/// What only a leader has.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Leader {
    /// The term's first entry: nothing is committed before a majority holds it (R3).
    pub(super) term_start: LogIndex,
    /// One for every other node of the newest members, and of those before while the newest may be undone: of
    /// its admitted disk, as far as it is known.
    pub(super) followers: BTreeMap<NodeId, Progress>,
    /// Those that fetch with another disk than the admitted one, apart from it: neither may change
    /// what is known of the other (R4, R12).
    pub(super) learners: BTreeMap<NodeId, Progress>,
    /// Which disks each of them has shown.
    pub(super) disks: BTreeMap<NodeId, DisksSeen>,
    /// What decides when a node becomes a voter again (R20).
    pub(super) readmissions: Readmissions,
    pub(super) heartbeat_at: Time,
    /// The quorum is not lost before this; then it is looked at again. Progress only moves forward,
    /// so the moment at which it is lost does, too (R10).
    pub(super) quorum_held_until: Time,
    /// When this leader announces itself again to nodes that do not fetch (R9). Apart from the
    /// heartbeats: read rounds put those off.
    pub(super) announce_at: Time,
    pub(super) reads: Reads,
    /// When a leadership transfer is completed whether or not the successor has everything.
    pub(super) transfer_deadline: Option<Time>,
    /// The number of the first request that was made at or after each of these times, ascending:
    /// shows when an echoed heartbeat was sent, or a time a little earlier (R10).
    heartbeat_send_times: VecDeque<(u64, Time)>,
    /// How long its own batches with entries took to sync (R10).
    pub(super) own_syncs: Samples,
    /// Since when entries wait and nothing was committed (R24).
    pub(super) commit_awaited_since: Option<Time>,
    /// Since when the cluster waits for its own disk (R10).
    pub(super) slow_since: Option<Time>,
    /// A successor must sync faster than this: it is chosen for its disk (R10).
    pub(super) successor_syncs_below: Option<Duration>,
}

/// A leader's decision to stop leading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Resignation {
    /// Starts an election at once.
    pub(super) successor: Option<NodeId>,
}

impl Leader {
    /// Starts to lead: with a no-op entry (R3) and an announcement to every node (R9).
    pub(super) fn start(context: &mut NodeContext) -> Self {
        assert!(context.may_campaign(), "only a voter is elected");
        let others = context.other_nodes();
        let term = context.hard_state.term;
        let term_start = context.log.last().index.next();
        let progress = |node: &NodeId| (*node, Progress::new(context.now));
        let followers = others.iter().map(progress).collect();
        let next = context.now + context.config.timing.heartbeat_interval;
        context.leader.id = Some(context.id());
        context.leader.has_claimed = true;
        context.report(Report::BecameLeader(term));
        context.append(Entry {
            position: Position {
                term,
                index: term_start,
            },
            payload: Payload::Empty,
        });
        for node in others {
            context.request(node, Request::Coordinator);
        }
        Self {
            term_start,
            followers,
            learners: BTreeMap::new(),
            disks: BTreeMap::new(),
            readmissions: Readmissions::new(term_start),
            heartbeat_at: next,
            quorum_held_until: context.now,
            announce_at: next,
            reads: Reads::default(),
            transfer_deadline: None,
            heartbeat_send_times: VecDeque::new(),
            own_syncs: Samples::default(),
            commit_awaited_since: Some(context.now),
            slow_since: None,
            successor_syncs_below: None,
        }
    }

    /// Fails the reads and rejects the fetches that wait for this leader.
    pub(super) fn stop(&mut self, context: &mut NodeContext) {
        let reads = core::mem::take(&mut self.reads);
        let all = self.all_mut();
        let pending: Vec<PendingFetch> = all.filter_map(|p| p.pending_fetch.take()).collect();
        context.leader.forget();
        for fetch in pending {
            context.reject_fetch(&fetch.header);
        }
        reads.fail(context);
        context.report(Report::SteppedDown(context.hard_state.term));
    }

    fn all(&self) -> impl Iterator<Item = &Progress> {
        self.followers.values().chain(self.learners.values())
    }

    pub(super) fn all_mut(&mut self) -> impl Iterator<Item = &mut Progress> {
        self.followers
            .values_mut()
            .chain(self.learners.values_mut())
    }

    /// What is known of the sender with the disk that its message showed.
    pub(super) fn progress_mut(
        &mut self,
        header: &Header,
        admitted: bool,
        now: Time,
    ) -> Option<&mut Progress> {
        let follower = self.followers.get_mut(&header.from)?;
        if admitted {
            follower.storage = Some(header.storage);
            follower.admitted = true;
            follower.received_at = now;
            return Some(follower);
        }
        let new = || Progress::of_disk(header.storage, now);
        let learner = self.learners.entry(header.from).or_insert_with(new);
        if learner.storage != Some(header.storage) {
            *learner = new();
        }
        Some(learner)
    }

    /// Of the two disks of one node, its admitted one (`follower`) and another, the one that
    /// fetches.
    fn disk_shown_last<'a>(&'a self, node: NodeId, follower: &'a Progress) -> &'a Progress {
        let learner = self.learners.get(&node);
        let learner = learner.filter(|learner| learner.last_fetch > follower.last_fetch);
        learner.unwrap_or(follower)
    }

    /// Records the disk that a fetch has shown; returns whether it alternates with another one.
    pub(super) fn record_disk(&mut self, header: &Header, now: Time, pause: Duration) -> bool {
        let disks = self.disks.entry(header.from).or_default();
        disks.record(header.storage, now, pause)
    }

    /// Whether two disks of `node` fetch alternately.
    pub(super) fn disks_alternate(&self, node: NodeId, now: Time, pause: Duration) -> bool {
        let disks = self.disks.get(&node);
        disks.is_some_and(|disks| disks.alternate(now, pause))
    }

    /// When `node` last fetched, with any disk.
    fn last_fetch(&self, node: NodeId) -> Option<Time> {
        let of = |known: &BTreeMap<NodeId, Progress>| known.get(&node).and_then(|p| p.last_fetch);
        of(&self.followers).max(of(&self.learners))
    }

    pub(super) fn handle_proposed(
        &mut self,
        context: &mut NodeContext,
        id: ProposalId,
        command: Bytes,
    ) {
        if self.transfer_deadline.is_some() {
            return context.report(Report::ProposalRefused(id));
        }
        let position = Position {
            term: context.hard_state.term,
            index: context.log.last().index.next(),
        };
        context.append(Entry {
            position,
            payload: Payload::Command(command),
        });
        context.report(Report::Appended(id, position));
        self.note_commit_awaited(context, false);
        self.complete_fetches(context, |fetch, _| fetch.after < position.index);
    }

    pub(super) fn handle_heartbeat_reply(
        &mut self,
        context: &mut NodeContext,
        header: &Header,
        reply: HeartbeatReply,
    ) {
        let admitted = context.admits(header.from, header.storage);
        if !admitted || header.request.start != context.run {
            return;
        }
        let number = header.request.number;
        let Some(progress) = self.followers.get_mut(&header.from) else {
            return;
        };
        if number <= progress.echoes_after {
            return;
        }
        progress.received_at = context.now;
        let times = &self.heartbeat_send_times;
        let after = times.partition_point(|(first, _)| *first <= number);
        if let Some((_, sent)) = after.checked_sub(1).map(|at| times[at]) {
            progress.echoed_at = progress.echoed_at.max(sent);
            if reply.writing {
                progress.wrote_at = progress.wrote_at.max(sent);
            }
        }
        progress.echoed_round = progress.echoed_round.max(reply.round);
        self.confirm_reads(context);
    }

    /// Commits what a majority of voters holds, once that reaches this term's own entries (R3).
    pub(super) fn advance_commit_index(&mut self, context: &mut NodeContext) {
        let own = context.synced.last.index.0;
        let held = self.voter_values(context, own, Progress::holds_through);
        let index = LogIndex(majority_value(held));
        if index < self.term_start || index <= context.commit_index {
            return;
        }
        let awaited = context.previous_membership().is_some();
        let is_first = context.commit_index < self.term_start;
        context.raise_commit_index(index);
        if awaited && context.previous_membership().is_none() {
            self.forget_removed(context);
        }
        self.note_commit_awaited(context, true);
        self.admit_deferred_reads(context);
        self.schedule_commit_notices(context);
        if awaited || is_first {
            self.readmit_if_possible(context);
        }
    }

    /// One value for each voter: `own` for this node, `of` its progress for each other; 0 for a
    /// voter that has not shown the disk it was admitted with, or whose disk rolled back (R18).
    pub(super) fn voter_values(
        &self,
        context: &NodeContext,
        own: u64,
        of: impl Fn(&Progress) -> u64,
    ) -> Vec<u64> {
        let voters = context.voters().iter();
        voters
            .map(|voter| match self.followers.get(&voter.node) {
                None if *voter == context.own_voter() => own,
                Some(progress) if progress.storage == Some(voter.storage) && progress.counts() => {
                    of(progress)
                }
                Some(_) | None => 0,
            })
            .collect()
    }

    /// Everything a leader does by the clock.
    pub(super) fn tick(&mut self, context: &mut NodeContext) -> Option<Resignation> {
        let now = context.now;
        if now >= self.quorum_held_until {
            self.quorum_held_until = self.quorum_lost_at(context);
        }
        if now >= self.quorum_held_until || now >= context.sync_deadline() {
            return Some(Resignation { successor: None });
        }
        if let Some(resignation) = self.leave_if_removed(context) {
            return Some(resignation);
        }
        if let Some(resignation) = self.transfer_if_complete(context) {
            return Some(resignation);
        }
        let heartbeat_is_due = now >= self.heartbeat_at;
        if now >= self.announce_at {
            self.announce_at = now + context.config.timing.heartbeat_interval;
            self.announce_to_idle(context);
        }
        if heartbeat_is_due {
            self.send_heartbeats(context);
            self.readmissions.note_end(context.log.last().index);
            self.readmit_if_possible(context);
            if let Some(resignation) = self.transfer_if_disk_is_slow(context) {
                return Some(resignation);
            }
        }
        self.complete_fetches(context, |fetch, now| fetch.deadline <= now);
        None
    }

    /// Sends every other node the commit index and the current read round.
    fn send_heartbeats(&mut self, context: &mut NodeContext) {
        self.heartbeat_at = context.now + context.config.timing.heartbeat_interval;
        let followers: Vec<NodeId> = self.followers.keys().copied().collect();
        self.send_heartbeats_to(context, &followers);
    }

    /// Sends a read round to the voters that fetch; the regular heartbeats go to every node (R14).
    pub(super) fn send_round(&mut self, context: &mut NodeContext) {
        let lately = context.config.timing.write_limit();
        let now = context.now;
        let fetching = self.followers.iter().filter(|(_, progress)| {
            progress.counts() && progress.last_fetch.is_some_and(|at| now.since(at) < lately)
        });
        let fetching: Vec<NodeId> = fetching.map(|(node, _)| *node).collect();
        self.send_heartbeats_to(context, &fetching);
    }

    fn send_heartbeats_to(&mut self, context: &mut NodeContext, nodes: &[NodeId]) {
        let number = context.requests_made + 1;
        let now = context.now;
        let apart = context.config.timing.heartbeat_interval / 4;
        let times = &mut self.heartbeat_send_times;
        if times.back().is_none_or(|(_, at)| now.since(*at) >= apart) {
            if times.len() == HEARTBEAT_SEND_TIMES_MAX {
                times.pop_front();
            }
            times.push_back((number, now));
        }
        let heartbeat = Heartbeat {
            commit_index: context.commit_index,
            round: self.reads.round,
            uncounted: self.uncounted_voters(context),
            leader_address: context.config.address.clone(),
        };
        for node in nodes {
            context.request(*node, Request::Heartbeat(heartbeat.clone()));
        }
    }

    /// When the first of the pending fetches is completed with what there is (R8).
    pub(super) fn long_poll_deadline(&self) -> Time {
        let pending = self.all().filter_map(|p| p.pending_fetch.as_ref());
        let deadlines = pending.map(|fetch| fetch.deadline);
        deadlines.min().unwrap_or(Time::NEVER)
    }

    /// What this leader knows of the other nodes.
    pub(super) fn follower_statuses(&self, context: &NodeContext) -> Vec<FollowerStatus> {
        let write_grace = context.config.timing.write_grace();
        let status = |(node, follower): (&NodeId, &Progress)| {
            let progress = self.disk_shown_last(*node, follower);
            FollowerStatus {
                node: *node,
                voter: progress.counts(),
                repair_through: progress.repair_through,
                match_index: progress.match_index,
                last_fetch: progress.last_fetch,
                progressed_at: follower.progress_time(write_grace),
            }
        };
        self.followers.iter().map(status).collect()
    }

    /// The other voters whose disk was replaced or rolled back, as they have shown in this term.
    pub(super) fn uncounted_voters(&self, context: &NodeContext) -> Vec<NodeId> {
        let is_uncounted = |node: &NodeId| {
            let shown = self.followers.get(node);
            let shown = shown.map(|follower| self.disk_shown_last(*node, follower));
            shown.is_some_and(|shown| shown.storage.is_some() && !shown.counts())
        };
        let voters = context.voters().iter().map(|voter| voter.node);
        voters.filter(is_uncounted).collect()
    }

    /// When a majority of voters will have made no progress for the whole check-quorum interval
    /// (R10).
    fn quorum_lost_at(&self, context: &NodeContext) -> Time {
        let times = self.voter_progress_times(context);
        Time(majority_value(times)) + context.config.timing.check_quorum_interval()
    }

    /// When each voter last made progress. A new leader gives every voter an interval to begin
    /// with, also those that have not fetched yet. A disk that rolled back (R18) is in contact like
    /// any other: to resign would not bring back what it lost, and this leader can.
    fn voter_progress_times(&self, context: &NodeContext) -> Vec<u64> {
        let write_grace = context.config.timing.write_grace();
        let voters = context.voters().iter();
        voters
            .map(|voter| match self.followers.get(&voter.node) {
                None if *voter == context.own_voter() => context.now.0,
                Some(p) if p.storage.is_none_or(|storage| storage == voter.storage) => {
                    p.progress_time(write_grace).0
                }
                Some(_) | None => 0,
            })
            .collect()
    }

    /// Announces this leader again to each node that does not fetch (R9).
    fn announce_to_idle(&self, context: &mut NodeContext) {
        let timing = context.config.timing;
        // A pending fetch is answered within this time, too.
        let timeout = timing.long_poll_max() + timing.heartbeat_interval;
        let now = context.now;
        let is_idle = |node: &NodeId| {
            let last = self.last_fetch(*node);
            last.is_none_or(|at| now.since(at) > timeout)
        };
        for node in self.followers.keys().copied().filter(is_idle) {
            context.request(node, Request::Coordinator);
        }
    }
}
