//! A map that keeps the entries that were used recently, and never more than a fixed number.
//!
//! Two generations: when the newer one is full it becomes the older one, and the entries of the old
//! one are dropped. An entry that is used again moves into the newer generation.

use std::collections::HashMap;
use std::hash::Hash;

/// The entries that were used last, at least `half` of them and at most twice as many.
#[derive(Debug)]
pub struct Recent<K, V> {
    half: usize,
    newer: HashMap<K, V>,
    older: HashMap<K, V>,
}

impl<K: Eq + Hash, V> Recent<K, V> {
    /// Keeps at most `entries_max` entries, and at least half as many.
    pub fn new(entries_max: usize) -> Self {
        Self {
            half: entries_max.div_ceil(2),
            newer: HashMap::new(),
            older: HashMap::new(),
        }
    }

    /// The value of `key`.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.newer.get(key).or_else(|| self.older.get(key))
    }

    /// The value of `key`, or else a new one from `make`; it counts as used now.
    pub fn entry(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        let old = self.older.remove(&key);
        if !self.newer.contains_key(&key) && self.newer.len() >= self.half {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer
            .entry(key)
            .or_insert_with(|| old.unwrap_or_else(make))
    }

    /// Removes `key`.
    pub fn remove(&mut self, key: &K) {
        self.newer.remove(key);
        self.older.remove(key);
    }

    /// How many entries it has.
    pub fn len(&self) -> usize {
        self.newer.len() + self.older.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::Recent;

    #[test]
    fn memory_is_bounded_and_used_entries_stay() {
        let mut recent = Recent::new(8);
        for number in 0..1_000 {
            *recent.entry(-1, || 0) += 1;
            recent.entry(number, || number);
            assert!(recent.len() <= 8);
            assert_eq!(recent.get(&number), Some(&number));
        }
        assert_eq!(recent.get(&-1), Some(&1_000), "used all the time");
        assert_eq!(recent.get(&0), None);
        recent.remove(&-1);
        assert_eq!(recent.get(&-1), None);
    }
}
