//! What can go wrong with snapshots. Nothing of it is a reason to stop a node: the log holds
//! everything that a snapshot would have replaced.

use std::io;

use chat_consensus::Position;

/// What can go wrong with snapshots.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The disk failed, or is full ([`Self::is_full`]).
    #[error("cannot {doing} {name}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// With which file.
        name: String,
        /// What the disk said.
        #[source]
        source: io::Error,
    },
    /// A file has not the content that its digest says; it is removed.
    #[error("the snapshot at {position:?} is damaged: its content has another digest")]
    WrongDigest {
        /// The snapshot's position.
        position: Position,
    },
    /// A newer program wrote this directory.
    #[error("{name} has format {version}, which this program does not know")]
    NewerFormat {
        /// The file.
        name: String,
        /// Its format.
        version: u32,
    },
    /// The snapshot is not kept, or its content was not verified.
    #[error("no snapshot at {position:?} can be used")]
    Unknown {
        /// The position of the snapshot that was asked for.
        position: Position,
    },
    /// A piece does not follow what is stored.
    #[error("the piece at {offset} does not fit: {stored} bytes are stored")]
    PieceDoesNotFit {
        /// Where it begins in the file.
        offset: u64,
        /// How much is stored.
        stored: u64,
    },
    /// The download is not of this snapshot, or not complete.
    #[error("the download is not complete")]
    Incomplete,
}

impl SnapshotError {
    /// Whether the disk is full: a later attempt may succeed.
    pub fn is_full(&self) -> bool {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        let Self::Io { source, .. } = self else {
            return false;
        };
        matches!(source.kind(), StorageFull | QuotaExceeded | FileTooLarge)
    }

    pub(super) fn io(doing: &'static str, name: &str) -> impl FnOnce(io::Error) -> Self {
        let name = name.to_owned();
        move |source| Self::Io {
            doing,
            name,
            source,
        }
    }
}
