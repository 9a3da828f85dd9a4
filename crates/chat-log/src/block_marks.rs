//! Where blocks are in a segment: one mark for each 64 KiB, so that a read need not begin at the
//! segment's beginning.

use chat_consensus::LogIndex;

use crate::block::{BlockHeader, BlockKind};

/// A block that is farther than this from the last mark is one itself. A mark has 16 bytes, so they
/// take a 4,096th of the log's size.
const MARK_BYTES: u64 = 64 << 10;

/// The marks of one segment. Each that is left of a later one begins at a lower index: a block that
/// truncates removes those that it hides.
#[derive(Clone, Debug, Default)]
pub(crate) struct BlockMarks {
    marks: Vec<BlockMark>,
}

/// Where to begin to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockMark {
    /// The index before the block's first entry.
    after: LogIndex,
    /// Where the block begins.
    pub(crate) offset: u64,
}

impl BlockMarks {
    /// Adds the next block. Every block that truncates is a mark, or that does not join the one before
    /// it: between two marks every block follows the one before it.
    pub(crate) fn add(&mut self, block: &BlockHeader, offset: u64, joins: bool) {
        let last = self.marks.last();
        match block.kind {
            BlockKind::Base => return,
            BlockKind::Append if joins => {
                if last.is_some_and(|mark| offset < mark.offset + MARK_BYTES) {
                    return;
                }
            }
            BlockKind::Append | BlockKind::TruncateAndAppend => {
                self.marks.retain(|mark| mark.after < block.after.index);
            }
        }
        self.marks.push(BlockMark {
            after: block.after.index,
            offset,
        });
    }

    /// The mark from which the entry at `index` is found, and the last index for which that holds, if
    /// there is another mark after it. `None` for a segment that does not have the entry.
    pub(crate) fn find(&self, index: LogIndex) -> Option<(BlockMark, Option<LogIndex>)> {
        let after = self.marks.partition_point(|mark| mark.after < index);
        let found = self.marks.get(after.checked_sub(1)?)?;
        let next = self.marks.get(after).map(|mark| mark.after);
        Some((*found, next))
    }
}
