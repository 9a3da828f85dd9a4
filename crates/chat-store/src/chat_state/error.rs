//! What can go wrong with the chat's tables.

use chat_consensus::LogIndex;

use crate::database::OpenError;

/// Why the tables could not be opened, changed or read.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// They could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// SQLite, or the disk under it, failed.
    #[error("state.db failed")]
    Sqlite(#[from] sqlx::Error),
    /// An earlier change failed; what the tables hold is unknown until they are opened again.
    #[error("state.db takes no more changes after one that failed")]
    Poisoned,
    /// An entry of the log is no command that this program knows. It must not be skipped: the other
    /// nodes may know it.
    #[error("the command of entry {index} cannot be applied")]
    InvalidCommand {
        /// Where it stands in the log.
        index: LogIndex,
        /// What is wrong with it.
        source: InvalidCommand,
    },
    /// A row holds what no command can have put there.
    #[error("table {table} is damaged")]
    Damaged {
        /// The table.
        table: &'static str,
    },
}

impl StateError {
    /// Whether nothing is wrong but that no reader became free in time.
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Sqlite(sqlx::Error::PoolTimedOut))
    }
}

/// What is wrong with a command.
#[derive(Debug, thiserror::Error)]
pub enum InvalidCommand {
    /// It is not the protobuf message that it should be.
    #[error("it cannot be decoded")]
    Undecodable(#[from] prost::DecodeError),
    /// It holds no operation, or one that a newer program has introduced.
    #[error("its operation is unknown")]
    UnknownOperation,
    /// It does not say what the account was when the leader checked it.
    #[error("it has no credential")]
    MissingCredential,
    /// It does not say in whose name it is asked.
    #[error("it has no session")]
    MissingSession,
    /// It opens a session and does not say for how long.
    #[error("it has no lifetime")]
    MissingLifetime,
    /// A field has a fixed length, and another one here.
    #[error("{field} has {found} bytes")]
    WrongLength {
        /// The field.
        field: &'static str,
        /// Its length.
        found: usize,
    },
    /// Its time is no number.
    #[error("its time is not finite")]
    TimeNotFinite,
}
