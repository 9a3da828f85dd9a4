//! What applying knows of the entry that it is at.

use chat_consensus::Position;

use super::command::RequestId;

/// The entry that is being applied.
#[derive(Clone, Copy, Debug)]
pub(super) struct ApplyContext {
    /// Its place in its batch.
    pub(super) batch_index: usize,
    pub(super) commit: Position,
    /// The client's id of the request that it came from.
    pub(super) request: RequestId,
    /// Seconds since 1970; never runs backwards.
    pub(super) timestamp: f64,
    /// `timestamp` in whole seconds, which can be added without rounding (R16).
    pub(super) now: i64,
    /// Until when, by the same clock, what this entry ends is kept for late retries.
    pub(super) retain_until: i64,
}
