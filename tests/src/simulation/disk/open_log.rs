//! The log of a running process: the shipped code on a faulty disk.

use chat_consensus::{BlockNumber, Entry, LogBase, LogIndex, StorageId, Writes};
use chat_log::{LogError, Opened, Options, ReadLimits, SegmentLog, SegmentReader};

use super::image::Image;
use crate::faulty_disk::FaultyDirectory;

/// How many entries at each end of a log are compared with the model when it is opened.
const COMPARED: u64 = 64;

/// An open log with a reader beside it.
#[derive(Debug)]
pub(super) struct OpenLog {
    log: SegmentLog<FaultyDirectory>,
    reader: SegmentReader<FaultyDirectory>,
}

impl OpenLog {
    pub(super) fn open(
        directory: &FaultyDirectory,
        options: Options,
        random: impl FnMut() -> u128,
    ) -> Result<(Self, Opened), LogError> {
        let (log, opened) = SegmentLog::open(directory.clone(), options, random)?;
        let reader = log.reader();
        Ok((Self { log, reader }, opened))
    }

    pub(super) fn append_and_sync(&mut self, writes: &Writes) -> Result<(), LogError> {
        self.log.append_and_sync(writes)
    }

    pub(super) fn compact(&mut self, through: LogIndex) -> Result<LogBase, LogError> {
        self.log.compact(through)
    }

    pub(super) fn roll(&mut self) -> Result<(), LogError> {
        self.log.roll()
    }

    pub(super) fn has_hole(&self) -> bool {
        self.log.hole().is_some()
    }

    pub(super) fn refresh_witness(&mut self) -> Result<(), LogError> {
        self.log.refresh_witness()
    }

    pub(super) fn synced_block(&self) -> BlockNumber {
        self.log.synced_block()
    }

    pub(super) fn begin_amnesia(&mut self, storage: StorageId, why: &str) -> Result<(), LogError> {
        self.log.begin_amnesia(storage, why)
    }

    pub(super) fn record_fault(&mut self, fault: &str) -> Result<(), LogError> {
        self.log.record_fault(fault)
    }

    /// Reads as a replica does, and checks it against the model.
    pub(super) fn read(
        &mut self,
        after: LogIndex,
        last: LogIndex,
        limits: ReadLimits,
        expected: &Image,
    ) -> Result<Vec<Entry>, String> {
        let beginning = expected.base().map(|base| base.position.index);
        let expected = expected.entries_between(after, last);
        if expected.is_empty() {
            return Ok(Vec::new());
        }
        let found = self.reader.read(after, last, limits);
        if let (Err(LogError::BelowBase { .. }), Some(base)) = (&found, beginning)
            && after < base
        {
            // They are gone meanwhile (R24).
            return Ok(Vec::new());
        }
        let found = found.map_err(|error| format!("reading after {after}: {error}"))?;
        if found.is_empty() || !expected.starts_with(&found) {
            let count = found.len();
            return Err(format!(
                "{count} entries after {after} are not those written"
            ));
        }
        Ok(found)
    }

    /// Compares the ends of the log with the model.
    pub(super) fn compare(&mut self, expected: &Image) -> Result<(), String> {
        let Some(base) = expected.base() else {
            return Ok(());
        };
        let (first, last) = (base.position.index, expected.last().index);
        let ends = [
            (first, LogIndex(first.0 + COMPARED).min(last)),
            (LogIndex(last.0.saturating_sub(COMPARED)).max(first), last),
        ];
        for (after, through) in ends {
            let mut after = after;
            while after < through {
                let read = self.read(after, through, ReadLimits::NONE, expected)?;
                after.0 += read.len() as u64;
            }
        }
        Ok(())
    }
}
