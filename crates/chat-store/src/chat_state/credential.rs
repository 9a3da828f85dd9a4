//! Which account, with which password, a session or a command was checked against.

use chat_consensus::LogIndex;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::error::StateError;

/// The state of an account at one moment. A session or a command that was checked against another
/// one is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credential {
    /// The index of the commit that created the account.
    pub incarnation: LogIndex,
    /// The index of the commit that set its password.
    pub version: LogIndex,
}

/// Reads `incarnation` from the column `column`, and `credential_version` from the next one.
pub(super) fn credential_at(row: &SqliteRow, column: usize) -> Result<Credential, StateError> {
    Ok(Credential {
        incarnation: LogIndex(row.try_get::<i64, _>(column)?.cast_unsigned()),
        version: LogIndex(row.try_get::<i64, _>(column + 1)?.cast_unsigned()),
    })
}
