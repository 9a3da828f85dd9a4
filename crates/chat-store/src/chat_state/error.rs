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
    #[error("state.db refuses changes after a failed change")]
    Poisoned,
    /// An entry of the log is not a command that this program supports. It must not be skipped: the
    /// other nodes may support it.
    #[error("the command of entry {index} cannot be applied")]
    InvalidCommand {
        /// The index of the entry.
        index: LogIndex,
        /// What is wrong with it.
        source: InvalidCommand,
    },
    /// A row contains what no command can have written.
    #[error("table {table} is damaged")]
    Damaged {
        /// The table.
        table: &'static str,
    },
}

impl StateError {
    /// Whether the only problem is that no reader connection became free in time.
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
    /// It contains no operation, or one that a newer program introduced.
    #[error("its operation is unknown")]
    UnknownOperation,
    /// It lacks the credential of the account that the leader checked.
    #[error("it has no credential")]
    MissingCredential,
    /// It lacks the session in which it is requested.
    #[error("it has no session")]
    MissingSession,
    /// It opens a session without a lifetime.
    #[error("it has no lifetime")]
    MissingLifetime,
    /// A field of fixed length has another length.
    #[error("{field} has {found} bytes")]
    WrongLength {
        /// The field.
        field: &'static str,
        /// Its length.
        found: usize,
    },
    /// Its time is not a finite number.
    #[error("its time is not finite")]
    TimeNotFinite,
    /// It is proposed with a field that this program does not know.
    #[error("it has an unknown field")]
    UnknownField,
    /// It is proposed with a time, which only a leader decides.
    #[error("it has a time already")]
    TimeSet,
    /// It is proposed, and only a leader may make it.
    #[error("only a leader may make it")]
    OnlyForLeader,
}
