//! The payload of the proposals that wait to be applied, by place in the log.

use std::collections::BTreeMap;

use chat_consensus::LogIndex;

/// How many bytes each of them has, and all together.
#[derive(Debug, Default)]
pub(super) struct Weights {
    each: BTreeMap<LogIndex, usize>,
    sum: usize,
}

impl Weights {
    pub(super) fn sum(&self) -> usize {
        self.sum
    }

    pub(super) fn add(&mut self, index: LogIndex, bytes: usize) {
        self.sum += bytes;
        self.sum -= self.each.insert(index, bytes).unwrap_or(0);
    }

    pub(super) fn remove_through(&mut self, index: LogIndex) {
        while let Some(first) = self.each.first_entry()
            && *first.key() <= index
        {
            self.sum -= first.remove();
        }
    }

    pub(super) fn remove_after(&mut self, index: LogIndex) {
        let removed = self.each.split_off(&index.next());
        self.sum -= removed.into_values().sum::<usize>();
    }
}
