//! Reads entries of a log beside its writer, with file descriptors of its own.

use std::fmt;
use std::io;
use std::sync::Arc;

use chat_consensus::{ChainValue, Entry, LogBase, LogIndex, Position};

use crate::block::{BlockHeader, BlockKind};
use crate::block_file::BlockFile;
use crate::block_marks::BlockMarks;
use crate::error::LogError;
use crate::files::{Directory, File};
use crate::hole::Missing;
use crate::segment_header::segment_name;
use crate::synced_log::{Found, Segment, Shared};

/// How much one read may return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadLimits {
    /// In entries. Small entries cost time and space beyond their payload.
    pub entries_max: usize,
    /// In bytes of payload.
    pub bytes_max: usize,
}

/// Reads synced entries, beside the writer and on any thread. Checks checksum and chain of each block
/// that it reads.
pub struct SegmentReader<D: Directory> {
    directory: Arc<D>,
    shared: Shared,
    /// The segment that was read last, by its first block.
    open: Option<(u64, BlockFile<D::File>)>,
    /// Where the last read ended, for one that goes on there.
    resume: Option<Resume>,
    /// The log's revision when `resume` was right.
    revision: u64,
}

/// The entry at `index` is in the block at `offset`, or a later one, of a segment.
#[derive(Clone, Copy, Debug)]
struct Resume {
    first_block: u64,
    index: LogIndex,
    offset: u64,
}

/// Entries that a read collects, each checked to follow the one before it.
struct Collected {
    next: LogIndex,
    last: LogIndex,
    limits: ReadLimits,
    bytes: usize,
    entries: Vec<Entry>,
    /// The chain value before `next`, once it is known.
    chain: Option<ChainValue>,
}

impl ReadLimits {
    /// Everything at once.
    pub const NONE: Self = Self {
        entries_max: usize::MAX,
        bytes_max: usize::MAX,
    };
}

impl<D: Directory> SegmentReader<D> {
    pub(crate) fn new(directory: Arc<D>, shared: Shared) -> Self {
        Self {
            directory,
            shared,
            open: None,
            resume: None,
            revision: 0,
        }
    }

    /// The entries after `after` up to and including `last`, or up to the synced end: at least one if
    /// there is one, then no more than `limits` allow in all. What was truncated is never returned.
    ///
    /// # Errors
    ///
    /// [`LogError::BelowBase`] when the log begins after `after`; [`LogError::InHole`] when an entry
    /// before the limits is in the log's [`Hole`](crate::Hole); [`LogError::Damaged`] when one is not
    /// what was written; [`LogError::Io`] when the disk fails.
    pub fn read(
        &mut self,
        after: LogIndex,
        last: LogIndex,
        limits: ReadLimits,
    ) -> Result<Vec<Entry>, LogError> {
        self.while_unchanged(|reader| reader.read_once(after, last, limits))
    }

    /// The chain value of the entry at `index`, or of the base; `None` after the synced end.
    ///
    /// # Errors
    ///
    /// As [`Self::read`].
    pub fn chain_at(&mut self, index: LogIndex) -> Result<Option<ChainValue>, LogError> {
        let found = self.position_and_chain_at(index)?;
        Ok(found.map(|(_, chain)| chain))
    }

    /// The position and chain value at `index`, of an entry or of the base; `None` after the end.
    pub(crate) fn position_and_chain_at(
        &mut self,
        index: LogIndex,
    ) -> Result<Option<(Position, ChainValue)>, LogError> {
        self.while_unchanged(|reader| reader.position_and_chain_once(index))
    }

    /// Where the oldest segment begins, also of a log with a hole; `None` while it has no base.
    pub fn base(&self) -> Option<LogBase> {
        self.shared.look().base().cloned()
    }

    /// The names of the segments that nothing is appended to any more, oldest first: what
    /// [`Self::verify_segment`] takes.
    pub fn sealed_segments(&self) -> Vec<String> {
        let log = self.shared.look();
        let sealed = log.segments().split_last().map_or(&[][..], |(_, all)| all);
        sealed.iter().map(Segment::name).collect()
    }

    /// Reads one sealed segment whole, from the medium if the system can, and checks every block. For
    /// a task in the background that finds rot before the entries are needed. Returns how many bytes it
    /// has.
    ///
    /// # Errors
    ///
    /// [`LogError::Damaged`] when it is not what was written; [`LogError::NoSuchSegment`] when it
    /// is not, or no longer, a sealed segment; [`LogError::Io`] when the disk fails.
    pub fn verify_segment(&mut self, name: &str) -> Result<u64, LogError> {
        let missing = || LogError::NoSuchSegment {
            name: name.to_owned(),
        };
        let (segment, end) = {
            let log = self.shared.look();
            let mut pairs = log.segments().windows(2);
            let pair = pairs.find(|pair| pair[0].name() == name);
            let pair = pair.ok_or_else(missing)?;
            (pair[0].clone(), pair[1].base.clone())
        };
        // Of its own, so that nothing is believed because it is in a buffer.
        let file = match self.directory.open(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(missing()),
            file => file.map_err(LogError::io("open", name))?,
        };
        file.drop_cache().map_err(LogError::io("read", name))?;
        let mut file = BlockFile::new(file, name.to_owned(), segment.salt);
        file.set_end(segment.end);
        let mut offset = segment.begin;
        let mut before = (segment.base.position, segment.base.chain);
        let mut number = segment.first_block;
        while offset < segment.end {
            let (block, _) = whole_block(&mut file, offset)?;
            let joins = (block.after, block.chain_before) == before
                || block.kind == BlockKind::TruncateAndAppend;
            if block.number != number || !joins {
                return Err(file.damaged(offset, "the block is not the next one"));
            }
            before = (block.last, block.chain);
            number += 1;
            offset += block.bytes();
        }
        if before == (end.position, end.chain) {
            Ok(segment.end)
        } else {
            Err(file.damaged(offset, "it does not end where its successor begins"))
        }
    }

    /// Reads again when the log was truncated or replaced meanwhile.
    fn while_unchanged<T>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<T, LogError>,
    ) -> Result<T, LogError> {
        loop {
            let revision = self.shared.look().revision();
            if revision != self.revision {
                self.resume = None;
                self.revision = revision;
            }
            let result = read(self);
            if self.shared.look().revision() == revision {
                return result;
            }
        }
    }

    fn read_once(
        &mut self,
        after: LogIndex,
        last: LogIndex,
        limits: ReadLimits,
    ) -> Result<Vec<Entry>, LogError> {
        let (last, chain) = {
            let log = self.shared.look();
            let Some(base) = log.base() else {
                return Ok(Vec::new());
            };
            check_not_below(after, base)?;
            let chain = (after == base.position.index).then_some(base.chain);
            (last.min(log.last().index), chain)
        };
        let mut collected = Collected {
            next: LogIndex(after.0.saturating_add(1)),
            last,
            limits,
            bytes: 0,
            entries: Vec::new(),
            chain,
        };
        while collected.next <= last {
            let missing = self.shared.look().missing();
            if let Some(missing) = missing.filter(|missing| missing.contains(collected.next)) {
                return Err(in_hole(missing));
            }
            let found = self.find(collected.next)?;
            let found = found.ok_or_else(|| in_no_segment(collected.next))?;
            if !self.read_from(found, &mut collected)? {
                break;
            }
        }
        Ok(collected.entries)
    }

    fn position_and_chain_once(
        &mut self,
        index: LogIndex,
    ) -> Result<Option<(Position, ChainValue)>, LogError> {
        let end = {
            let log = self.shared.look();
            let Some(base) = log.base() else {
                return Ok(None);
            };
            check_not_below(index, base)?;
            if index == base.position.index {
                return Ok(Some((base.position, base.chain)));
            }
            if index > log.last().index {
                return Ok(None);
            }
            log.missing().filter(|missing| missing.contains(index))
        };
        if let Some(missing) = end {
            // What follows says where it goes on.
            let known = missing.end.index == index;
            return match known {
                true => Ok(Some((missing.end, missing.chain))),
                false => Err(in_hole(missing)),
            };
        }
        let found = self.find(index)?.ok_or_else(|| in_no_segment(index))?;
        let (block, entries, _) = self.block_with(found, index)?;
        let entries = entries
            .iter()
            .take_while(|entry| entry.position.index <= index);
        let start = (block.after, block.chain_before);
        Ok(Some(entries.fold(start, |(_, chain), entry| {
            (entry.position, chain.next(entry))
        })))
    }

    /// Adds the entries from `found` on; `false` when no more are wanted.
    fn read_from(&mut self, found: Found, collected: &mut Collected) -> Result<bool, LogError> {
        let through = found.through.min(collected.last);
        let (mut block, mut entries, mut offset) = self.block_with(found, collected.next)?;
        loop {
            let file = self.file(found)?;
            if !collected.follows(&block) {
                return Err(file.damaged(offset, "the block has another chain value before it"));
            }
            let go_on = collected.add(&block, entries, through);
            // Otherwise a later block, which is not behind this one, has written the entry again.
            let follows = found.at_end || collected.next <= found.through;
            self.resume = follows.then_some(Resume {
                first_block: found.first_block,
                index: collected.next,
                offset,
            });
            if !go_on || collected.next > through {
                return Ok(go_on);
            }
            offset += block.bytes();
            let file = self.file(found)?;
            (block, entries) = whole_block(file, offset)?;
            if !block.holds(collected.next) {
                return Err(file.damaged(offset, "the block is not the next one"));
            }
        }
    }

    /// The block with the entry at `index`, its entries and where it begins.
    fn block_with(
        &mut self,
        found: Found,
        index: LogIndex,
    ) -> Result<(BlockHeader, Vec<Entry>, u64), LogError> {
        let resume = self
            .resume
            .filter(|resume| (resume.first_block, resume.index) == (found.first_block, index));
        let begin = found.mark.map_or(found.begin, |mark| mark.offset);
        let mut offset = resume.map_or(begin, |resume| resume.offset);
        let file = self.file(found)?;
        loop {
            let header = file.header(offset)?;
            let header = header.ok_or_else(|| file.damaged(offset, "there is no block"))?;
            if header.last.index < index {
                offset += header.bytes();
                continue;
            }
            if !header.holds(index) {
                return Err(file.damaged(offset, "the block is not the next one"));
            }
            let (block, entries) = whole_block(file, offset)?;
            return Ok((block, entries, offset));
        }
    }

    /// Where the entry at `index` is, with its mark; `None` if it is in no segment.
    fn find(&mut self, index: LogIndex) -> Result<Option<Found>, LogError> {
        loop {
            let found = self.shared.look().find(index);
            let Some(found) = found.filter(|found| found.mark.is_none()) else {
                return Ok(found);
            };
            let marks = self.read_marks(found)?;
            self.shared.change().set_marks(found.first_block, marks);
        }
    }

    /// Finds the marks of a segment from the headers of its blocks.
    fn read_marks(&mut self, found: Found) -> Result<BlockMarks, LogError> {
        let file = self.file(found)?;
        let mut marks = BlockMarks::default();
        let mut offset = found.begin;
        while offset < found.end {
            let header = file.header(offset)?;
            let header = header.ok_or_else(|| file.damaged(offset, "there is no block"))?;
            marks.add(&header, offset, true);
            offset += header.bytes();
        }
        Ok(marks)
    }

    /// The segment's file, to be read up to the found end.
    fn file(&mut self, found: Found) -> Result<&mut BlockFile<D::File>, LogError> {
        let opened = self
            .open
            .as_ref()
            .map(|(first_block, file)| (*first_block, file.salt()));
        if opened != Some((found.first_block, found.salt)) {
            let name = segment_name(found.first_block);
            let file = self.directory.open(&name);
            let file = file.map_err(LogError::io("open", &name))?;
            self.open = Some((found.first_block, BlockFile::new(file, name, found.salt)));
        }
        let (_, file) = self.open.as_mut().expect("it was opened above");
        file.set_end(found.end);
        Ok(file)
    }
}

impl Collected {
    /// Whether the block, whose entries come next, begins where the last one ended.
    fn follows(&self, block: &BlockHeader) -> bool {
        let joined = block.after.index.next() == self.next;
        !joined || self.chain.is_none_or(|chain| chain == block.chain_before)
    }

    /// Adds the entries of the block from the next one through `through`, as limits allow; `false`
    /// when no more are wanted.
    fn add(&mut self, block: &BlockHeader, entries: Vec<Entry>, through: LogIndex) -> bool {
        let mut chain = block.chain_before;
        for entry in entries {
            if entry.position.index > through {
                break;
            }
            chain = chain.next(&entry);
            if entry.position.index < self.next {
                continue;
            }
            self.bytes = self.bytes.saturating_add(entry.size());
            let too_many = self.entries.len() >= self.limits.entries_max.max(1);
            let too_large = self.bytes > self.limits.bytes_max && !self.entries.is_empty();
            if too_many || too_large {
                return false;
            }
            self.next = entry.position.index.next();
            self.entries.push(entry);
        }
        self.chain = Some(chain);
        true
    }
}

/// The valid block at `offset` and its entries, whose chain values are checked.
fn whole_block<F: File>(
    file: &mut BlockFile<F>,
    offset: u64,
) -> Result<(BlockHeader, Vec<Entry>), LogError> {
    let salt = file.salt();
    let found = file.block(offset)?.and_then(|(header, bytes)| {
        let entries = header.decode_body(bytes, salt)?;
        Some((header.check_chain(&entries), header))
    });
    match found {
        Some((Some(entries), header)) => Ok((header, entries)),
        Some((None, _)) => Err(file.damaged(offset, "the block has another chain value")),
        None => Err(file.damaged(offset, "there is no valid block")),
    }
}

fn in_hole(missing: Missing) -> LogError {
    LogError::InHole {
        after: missing.after,
        through: missing.end.index,
    }
}

/// The error for an entry that is in the log by its ends, and in no segment.
fn in_no_segment(index: LogIndex) -> LogError {
    LogError::Damaged {
        segment: format!("the segment of entry {index}"),
        offset: 0,
        what: "the entry is not in it",
    }
}

fn check_not_below(after: LogIndex, base: &LogBase) -> Result<(), LogError> {
    if after < base.position.index {
        return Err(LogError::BelowBase {
            after,
            base: base.position,
        });
    }
    Ok(())
}

impl<D: Directory> fmt::Debug for SegmentReader<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SegmentReader").finish_non_exhaustive()
    }
}
