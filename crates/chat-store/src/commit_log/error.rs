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
    /// Its size could not be found out.
    #[error("cannot tell the size of log.db")]
    Size {
        /// What the operating system says.
        source: std::io::Error,
    },
    /// An earlier write failed; what is on the disk is unknown until the log is opened again.
    #[error("log.db takes no more writes after one that failed")]
    Poisoned,
    /// The node that used it found that a promise of the protocol is broken, and recorded it here.
    #[error(
        "this log is evidence and is not used any more: its node stopped because {fault}; \
         see \"A log that ended with a fault\" in docs/storage.md"
    )]
    Fault {
        /// What the node found.
        fault: String,
    },
    /// The directory is another node's: two of them were exchanged, or an id was.
    #[error("this log is that of node {found}, and this is node {node}")]
    OtherNode {
        /// Whose it is.
        found: NodeId,
        /// Who opened it.
        node: NodeId,
    },
    /// An entry, or one before it, is not what was written.
    #[error("entry {index} has a wrong chain value")]
    ChainMismatch {
        /// The first entry that does not fit what precedes it.
        index: LogIndex,
    },
    /// There is an entry after it, but not this one.
    #[error("entry {index} is missing")]
    MissingEntry {
        /// Its index.
        index: LogIndex,
    },
    /// An entry is what was written, but not anything that is known: a newer program wrote it.
    #[error("entry {index} is of an unknown kind or form")]
    UndecodableEntry {
        /// Its index.
        index: LogIndex,
    },
    /// Term, vote and names are not what was written, or do not fit the entries.
    #[error("the stored term and vote are damaged")]
    HardStateDamaged,
}

/// SQLite's primary result codes for a file whose structure is broken.
const SQLITE_CORRUPT: i32 = 11;
const SQLITE_NOTADB: i32 = 26;

impl LogError {
    /// Whether the disk holds something else than what was written: this node can no longer prove
    /// its log, and must not vote until its peers have repaired it.
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
