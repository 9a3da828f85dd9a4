//! The log of a running process: the shipped code on a faulty disk, with a reader beside its writer.

use chat_log::{LogError, Opened, ReadLimits, SegmentLog, SegmentReader};

use crate::faulty_disk::FaultyDirectory;
use crate::log_images::expected::Piece;

/// An open log and its reader.
#[derive(Debug)]
pub(super) struct OpenLog {
    pub(super) log: SegmentLog<FaultyDirectory>,
    pub(super) reader: SegmentReader<FaultyDirectory>,
}

impl OpenLog {
    pub(super) fn new(log: SegmentLog<FaultyDirectory>) -> Self {
        let reader = log.reader();
        Self { log, reader }
    }

    /// Everything that the reader returns: what is before a hole and what is after it.
    pub(super) fn read_all(&mut self, opened: &Opened) -> Result<Vec<Piece>, LogError> {
        let Some(base) = &opened.stored.base else {
            return Ok(Vec::new());
        };
        let (begin, last) = (base.position.index, opened.stored.last.index);
        let parts = match opened.hole {
            None => vec![(begin, last)],
            Some(hole) => vec![(begin, hole.after), (hole.through.max(begin), last)],
        };
        let mut pieces = Vec::new();
        for (after, through) in parts {
            if after >= through {
                continue;
            }
            let chain = self.reader.chain_at(after)?;
            let mut entries = self.reader.read(after, through, ReadLimits::NONE)?;
            while let Some(last) = entries.last().map(|entry| entry.position.index)
                && last < through
            {
                entries.extend(self.reader.read(last, through, ReadLimits::NONE)?);
            }
            pieces.push(Piece {
                after,
                through,
                chain: chain.ok_or(LogError::Poisoned)?,
                entries,
            });
        }
        Ok(pieces)
    }
}
