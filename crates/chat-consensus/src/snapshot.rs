//! What identifies a snapshot: a base and a file with the state there (R24). The file itself is the
//! driver's.

use core::fmt;

use crate::entry::LogBase;
use crate::types::Position;

/// A complete snapshot: where a log begins behind it, and the file with the state there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Snapshot {
    /// The state is that after everything up to this base's position was applied.
    pub base: LogBase,
    /// The SHA-256 of the file.
    pub digest: Digest,
    /// How long the file is, in bytes; at most 2^62. A file may be empty.
    pub size: u64,
}

/// Which snapshot it is. Two nodes that take one at one position may have different files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotId {
    /// The position of its base.
    pub position: Position,
    /// The SHA-256 of its file.
    pub digest: Digest,
}

/// The SHA-256 of a snapshot's file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

/// A file of a download that was not finished: what a start found (R24).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PartialDownload {
    /// The snapshot that it is a beginning of.
    pub id: SnapshotId,
    /// How many bytes of it are there, from the beginning.
    pub bytes: u64,
}

impl Snapshot {
    /// Which snapshot this is.
    pub fn id(&self) -> SnapshotId {
        SnapshotId {
            position: self.base.position,
            digest: self.digest,
        }
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0 {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}
