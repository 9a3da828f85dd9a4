//! The log in segment files, of `chat-log`.

use std::path::PathBuf;

use chat_consensus::{ChainValue, Entry, LogBase, LogIndex, NodeId, Stored, Writes};
use chat_log::{Finding, LogError, Options, OsDirectory, ReadLimits as LogReadLimits};

use crate::runner::log_store::{LogReader, LogStore, ReadLimits};

/// The log in a directory of its own, in segment files; made if it is missing. One replica at a time
/// can use it.
#[derive(Debug)]
pub struct SegmentLog {
    directory: PathBuf,
    segment_bytes: Option<u64>,
    /// `None` before the log is loaded.
    log: Option<chat_log::SegmentLog<OsDirectory>>,
}

/// Reads a [`SegmentLog`].
#[derive(Debug)]
pub struct SegmentLogReader(chat_log::SegmentReader<OsDirectory>);

impl SegmentLog {
    /// The log in `directory`, which is opened when a replica starts.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            segment_bytes: None,
            log: None,
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
        let mut options = Options::new(node);
        options.segment_bytes = self.segment_bytes.unwrap_or(options.segment_bytes);
        let (log, opened) = chat_log::SegmentLog::open_folder(&self.directory, options, random)?;
        for finding in &opened.findings {
            report(finding);
        }
        // A node with a hole keeps its id and vote, but needs those entries from a peer, which is not
        // possible yet (docs/storage.md).
        if let Some(hole) = opened.hole {
            return Err(LogError::InHole {
                after: hole.after,
                through: hole.through,
            });
        }
        self.log = Some(log);
        Ok(opened.stored)
    }

    fn reader(&self) -> SegmentLogReader {
        let log = self.log.as_ref();
        SegmentLogReader(log.expect("a log is loaded before it is read").reader())
    }

    async fn append_and_sync(&mut self, writes: &Writes) -> Result<(), LogError> {
        self.loaded().append_and_sync(writes)
    }

    async fn compact(&mut self, through: LogIndex) -> Result<LogBase, LogError> {
        self.loaded().compact(through)
    }

    async fn chain_at(&mut self, index: LogIndex) -> Result<Option<ChainValue>, LogError> {
        self.loaded().reader().chain_at(index)
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

    async fn close(self) -> Result<(), LogError> {
        match self.log {
            Some(log) => log.close(),
            None => Ok(()),
        }
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
        match self.0.read(after, last, limits) {
            // Compacted meanwhile: the follower gets a snapshot.
            Err(LogError::BelowBase { .. }) => Ok(Vec::new()),
            read => read,
        }
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
                "this disk lost what it had acknowledged: it has a new storage id and does not vote (R18)"
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
