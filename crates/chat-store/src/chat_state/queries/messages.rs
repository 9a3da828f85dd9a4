//! Whether a message was stored, by its id.

use chat_consensus::{LogIndex, Position, Term};
use sqlx::Row;
use sqlx::sqlite::SqliteConnection;

use crate::chat_state::error::StateError;

/// A message as its sender's request describes it.
#[derive(Clone, Copy, Debug)]
pub struct StoredMessage<'a> {
    /// The UUID that the sender's client generated.
    pub id: &'a str,
    /// The sender's username.
    pub sender: &'a str,
    /// The commit that created the sender's account.
    pub sender_since: LogIndex,
    /// The recipient's username.
    pub recipient: &'a str,
    /// The text.
    pub body: &'a str,
    /// The id of the message that it replies to.
    pub reply_to: Option<&'a str>,
}

/// When exactly this message was stored, and by which commit; `None` if it was not stored, or if
/// another message has its id. `sender_since` is the commit that created the sender's account.
pub(crate) async fn stored_message(
    connection: &mut SqliteConnection,
    message: StoredMessage<'_>,
) -> Result<Option<(f64, Position)>, StateError> {
    let query = sqlx::query(
        "SELECT timestamp, commit_index, commit_term FROM messages WHERE id = ? AND sender = ? \
         AND recipient = ? AND (deleted <> 0 OR (body = ? AND reply_to IS ?)) AND commit_index > ?",
    )
    .bind(message.id)
    .bind(message.sender)
    .bind(message.recipient)
    .bind(message.body)
    .bind(message.reply_to)
    .bind(message.sender_since.0.cast_signed());
    let Some(row) = query.fetch_optional(&mut *connection).await? else {
        return Ok(None);
    };
    let commit = Position {
        index: LogIndex(row.try_get::<i64, _>(1)?.cast_unsigned()),
        term: Term(row.try_get::<i64, _>(2)?.cast_unsigned()),
    };
    Ok(Some((row.try_get(0)?, commit)))
}
