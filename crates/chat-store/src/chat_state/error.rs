//! What can go wrong with the chat's tables.

use chat_consensus::{LogIndex, Position};

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
    /// The state that was here must not be used.
    #[error("the state is lost: {reason}")]
    Lost {
        /// What is wrong with it.
        reason: String,
    },
    /// A file is not the snapshot that it should be. Nothing was changed.
    #[error("this is not the snapshot at {}@{}: {found}", expected.index, expected.term)]
    WrongSnapshot {
        /// The position of the snapshot.
        expected: Position,
        /// What is wrong with the file.
        found: String,
    },
    /// No snapshot can be taken before the next entry is applied: there is none yet, or the tables
    /// come from a program that did not store the log's chain value.
    #[error("the chain value of the last applied entry is unknown")]
    ChainUnknown,
}

/// SQLite's primary result codes for a file that is not what it wrote: an error in a statement, which
/// is the lack of a table or column because the statements are fixed; a malformed page; another file.
const DAMAGE: [i32; 3] = [1, 11, 26];

/// Numbers above this are no formats of later programs but damage.
const FORMATS_MAX: i64 = 1000;

impl StateError {
    /// Whether the only problem is that no reader connection became free in time.
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Sqlite(sqlx::Error::PoolTimedOut))
    }

    /// Whether the file is not what this program wrote, so that only another one helps: a copy, or a new
    /// one that is made from the log. A disk that fails is something else.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Damaged { .. } | Self::Lost { .. } => true,
            Self::Sqlite(error) | Self::Open(OpenError::Sqlite { source: error, .. }) => {
                is_damage(error)
            }
            Self::Open(OpenError::UnknownFormat { found, .. }) => {
                !(0..=FORMATS_MAX).contains(found)
            }
            _ => false,
        }
    }
}

fn is_damage(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => {
            let code = error.code().and_then(|code| code.parse::<i32>().ok());
            // The low byte of an extended code is the primary one.
            code.is_some_and(|code| DAMAGE.contains(&(code & 0xff)))
        }
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::ColumnIndexOutOfBounds { .. } => true,
        _ => false,
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
    /// It lacks the message that it sends.
    #[error("it has no message")]
    MissingMessage,
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
