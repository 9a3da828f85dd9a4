//! What of the log is synced, and where: written by the writer, looked at by readers.

use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use chat_consensus::{ChainValue, LogBase, LogIndex, MembershipChange, Position};

use crate::block::{BlockHeader, BlockKind};
use crate::block_marks::{BlockMark, BlockMarks};
use crate::hole::{Hole, Missing};
use crate::members::Members;
use crate::segment_contents::SegmentContents;
use crate::segment_header::{SegmentHeader, SegmentSummary, segment_name};

/// Shared by the writer and its readers.
#[derive(Debug)]
pub(crate) struct Shared(Arc<RwLock<SyncedLog>>);

/// The synced part of the log.
#[derive(Debug, Default)]
pub(crate) struct SyncedLog {
    /// Oldest first. The first one's base is the log's.
    segments: Vec<Segment>,
    /// The last entry, or the base.
    last: Position,
    /// The chain value there; `None` without a base.
    chain: Option<ChainValue>,
    /// From the base of the oldest segment on; known from the end of the hole on.
    members: Members,
    /// Counts what makes a read under way wrong: truncations, installs and compactions.
    revision: u64,
    /// Entries that nothing may read.
    missing: Option<Missing>,
    /// The number of the last segment with damaged blocks, or before missing ones; zero without any.
    /// The log can begin only after it.
    damaged_through: u64,
}

/// One segment file.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) first_block: u64,
    pub(crate) salt: u64,
    pub(crate) base: LogBase,
    /// Where its first block begins.
    pub(crate) begin: u64,
    /// Where the last synced block ends.
    pub(crate) end: u64,
    /// See [`SegmentSummary::entries_after`].
    pub(crate) entries_after: LogIndex,
    /// `None` until an older segment is first read.
    pub(crate) marks: Option<BlockMarks>,
}

/// Where a read finds an entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub(crate) first_block: u64,
    pub(crate) salt: u64,
    /// The mark, if those of the segment are known.
    pub(crate) mark: Option<BlockMark>,
    /// Where the segment's first block begins.
    pub(crate) begin: u64,
    /// Where to stop.
    pub(crate) end: u64,
    /// Entries after this index are elsewhere.
    pub(crate) through: LogIndex,
    /// What is appended next follows here, unless a truncation or a new segment comes between.
    pub(crate) at_end: bool,
}

impl Segment {
    /// A segment without blocks.
    pub(crate) fn new(header: &SegmentHeader) -> Self {
        Self {
            first_block: header.first_block,
            salt: header.salt,
            base: header.base.clone(),
            begin: header.bytes(),
            end: header.bytes(),
            entries_after: header.base.position.index,
            marks: Some(BlockMarks::default()),
        }
    }

    /// A segment that has a successor, whose header has the summary.
    pub(crate) fn sealed(header: &SegmentHeader, summary: &SegmentSummary) -> Self {
        Self {
            end: summary.end,
            entries_after: summary.entries_after,
            marks: None,
            ..Self::new(header)
        }
    }

    /// A segment with these blocks.
    pub(crate) fn of(header: &SegmentHeader, contents: &SegmentContents) -> Self {
        Self {
            end: contents.end,
            entries_after: contents.entries_after,
            ..Self::new(header)
        }
    }

    pub(crate) fn name(&self) -> String {
        segment_name(self.first_block)
    }
}

impl Shared {
    pub(crate) fn new(log: SyncedLog) -> Self {
        Self(Arc::new(RwLock::new(log)))
    }

    pub(crate) fn clone_handle(&self) -> Self {
        Self(Arc::clone(&self.0))
    }

    pub(crate) fn look(&self) -> RwLockReadGuard<'_, SyncedLog> {
        self.0.read().expect("nothing panics while it is locked")
    }

    pub(crate) fn change(&self) -> RwLockWriteGuard<'_, SyncedLog> {
        self.0.write().expect("nothing panics while it is locked")
    }
}

impl SyncedLog {
    pub(crate) fn new(
        segments: Vec<Segment>,
        (last, chain): (Position, Option<ChainValue>),
        members: Members,
    ) -> Self {
        Self {
            segments,
            last,
            chain,
            members,
            revision: 0,
            missing: None,
            damaged_through: 0,
        }
    }

    /// The log with a hole, or segments of which blocks are damaged that no caller needs.
    pub(crate) fn with_damage(mut self, missing: Option<Missing>, damaged_through: u64) -> Self {
        self.missing = missing;
        self.damaged_through = damaged_through;
        self
    }

    pub(crate) fn missing(&self) -> Option<Missing> {
        self.missing
    }

    pub(crate) fn hole(&self) -> Option<Hole> {
        let missing = self.missing?;
        let through = missing.end.index;
        let whole = self.beginnings().first().map(|&(_, base)| base);
        let removable_at = whole.unwrap_or(self.last.index).max(through);
        Some(Hole {
            after: missing.after,
            through,
            removable_at,
        })
    }

    /// The places of the segments with which the log can begin, and the index before their entries.
    fn beginnings(&self) -> Vec<(usize, LogIndex)> {
        let damaged_through = self.damaged_through;
        let begins = beginnings(&self.segments).into_iter();
        let places = begins.enumerate().zip(&self.segments);
        places
            .filter(|((_, begins), segment)| *begins && segment.first_block > damaged_through)
            .map(|((place, _), segment)| (place, segment.base.position.index))
            .collect()
    }

    /// The base of the oldest segment.
    pub(crate) fn base(&self) -> Option<&LogBase> {
        self.segments.first().map(|segment| &segment.base)
    }

    /// From where on nothing is missing: the base, or the end of the hole.
    pub(crate) fn begins(&self) -> Option<LogBase> {
        let mut base = self.base()?.clone();
        if let Some(missing) = self.missing {
            (base.position, base.chain) = (missing.end, missing.chain);
            let members = self.members.at(missing.end.index);
            base.membership = members
                .expect("a log goes on only where they are known")
                .clone();
        }
        Some(base)
    }

    pub(crate) fn last(&self) -> Position {
        self.last
    }

    pub(crate) fn chain(&self) -> Option<ChainValue> {
        self.chain
    }

    pub(crate) fn members(&self) -> &Members {
        &self.members
    }

    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    pub(crate) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Adds a synced block to the last segment, which ends with `change`.
    pub(crate) fn append(
        &mut self,
        block: &BlockHeader,
        offset: u64,
        change: Option<&MembershipChange>,
    ) {
        if block.after.index < self.last.index {
            self.revision += 1;
        }
        if block.kind == BlockKind::TruncateAndAppend {
            let to = (block.after, block.chain_before);
            self.missing = Missing::truncated(self.missing, to);
            self.members.truncate(block.after.index);
        }
        if let Some(change) = change {
            self.members.set(change.index, &change.membership);
        }
        (self.last, self.chain) = (block.last, Some(block.chain));
        if let Some(segment) = self.segments.last_mut() {
            segment.end = offset + block.bytes();
            segment.entries_after = segment.entries_after.min(block.after.index);
            if let Some(marks) = &mut segment.marks {
                marks.add(block, offset, true);
            }
        }
    }

    /// Adds a segment in which nothing is yet.
    pub(crate) fn begin_segment(&mut self, header: &SegmentHeader) {
        self.segments.push(Segment::new(header));
    }

    /// Replaces everything by the segment of an installed base, and returns what was before.
    pub(crate) fn install(&mut self, header: &SegmentHeader, block: &BlockHeader) -> Vec<Segment> {
        let mut segment = Segment::new(header);
        segment.end += block.bytes();
        self.revision += 1;
        (self.missing, self.damaged_through) = (None, 0);
        (self.last, self.chain) = (block.last, Some(block.chain));
        self.members = Members::new(&header.base);
        std::mem::replace(&mut self.segments, vec![segment])
    }

    /// Removes the segments before the last one that can begin the log and has no entry up to
    /// `through`, and returns them, oldest first. All that is damaged goes, or nothing.
    pub(crate) fn compact(&mut self, through: LogIndex) -> Vec<Segment> {
        let hole = self.hole().map(|hole| hole.removable_at);
        let mut begins = self.beginnings().into_iter().rev();
        let begin = begins.find(|&(_, after)| after <= through);
        let Some((begin, _)) = begin.filter(|_| hole.is_none_or(|hole| hole <= through)) else {
            return Vec::new();
        };
        self.revision += u64::from(begin > 0);
        (self.missing, self.damaged_through) = (None, 0);
        let base = &self.segments[begin].base;
        self.members.begin_at(base.position.index);
        assert_eq!(
            self.members.at(base.position.index),
            Some(&base.membership),
            "each header has the members as of its segment's beginning"
        );
        self.segments.drain(..begin).collect()
    }

    /// Where the entry at `index` is; `None` if it is not in the log.
    pub(crate) fn find(&self, index: LogIndex) -> Option<Found> {
        if index > self.last.index || index <= self.base()?.position.index {
            return None;
        }
        // A later segment that begins below the index has written the entry again.
        let holds = |segment: &Segment| segment.entries_after < index;
        let found = self.segments.iter().rposition(holds)?;
        let later = &self.segments[found + 1..];
        let through = later.iter().map(|segment| segment.entries_after).min();
        let mut at_end = through.is_none();
        let mut through = through.unwrap_or(self.last.index);
        let segment = &self.segments[found];
        let mut mark = None;
        if let Some(marks) = &segment.marks {
            let (here, next) = marks.find(index)?;
            mark = Some(here);
            at_end &= next.is_none();
            through = next.map_or(through, |next| next.min(through));
        }
        if let Some(missing) = self.missing.filter(|missing| index <= missing.after) {
            at_end = false;
            through = through.min(missing.after);
        }
        Some(Found {
            first_block: segment.first_block,
            salt: segment.salt,
            mark,
            begin: segment.begin,
            end: segment.end,
            through,
            at_end,
        })
    }

    /// Remembers the marks of a segment that was read whole.
    pub(crate) fn set_marks(&mut self, first_block: u64, marks: BlockMarks) {
        let mut segments = self.segments.iter_mut();
        if let Some(segment) = segments.find(|segment| segment.first_block == first_block) {
            segment.marks.get_or_insert(marks);
        }
    }

    /// See [`SegmentLog::bytes_after`](crate::SegmentLog::bytes_after).
    pub(crate) fn bytes_after(&self, index: LogIndex) -> u64 {
        let base = self.base().map(|base| base.position.index);
        let mut index = index.max(base.unwrap_or_default());
        if let Some(missing) = self
            .missing
            .filter(|missing| missing.contains(index.next()))
        {
            index = missing.end.index;
        }
        let Some(found) = self.find(index.next()) else {
            return 0;
        };
        let from = found.mark.map_or(found.begin, |mark| mark.offset);
        let later = |segment: &&Segment| segment.first_block > found.first_block;
        let later = self.segments.iter().filter(later);
        let later: u64 = later.map(|segment| segment.end - segment.begin).sum();
        found.end - from + later
    }
}

/// Which of the segments can begin a log: those whose base no block in them, or later, has truncated.
pub(crate) fn beginnings(segments: &[Segment]) -> Vec<bool> {
    let mut kept = LogIndex(u64::MAX);
    let begins = segments.iter().rev().map(|segment| {
        kept = kept.min(segment.entries_after);
        segment.base.position.index <= kept
    });
    let mut begins: Vec<bool> = begins.collect();
    begins.reverse();
    begins
}
