//! Reads the last segment at a start: its blocks one after the other, and whatever follows them.

use chat_consensus::{LogBase, LogIndex};

use crate::block::{SECTOR, change_of};
use crate::block_file::BlockFile;
use crate::block_marks::BlockMarks;
use crate::error::LogError;
use crate::files::File;
use crate::node_file::Witness;
use crate::segment_contents::SegmentContents;
use crate::segment_header::{SegmentHeader, SegmentSummary};

/// What a segment file holds.
#[derive(Debug)]
pub(crate) struct Scan {
    /// The sum of the valid blocks from its beginning.
    pub(crate) contents: SegmentContents,
    pub(crate) marks: BlockMarks,
    pub(crate) after_end: AfterEnd,
    /// The highest number of any valid block; one less than the first without any.
    pub(crate) highest_block: u64,
    /// The block that the witness names is another one.
    pub(crate) contradicts_witness: bool,
}

/// What follows the valid blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AfterEnd {
    /// Zeros, as the file was made.
    Zeros,
    /// Bytes that are no block, up to this offset: a write that a crash interrupted, or worse.
    Garbage { until: u64 },
    /// Valid blocks later: those between are damaged, through this index at least.
    Blocks { damaged_through: LogIndex },
}

/// What of a segment is valid, damaged blocks in its middle or not.
#[derive(Debug)]
pub(crate) struct Salvage {
    pub(crate) contents: SegmentContents,
    pub(crate) marks: BlockMarks,
    /// See [`Scan::contradicts_witness`].
    pub(crate) contradicts_witness: bool,
}

/// Which chain values are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChainCheck {
    /// Those of the last block.
    Last,
    /// Those of every block.
    All,
}

/// Reads all blocks of the file `name` and checks their checksums and how they join, and chain values
/// if it is asked for. The cache of the file is dropped first.
pub(crate) fn scan<F: File>(
    header: &SegmentHeader,
    file: F,
    name: String,
    witness: Option<Witness>,
    check: ChainCheck,
) -> Result<(Scan, BlockFile<F>), LogError> {
    file.drop_cache().map_err(LogError::io("read", &name))?;
    let file_bytes = file.length().map_err(LogError::io("read", &name))?;
    let mut file = BlockFile::new(file, name, header.salt);
    file.set_end(file_bytes);

    let mut blocks = read_blocks(header, &mut file, file_bytes, witness, check)?;
    let last_offset = blocks.contents.last_offset;
    if last_offset > 0 && !has_right_chain(&mut file, last_offset)? {
        blocks = read_blocks(header, &mut file, last_offset, witness, check)?;
    }
    let (after_end, highest) = after_end(&mut file, &blocks.contents, file_bytes)?;
    let scan = Scan {
        highest_block: highest.max(blocks.contents.next_block - 1),
        contents: blocks.contents,
        marks: blocks.marks,
        after_end,
        contradicts_witness: blocks.contradicts_witness,
    };
    Ok((scan, file))
}

/// The valid blocks from the segment's beginning.
struct Blocks {
    contents: SegmentContents,
    marks: BlockMarks,
    contradicts_witness: bool,
}

/// Reads the valid blocks that end at `until` or before.
fn read_blocks<F: File>(
    header: &SegmentHeader,
    file: &mut BlockFile<F>,
    until: u64,
    witness: Option<Witness>,
    check: ChainCheck,
) -> Result<Blocks, LogError> {
    let mut blocks = Blocks {
        contents: SegmentContents::new(header),
        marks: BlockMarks::default(),
        contradicts_witness: false,
    };
    loop {
        let offset = blocks.contents.end;
        let Some(block) = file.header(offset)? else {
            return Ok(blocks);
        };
        if !blocks.contents.is_followed_by(&block) || offset + block.bytes() > until {
            return Ok(blocks);
        }
        let bytes = file.bytes(offset, block.bytes())?;
        let Some(entries) = block.decode_body(bytes, header.salt) else {
            return Ok(blocks);
        };
        if check == ChainCheck::All && block.check_chain(&entries).is_none() {
            return Ok(blocks);
        }
        let positions = entries.iter().map(|entry| entry.position);
        let change = change_of(&entries);
        blocks.contents.add(&block, positions, change);
        blocks.marks.add(&block, offset, true);
        blocks.contradicts_witness |= witness.is_some_and(|witness| witness.contradicts(&block));
    }
}

/// Reads the valid blocks that end at `until` or before, and goes on after damaged ones. All chain
/// values are checked.
pub(crate) fn salvage_blocks<F: File>(
    header: &SegmentHeader,
    file: &mut BlockFile<F>,
    until: u64,
    witness: Option<Witness>,
) -> Result<Salvage, LogError> {
    let salt = header.salt;
    let mut found = Salvage {
        contents: SegmentContents::new(header),
        marks: BlockMarks::default(),
        contradicts_witness: false,
    };
    let mut offset = found.contents.end;
    while offset < until {
        let next = file.block(offset)?.and_then(|(block, bytes)| {
            let entries = block.decode_body(bytes, salt)?;
            block.check_chain(&entries)?;
            let positions = entries.iter().map(|entry| entry.position);
            Some((block, positions.collect::<Vec<_>>(), change_of(&entries)))
        });
        // A lower number is a copy of an older block.
        let next = next.filter(|(block, ..)| {
            block.number >= found.contents.next_block && offset + block.bytes() <= until
        });
        let Some((block, positions, change)) = next else {
            offset += SECTOR;
            continue;
        };
        let joins = found.contents.is_followed_by(&block);
        if !joins {
            found.contents.skip_to_block(&block, offset);
        }
        found.contents.end = offset;
        found.contents.add(&block, positions.into_iter(), change);
        found.marks.add(&block, offset, joins);
        found.contradicts_witness |= witness.is_some_and(|witness| witness.contradicts(&block));
        offset += block.bytes();
    }
    Ok(found)
}

/// Whether the block at `offset`, which is valid, has the chain values that its header has.
fn has_right_chain<F: File>(file: &mut BlockFile<F>, offset: u64) -> Result<bool, LogError> {
    let salt = file.salt();
    Ok(file.block(offset)?.is_some_and(|(block, bytes)| {
        let entries = block.decode_body(bytes, salt);
        entries.is_some_and(|entries| block.check_chain(&entries).is_some())
    }))
}

/// Whether the block at `offset` is what the header of the next segment says of the last one here.
pub(crate) fn is_last_block<F: File>(
    file: &mut BlockFile<F>,
    summary: &SegmentSummary,
    end: &LogBase,
) -> Result<bool, LogError> {
    let offset = summary.last_offset;
    let block = file.block(offset)?.map(|(block, _)| block);
    let expected = (summary.last_block, end.position, end.chain, summary.end);
    let found = block.map(|block| {
        let until = offset + block.bytes();
        (block.number, block.last, block.chain, until)
    });
    Ok(found == Some(expected) && has_right_chain(file, offset)?)
}

/// Looks at every sector after the last block: what there is, and the highest number of a block.
fn after_end<F: File>(
    file: &mut BlockFile<F>,
    contents: &SegmentContents,
    file_bytes: u64,
) -> Result<(AfterEnd, u64), LogError> {
    let mut found = AfterEnd::Zeros;
    let mut highest = 0;
    let mut offset = contents.end;
    while offset < file_bytes {
        let sector = file.bytes(offset, SECTOR)?;
        if sector.iter().all(|&byte| byte == 0) {
            offset += SECTOR;
            continue;
        }
        match file.block(offset)?.map(|(block, _)| block) {
            // A lower number is a copy of an older block, which says nothing about the end.
            Some(block) if block.number >= contents.next_block => {
                if !matches!(found, AfterEnd::Blocks { .. }) {
                    let damaged_through = block.after.index;
                    found = AfterEnd::Blocks { damaged_through };
                }
                highest = highest.max(block.number);
                offset += block.bytes();
            }
            _ => {
                offset += SECTOR;
                if !matches!(found, AfterEnd::Blocks { .. }) {
                    found = AfterEnd::Garbage { until: offset };
                }
            }
        }
    }
    Ok((found, highest))
}
