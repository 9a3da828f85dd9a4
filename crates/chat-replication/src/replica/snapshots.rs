//! The snapshots that a node has, what of them is under way, and how much was applied since (R24).

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use chat_consensus::{LogIndex, NodeId, PieceReply, Snapshot, SnapshotId, Time};

use crate::event::PieceReadId;
use crate::replica::limits::Limits;
use crate::replica::start::Start;

/// After a snapshot that could not be taken the next attempt waits this long.
pub(super) const RETRY_PAUSE: Duration = Duration::from_secs(10);
/// ... and this long while a follower needs one.
pub(super) const WANTED_RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Into so many parts the kept entries are divided to know about how many bytes they have.
const KEPT_PARTS: u64 = 32;

/// See the file's first line.
#[derive(Debug)]
pub(super) struct Snapshots {
    /// The complete ones, in ascending order of position.
    held: Vec<Held>,
    /// The payload of what is applied and not in the newest snapshot, in bytes.
    pub(super) log_bytes: u64,
    /// When the oldest entry that is applied and not in the newest snapshot is as old as it may get.
    pub(super) expires_at: Option<Time>,
    /// While one is taken.
    pub(super) taking: Option<Taking>,
    /// The log is to be compacted through here, whatever is kept for followers.
    pub(super) erased_through: LogIndex,
    /// No attempt before this.
    pub(super) retry_at: Option<Time>,
    /// A follower needs one that this leader does not have.
    pub(super) wanted: bool,
    pub(super) compacting: bool,
    /// Through where compaction was last asked for.
    pub(super) compacted_through: LogIndex,
    /// To be installed as soon as the state machine is idle.
    pub(super) to_install: Option<Snapshot>,
    pub(super) installing: Option<Snapshot>,
    pub(super) pieces: Pieces,
    pub(super) recent: RecentEntries,
}

/// What was when a snapshot was begun.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taking {
    pub(super) log_bytes: u64,
    pub(super) begun: Time,
    /// It is taken because of what is to be erased from the log.
    pub(super) erases: bool,
}

/// A complete snapshot.
#[derive(Debug)]
struct Held {
    snapshot: Snapshot,
    /// When a piece of it was read last.
    read: Option<Time>,
    /// How many newer ones were completed since.
    newer: u32,
}

/// A snapshot that pieces are read of is given up nevertheless once there are so many newer ones: a
/// follower that never finishes must not keep the log of the others.
const NEWER_MAX: u32 = 4;

/// The reads of pieces for peers: one at a time for each.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    pub(super) made: u64,
    pub(super) reading: BTreeMap<PieceReadId, PieceReply>,
    /// A newer request of a peer takes the place of an older one.
    pub(super) waiting: BTreeMap<NodeId, PieceReply>,
}

/// Where the newest bytes of what is applied begin, about.
#[derive(Debug)]
pub(super) struct RecentEntries {
    /// The index before each part, and its bytes.
    parts: VecDeque<(LogIndex, u64)>,
    bytes: u64,
    bytes_kept: u64,
}

impl Snapshots {
    pub(super) fn new(start: &Start, applied: LogIndex) -> Self {
        let limits = &start.limits;
        let newest = start.snapshots.last().map_or(LogIndex::ZERO, index_of);
        let left = limits.snapshot_age.saturating_sub(start.log_age);
        Self {
            held: start.snapshots.iter().cloned().map(Held::new).collect(),
            log_bytes: start.log_bytes,
            expires_at: (applied > newest).then(|| start.now + left),
            taking: None,
            erased_through: LogIndex::ZERO,
            retry_at: None,
            wanted: false,
            compacting: false,
            compacted_through: LogIndex::ZERO,
            to_install: None,
            installing: None,
            pieces: Pieces::default(),
            recent: RecentEntries::new(limits.kept_bytes),
        }
    }

    pub(super) fn newest(&self) -> Option<&Snapshot> {
        self.held.last().map(|held| &held.snapshot)
    }

    /// The position of the newest one; 0 without one.
    pub(super) fn newest_index(&self) -> LogIndex {
        self.newest().map_or(LogIndex::ZERO, index_of)
    }

    pub(super) fn oldest(&self) -> Option<&Snapshot> {
        self.held.first().map(|held| &held.snapshot)
    }

    pub(super) fn has(&self, id: SnapshotId) -> bool {
        self.held.iter().any(|held| held.snapshot.id() == id)
    }

    /// One more is complete.
    pub(super) fn add(&mut self, snapshot: Snapshot) {
        let index = index_of(&snapshot);
        let after = self
            .held
            .partition_point(|held| index_of(&held.snapshot) <= index);
        for older in &mut self.held[..after] {
            older.newer += 1;
        }
        self.held.insert(after, Held::new(snapshot));
    }

    pub(super) fn remove(&mut self, id: SnapshotId) {
        self.held.retain(|held| held.snapshot.id() != id);
    }

    pub(super) fn note_read(&mut self, id: SnapshotId, now: Time) {
        let mut held = self.held.iter_mut();
        if let Some(held) = held.find(|held| held.snapshot.id() == id) {
            held.read = Some(now);
        }
    }

    /// Removes those that a newer one replaces, but for `kept` and those that are pinned.
    pub(super) fn take_replaced(
        &mut self,
        now: Time,
        pinned: Duration,
        kept: [Option<SnapshotId>; 2],
    ) -> Vec<SnapshotId> {
        let newest = self.newest().map(Snapshot::id);
        let replaced = self.held.extract_if(.., |held| {
            let id = Some(held.snapshot.id());
            id != newest && !kept.contains(&id) && held.unpinned_at(pinned) <= now
        });
        replaced.map(|held| held.snapshot.id()).collect()
    }

    /// When something is due by the clock: another attempt, or the end of a pin.
    pub(super) fn deadline(&self, now: Time, pinned: Duration) -> Time {
        let replaced = &self.held[..self.held.len().saturating_sub(1)];
        let unpinned = replaced.iter().map(|held| held.unpinned_at(pinned));
        // What stays although its pin is over waits for something else than the clock.
        let unpinned = unpinned.filter(|at| *at > now).min();
        // What is due already is looked at after every event.
        let retry = self.retry_at.filter(|at| *at > now);
        let retry = retry.unwrap_or(Time::NEVER);
        let expires = self.expires_at.filter(|at| *at > now);
        let expires = expires.unwrap_or(Time::NEVER);
        retry.min(unpinned.unwrap_or(Time::NEVER)).min(expires)
    }

    /// Entries were applied.
    pub(super) fn note_applied(&mut self, now: Time, limits: &Limits) {
        let age = limits.snapshot_age;
        self.expires_at.get_or_insert_with(|| now + age);
    }

    /// Whether what was applied since the newest snapshot is too old.
    pub(super) fn is_expired(&self, now: Time) -> bool {
        self.expires_at.is_some_and(|at| now >= at)
    }

    /// The snapshot is complete; everything applied after `applied` is not in it.
    pub(super) fn note_taken(
        &mut self,
        taking: Taking,
        index: LogIndex,
        more: bool,
        limits: &Limits,
    ) {
        self.log_bytes = self.log_bytes.saturating_sub(taking.log_bytes);
        self.expires_at = more.then(|| taking.begun + limits.snapshot_age);
        if taking.erases {
            self.erased_through = index;
        }
    }
}

impl Held {
    fn new(snapshot: Snapshot) -> Self {
        Self {
            snapshot,
            read: None,
            newer: 0,
        }
    }

    /// Until when a newer one does not replace it.
    fn unpinned_at(&self, pinned: Duration) -> Time {
        let read = self.read.filter(|_| self.newer < NEWER_MAX);
        read.map_or(Time(0), |at| at + pinned)
    }
}

fn index_of(snapshot: &Snapshot) -> LogIndex {
    snapshot.base.position.index
}

impl RecentEntries {
    fn new(bytes_kept: u64) -> Self {
        Self {
            parts: VecDeque::new(),
            bytes: 0,
            bytes_kept,
        }
    }

    /// Entries after `before` with so much payload were applied.
    pub(super) fn add(&mut self, before: LogIndex, bytes: u64) {
        self.bytes += bytes;
        let part = self.bytes_kept / KEPT_PARTS;
        match self.parts.back_mut() {
            Some((_, last)) if *last + bytes <= part => *last += bytes,
            _ => self.parts.push_back((before, bytes)),
        }
        while let Some((_, first)) = self.parts.front()
            && self.bytes - first >= self.bytes_kept
        {
            self.bytes -= first;
            self.parts.pop_front();
        }
    }

    /// The index after which about the kept bytes are; 0 while fewer were applied in this run.
    pub(super) fn begin(&self) -> LogIndex {
        let enough = self.bytes >= self.bytes_kept;
        let first = self.parts.front().filter(|_| enough);
        first.map_or(LogIndex::ZERO, |(before, _)| *before)
    }

    /// The state was replaced: what was applied before is in no log.
    pub(super) fn clear(&mut self) {
        self.parts.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R24: what stays in the log has about as many bytes as the limit, and not fewer.
    #[test]
    fn recent_entries_have_the_kept_bytes() {
        let mut recent = RecentEntries::new(1_000);
        for index in 0..99 {
            recent.add(LogIndex(index), 10);
        }
        assert_eq!(recent.begin(), LogIndex::ZERO);
        for index in 99..1_000 {
            recent.add(LogIndex(index), 10);
            let kept = (index + 1 - recent.begin().0) * 10;
            assert!((1_000..1_050).contains(&kept), "{kept} bytes at {index}");
        }
        recent.add(LogIndex(1_000), 5_000);
        assert_eq!(recent.begin(), LogIndex(1_000));
    }
}
