//! The log in segment files, of `chat-log`.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use chat_consensus::{
    BlockNumber, ChainValue, Entry, LogBase, LogIndex, NodeId, StorageId, Stored, Writes,
};
use chat_log::{Finding, LogError, Options, OsDirectory, ReadLimits as LogReadLimits};

use crate::runner::log_store::{LogReader, LogStore, ReadLimits};
use crate::runner::snapshot_directory::file_age;

/// The log in a directory of its own, in segment files; made if it is missing. One replica at a time
/// can use it.
#[derive(Debug)]
pub struct SegmentLog {
    directory: PathBuf,
    segment_bytes: Option<u64>,
    /// `None` before the log is loaded.
    log: Option<chat_log::SegmentLog<OsDirectory>>,
    /// Why the disk has a new storage id, while it is not a voter again.
    amnesia: Option<String>,
    damaged: DamagedSegment,
}

/// Reads a [`SegmentLog`].
#[derive(Debug)]
pub struct SegmentLogReader {
    reader: chat_log::SegmentReader<OsDirectory>,
    damaged: DamagedSegment,
    /// The segments that are still to be checked in this pass, the oldest one last; `None` between two.
    unchecked: Option<Vec<String>>,
}

/// The name of the first segment in which a read found damage. It is recorded when the log is closed, so
/// that the next start finds a hole instead of stopping at the same place again.
#[derive(Clone, Debug, Default)]
struct DamagedSegment(Arc<OnceLock<String>>);

impl DamagedSegment {
    /// Passes a result on.
    fn note<T>(&self, result: Result<T, LogError>) -> Result<T, LogError> {
        if let Err(LogError::Damaged { segment, .. }) = &result
            && segment.ends_with(".segment")
        {
            self.0.get_or_init(|| segment.clone());
        }
        result
    }
}

impl SegmentLog {
    /// The log in `directory`, which is opened when a replica starts.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            segment_bytes: None,
            log: None,
            amnesia: None,
            damaged: DamagedSegment::default(),
        }
    }

    /// Begins a new file after so many bytes instead of 64 MiB. The log forgets whole files only.
    #[must_use]
    pub fn segment_bytes(self, bytes: u64) -> Self {
        Self {
            segment_bytes: Some(bytes),
            ..self
        }
    }

    fn loaded(&mut self) -> &mut chat_log::SegmentLog<OsDirectory> {
        self.log
            .as_mut()
            .expect("a log is loaded before it is written")
    }
}

impl LogStore for SegmentLog {
    type Reader = SegmentLogReader;
    type Error = LogError;

    const BLOCKS: bool = true;

    async fn load(&mut self, node: NodeId) -> Result<Stored, LogError> {
        // It is locked while it is open.
        self.log = None;
        let mut options = Options::new(node);
        options.segment_bytes = self.segment_bytes.unwrap_or(options.segment_bytes);
        let (log, opened) = chat_log::SegmentLog::open_folder(&self.directory, options, random)?;
        for finding in &opened.findings {
            report(finding);
        }
        self.log = Some(log);
        self.amnesia = opened.amnesia;
        Ok(opened.stored)
    }

    fn reader(&self) -> SegmentLogReader {
        let log = self.log.as_ref();
        SegmentLogReader {
            reader: log.expect("a log is loaded before it is read").reader(),
            damaged: self.damaged.clone(),
            unchecked: None,
        }
    }

    async fn append_and_sync(&mut self, writes: &Writes) -> Result<(), LogError> {
        let written = self.loaded().append_and_sync(writes);
        self.damaged.note(written)
    }

    fn synced_block(&self) -> BlockNumber {
        let log = self.log.as_ref();
        log.map_or(BlockNumber::UNKNOWN, chat_log::SegmentLog::synced_block)
    }

    async fn roll(&mut self) -> Result<(), LogError> {
        self.loaded().roll()
    }

    fn age(&self) -> Duration {
        let log = self.log.as_ref();
        let oldest = log.and_then(chat_log::SegmentLog::oldest_segment);
        oldest.map_or(Duration::ZERO, |name| file_age(&self.directory.join(name)))
    }

    async fn compact(&mut self, through: LogIndex) -> Result<LogBase, LogError> {
        self.loaded().compact(through)
    }

    async fn chain_at(&mut self, index: LogIndex) -> Result<Option<ChainValue>, LogError> {
        let log = self.loaded();
        // What is in a hole, or before it, is not known.
        if log.base().is_none_or(|base| index < base.position.index) {
            return Ok(None);
        }
        let chain = log.reader().chain_at(index);
        self.damaged.note(chain)
    }

    fn payload_bytes(&self) -> u64 {
        let log = self.log.as_ref();
        log.map_or(0, |log| log.bytes_after(LogIndex::ZERO))
    }

    async fn rest(&mut self) -> Result<(), LogError> {
        self.loaded().refresh_witness()
    }

    async fn record_fault(&mut self, fault: &str) -> Result<(), LogError> {
        self.loaded().record_fault(fault)
    }

    async fn begin_amnesia(&mut self, why: &str) -> Result<(), LogError> {
        self.loaded().begin_amnesia(StorageId(random()), why)
    }

    fn amnesia(&self) -> Option<String> {
        self.amnesia.clone()
    }

    async fn clear_amnesia(&mut self) -> Result<(), LogError> {
        self.loaded().clear_amnesia()?;
        self.amnesia = None;
        Ok(())
    }

    async fn close(self) -> Result<(), LogError> {
        let Some(mut log) = self.log else {
            return Ok(());
        };
        if let Some(segment) = self.damaged.0.get() {
            tracing::error!(
                segment,
                "the log is damaged: the next start goes on behind that place"
            );
            // A log that refuses writes finds it again.
            let recorded = log.record_hole(segment);
            let closed = log.close();
            return recorded.and(closed);
        }
        log.close()
    }
}

impl LogReader for SegmentLogReader {
    type Error = LogError;

    async fn read(
        &mut self,
        after: LogIndex,
        last: LogIndex,
        limits: ReadLimits,
    ) -> Result<Vec<Entry>, LogError> {
        let limits = LogReadLimits {
            entries_max: limits.entries_max,
            bytes_max: limits.bytes_max,
        };
        match self.reader.read(after, last, limits) {
            // Compacted meanwhile, or behind a hole: the follower gets a snapshot.
            Err(LogError::BelowBase { .. } | LogError::InHole { .. }) => Ok(Vec::new()),
            read => self.damaged.note(read),
        }
    }

    fn scrub(&mut self) -> Result<u64, LogError> {
        let mut unchecked = match self.unchecked.take() {
            Some(unchecked) => unchecked,
            None => self.reader.sealed_segments().into_iter().rev().collect(),
        };
        while let Some(segment) = unchecked.pop() {
            match self.reader.verify_segment(&segment) {
                // Compacted meanwhile.
                Err(LogError::NoSuchSegment { .. }) => {}
                Ok(bytes) => {
                    tracing::debug!(segment, bytes, "a segment is as it was written");
                    self.unchecked = Some(unchecked);
                    return Ok(bytes);
                }
                Err(error) => return self.damaged.note(Err(error)),
            }
        }
        Ok(0)
    }
}

/// Logs what a start found.
fn report(finding: &Finding) {
    match finding {
        Finding::TornTail { segment, offset } => {
            tracing::info!(
                segment,
                offset,
                "the last block was not written completely; nothing depended on it"
            );
        }
        Finding::Amnesia { why } => {
            tracing::error!(
                why,
                "this disk lost what it had acknowledged: it has a new storage id, and votes again once it has \
                 caught up and the leader has admitted it (R18, R20)"
            );
        }
        Finding::Hole { from, through } => {
            tracing::error!(
                from = from.0,
                through = through.0,
                "the log is damaged there, and begins behind it from now on; what the state lacks comes as a snapshot"
            );
        }
        other => tracing::warn!(finding = ?other, "the log is damaged"),
    }
}

fn random() -> u128 {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the operating system has randomness");
    u128::from_ne_bytes(bytes)
}
