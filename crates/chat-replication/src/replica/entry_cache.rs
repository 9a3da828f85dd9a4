//! The end of the log in memory, from which close followers are served and entries applied.

use std::collections::VecDeque;

use chat_consensus::{Entry, LogIndex, Writes};

use crate::replica::limits::Limits;

/// The newest entries that were handed to the disk, bounded in number and size.
#[derive(Debug)]
pub(super) struct EntryCache {
    /// The index before the first entry held.
    before: LogIndex,
    entries: VecDeque<Entry>,
    bytes: usize,
    limits: Limits,
}

impl EntryCache {
    pub(super) fn new(last: LogIndex, limits: Limits) -> Self {
        Self {
            before: last,
            entries: VecDeque::new(),
            bytes: 0,
            limits,
        }
    }

    /// Does to the tail what a batch does to the log.
    pub(super) fn follow(&mut self, writes: &Writes) {
        if let Some(base) = &writes.base {
            // The log begins there, whatever it held (R24).
            self.entries.clear();
            self.bytes = 0;
            self.before = base.position.index;
        }
        if let Some(last) = writes.truncate_after {
            self.truncate_after(last);
        }
        for entry in &writes.entries {
            assert_eq!(
                entry.position.index,
                self.last().next(),
                "no gap in the tail"
            );
            self.bytes += entry.size();
            self.entries.push_back(entry.clone());
        }
        while self.entries.len() > self.limits.cache_entries_max
            || self.bytes > self.limits.cache_bytes_max
        {
            let dropped = self
                .entries
                .pop_front()
                .expect("a tail over its limit is not empty");
            self.bytes -= dropped.size();
            self.before = dropped.position.index;
        }
    }

    /// The entries after `after`; `None` when some of them are no longer held.
    pub(super) fn after(&self, after: LogIndex) -> Option<impl Iterator<Item = &Entry>> {
        let skipped = after.0.checked_sub(self.before.0)?;
        let skipped = usize::try_from(skipped).ok()?;
        Some(self.entries.iter().skip(skipped))
    }

    fn last(&self) -> LogIndex {
        self.entries
            .back()
            .map_or(self.before, |entry| entry.position.index)
    }

    fn truncate_after(&mut self, last: LogIndex) {
        while let Some(entry) = self
            .entries
            .pop_back_if(|entry| entry.position.index > last)
        {
            self.bytes -= entry.size();
        }
        // Truncated below what is cached: the cache starts again there.
        self.before = self.before.min(last);
    }
}

/// The first of `entries` that are no more than `entries_max` and hold no more than `bytes_max`
/// bytes of payload; one at least.
pub(super) fn first_batch<'a>(
    entries: impl Iterator<Item = &'a Entry>,
    entries_max: usize,
    bytes_max: usize,
) -> Vec<Entry> {
    let mut batch = Vec::new();
    let mut bytes = 0;
    for entry in entries.take(entries_max) {
        bytes += entry.size();
        if !batch.is_empty() && bytes > bytes_max {
            break;
        }
        batch.push(entry.clone());
    }
    batch
}
