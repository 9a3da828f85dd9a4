//! A log in memory, for tests and examples: nothing survives the end of the process.

use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chat_consensus::{
    ChainValue, Entry, HardState, LogBase, LogIndex, MembershipChange, NodeId, Position, StorageId,
    Stored, Writes,
};

use crate::runner::log_store::{LogReader, LogStore, ReadLimits};
use crate::runner::snapshot_directory::TemporaryDirectory;

/// A log in memory. Its clones are the same log, as if they were on the same disk: keep one to start
/// the replica again with what it had. Snapshots are files all the same, in a temporary directory that
/// is removed with the last clone.
#[derive(Debug)]
pub struct MemoryLog {
    disk: Arc<Mutex<Disk>>,
    /// Whether a replica has loaded it through this value.
    loaded: bool,
}

/// Reads a [`MemoryLog`].
#[derive(Debug)]
pub struct MemoryLogReader(Arc<Mutex<Disk>>);

/// Why a log in memory cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryLogError {
    /// A replica that has not stopped uses it.
    #[error("the log is in use")]
    InUse,
    /// Another node has used it.
    #[error("this log belongs to node {found}, but this is node {node}")]
    OtherNode {
        /// The node that it belongs to.
        found: NodeId,
        /// The node that loaded it.
        node: NodeId,
    },
    /// The replica that used it found that a protocol invariant is violated.
    #[error("this log is not used any more: its node stopped because {fault}")]
    Fault {
        /// What it found.
        fault: String,
    },
}

#[derive(Debug)]
struct Disk {
    storage: StorageId,
    node: Option<NodeId>,
    in_use: bool,
    fault: Option<String>,
    boot_count: u64,
    hard_state: HardState,
    base: Option<LogBase>,
    entries: Vec<Entry>,
    snapshots: TemporaryDirectory,
}

impl MemoryLog {
    /// An empty log, of a new disk.
    pub fn new() -> Self {
        let random = || u128::from(RandomState::new().hash_one(()));
        Self {
            disk: Arc::new(Mutex::new(Disk {
                storage: StorageId((random() << 64) | random()),
                node: None,
                in_use: false,
                fault: None,
                boot_count: 0,
                hard_state: HardState::default(),
                base: None,
                entries: Vec::new(),
                snapshots: TemporaryDirectory::new(),
            })),
            loaded: false,
        }
    }
}

impl Default for MemoryLog {
    fn default() -> Self {
        Self::new()
    }
}

impl Clone for MemoryLog {
    fn clone(&self) -> Self {
        Self {
            disk: Arc::clone(&self.disk),
            loaded: false,
        }
    }
}

impl Drop for MemoryLog {
    fn drop(&mut self) {
        if self.loaded {
            lock(&self.disk).in_use = false;
        }
    }
}

impl LogStore for MemoryLog {
    type Reader = MemoryLogReader;
    type Error = MemoryLogError;

    async fn load(&mut self, node: NodeId) -> Result<Stored, MemoryLogError> {
        let mut disk = lock(&self.disk);
        if disk.in_use {
            return Err(MemoryLogError::InUse);
        }
        if let Some(fault) = disk.fault.clone() {
            return Err(MemoryLogError::Fault { fault });
        }
        let found = *disk.node.get_or_insert(node);
        if found != node {
            return Err(MemoryLogError::OtherNode { found, node });
        }
        disk.in_use = true;
        self.loaded = true;
        Ok(disk.stored())
    }

    fn reader(&self) -> MemoryLogReader {
        MemoryLogReader(Arc::clone(&self.disk))
    }

    async fn append_and_sync(&mut self, writes: &Writes) -> Result<(), MemoryLogError> {
        lock(&self.disk).write(writes);
        Ok(())
    }

    async fn compact(&mut self, through: LogIndex) -> Result<LogBase, MemoryLogError> {
        Ok(lock(&self.disk).compact(through))
    }

    async fn chain_at(&mut self, index: LogIndex) -> Result<Option<ChainValue>, MemoryLogError> {
        Ok(lock(&self.disk).chain_at(index))
    }

    fn payload_bytes(&self) -> u64 {
        let disk = lock(&self.disk);
        disk.entries.iter().map(|entry| entry.size() as u64).sum()
    }

    fn snapshots(&self) -> Option<PathBuf> {
        Some(lock(&self.disk).snapshots.path().to_owned())
    }

    async fn record_fault(&mut self, fault: &str) -> Result<(), MemoryLogError> {
        lock(&self.disk).fault = Some(fault.to_owned());
        Ok(())
    }

    async fn close(self) -> Result<(), MemoryLogError> {
        Ok(())
    }
}

impl LogReader for MemoryLogReader {
    type Error = MemoryLogError;

    async fn read(
        &mut self,
        after: LogIndex,
        last: LogIndex,
        limits: ReadLimits,
    ) -> Result<Vec<Entry>, MemoryLogError> {
        let disk = lock(&self.0);
        let wanted = disk.entries.iter();
        let wanted = wanted.skip_while(|entry| entry.position.index <= after);
        let wanted = wanted.take_while(|entry| entry.position.index <= last);
        let mut bytes = 0;
        let mut entries = Vec::new();
        for entry in wanted.take(limits.entries_max.max(1)) {
            bytes += entry.size();
            if bytes > limits.bytes_max && !entries.is_empty() {
                break;
            }
            entries.push(entry.clone());
        }
        Ok(entries)
    }
}

impl Disk {
    fn write(&mut self, writes: &Writes) {
        self.boot_count = writes.boot_count.unwrap_or(self.boot_count);
        self.hard_state = writes.hard_state.unwrap_or(self.hard_state);
        if let Some(base) = &writes.base {
            self.base = Some((**base).clone());
            self.entries.clear();
        }
        if let Some(after) = writes.truncate_after {
            self.entries.retain(|entry| entry.position.index <= after);
        }
        for entry in &writes.entries {
            assert_eq!(entry.position.index, self.last().index.next(), "no gap");
            self.entries.push(entry.clone());
        }
    }

    fn compact(&mut self, through: LogIndex) -> LogBase {
        let through = through.min(self.last().index);
        let chain = self.chain_at(through);
        let removed: Vec<Entry> = self
            .entries
            .extract_if(.., |entry| entry.position.index <= through)
            .collect();
        let last = removed.last();
        let change = removed.iter().filter_map(MembershipChange::of).next_back();
        let base = self.base.as_mut();
        let base = base.expect("a log is compacted when it has a base");
        if let Some(change) = change {
            base.membership = change.membership;
        }
        if let (Some(last), Some(chain)) = (last, chain) {
            (base.position, base.chain) = (last.position, chain);
        }
        base.clone()
    }

    fn chain_at(&self, index: LogIndex) -> Option<ChainValue> {
        let base = self.base.as_ref()?;
        if index < base.position.index || index > self.last().index {
            return None;
        }
        let entries = self.entries.iter();
        let through = entries.take_while(|entry| entry.position.index <= index);
        Some(through.fold(base.chain, ChainValue::next))
    }

    fn last(&self) -> Position {
        self.entries
            .last()
            .map_or_else(|| self.beginning(), |entry| entry.position)
    }

    /// The position before the first entry.
    fn beginning(&self) -> Position {
        let base = self.base.as_ref();
        base.map_or(Position::ZERO, |base| base.position)
    }

    fn stored(&self) -> Stored {
        let stored = Stored {
            boot_count: self.boot_count,
            hard_state: self.hard_state,
            base: self.base.clone(),
            ..Stored::empty(self.storage)
        };
        stored.with_entries(self.entries.iter())
    }
}

/// A panic of another thread leaves nothing half written that counts: its replica stops.
fn lock(disk: &Mutex<Disk>) -> MutexGuard<'_, Disk> {
    disk.lock().unwrap_or_else(PoisonError::into_inner)
}
