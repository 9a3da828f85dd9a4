//! What can go wrong with the commit log.

use chat_consensus::{LogIndex, NodeId};
use sqlx::error::DatabaseError;

use crate::database::OpenError;

/// Why the commit log could not be opened, written or read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// It could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// SQLite, or the disk under it, failed.
    #[error("log.db failed")]
    Sqlite(#[from] sqlx::Error),
    /// The file system did not report its size.
    #[error("cannot read the size of log.db")]
    Size {
        /// The operating system's error.
        source: std::io::Error,
    },
    /// An earlier write failed; what is on the disk is unknown until the log is opened again.
    #[error("log.db refuses writes after a failed write")]
    Poisoned,
    /// The node that used it found that a protocol invariant is violated, and recorded that here.
    #[error(
        "this log is kept as evidence and is not used any more: its node stopped because {fault}; \
         see \"A log that ended with a fault\" in docs/storage.md"
    )]
    Fault {
        /// What the node found.
        fault: String,
    },
    /// The directory belongs to another node: two directories or two ids were exchanged.
    #[error("this log belongs to node {found}, but this is node {node}")]
    OtherNode {
        /// The node that it belongs to.
        found: NodeId,
        /// The node that opened it.
        node: NodeId,
    },
    /// An entry, or one before it, is not what was written.
    #[error("entry {index} has a wrong chain value")]
    ChainMismatch {
        /// The first entry whose value does not match the entries before it.
        index: LogIndex,
    },
    /// A later entry exists, but this one does not.
    #[error("entry {index} is missing")]
    MissingEntry {
        /// Its index.
        index: LogIndex,
    },
    /// An entry is what was written, but its kind or encoding is unknown: a newer program wrote it.
    #[error("entry {index} has an unknown kind or encoding")]
    UndecodableEntry {
        /// Its index.
        index: LogIndex,
    },
    /// Term, vote and ids are not what was written, or contradict the entries.
    #[error("the stored term and vote are damaged")]
    HardStateDamaged,
}

/// SQLite's primary result codes for a file whose structure is broken.
const SQLITE_CORRUPT: i32 = 11;
const SQLITE_NOTADB: i32 = 26;

impl LogError {
    /// Whether the disk contains something else than what was written.
    ///
    /// The node cannot use this log, and must not vote with it. Nothing repairs the log: the node
    /// can return with an empty disk, under a new storage id and as a learner (R12).
    pub fn is_damage(&self) -> bool {
        match self {
            Self::ChainMismatch { .. } | Self::MissingEntry { .. } | Self::HardStateDamaged => true,
            Self::Sqlite(source) | Self::Open(OpenError::Sqlite { source, .. }) => {
                is_corruption(source)
            }
            Self::Open(_)
            | Self::Size { .. }
            | Self::Poisoned
            | Self::Fault { .. }
            | Self::OtherNode { .. }
            | Self::UndecodableEntry { .. } => false,
        }
    }
}

fn is_corruption(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(DatabaseError::code);
    let code = code.and_then(|code| code.parse::<i32>().ok());
    // The low byte of an extended code is the primary one.
    matches!(
        code.map(|code| code & 0xff),
        Some(SQLITE_CORRUPT | SQLITE_NOTADB)
    )
}
