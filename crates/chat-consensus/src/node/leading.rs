//! Leading a term: the log's end, the commit index, heartbeats, and when to stop (R3, R6, R9, R10).
//! How fetches are answered is in `serving_fetches`.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use crate::entry::{Entry, Payload};
use crate::input::{ProposalId, Report};
use crate::message::{Header, Heartbeat, Message};
use crate::node::disks_seen::DisksSeen;
use crate::node::progress::{PendingFetch, Progress};
use crate::node::reading::Reads;
use crate::node::slow_disk::Samples;
use crate::node::{Node, Role};
use crate::quorum::majority_value;
use crate::status::FollowerStatus;
use crate::types::{LogIndex, NodeId, Position, Time};

/// So many moments of sending are remembered, at most four in a heartbeat interval: far more than
/// fit into a check-quorum interval.
const HEARTBEAT_SEND_TIMES_MAX: usize = 64;

/// A leader's term of office.
#[derive(Debug)]
pub(super) struct Leading {
    /// The term's first entry: nothing is committed before a majority holds it (R3).
    pub(super) term_start: LogIndex,
    /// One for every other configured node: of its admitted disk, as far as it is known.
    pub(super) followers: BTreeMap<NodeId, Progress>,
    /// Those that pull with another disk than the admitted one, apart from it: neither may change
    /// what is known of the other (R4, R12).
    learners: BTreeMap<NodeId, Progress>,
    /// Which disks each of them has shown.
    disks: BTreeMap<NodeId, DisksSeen>,
    heartbeat_at: Time,
    /// When nodes that do not pull are called again (R9). Apart from the heartbeats: read rounds
    /// put those off.
    announce_at: Time,
    pub(super) reads: Reads,
    /// When a hand-over is completed whether or not the successor has everything.
    pub(super) transfer_deadline: Option<Time>,
    /// The number of the first request that was made at or after each of these moments, ascending:
    /// it tells when an echoed heartbeat was sent, or a little earlier (R10).
    heartbeat_send_times: VecDeque<(u64, Time)>,
    /// How long its own batches with entries took to sync (R10).
    pub(super) own_syncs: Samples,
    /// Since when its own disk is what everybody waits for (R10).
    pub(super) slow_since: Option<Time>,
    /// A successor must sync faster than this: it is wanted for its disk (R10).
    pub(super) successor_syncs_below: Option<Duration>,
}

impl Leading {
    fn all(&self) -> impl Iterator<Item = &Progress> {
        self.followers.values().chain(self.learners.values())
    }

    pub(super) fn all_mut(&mut self) -> impl Iterator<Item = &mut Progress> {
        self.followers
            .values_mut()
            .chain(self.learners.values_mut())
    }

    /// What is known of `node` with the disk that its message showed.
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
            return Some(follower);
        }
        let new = || Progress::of_disk(header.storage, now);
        let learner = self.learners.entry(header.from).or_insert_with(new);
        if learner.storage != Some(header.storage) {
            *learner = new();
        }
        Some(learner)
    }

    /// Of the two disks of one node, its admitted one (`follower`) and another, the one that pulls.
    fn disk_shown_last<'a>(&'a self, node: NodeId, follower: &'a Progress) -> &'a Progress {
        let learner = self.learners.get(&node);
        let learner = learner.filter(|learner| learner.last_fetch > follower.last_fetch);
        learner.unwrap_or(follower)
    }

    /// Notes the disk that a fetch has shown; says whether it alternates with another one.
    pub(super) fn record_disk(&mut self, header: &Header, now: Time, pause: Duration) -> bool {
        let disks = self.disks.entry(header.from).or_default();
        disks.note(header.storage, now, pause)
    }

    /// When `node` last pulled, with whichever disk.
    pub(super) fn last_fetch(&self, node: NodeId) -> Option<Time> {
        let of = |known: &BTreeMap<NodeId, Progress>| known.get(&node).and_then(|p| p.last_fetch);
        of(&self.followers).max(of(&self.learners))
    }
}

impl Node {
    /// Begins to lead: with an empty entry (R3) and a word to everybody (R9).
    pub(super) fn become_leader(&mut self) {
        assert!(self.is_voter(), "only a voter is elected");
        let others = self.other_nodes();
        let term = self.hard_state.term;
        let term_start = self.log.last().index.next();
        let followers = others
            .iter()
            .map(|node| (*node, Progress::new(self.now)))
            .collect();
        self.leader = Some(self.config.node);
        self.leader_claimed = true;
        self.fast_retries_left = 0;
        self.role = Role::Leader(Leading {
            term_start,
            followers,
            learners: BTreeMap::new(),
            disks: BTreeMap::new(),
            heartbeat_at: self.now + self.config.timing.heartbeat_interval,
            announce_at: self.now + self.config.timing.heartbeat_interval,
            reads: Reads::default(),
            transfer_deadline: None,
            heartbeat_send_times: VecDeque::new(),
            own_syncs: Samples::default(),
            slow_since: None,
            successor_syncs_below: None,
        });
        self.reports.push(Report::BecameLeader(term));
        self.append(Entry {
            position: Position {
                term,
                index: term_start,
            },
            payload: Payload::Empty,
        });
        for node in others {
            self.request(node, Message::Coordinator);
        }
    }

    pub(super) fn handle_proposed(&mut self, id: ProposalId, command: Bytes) {
        let leads =
            matches!(&self.role, Role::Leader(leading) if leading.transfer_deadline.is_none());
        if !leads {
            self.reports.push(Report::ProposalRefused(id));
            return;
        }
        let position = Position {
            term: self.hard_state.term,
            index: self.log.last().index.next(),
        };
        self.append(Entry {
            position,
            payload: Payload::Command(command),
        });
        self.reports.push(Report::Appended(id, position));
        self.complete_fetches(|parked, _| parked.after < position.index);
    }

    pub(super) fn handle_heartbeat_reply(&mut self, header: &Header, round: u64, writing: bool) {
        let counts = self.admits(header.from, header.storage) && header.request.start == self.run;
        if let Role::Leader(leading) = &mut self.role
            && counts
            && let Some(progress) = leading.followers.get_mut(&header.from)
        {
            let number = header.request.number;
            let after = leading
                .heartbeat_send_times
                .partition_point(|(first, _)| *first <= number);
            if let Some((_, sent)) = after
                .checked_sub(1)
                .map(|at| leading.heartbeat_send_times[at])
            {
                progress.echoed_at = progress.echoed_at.max(sent);
                if writing {
                    progress.wrote_at = progress.wrote_at.max(sent);
                }
            }
            progress.echoed_round = progress.echoed_round.max(round);
            self.confirm_reads();
        }
    }

    /// Commits what a majority of voters holds, once that reaches this term's own entries (R3).
    pub(super) fn advance_commit_index(&mut self) {
        let Role::Leader(leading) = &self.role else {
            return;
        };
        let term_start = leading.term_start;
        let held = self.voter_values(self.synced.last.index.0, |progress| progress.match_index.0);
        let index = LogIndex(majority_value(held));
        if index < term_start || index <= self.commit_index {
            return;
        }
        self.raise_commit_index(index);
        self.admit_deferred_reads();
        self.schedule_commit_notices();
    }

    /// One value for each voter: `own` for this node, `of` its progress for each other; 0 for a
    /// voter that has not shown the disk it was admitted with, or whose disk forgot (R18).
    pub(super) fn voter_values(&self, own: u64, of: impl Fn(&Progress) -> u64) -> Vec<u64> {
        let Role::Leader(leading) = &self.role else {
            return Vec::new();
        };
        let voters = self
            .membership
            .iter()
            .flat_map(|membership| &membership.voters);
        voters
            .map(|voter| match leading.followers.get(&voter.node) {
                None if *voter == self.me() => own,
                Some(progress) if progress.storage == Some(voter.storage) && progress.counts() => {
                    of(progress)
                }
                Some(_) | None => 0,
            })
            .collect()
    }

    /// Everything a leader does by the clock.
    pub(super) fn tick_leader(&mut self) {
        if self.now >= self.quorum_lost_at() || self.now >= self.sync_deadline() {
            return self.resign(None);
        }
        self.resign_if_transfer_complete();
        let next = self.now + self.config.timing.heartbeat_interval;
        let Role::Leader(leading) = &mut self.role else {
            return;
        };
        let heartbeat_is_due = self.now >= leading.heartbeat_at;
        if self.now >= leading.announce_at {
            leading.announce_at = next;
            self.announce_to_idle();
        }
        if heartbeat_is_due {
            self.send_heartbeats();
            self.transfer_if_disk_is_slow();
        }
        self.complete_fetches(|parked, now| parked.deadline <= now);
    }

    /// Lets every other node hear from the leader: its commit index and the current read round.
    fn send_heartbeats(&mut self) {
        let next = self.now + self.config.timing.heartbeat_interval;
        let Role::Leader(leading) = &mut self.role else {
            return;
        };
        leading.heartbeat_at = next;
        let followers: Vec<NodeId> = leading.followers.keys().copied().collect();
        self.send_heartbeats_to(&followers);
    }

    /// Sends a read round to the voters that pull; the heartbeats go to everybody, as ever (R14).
    pub(super) fn send_round(&mut self) {
        let lately = self.config.timing.write_limit();
        let now = self.now;
        let Role::Leader(leading) = &self.role else {
            return;
        };
        let pulling = leading.followers.iter().filter(|(_, progress)| {
            progress.counts() && progress.last_fetch.is_some_and(|at| now.since(at) < lately)
        });
        let pulling: Vec<NodeId> = pulling.map(|(node, _)| *node).collect();
        self.send_heartbeats_to(&pulling);
    }

    fn send_heartbeats_to(&mut self, nodes: &[NodeId]) {
        let commit_index = self.commit_index;
        let number = self.requests_made + 1;
        let now = self.now;
        let apart = self.config.timing.heartbeat_interval / 4;
        let Role::Leader(leading) = &mut self.role else {
            return;
        };
        if leading
            .heartbeat_send_times
            .back()
            .is_none_or(|(_, at)| now.since(*at) >= apart)
        {
            if leading.heartbeat_send_times.len() == HEARTBEAT_SEND_TIMES_MAX {
                leading.heartbeat_send_times.pop_front();
            }
            leading.heartbeat_send_times.push_back((number, now));
        }
        let heartbeat = Heartbeat {
            commit_index,
            round: leading.reads.round(),
            uncounted: self.uncounted_voters(),
        };
        for node in nodes {
            self.request(*node, Message::Heartbeat(heartbeat.clone()));
        }
    }

    /// Stops leading by its own decision: out of touch with a majority, its own disk too slow, or
    /// handing over. The others hear it if they can (R10, R17).
    pub(super) fn resign(&mut self, successor: Option<NodeId>) {
        for node in self.other_nodes() {
            self.request(node, Message::Resign { successor });
        }
        self.stop_leading();
        self.forget_leader();
        self.become_follower();
    }

    /// Answers everybody who waits for this leader; does nothing on a node that does not lead.
    pub(super) fn stop_leading(&mut self) {
        let Role::Leader(leading) = &mut self.role else {
            return;
        };
        let reads = core::mem::take(&mut leading.reads);
        let parked: Vec<PendingFetch> = leading
            .all_mut()
            .filter_map(|p| p.pending_fetch.take())
            .collect();
        self.forget_leader();
        for parked in parked {
            self.refuse_fetch(&parked.header);
        }
        self.fail_reads(reads);
        self.reports.push(Report::SteppedDown(self.hard_state.term));
    }

    pub(super) fn leading_deadline(&self, leading: &Leading) -> Time {
        let parked = leading.all().filter_map(|p| p.pending_fetch.as_ref());
        let parked = parked
            .map(|parked| parked.deadline)
            .min()
            .unwrap_or(Time::NEVER);
        let by_itself = self.quorum_lost_at().min(self.sync_deadline());
        let hand_over = leading.transfer_deadline.unwrap_or(Time::NEVER);
        leading
            .heartbeat_at
            .min(leading.announce_at)
            .min(parked)
            .min(by_itself)
            .min(hand_over)
    }

    /// What this leader knows of the other nodes; `None` on a node that does not lead.
    pub fn followers(&self) -> Option<Vec<FollowerStatus>> {
        let Role::Leader(leading) = &self.role else {
            return None;
        };
        let status = |(node, follower): (&NodeId, &Progress)| {
            let progress = leading.disk_shown_last(*node, follower);
            FollowerStatus {
                node: *node,
                voter: progress.counts(),
                repair_through: progress.repair_through,
                match_index: progress.match_index,
                last_fetch: progress.last_fetch,
            }
        };
        Some(leading.followers.iter().map(status).collect())
    }

    /// The other voters whose disk was replaced or has forgotten, as they have shown in this term.
    pub(super) fn uncounted_voters(&self) -> Vec<NodeId> {
        let (Role::Leader(leading), Some(membership)) = (&self.role, &self.membership) else {
            return Vec::new();
        };
        let is_uncounted = |node: &NodeId| {
            let shown = leading.followers.get(node);
            let shown = shown.map(|follower| leading.disk_shown_last(*node, follower));
            shown.is_some_and(|shown| shown.storage.is_some() && !shown.counts())
        };
        let voters = membership.voters.iter().map(|voter| voter.node);
        voters.filter(is_uncounted).collect()
    }

    /// When a majority of voters will not have kept up for the whole interval (R10).
    fn quorum_lost_at(&self) -> Time {
        let contacts = self.voter_progress_times();
        Time(majority_value(contacts)) + self.config.timing.check_quorum_interval()
    }

    /// When each voter last kept up. A new leader gives everybody an interval to begin with, also
    /// those that have not called yet. A disk that forgot (R18) is in contact like any other: to
    /// resign would not bring back what it lost, and this leader can.
    fn voter_progress_times(&self) -> Vec<u64> {
        let Role::Leader(leading) = &self.role else {
            return alloc::vec![u64::MAX];
        };
        let write_grace = self.config.timing.write_grace();
        let voters = self
            .membership
            .iter()
            .flat_map(|membership| &membership.voters);
        voters
            .map(|voter| match leading.followers.get(&voter.node) {
                None if *voter == self.me() => self.now.0,
                Some(p) if p.storage.is_none_or(|storage| storage == voter.storage) => {
                    p.progress_time(write_grace).0
                }
                Some(_) | None => 0,
            })
            .collect()
    }

    /// Repeats the word to each node that does not pull (R9).
    fn announce_to_idle(&mut self) {
        let timeout = self.config.timing.long_poll_max() + self.config.timing.heartbeat_interval;
        let now = self.now;
        let Role::Leader(leading) = &self.role else {
            return;
        };
        // A parked fetch is answered within this time, too.
        let is_idle = |node: &NodeId| {
            let last = leading.last_fetch(*node);
            last.is_none_or(|at| now.since(at) > timeout)
        };
        let idle: Vec<NodeId> = leading.followers.keys().copied().filter(is_idle).collect();
        for node in idle {
            self.request(node, Message::Coordinator);
        }
    }
}
