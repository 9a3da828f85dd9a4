//! A node's disk: the shipped log in segment files on a faulty disk, and a model of what it must hold.
//!
//! The model is what checkers see. The log must agree with it at every start, after every fault and at
//! every read; a difference is a violation `disk`. What a process wrote and did not sync is still
//! there for the next process, until a power loss (R4).

mod image;
mod losses;
mod open_log;

use std::collections::VecDeque;

use chat_consensus::{
    BlockNumber, Entry, LogBase, LogIndex, NodeId, StorageId, Stored, Term, Writes,
};
use chat_log::{LogError, Opened, Options, ReadLimits};

pub use image::Image;
use image::Undo;
use open_log::OpenLog;

use crate::faulty_disk::{FaultyDirectory, Tearing, Trouble};

/// How many of the newest transactions a disk can be rolled back by; each is at most four flushes.
const ROLL_BACK_MAX: usize = 16;

/// So small that a run has several segments.
const SEGMENT_BYTES: [u64; 3] = [16 << 10, 32 << 10, 64 << 10];

/// One start in so many crashes before it ends, and is repeated.
const STARTS_CRASH_ONE_IN: u32 = 8;

/// After one batch in so many the log's end is noted in `node`.
const WITNESSED_ONE_IN: u32 = 16;

/// One node's disk.
#[derive(Debug)]
pub struct Disk {
    directory: FaultyDirectory,
    options: Options,
    storage: StorageId,
    /// What a power loss leaves.
    durable: Image,
    /// The newest transactions, newest last, each with the number of flushes before it.
    undo: VecDeque<(u64, Undo)>,
    /// The fault that its last process recorded: the disk is not used any more (R11).
    fault: Option<String>,
    /// Written by a process that died before its sync; in order, each whole or absent.
    unsynced: Vec<Writes>,
    /// What its log has returned last as its newest block, but for what the disk was made to lose: no
    /// start finds less (R18).
    newest_block: BlockNumber,
    /// Its node knows that number, and not that of a log without blocks.
    has_block_numbers: bool,
    /// The log of the process that runs.
    open: Option<OpenLog>,
    random: fastrand::Rng,
}

/// What happens to a write that is under way when its process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteFate {
    /// Nothing of it was written.
    Lost,
    /// It ended anywhere within it.
    Crashed,
    /// The next start sees all of it; a power loss that keeps nothing undoes it. A disk that syncs
    /// does not write all of a batch at once, so only scenarios use this.
    Unsynced,
    /// It is durable.
    Synced,
}

impl Disk {
    /// A disk on which nothing was ever written; everything that happens on it follows from its id.
    ///
    /// # Panics
    ///
    /// When the log cannot be made on an empty disk.
    pub fn empty(node: NodeId, storage: StorageId) -> Self {
        // The lower half of a random id.
        let mut random = fastrand::Rng::with_seed(storage.0 as u64);
        let mut options = Options::new(node);
        options.segment_bytes = SEGMENT_BYTES[random.usize(0..SEGMENT_BYTES.len())];
        let directory = FaultyDirectory::empty();
        let (log, opened) = OpenLog::open(&directory, options, || storage.0)
            .expect("an empty disk without faults opens");
        assert_eq!(opened.stored, Stored::empty(storage), "an empty log");
        let newest_block = opened.stored.synced_block;
        drop(log);
        Self {
            // The first start is another process.
            directory: directory.kill(),
            options,
            storage,
            durable: Image::default(),
            undo: VecDeque::new(),
            fault: None,
            unsynced: Vec::new(),
            newest_block,
            has_block_numbers: true,
            open: None,
            random,
        }
    }

    /// The same, with segments that end as soon as they have `bytes` and a block.
    #[must_use]
    pub fn with_segments(mut self, bytes: u64) -> Self {
        self.options.segment_bytes = bytes;
        self
    }

    /// The same, for a node that does not know block numbers, as with a log without blocks, or as one of
    /// an earlier program seen by others.
    #[must_use]
    pub fn without_block_numbers(mut self) -> Self {
        self.has_block_numbers = false;
        self
    }

    /// A copy as it is now, on which no process runs.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self {
            directory: self.directory.image().into_directory(),
            options: self.options,
            storage: self.storage,
            durable: self.durable.clone(),
            undo: self.undo.clone(),
            fault: self.fault.clone(),
            unsynced: self.unsynced.clone(),
            newest_block: self.newest_block,
            has_block_numbers: self.has_block_numbers,
            open: None,
            random: self.random.clone(),
        }
    }

    /// The storage id of its contents.
    pub fn storage(&self) -> StorageId {
        self.storage
    }

    /// What a power loss leaves.
    pub fn durable(&self) -> &Image {
        &self.durable
    }

    /// A process starts: it opens the log, which finds also what was never synced (R4), and makes it
    /// durable. Some starts die in the middle and are repeated.
    ///
    /// # Errors
    ///
    /// The log fails, or does not hold what it must.
    pub fn start(&mut self) -> Result<Stored, String> {
        let flushes = self.directory.flushes();
        if self.random.u32(0..STARTS_CRASH_ONE_IN) == 0 {
            let operation = self.random.u64(0..8);
            let seed = self.random.u64(..);
            self.directory.plan(operation, Trouble::Crash, seed);
            let begun = OpenLog::open(&self.directory, self.options, || self.random.u128(1..));
            self.directory = self.directory.kill();
            drop(begun);
        }
        let opened = OpenLog::open(&self.directory, self.options, || self.random.u128(1..));
        let (mut log, opened) = opened.map_err(|error| describe(&error))?;
        self.find_parts(&opened, flushes)?;
        self.unsynced.clear();
        log.compare(&self.durable)?;
        let (found, known) = (opened.stored.synced_block, self.newest_block);
        if found < known || found != log.synced_block() {
            return Err(format!(
                "the start finds block {found} as the newest, and {known} was synced"
            ));
        }
        self.newest_block = found;
        self.open = Some(log);
        Ok(Stored {
            synced_block: self.synced_block(),
            ..opened.stored
        })
    }

    /// The number of the newest synced block, as its node knows it.
    pub fn synced_block(&self) -> BlockNumber {
        if self.has_block_numbers {
            self.newest_block
        } else {
            BlockNumber::UNKNOWN
        }
    }

    /// The process dies. The page cache stays.
    pub fn kill(&mut self) {
        self.directory = self.directory.kill();
        self.open = None;
    }

    /// Writes and syncs: everything that was written before is durable, too.
    ///
    /// # Errors
    ///
    /// The log fails, or must reject the writes.
    pub fn write_and_sync(&mut self, writes: &Writes) -> Result<(), String> {
        if writes.is_empty() {
            return Ok(());
        }
        self.make_durable(writes, self.directory.flushes())?;
        let open = self.open.as_mut().ok_or("no process runs")?;
        let written = open.append_and_sync(writes);
        written.map_err(|error| describe(&error))?;
        if self.random.u32(0..WITNESSED_ONE_IN) == 0 {
            let written = open.refresh_witness();
            written.map_err(|error| describe(&error))?;
        }
        self.newest_block = open.synced_block();
        Ok(())
    }

    /// `flushes` is how many there were before the first of this batch.
    fn make_durable(&mut self, writes: &Writes, flushes: u64) -> Result<(), String> {
        let undo = self.durable.change(writes)?;
        if self.undo.len() == ROLL_BACK_MAX {
            self.undo.pop_front();
        }
        self.undo.push_back((flushes, undo));
        Ok(())
    }

    /// The process dies while it writes, at a random operation or where `fate` says.
    ///
    /// # Errors
    ///
    /// The log does not hold what it must.
    pub(crate) fn die_in_write(&mut self, writes: &Writes, fate: WriteFate) -> Result<(), String> {
        let open = self.open.as_mut().ok_or("no process runs")?;
        let trouble = match fate {
            WriteFate::Lost => return Ok(()),
            WriteFate::Synced => return self.write_and_sync(writes),
            WriteFate::Crashed => Trouble::Crash,
            WriteFate::Unsynced => Trouble::SyncsPostponed,
        };
        // Most batches are one write and one sync; behind its last operation a batch is whole.
        let offset = match fate {
            WriteFate::Crashed => {
                self.random.u64(0..2) + self.random.u64(0..2) * self.random.u64(0..6)
            }
            _ => 0,
        };
        let flushes = self.directory.flushes();
        let operation = self.directory.operations() + offset;
        let seed = self.random.u64(..);
        self.directory.plan(operation, trouble, seed);
        // No process receives the result any more.
        let written = open.append_and_sync(writes);
        drop(written);
        self.kill();
        let has_base = self.durable.base().is_some();
        self.unsynced.extend(image::parts(writes, has_base));
        self.look_at_medium(flushes)
    }

    /// The log begins a new file.
    ///
    /// # Errors
    ///
    /// The log fails.
    pub(crate) fn roll(&mut self) -> Result<(), String> {
        let open = self.open.as_mut().ok_or("no process runs")?;
        open.roll().map_err(|error| describe(&error))
    }

    /// Removes entries up to `through`, which are in a snapshot, as many as the log can, and returns
    /// where it begins then (R24). What was before that cannot be rolled back to.
    ///
    /// # Errors
    ///
    /// The log fails, or begins where it must not.
    pub fn compact(&mut self, through: LogIndex) -> Result<LogBase, String> {
        let open = self.open.as_mut().ok_or("no process runs")?;
        let base = open.compact(through);
        let base = base.map_err(|error| describe(&error))?;
        let before = self.durable.base().map(|base| base.position);
        if before != Some(base.position) {
            if base.position.index > through {
                return Err(format!(
                    "compacted through {through}, but begins at {base:?}"
                ));
            }
            self.durable.compact(&base)?;
            self.undo.clear();
        }
        self.durable.set_behind_hole(open.has_hole());
        Ok(base)
    }

    /// The entries that became durable since the last call, and the term of the one before them.
    pub fn take_fresh(&mut self) -> (Term, &[Entry]) {
        self.durable.take_fresh()
    }

    /// Its node detected a violated invariant of the protocol, and stops.
    ///
    /// # Errors
    ///
    /// The log fails.
    pub fn record_fault(&mut self, fault: String) -> Result<(), String> {
        if let Some(open) = &mut self.open {
            let recorded = open.record_fault(&fault);
            recorded.map_err(|error| describe(&error))?;
        }
        self.fault = Some(fault);
        Ok(())
    }

    /// The recorded fault, if the disk must not be used any more.
    pub fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    /// Whether something was written and not synced.
    pub fn has_unsynced_writes(&self) -> bool {
        !self.unsynced.is_empty()
    }

    /// Power loss: what was not synced is kept in any part by chance, or not at all. Returns whether
    /// something was lost.
    ///
    /// # Errors
    ///
    /// The log does not hold what it must.
    pub(crate) fn lose_power(&mut self, may_keep: bool) -> Result<bool, String> {
        let flushes = self.directory.flushes();
        self.directory = if may_keep {
            self.directory
                .lose_power(&mut self.random, Tearing::AtAnyByte)
        } else {
            self.directory.lose_flushes(0).0
        };
        self.open = None;
        let unsynced = self.unsynced.len();
        if unsynced > 0 {
            self.look_at_medium(flushes)?;
        }
        let lost = !self.unsynced.is_empty();
        self.unsynced.clear();
        Ok(lost)
    }

    /// The entries in `(after, last]` that are there, at least one, then until `limits` are passed.
    ///
    /// # Errors
    ///
    /// They are not what was written.
    pub fn read(
        &mut self,
        after: LogIndex,
        last: LogIndex,
        limits: ReadLimits,
    ) -> Result<Vec<Entry>, String> {
        let open = self.open.as_mut().ok_or("no process runs")?;
        open.read(after, last, limits, &self.durable)
    }

    /// Finds out how much of what was not synced is on the medium nevertheless, as a start after a
    /// power loss would.
    fn look_at_medium(&mut self, flushes: u64) -> Result<(), String> {
        let (copy, _) = self.directory.image().into_directory().lose_flushes(0);
        let mut random = self.random.clone();
        let opened = OpenLog::open(&copy, self.options, || random.u128(1..));
        let (_, opened) = opened.map_err(|error| describe(&error))?;
        self.find_parts(&opened, flushes)
    }

    /// The log was opened: the model takes over how many of the unsynced parts are there.
    fn find_parts(&mut self, opened: &Opened, flushes: u64) -> Result<(), String> {
        let found = Stored {
            synced_block: BlockNumber::UNKNOWN,
            ..opened.stored.clone()
        };
        if self.durable.stored(self.storage) == found {
            return Ok(());
        }
        let mut expected = self.durable.clone();
        for (number, part) in self.unsynced.clone().iter().enumerate() {
            expected.change(part)?;
            if expected.stored(self.storage) == found {
                let parts: Vec<Writes> = self.unsynced.drain(..=number).collect();
                for part in &parts {
                    self.make_durable(part, flushes)?;
                }
                return Ok(());
            }
        }
        Err(format!(
            "opening the log returns {opened:?}, and expected is {:?} with {} unsynced parts",
            self.durable.stored(self.storage),
            self.unsynced.len()
        ))
    }
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).expect("runs are short")
}

fn describe(error: &LogError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests;
