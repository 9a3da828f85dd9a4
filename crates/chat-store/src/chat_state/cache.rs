//! Rows that are kept in memory while applying.
//!
//! A cache only mirrors rows, so it changes how fast an outcome is found and never which one.

use std::collections::HashMap;
use std::hash::Hash;

/// How many accounts, and how many sessions, are cached: some ten MB of each. When the limit is
/// reached the whole cache is cleared, which costs less than tracking the order of use.
const CACHED_ROWS_MAX: usize = 65_536;

/// Adds a row. Clears the cache first if it is full.
pub(super) fn cache_insert<K: Eq + Hash, V>(cache: &mut HashMap<K, V>, key: K, value: V) {
    if cache.len() >= CACHED_ROWS_MAX {
        cache.clear();
    }
    cache.insert(key, value);
}
