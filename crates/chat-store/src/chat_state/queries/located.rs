//! Where messages of an account are in the log, by their ids.

use chat_consensus::{LogIndex, Position, Term};
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::sessions::Session;
use crate::chat_state::error::StateError;
use crate::chat_state::message::Direction;

/// Where a message of an account is in the log, and whether the account still has it.
#[derive(Clone, Debug, PartialEq)]
pub struct LocatedMessage {
    /// Its id.
    pub id: String,
    /// Whether the account received it, or sent it.
    pub direction: Direction,
    /// Whether it is in the account's box: in the inbox, or as a copy.
    pub in_box: bool,
    /// Seconds since 1970; grows with the commit.
    pub timestamp: f64,
    /// When it was written by its sender's clock, in seconds since 1970, as long as that is known.
    pub written_at: Option<f64>,
    /// Its position in the log.
    pub commit: Position,
}

/// Those of the messages with these ids that the account of `owner` has received or sent, in the order of
/// their commits.
pub(crate) async fn located_messages(
    connection: &mut SqliteConnection,
    owner: &Session,
    ids: &[String],
) -> Result<Vec<LocatedMessage>, StateError> {
    // Ids are UUIDs, of which no character needs an escape.
    let ids = format!("[\"{}\"]", ids.join("\",\""));
    let query = sqlx::query(LOCATED)
        .bind(ids)
        .bind(&owner.username)
        .bind(owner.credential.incarnation.0.cast_signed());
    let rows = query.fetch_all(&mut *connection).await?;
    rows.iter().map(located).collect()
}

/// An account has received what was sent to its name after its creation, and sent what has its number.
const LOCATED: &str = "SELECT DISTINCT messages.id, recipient = ?2 AND messages.commit_index > ?3 AS is_received, \
     timestamp, messages.commit_index, commit_term, deleted = 0 AS is_live, \
     copies.commit_index IS NOT NULL AS is_copied, \
     ifnull(messages.written_at, copies.written_at) AS written_at, \
     ifnull(recipient_since, 0) AS recipient_since \
     FROM json_each(?1) AS asked CROSS JOIN messages ON messages.id = asked.value \
     LEFT JOIN copies ON copies.commit_index = messages.commit_index AND owner = ?2 \
     WHERE is_received OR (sender = ?2 AND sender_since = ?3) ORDER BY messages.commit_index";

fn located(row: &SqliteRow) -> Result<LocatedMessage, StateError> {
    let is = |column: usize| Ok::<_, StateError>(row.try_get::<i64, _>(column)? != 0);
    let index = |column: usize| {
        let index = row.try_get::<i64, _>(column)?;
        Ok::<_, StateError>(LogIndex(index.cast_unsigned()))
    };
    let (direction, in_box) = if is(1)? {
        (Direction::Received, is(5)?)
    } else {
        let recipient_since = index(8)?;
        (Direction::Sent { recipient_since }, is(6)?)
    };
    Ok(LocatedMessage {
        id: row.try_get(0)?,
        direction,
        in_box,
        timestamp: row.try_get(2)?,
        written_at: row.try_get(7)?,
        commit: Position {
            index: index(3)?,
            term: Term(row.try_get::<i64, _>(4)?.cast_unsigned()),
        },
    })
}
