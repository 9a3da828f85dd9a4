//! What must reach the disk, and the messages that wait for it (R1).
//!
//! The order is kept by types: an [`UnsyncedBatch`] shows its writes and hides its messages; only
//! [`UnsyncedBatch::persist_with`] and its `async` twin, whose closures wrote and synced, turn it into
//! the [`SyncedBatch`] in exchange for which the node sends them.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::entry::{Entry, HardState, LogBase, Payload, Stored};
use crate::outgoing::Outgoing;
use crate::types::{BlockNumber, LogIndex, Position};

/// What one batch writes, in this order and in one transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Writes {
    /// This start's number (R4).
    pub boot_count: Option<u64>,
    /// Term, vote and cluster.
    pub hard_state: Option<HardState>,
    /// Where the log begins: on a disk without a base its first one (R12), and otherwise that of a
    /// snapshot that replaces the whole log, of which no entry is left (R24).
    pub base: Option<Box<LogBase>>,
    /// Every entry after this index is removed before any is appended (R11).
    pub truncate_after: Option<LogIndex>,
    /// Appended at the end, without a gap.
    pub entries: Vec<Entry>,
}

/// Writes that are decided and not yet on the disk.
#[derive(Debug)]
#[must_use = "what it decides has not happened before it is persisted"]
pub struct UnsyncedBatch {
    pub(crate) writes: Writes,
    pub(crate) after: SyncedState,
    pub(crate) awaiting_sync: Vec<Outgoing>,
}

/// Proof that a batch is on the disk. Nothing but [`UnsyncedBatch::persist_with`] and its `async` twin make one.
#[derive(Debug)]
#[must_use = "give it back to the node, which then sends the messages that waited for it"]
pub struct SyncedBatch {
    pub(crate) after: SyncedState,
    pub(crate) awaiting_sync: Vec<Outgoing>,
    pub(crate) synced_block: BlockNumber,
}

/// What the disk holds for certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SyncedState {
    pub(crate) boot_count: u64,
    pub(crate) hard_state: HardState,
    pub(crate) last: Position,
    pub(crate) has_base: bool,
    /// How often the log was replaced in this run by then (R24).
    pub(crate) log_replacements: u64,
}

impl SyncedState {
    /// What a start has found, which is synced.
    pub(crate) fn found(stored: &Stored) -> Self {
        Self {
            boot_count: stored.boot_count,
            hard_state: stored.hard_state,
            last: stored.last,
            has_base: stored.base.is_some(),
            log_replacements: 0,
        }
    }
}

impl Writes {
    /// Takes what one batch may hold and leaves the later entries: at most `entries_max` entries
    /// and `bytes_max` bytes of payload, or one entry that is larger. A change of the members is the
    /// last entry of its batch (R19).
    pub(crate) fn take_some(&mut self, entries_max: usize, bytes_max: usize) -> Self {
        let mut bytes = 0;
        let mut complete = false;
        let within = self.entries.iter().take(entries_max).take_while(|entry| {
            bytes += entry.size();
            let within = bytes <= bytes_max && !complete;
            complete = matches!(entry.payload, Payload::Membership(_));
            within
        });
        let count = within.count().max(1).min(self.entries.len());
        let left = self.entries.split_off(count);
        let taken = core::mem::take(self);
        self.entries = left;
        taken
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.boot_count.is_none()
            && self.hard_state.is_none()
            && self.base.is_none()
            && self.truncate_after.is_none()
            && self.entries.is_empty()
    }
}

impl UnsyncedBatch {
    /// What is to be written.
    pub fn writes(&self) -> &Writes {
        &self.writes
    }

    /// Calls `write_and_sync`, which must return `Ok` only when all of the writes are durable.
    /// With no writes (only messages that follow an earlier batch) it is not called.
    ///
    /// # Errors
    ///
    /// The closure's error. The batch is gone then and the node must stop: it never retries a
    /// failed sync.
    pub fn persist_with<E>(
        self,
        write_and_sync: impl FnOnce(&Writes) -> Result<(), E>,
    ) -> Result<SyncedBatch, E> {
        if !self.writes.is_empty() {
            write_and_sync(&self.writes)?;
        }
        Ok(self.synced())
    }

    /// As [`Self::persist_with`], for a disk that is waited for without blocking.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn persist_with_async<E>(
        self,
        write_and_sync: impl AsyncFnOnce(&Writes) -> Result<(), E>,
    ) -> Result<SyncedBatch, E> {
        if !self.writes.is_empty() {
            write_and_sync(&self.writes).await?;
        }
        Ok(self.synced())
    }

    fn synced(self) -> SyncedBatch {
        SyncedBatch {
            after: self.after,
            awaiting_sync: self.awaiting_sync,
            synced_block: BlockNumber::UNKNOWN,
        }
    }
}

impl SyncedBatch {
    /// The same, from a log whose newest synced block has this number now (R18). Without it the number
    /// stays what it was.
    pub fn with_synced_block(self, synced_block: BlockNumber) -> Self {
        Self {
            synced_block,
            ..self
        }
    }
}
