//! The hash of each entry, which covers the entry and all entries before it.

use std::fmt;

use chat_consensus::Position;
use sha2::{Digest, Sha256};

/// The first 16 bytes of SHA-256 over the previous entry's value, term, index, kind and payload.
///
/// A checksum of the entry, and an id of the whole log up to it: two nodes with equal values at one
/// index have the same entries up to that index.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ChainValue(pub [u8; 16]);

impl ChainValue {
    /// The value before the first entry.
    pub const START: Self = Self([0; 16]);

    /// The value of the entry that follows the one with this value.
    pub(super) fn next(self, position: Position, kind: u8, payload: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(self.0);
        hash.update(position.term.0.to_be_bytes());
        hash.update(position.index.0.to_be_bytes());
        hash.update([kind]);
        hash.update(payload);
        Self(truncate_to_128_bits(&hash.finalize().into()))
    }
}

/// The first half of a SHA-256: enough to detect accidental changes, which is what a checksum is
/// for.
pub(super) fn truncate_to_128_bits(digest: &[u8; 32]) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&digest[..16]);
    half
}

impl fmt::Debug for ChainValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}
