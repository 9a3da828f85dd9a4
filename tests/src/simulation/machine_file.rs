//! The state of the simulated machine as the bytes of a snapshot (R24).

use bytes::Bytes;
use chat_consensus::LogIndex;

use crate::simulation::process::Machine;

/// A file begins with a number of its node, so that the files of two nodes differ.
const HEADER_BYTES: usize = 8;
/// An operation, and where it took effect.
const RECORD_BYTES: usize = 16;

impl Machine {
    /// The file with this state.
    pub(crate) fn to_file(&self, number: u64) -> Bytes {
        let mut bytes = Vec::with_capacity(HEADER_BYTES + self.list.len() * RECORD_BYTES);
        bytes.extend_from_slice(&number.to_le_bytes());
        for (operation, index) in &self.list {
            bytes.extend_from_slice(&operation.to_le_bytes());
            bytes.extend_from_slice(&index.0.to_le_bytes());
        }
        Bytes::from(bytes)
    }

    /// The state of a file at `applied`, durable; `None` if the bytes are something else.
    pub(crate) fn from_file(bytes: &[u8], applied: LogIndex) -> Option<Self> {
        let (_, records) = bytes.split_at_checked(HEADER_BYTES)?;
        let number = |bytes: &[u8]| bytes.try_into().map(u64::from_le_bytes).ok();
        let mut machine = Self {
            applied,
            published: LogIndex::ZERO,
            durable: applied,
            ..Self::default()
        };
        for record in records.chunks(RECORD_BYTES) {
            let (operation, index) = record.split_at_checked(8)?;
            let index = LogIndex(number(index)?);
            machine.list.insert(number(operation)?, index);
        }
        Some(machine)
    }
}
