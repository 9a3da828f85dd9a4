//! The position, time and request of the entry that is being applied.

use chat_consensus::Position;

use super::command::RequestId;

/// The entry that is being applied.
#[derive(Clone, Copy, Debug)]
pub(super) struct ApplyContext {
    /// Its index in its batch.
    pub(super) batch_index: usize,
    pub(super) commit: Position,
    /// The id that the client gave to the request.
    pub(super) request: RequestId,
    /// Seconds since 1970; never decreases.
    pub(super) timestamp: f64,
    /// `timestamp` in whole seconds, which can be added without rounding (R16).
    pub(super) now: i64,
    /// Until when, by the same clock, late retries need what this entry ends.
    pub(super) retain_until: i64,
}
