//! Sessions by their tokens. The log's time decides which are valid, as it does while applying.

use chat_consensus::LogIndex;
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use crate::chat_state::credential::{Credential, credential_at};
use crate::chat_state::error::StateError;
use crate::chat_state::sessions::renewal_due;

/// A session whose account still has the credential that it had when the session began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The account's name.
    pub username: String,
    /// The account's credential.
    pub credential: Credential,
    /// From this second since 1970 on, by any clock, the session may be about to expire: a use that
    /// is not an entry of the log, such as reading, must first be recorded in the log.
    pub renew_from: i64,
    /// How long it lasts without being used, in seconds.
    pub idle_seconds: i64,
}

/// The session, if it is valid by the log's time.
pub(crate) async fn session(
    connection: &mut SqliteConnection,
    token_hash: &[u8; 32],
) -> Result<Option<Session>, StateError> {
    Ok(find_session(connection, token_hash).await?.0)
}

/// The session, and the last visible entry, in one snapshot.
pub(crate) async fn find_session(
    connection: &mut SqliteConnection,
    token_hash: &[u8; 32],
) -> Result<(Option<Session>, LogIndex), StateError> {
    let row = sqlx::query(FIND_SESSION)
        .bind(token_hash.as_slice())
        .fetch_one(&mut *connection)
        .await?;
    let applied = LogIndex(row.try_get::<i64, _>(6)?.cast_unsigned());
    let found: Option<&str> = row.try_get(0)?;
    let session = found.is_some().then(|| session_at(&row)).transpose()?;
    Ok((session, applied))
}

/// Returns one row even if there is no such session.
const FIND_SESSION: &str = "SELECT users.username, users.incarnation, users.credential_version, \
     last_used, idle_seconds, expires, applied_index FROM progress \
     LEFT JOIN sessions ON token_hash = ? AND ended_by IS NULL \
     AND expires > CAST(last_timestamp AS INTEGER) \
     LEFT JOIN users USING (username, incarnation, credential_version)";

fn session_at(row: &SqliteRow) -> Result<Session, StateError> {
    let due = renewal_due(row.try_get(3)?, row.try_get(4)?);
    Ok(Session {
        username: row.try_get(0)?,
        credential: credential_at(row, 1)?,
        renew_from: due.min(row.try_get(5)?),
        idle_seconds: row.try_get(4)?,
    })
}

pub(crate) async fn session_ended_by(
    connection: &mut SqliteConnection,
    token_hash: &[u8; 32],
    request: &[u8; 16],
) -> Result<Option<Session>, StateError> {
    let query = sqlx::query(
        "SELECT username, incarnation, credential_version FROM sessions \
         WHERE token_hash = ? AND ended_by = ?",
    );
    let row = query
        .bind(token_hash.as_slice())
        .bind(request.as_slice())
        .fetch_optional(&mut *connection)
        .await?;
    row.map(|row| {
        Ok(Session {
            username: row.try_get(0)?,
            credential: credential_at(&row, 1)?,
            renew_from: 0,
            idle_seconds: 0,
        })
    })
    .transpose()
}
