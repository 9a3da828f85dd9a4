//! The log as its owner writes it: one batch after the other, each synced.

use std::fmt;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use chat_consensus::{
    BlockNumber, ChainValue, Entry, LogBase, LogIndex, MembershipChange, Position, Writes,
};

use crate::block::{BlockHeader, check_order};
use crate::directory_lock::DirectoryLock;
use crate::error::LogError;
use crate::files::Directory;
use crate::hole::Hole;
use crate::node_file::NodeState;
use crate::opened::{Opened, Options};
use crate::opening::{self, Parts, remove_and_sync, witness_of};
use crate::os_directory::OsDirectory;
use crate::segment_header::{FORMAT, SegmentHeader};
use crate::segment_reader::SegmentReader;
use crate::segment_writer::SegmentWriter;
use crate::synced_log::Segment;

/// After this many entries `node` remembers how far the log is synced: so many may be forgotten
/// unnoticed.
const WITNESS_ENTRIES: usize = 4096;

/// A segment with so many term changes is followed by a new one, so that headers stay small.
const TERM_RUNS_MAX: usize = 4096;

/// The name of the file that is locked.
const LOCK_NAME: &str = "lock";

/// The last entry, and the chain value there.
type LogEnd = (Position, ChainValue);

/// A log in segment files, with the file `node` beside them. One thread owns it; every method blocks.
///
/// After an error of a method that writes, every later write returns [`LogError::Poisoned`]: what is
/// on the disk is unknown then, and a failed sync is never retried (R1).
pub struct SegmentLog<D: Directory> {
    parts: Parts<D>,
    options: Options,
    /// Looks up what a truncation leaves.
    reader: SegmentReader<D>,
    /// Since `node` was last written.
    entries_since_witness: usize,
    /// Set while a write is in progress; only its success resets it.
    pub(crate) poisoned: bool,
    lock: Option<DirectoryLock>,
}

impl SegmentLog<OsDirectory> {
    /// Opens the log in the folder `path`, which is made if it is missing (0700), and locks it until
    /// the log is dropped. Otherwise as [`Self::open`].
    ///
    /// # Errors
    ///
    /// [`LogError::InUse`] when it is locked; otherwise as [`Self::open`].
    pub fn open_folder(
        path: &Path,
        options: Options,
        random: impl FnMut() -> u128,
    ) -> Result<(Self, Opened), LogError> {
        let created = private_file::create_folder(path).and_then(|()| match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
            _ => File::open(".")?.sync_all(),
        });
        created.map_err(LogError::io("create", "."))?;
        let lock = DirectoryLock::take(&path.join(LOCK_NAME));
        let lock = lock.map_err(LogError::io("lock", LOCK_NAME))?;
        let lock = lock.ok_or_else(|| LogError::InUse {
            directory: path.display().to_string(),
        })?;
        let (mut log, opened) = Self::open(OsDirectory::new(path), options, random)?;
        log.lock = Some(lock);
        Ok((log, opened))
    }
}

impl<D: Directory> SegmentLog<D> {
    /// Opens the log in `directory`, makes an empty one if there is none, and repairs what a crash
    /// left. All that it returns is synced.
    ///
    /// Reads the last segment whole, and of each older one its header and its last block; a segment
    /// with damage whole, too. `random` is called a few times, for ids and for what makes blocks
    /// unforgeable.
    ///
    /// # Errors
    ///
    /// [`LogError::Fault`] when [`Self::record_fault`] has ended its use; [`LogError::OtherNode`] and
    /// [`LogError::OtherCluster`] for mixed files; [`LogError::UnknownFormat`];
    /// [`LogError::Damaged`] when the headers of segments contradict each other; [`LogError::Io`] when
    /// the disk fails. It can be opened again after each of them.
    pub fn open(
        directory: D,
        options: Options,
        random: impl FnMut() -> u128,
    ) -> Result<(Self, Opened), LogError> {
        let (parts, mut opened) = opening::open(directory, options, random)?;
        let log = Self {
            reader: SegmentReader::new(Arc::clone(&parts.directory), parts.shared.clone_handle()),
            parts,
            options,
            entries_since_witness: 0,
            poisoned: false,
            lock: None,
        };
        opened.stored.synced_block = log.synced_block();
        Ok((log, opened))
    }

    /// Writes the batch and returns when it is synced, in this order: boot count, term, vote and
    /// cluster in `node`; the base, as [`Self::install`] does, but the first base of a disk before
    /// `node`; truncation and entries, which are one block. A crash before it returns leaves a part of
    /// that order, and of a block all or nothing.
    ///
    /// # Errors
    ///
    /// [`LogError::InHole`] when the truncation ends within the log's hole, and [`LogError::Damaged`]
    /// when the entry to which it goes back is not what was written: then nothing was changed, and the
    /// log can be used as before. For the first, [`Self::begin_amnesia`] is the way out. After every
    /// other error it is unknown what is on the disk.
    ///
    /// # Panics
    ///
    /// If an invariant of the node is broken: the entries do not follow the end of the log without a
    /// gap, their terms decrease, an entry follows a change of the members, the truncation is outside of
    /// the log, there is no base, or the disk gets another cluster.
    pub fn append_and_sync(&mut self, writes: &Writes) -> Result<(), LogError> {
        // What a truncation leaves is looked up before anything is written.
        let end = match (&writes.base, self.poisoned) {
            (None, false) => self.end_after(writes.truncate_after)?,
            _ => None,
        };
        self.poison_unless(|log| log.write(writes, end))
    }

    /// Replaces the whole log by one that begins at `base` and has no entries.
    ///
    /// # Errors
    ///
    /// As [`Self::append_and_sync`].
    ///
    /// # Panics
    ///
    /// If the disk belongs to another cluster.
    pub fn install(&mut self, base: &LogBase) -> Result<(), LogError> {
        self.append_and_sync(&Writes {
            base: Some(Box::new(base.clone())),
            ..Writes::default()
        })
    }

    /// Removes the oldest segments, as many as have no entry after `through`, and returns where the
    /// log begins then, as [`Self::base`] has it. The last segment stays: [`Self::roll`] begins another one. A segment that
    /// a later one has truncated into stays until that one goes, too. A log with a hole is compacted
    /// only through [`Hole::removable_at`] or later, and then the hole is gone.
    ///
    /// The caller must not want any entry up to `through` again: they are applied, and in a snapshot.
    ///
    /// # Errors
    ///
    /// As [`Self::append_and_sync`].
    ///
    /// # Panics
    ///
    /// If the log has no base.
    pub fn compact(&mut self, through: LogIndex) -> Result<LogBase, LogError> {
        let last = self.last().index;
        if self.hole().is_some() && through >= last {
            // What is damaged may be before the end of the last segment.
            self.roll()?;
        }
        self.poison_unless(|log| {
            // Nothing is read there any more before the first one goes.
            let removed = log.parts.shared.change().compact(through);
            let oldest = log.parts.shared.look().segments()[0].first_block;
            let hole = log.hole().is_some();
            if log.parts.node.oldest != oldest && !hole {
                // Before they go, so that what is missing later is known not to be compacted.
                log.change_node(|node| node.compact(oldest))?;
            }
            for segment in removed {
                remove_and_sync(&*log.parts.directory, &segment.name())?;
            }
            Ok(log.base().expect("a log that is compacted has a base"))
        })
    }

    /// The entries in the log's middle that are damaged, as [`Opened::hole`] has it, until they are
    /// compacted, truncated or replaced.
    ///
    /// [`Opened::hole`]: crate::Opened::hole
    pub fn hole(&self) -> Option<Hole> {
        self.parts.shared.look().hole()
    }

    /// Begins a new segment, unless nothing is in the last one, so that [`Self::compact`] can remove
    /// what is written so far.
    ///
    /// # Errors
    ///
    /// As [`Self::append_and_sync`].
    pub fn roll(&mut self) -> Result<(), LogError> {
        self.poison_unless(|log| match &log.parts.tail {
            Some(tail) if tail.contents.has_blocks() => log.begin_segment(),
            _ => Ok(()),
        })
    }

    /// About how many bytes the log has after `index`: up to a segment too many for entries of an
    /// older segment that was not read in this run, otherwise 64 KiB; blocks that were truncated
    /// count, too.
    pub fn bytes_after(&self, index: LogIndex) -> u64 {
        self.parts.shared.look().bytes_after(index)
    }

    /// A reader beside this writer.
    pub fn reader(&self) -> SegmentReader<D> {
        let parts = &self.parts;
        SegmentReader::new(Arc::clone(&parts.directory), parts.shared.clone_handle())
    }

    /// The name of the oldest segment's file; `None` while the log has no base.
    pub fn oldest_segment(&self) -> Option<String> {
        let log = self.parts.shared.look();
        log.segments().first().map(Segment::name)
    }

    /// Where the log begins, behind its hole if it has one; `None` while it has no base.
    pub fn base(&self) -> Option<LogBase> {
        self.parts.shared.look().begins()
    }

    /// The last entry's position, or the base's; [`Position::ZERO`] for a log without a base.
    pub fn last(&self) -> Position {
        self.parts.shared.look().last()
    }

    /// The chain value at [`Self::last`]; 16 zero bytes for a log without a base.
    pub fn last_chain(&self) -> ChainValue {
        let chain = self.parts.shared.look().chain();
        chain.unwrap_or(ChainValue([0; 16]))
    }

    /// The number of the last synced block; before the first one that of the storage id before, or 0.
    ///
    /// It only grows for one storage id, over all starts, so that a peer that remembers a higher one of
    /// an earlier start knows of a loss (R18): a batch with a base, a truncation or entries adds one
    /// block at least, and nothing else changes it.
    pub fn synced_block(&self) -> BlockNumber {
        BlockNumber(self.next_block() - 1)
    }

    /// The chain value of the entry at `position`, or of the base; `None` if that entry is not in the
    /// log.
    ///
    /// # Errors
    ///
    /// As [`SegmentReader::read`].
    pub fn chain_at(&mut self, position: Position) -> Result<Option<ChainValue>, LogError> {
        let index = position.index;
        let below = |base: LogBase| index < base.position.index;
        if self.base().is_none_or(below) {
            return Ok(None);
        }
        let found = self.reader.position_and_chain_at(index)?;
        let found = found.filter(|&(found, _)| found == position);
        Ok(found.map(|(_, chain)| chain))
    }

    /// Closes the log, so that the next start knows exactly how far it was synced. Dropping it loses
    /// nothing else.
    ///
    /// # Errors
    ///
    /// As [`Self::append_and_sync`].
    pub fn close(mut self) -> Result<(), LogError> {
        if self.poisoned {
            return Ok(());
        }
        self.change_node(|_| {})
    }

    /// Does what writes, unless an earlier write failed.
    pub(crate) fn poison_unless<T>(
        &mut self,
        write: impl FnOnce(&mut Self) -> Result<T, LogError>,
    ) -> Result<T, LogError> {
        if self.poisoned {
            return Err(LogError::Poisoned);
        }
        self.poisoned = true;
        let written = write(self)?;
        self.poisoned = false;
        Ok(written)
    }

    fn write(&mut self, writes: &Writes, end: Option<LogEnd>) -> Result<(), LogError> {
        let node = &self.parts.node;
        let boot_count = writes.boot_count.unwrap_or(node.boot_count);
        let mut hard_state = writes.hard_state.unwrap_or(node.hard_state);
        let before = node.hard_state.cluster;
        let base = writes.base.as_ref().map(|base| base.membership.cluster);
        hard_state.cluster = hard_state.cluster.or(base);
        let cluster = before.or(base).or(hard_state.cluster);
        assert_eq!(
            cluster, hard_state.cluster,
            "a disk belongs to one cluster (R12)"
        );
        let changes = (boot_count, hard_state) != (node.boot_count, node.hard_state);
        // A disk with a cluster and without a base could neither bootstrap nor be given one (R12).
        let (first_base, base) = match &writes.base {
            base if self.base().is_none() => (base.as_ref(), None),
            base => (None, base.as_ref()),
        };
        if let Some(base) = first_base {
            self.install_base(base)?;
        }
        if changes {
            self.change_node(|node| {
                (node.boot_count, node.hard_state) = (boot_count, hard_state);
            })?;
        }
        if let Some(base) = base {
            self.install_base(base)?;
        }
        self.append(end, &writes.entries)
    }

    /// Where the log ends when it is truncated so; `None` if it is not.
    fn end_after(&mut self, truncate_after: Option<LogIndex>) -> Result<Option<LogEnd>, LogError> {
        let last = self.last().index;
        let Some(index) = truncate_after.filter(|&index| index != last) else {
            return Ok(None);
        };
        let base = self.parts.shared.look().base().map(|base| base.position);
        let within = base.is_some_and(|base| base.index <= index) && index < last;
        assert!(within, "truncation is within the log");
        self.reader.position_and_chain_at(index)
    }

    /// Writes and syncs `node` as changed, with the last synced block as the witness.
    pub(crate) fn change_node(
        &mut self,
        change: impl FnOnce(&mut NodeState),
    ) -> Result<(), LogError> {
        let parts = &mut self.parts;
        if let Some(tail) = &parts.tail {
            parts.node.witness = Some(witness_of(&tail.contents));
        }
        change(&mut parts.node);
        self.entries_since_witness = 0;
        parts.node_file.write(&parts.node)
    }

    pub(crate) fn write_witness(&mut self) -> Result<(), LogError> {
        let parts = &mut self.parts;
        let Some(tail) = &parts.tail else {
            return Ok(());
        };
        parts.node.witness = Some(witness_of(&tail.contents));
        self.entries_since_witness = 0;
        parts.node_file.refresh(&parts.node)
    }

    fn install_base(&mut self, base: &LogBase) -> Result<(), LogError> {
        let first_block = self.unused_block();
        let header = SegmentHeader {
            format: FORMAT,
            storage: self.parts.node.storage,
            salt: self.parts.salts.salt(first_block),
            first_block,
            base: base.clone(),
            before: None,
        };
        let (block, bytes) = BlockHeader::base(first_block, header.salt, base);
        let directory = &*self.parts.directory;
        let segment_bytes = self.options.segment_bytes;
        let mut tail = SegmentWriter::create(directory, &header, &bytes, segment_bytes)?;
        tail.contents.add(&block, std::iter::empty(), None);
        self.parts.tail = Some(tail);
        let waste = self.parts.shared.change().install(&header, &block);
        // The log that is waste must not be taken for this one if this one is lost.
        self.change_node(|node| {
            (node.oldest, node.damaged) = (first_block, None);
        })?;
        for segment in waste {
            remove_and_sync(&*self.parts.directory, &segment.name())?;
        }
        Ok(())
    }

    /// Begins the segment that follows the last one.
    fn begin_segment(&mut self) -> Result<(), LogError> {
        let parts = &mut self.parts;
        let membership = parts.shared.look().members().last().cloned();
        let tail = parts.tail.as_mut().expect("a log that has a base has one");
        let first_block = tail.contents.next_block;
        let header = SegmentHeader {
            format: FORMAT,
            storage: parts.node.storage,
            salt: parts.salts.salt(first_block),
            first_block,
            base: LogBase {
                position: tail.contents.last,
                chain: tail.contents.chain,
                membership: membership.expect("a log that has a segment has members"),
            },
            before: Some(tail.contents.summary()),
        };
        let segment_bytes = self.options.segment_bytes;
        *tail = SegmentWriter::create(&*parts.directory, &header, &[], segment_bytes)?;
        parts.shared.change().begin_segment(&header);
        Ok(())
    }

    /// Writes truncation and entries as one block.
    fn append(&mut self, truncated: Option<LogEnd>, entries: &[Entry]) -> Result<(), LogError> {
        if truncated.is_none() && entries.is_empty() {
            return Ok(());
        }
        let after = truncated.unwrap_or_else(|| (self.last(), self.last_chain()));
        check_order(after.0, entries);
        let truncates = truncated.is_some();
        let encode = |tail: &SegmentWriter<D::File>| {
            let number = tail.contents.next_block;
            let lowest = tail.contents.entries_after;
            BlockHeader::entries(number, tail.salt, after, (truncates, lowest), entries)
        };
        let (mut block, mut bytes) = encode(self.tail());
        let change = entries.last().and_then(MembershipChange::of);
        let contents = &self.tail().contents;
        let full = contents.end + block.bytes() > self.options.segment_bytes
            || contents.runs.len() >= TERM_RUNS_MAX
            || self.is_complete(change.is_some());
        if full && contents.has_blocks() {
            self.begin_segment()?;
            (block, bytes) = encode(self.tail());
        }
        let tail = self.parts.tail.as_mut().expect("a log with a base has one");
        let offset = tail.contents.end;
        tail.write(offset, bytes)?;
        tail.sync()?;
        let positions = entries.iter().map(|entry| entry.position);
        let mut shared = self.parts.shared.change();
        shared.append(&block, offset, change.as_ref());
        drop(shared);
        tail.contents.add(&block, positions, change);
        self.entries_since_witness += entries.len();
        if self.entries_since_witness >= WITNESS_ENTRIES {
            self.write_witness()?;
        }
        Ok(())
    }

    /// Whether the last segment has its last block because of the members: each header has those of all
    /// of its segment but the last block (R19).
    fn is_complete(&self, changes_members: bool) -> bool {
        let tail = self.tail();
        let log = self.parts.shared.look();
        let header = log
            .segments()
            .last()
            .map(|segment| &segment.base.membership);
        tail.contents.change.is_some()
            || log.members().last() != header
            || (changes_members && tail.is_of_before)
    }

    fn tail(&self) -> &SegmentWriter<D::File> {
        let tail = self.parts.tail.as_ref();
        tail.expect("a log that has a base has a segment")
    }

    fn next_block(&self) -> u64 {
        let tail = self.parts.tail.as_ref();
        tail.map_or(self.parts.node.block_floor, |tail| tail.contents.next_block)
    }

    /// A number that neither a block has nor a segment, in which there may be no block yet.
    pub(crate) fn unused_block(&self) -> u64 {
        match &self.parts.tail {
            Some(tail) if !tail.contents.has_blocks() => tail.contents.next_block + 1,
            _ => self.next_block(),
        }
    }
}

impl<D: Directory> fmt::Debug for SegmentLog<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SegmentLog").finish_non_exhaustive()
    }
}
