//! The content of a snapshot's file, as a whole: its digest.

use chat_consensus::Digest;
use sha2::{Digest as _, Sha256};

use crate::files::File;

/// How much is read at a time.
const CHUNK_BYTES: usize = 256 << 10;

/// Called with each count of bytes that was read from or written to a large file. It may wait, so
/// that the file takes no more than its share of the disk, or end the work with an error.
pub type Pace<'a> = &'a mut dyn FnMut(usize) -> std::io::Result<()>;

/// The SHA-256 of a file, and its length.
pub(super) fn digest(file: &impl File, pace: Pace<'_>) -> std::io::Result<(Digest, u64)> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut length = 0;
    loop {
        let read = file.read_at(length, &mut buffer)?;
        if read == 0 {
            return Ok((Digest(hash.finalize().into()), length));
        }
        hash.update(&buffer[..read]);
        length += read as u64;
        pace(read)?;
    }
}

/// A [`Pace`]: as fast as the disk does it.
///
/// # Errors
///
/// Never.
pub fn unpaced(_bytes: usize) -> std::io::Result<()> {
    Ok(())
}
