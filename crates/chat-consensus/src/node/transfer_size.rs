//! How many bytes a request to the leader wants, as its link carries them in time (R8).

use core::time::Duration;

/// How much a fetch requests at first, and at most: what a link of 42 Mbit/s carries in 400 ms.
const FETCH_BYTES_MAX: u32 = 2 << 20;
/// The same for a piece of a snapshot (R24).
const PIECE_BYTES_MAX: u32 = 1 << 20;
/// ... and at least, of both. One entry is sent in any case.
const BYTES_MIN: u32 = 4 << 10;

/// How much the next request wants, in bytes. Kept across roles: it describes the link.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct TransferSize {
    bytes: u32,
    most: u32,
}

impl TransferSize {
    pub(super) fn of_fetch() -> Self {
        Self {
            bytes: FETCH_BYTES_MAX,
            most: FETCH_BYTES_MAX,
        }
    }

    pub(super) fn of_piece() -> Self {
        Self {
            bytes: PIECE_BYTES_MAX,
            most: PIECE_BYTES_MAX,
        }
    }

    pub(super) fn bytes(&self) -> u32 {
        self.bytes
    }

    /// Whether so many bytes are a good part of what was wanted: only such a reply shows how much the
    /// link carries.
    pub(super) fn is_full(&self, bytes: usize) -> bool {
        bytes >= usize::try_from(self.bytes / 2).unwrap_or(usize::MAX)
    }

    /// Requests more after a reply that was full and took so long of the time that it may take.
    pub(super) fn grow(&mut self, took: Duration, limit: Duration) {
        let took = took * 3;
        let more = match () {
            () if took < limit => self.bytes,
            () if took < limit * 2 => self.bytes / 4,
            () => 0,
        };
        self.bytes = (self.bytes + more).min(self.most);
    }

    /// A reply did not arrive in time: perhaps it was too large for the link.
    pub(super) fn shrink(&mut self) {
        self.bytes = (self.bytes / 2).max(BYTES_MIN);
    }
}
