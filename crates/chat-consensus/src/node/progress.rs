//! What a leader knows of one follower: how far its disk is, and when it last made progress (R3,
//! R10, R18).

use core::time::Duration;

use crate::message::{FollowerState, GetCommits, Header};
use crate::node::sync_samples::Samples;
use crate::snapshot::SnapshotId;
use crate::types::{LogIndex, Position, RequestId, StorageId, Term, Time};

/// What the leader knows of one follower, as of the disk it showed last.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Progress {
    pub(super) storage: Option<StorageId>,
    /// The newest members name that disk as a voter (R12, R19).
    pub(super) admitted: bool,
    /// A fetch has acknowledged something since it is a voter: only then it counts (R19).
    acknowledges: bool,
    /// Echoes of requests up to this number are of before it was a voter (R19).
    pub(super) echoes_after: u64,
    /// Its newest message, also one that acknowledges nothing, or the beginning of the term.
    pub(super) received_at: Time,
    /// Its last fetch named a position that was the end of the log shortly before (R19).
    pub(super) was_at_end: bool,
    /// The highest position this follower is known to hold.
    ///
    /// Only grows within a run of the follower and a term: it acknowledges after its sync, so a
    /// lower one is an old message and is ignored (R4). A lower one of a newer run shows that the
    /// disk was rolled back (R18).
    pub(super) match_index: LogIndex,
    /// The term of the entry there, also when it is before this leader's log by now.
    pub(super) match_term: Term,
    /// Above 0 the disk does not count until it holds the log through here (R18).
    pub(super) repair_through: LogIndex,
    /// Its disk has forgotten, as block numbers have shown (R18): it does not count in this term.
    pub(super) forgot: bool,
    /// The newest fetch; older ones are ignored (R4).
    pub(super) newest_fetch: RequestId,
    pub(super) last_fetch: Option<Time>,
    /// Its last fetch was that of a disk without a base (R12).
    pub(super) lacked_base: bool,
    /// Its last fetch said that its state is lost (R24): it cannot lead.
    pub(super) lost_state: bool,
    /// Its last fetch said that it may lack entries before the one that it names (R24).
    pub(super) behind_hole: bool,
    /// The furthest piece of a snapshot that it has requested (R24).
    pub(super) piece_requested: Option<(SnapshotId, u64)>,
    /// Its last fetch that advanced or was at the end of the log (R10).
    pub(super) advanced_at: Time,
    /// When the newest heartbeat was sent that it has echoed (R10).
    pub(super) echoed_at: Time,
    /// When the newest heartbeat was sent in whose echo a write was under way (R10).
    pub(super) wrote_at: Time,
    /// The highest read round it has echoed (R14).
    pub(super) echoed_round: u64,
    pub(super) pending_fetch: Option<PendingFetch>,
    /// Entries were sent to it then, and no fetch has acknowledged them yet (R10).
    pub(super) entries_sent_at: Option<Time>,
    /// How long it took from entries sent to their acknowledgement (R10).
    pub(super) syncs: Samples,
}

/// A fetch that the leader keeps until it has something new to reply with (long poll).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct PendingFetch {
    pub(super) header: Header,
    pub(super) after: LogIndex,
    pub(super) bytes_max: u32,
    pub(super) sent_commit_index: LogIndex,
    /// When it is completed with what there is.
    pub(super) deadline: Time,
}

impl Progress {
    /// A follower that has a whole check-quorum interval from `now` on.
    pub(super) fn new(now: Time) -> Self {
        Self {
            storage: None,
            admitted: false,
            acknowledges: false,
            echoes_after: 0,
            received_at: now,
            was_at_end: false,
            match_index: LogIndex::ZERO,
            match_term: Term(0),
            repair_through: LogIndex::ZERO,
            forgot: false,
            newest_fetch: RequestId::default(),
            last_fetch: None,
            lacked_base: false,
            lost_state: false,
            behind_hole: false,
            piece_requested: None,
            advanced_at: now,
            echoed_at: now,
            wrote_at: Time(0),
            echoed_round: 0,
            pending_fetch: None,
            entries_sent_at: None,
            syncs: Samples::default(),
        }
    }

    /// A disk that the log does not admit; another disk is another learner (R12).
    pub(super) fn of_disk(storage: StorageId, now: Time) -> Self {
        Self {
            storage: Some(storage),
            ..Self::new(now)
        }
    }

    /// Its disk is a voter from `now` on; requests after `last_request` are sent to it as to one. What it
    /// acknowledged and echoed before does not count; the order of its requests and what it held is still
    /// known (R4, R18).
    pub(super) fn admit(&mut self, now: Time, last_request: u64) {
        self.admitted = true;
        self.acknowledges = false;
        self.echoes_after = last_request;
        (self.received_at, self.advanced_at, self.echoed_at) = (now, now, now);
        self.wrote_at = Time(0);
        self.echoed_round = 0;
        self.entries_sent_at = None;
        self.syncs = Samples::default();
    }

    /// What a fetch shows of the follower beside its position. `demanded` is the index that its disk must
    /// hold before it counts.
    pub(super) fn note_condition(&mut self, fetch: &GetCommits, demanded: LogIndex) {
        // It counts when neither side remembers a loss.
        self.repair_through = demanded.max(fetch.repair_through);
        self.lost_state = fetch.state != FollowerState::Whole;
        self.behind_hole = fetch.behind_hole;
    }

    /// A valid fetch names `synced`; the leader's log ends at `end`.
    pub(super) fn acknowledge(&mut self, now: Time, synced: Position, end: LogIndex) {
        if synced.index > self.match_index {
            if let Some(sent) = self.entries_sent_at.take() {
                self.syncs.add(now, now.since(sent));
            }
            self.advanced_at = now;
        } else if synced.index == end || self.lacked_base {
            self.advanced_at = now;
        }
        self.lacked_base = false;
        self.acknowledges = true;
        if synced.index >= self.match_index {
            self.match_index = synced.index;
            self.match_term = synced.term;
        }
    }

    /// The index that it counts for when the commit index is moved (R3, R24).
    pub(super) fn holds_through(&self) -> u64 {
        if self.behind_hole || !self.acknowledges {
            0
        } else {
            self.match_index.0
        }
    }

    /// Whether its last fetch showed nothing that keeps it from helping to commit (R18, R24).
    pub(super) fn is_whole(&self) -> bool {
        let lost = self.lost_state || self.behind_hole || self.forgot || self.lacked_base;
        !lost && self.repair_through == LogIndex::ZERO
    }

    /// Whether it counts in quorums: its disk is admitted, has not forgotten and was not rolled back.
    pub(super) fn counts(&self) -> bool {
        self.admitted && !self.forgot && self.repair_through == LogIndex::ZERO
    }

    /// When it last made progress while the leader's messages reached it (R10).
    ///
    /// A write under way counts as progress up to `write_grace` after the last valid fetch.
    pub(super) fn progress_time(&self, write_grace: Duration) -> Time {
        let fetched = self.last_fetch.unwrap_or(self.advanced_at);
        let writing = self.wrote_at.min(fetched + write_grace);
        self.advanced_at.max(writing).min(self.echoed_at)
    }
}
