//! The salts of segments: random numbers that no client can know.

use sha2::{Digest as _, Sha256};

/// Derives the salt of each segment from one random number of this run.
#[derive(Clone, Debug)]
pub(crate) struct Salts(pub(crate) u128);

impl Salts {
    /// The salt of the segment that begins with this block.
    pub(crate) fn salt(&self, first_block: u64) -> u64 {
        let mut hash = Sha256::new();
        hash.update(self.0.to_be_bytes());
        hash.update(first_block.to_be_bytes());
        let digest = hash.finalize();
        let mut salt = [0; 8];
        salt.copy_from_slice(&digest[..8]);
        u64::from_be_bytes(salt)
    }
}
