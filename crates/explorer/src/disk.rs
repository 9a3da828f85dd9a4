//! What a node has on its disk. Nothing of it is ever lost but as a whole.

use chat_consensus::{Entry, HardState, LogBase, LogIndex, StorageId, Stored, Writes};

/// See the file's first line.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Disk {
    pub(crate) storage: StorageId,
    boot_count: u64,
    hard_state: HardState,
    base: Option<LogBase>,
    pub(crate) entries: Vec<Entry>,
}

impl Disk {
    /// A disk on which nothing was ever written.
    pub(crate) fn new(storage: StorageId) -> Self {
        Self {
            storage,
            boot_count: 0,
            hard_state: HardState::default(),
            base: None,
            entries: Vec::new(),
        }
    }

    /// The disk of a member of a cluster that was just bootstrapped.
    pub(crate) fn bootstrapped(storage: StorageId, base: LogBase) -> Self {
        Self {
            hard_state: HardState {
                term: chat_consensus::Term(1),
                cluster: Some(base.membership.cluster),
                ..HardState::default()
            },
            base: Some(base),
            ..Self::new(storage)
        }
    }

    /// Writes a batch; what a batch with a base leaves is not explored, but for a disk's first one.
    pub(crate) fn write(&mut self, writes: &Writes) {
        self.boot_count = writes.boot_count.unwrap_or(self.boot_count);
        self.hard_state = writes.hard_state.unwrap_or(self.hard_state);
        if let Some(base) = &writes.base {
            assert!(self.base.is_none(), "no snapshot is installed here");
            self.hard_state.cluster = Some(base.membership.cluster);
            self.base = Some((**base).clone());
        }
        if let Some(last) = writes.truncate_after {
            self.entries.retain(|entry| entry.position.index <= last);
        }
        self.entries.extend(writes.entries.iter().cloned());
    }

    /// The entries after `index`.
    pub(crate) fn entries_after(&self, index: LogIndex) -> impl Iterator<Item = &Entry> {
        self.entries
            .iter()
            .filter(move |entry| entry.position.index > index)
    }

    /// What a start finds.
    pub(crate) fn stored(&self) -> Stored {
        let stored = Stored {
            boot_count: self.boot_count,
            hard_state: self.hard_state,
            base: self.base.clone(),
            ..Stored::empty(self.storage)
        };
        stored.with_entries(self.entries.iter())
    }
}
