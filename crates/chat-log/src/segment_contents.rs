//! What the blocks of one segment add up to. The writer keeps it while it appends, a start finds it
//! again by reading the blocks.

use chat_consensus::{ChainValue, LogIndex, MembershipChange, Position, TermRun};

use crate::block::{BlockHeader, BlockKind};
use crate::hole::{Missing, common_through, extend_runs};
use crate::segment_header::{SegmentHeader, SegmentSummary};

/// The sum of the blocks of a segment so far.
#[derive(Clone, Debug)]
pub(crate) struct SegmentContents {
    first_block: u64,
    /// The end of the log before it.
    base: Position,
    /// The number that the next block has.
    pub(crate) next_block: u64,
    /// Where the last block begins; 0 without one.
    pub(crate) last_offset: u64,
    /// Where the next block begins.
    pub(crate) end: u64,
    /// The end of the log.
    pub(crate) last: Position,
    /// The chain value there.
    pub(crate) chain: ChainValue,
    /// See [`SegmentSummary::entries_after`].
    pub(crate) entries_after: LogIndex,
    /// See [`SegmentSummary::runs`].
    pub(crate) runs: Vec<TermRun>,
    /// The change of the members with which the last block ends: no block follows here then (R19).
    pub(crate) change: Option<MembershipChange>,
    /// Whether blocks are damaged or missing before the last one.
    pub(crate) damaged: bool,
    /// The entries that are missing because of that.
    pub(crate) missing: Option<Missing>,
}

impl SegmentContents {
    /// Those of a segment without blocks.
    pub(crate) fn new(header: &SegmentHeader) -> Self {
        Self {
            first_block: header.first_block,
            base: header.base.position,
            next_block: header.first_block,
            last_offset: 0,
            end: header.bytes(),
            last: header.base.position,
            chain: header.base.chain,
            entries_after: header.base.position.index,
            runs: Vec::new(),
            change: None,
            damaged: false,
            missing: None,
        }
    }

    /// Whether the block with this header can be the next one.
    pub(crate) fn is_followed_by(&self, block: &BlockHeader) -> bool {
        let joins = (block.after, block.chain_before) == (self.last, self.chain);
        block.number == self.next_block
            && block.lowest == self.entries_after.min(block.after.index)
            && match block.kind {
                BlockKind::Base => joins && !self.has_blocks(),
                BlockKind::Append => joins,
                BlockKind::TruncateAndAppend => block.after.index <= self.last.index,
            }
    }

    /// Adds the next block, whose entries are at `positions` and end with `change`.
    pub(crate) fn add(
        &mut self,
        block: &BlockHeader,
        positions: impl Iterator<Item = Position>,
        change: Option<MembershipChange>,
    ) {
        if block.kind == BlockKind::TruncateAndAppend {
            let kept = block.after.index;
            self.entries_after = self.entries_after.min(kept);
            self.runs.retain(|run| run.first <= kept);
            let to = (block.after, block.chain_before);
            self.missing = Missing::truncated(self.missing, to);
        }
        for Position { term, index } in positions {
            if self.runs.last().is_none_or(|run| run.term != term) {
                self.runs.push(TermRun { term, first: index });
            }
        }
        self.next_block += 1;
        self.last_offset = self.end;
        self.end += block.bytes();
        (self.last, self.chain) = (block.last, block.chain);
        self.change = change;
    }

    /// Goes on after `to` although the blocks before that are damaged. They truncate at most down to
    /// `lowest`.
    pub(crate) fn skip_to(&mut self, to: (Position, ChainValue), lowest: LogIndex) {
        self.damaged = true;
        self.change = None;
        if to == (self.last, self.chain) {
            return;
        }
        let mut runs = Vec::new();
        if self.base.index <= self.entries_after {
            runs.push(TermRun {
                term: self.base.term,
                first: self.base.index,
            });
        }
        runs.extend(&self.runs);
        let certain = common_through(&runs, self.last.index, to.0, lowest);
        self.missing = Missing::extended(self.missing, certain, to);
        self.entries_after = self.entries_after.min(lowest);
        extend_runs(&mut self.runs, self.entries_after, to.0);
        (self.last, self.chain) = to;
    }

    /// Goes on with the block at `offset`, before which others are damaged.
    pub(crate) fn skip_to_block(&mut self, block: &BlockHeader, offset: u64) {
        self.skip_to((block.after, block.chain_before), block.lowest);
        self.next_block = block.number;
        self.end = offset;
    }

    pub(crate) fn has_blocks(&self) -> bool {
        self.last_offset > 0
    }

    /// What its successor's header has of it.
    pub(crate) fn summary(&self) -> SegmentSummary {
        SegmentSummary {
            first_block: self.first_block,
            last_block: self.next_block - 1,
            last_offset: self.last_offset,
            end: self.end,
            entries_after: self.entries_after,
            runs: self.runs.clone(),
        }
    }
}
