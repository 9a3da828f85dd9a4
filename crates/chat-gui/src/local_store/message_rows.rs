//! The rows of messages: what one change of the box writes. Each function is a part of a transaction of
//! its caller.

use std::collections::HashSet;

use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use uuid::Uuid;

use crate::local_store::rows::{self, flag};
use crate::local_store::{AccountKey, number};
use crate::model::message::{Direction, StoredMessage};
use crate::model::names::MessageId;

/// Changes that were requested and that the servers do not have yet.
pub(super) struct Pending {
    pub(super) read: HashSet<Uuid>,
    pub(super) deleted: HashSet<Uuid>,
}

impl Pending {
    pub(super) async fn load(
        connection: &mut SqliteConnection,
        inbox: i64,
    ) -> Result<Self, sqlx::Error> {
        let rows = sqlx::query("SELECT id, deletes FROM pending_changes WHERE inbox = ?")
            .bind(inbox)
            .fetch_all(connection)
            .await?;
        let mut pending = Self {
            read: HashSet::new(),
            deleted: HashSet::new(),
        };
        for row in &rows {
            let ids = if flag(row, 1)? {
                &mut pending.deleted
            } else {
                &mut pending.read
            };
            ids.insert(rows::uuid(row, 0)?);
        }
        Ok(pending)
    }

    /// A message as the person is to see it; `None` if its deletion was requested.
    pub(super) fn apply(&self, mut message: StoredMessage) -> Option<StoredMessage> {
        message.read |= self.read.contains(&message.id.0);
        (!self.deleted.contains(&message.id.0)).then_some(message)
    }
}

/// The number of an account's inbox in the tables.
pub(super) async fn inbox_number(
    connection: &mut SqliteConnection,
    account: &AccountKey,
) -> Result<i64, sqlx::Error> {
    sqlx::query("INSERT OR IGNORE INTO inboxes (account) VALUES (?)")
        .bind(account.text())
        .execute(&mut *connection)
        .await?;
    let row: SqliteRow = sqlx::query("SELECT number FROM inboxes WHERE account = ?")
        .bind(account.text())
        .fetch_one(connection)
        .await?;
    row.try_get(0)
}

/// Takes over a message that the servers have in the box; nothing of it is kept without `pending`.
pub(super) async fn take(
    connection: &mut SqliteConnection,
    inbox: i64,
    message: &StoredMessage,
    pending: Option<&Pending>,
) -> Result<(), sqlx::Error> {
    if message.direction == Direction::Sent {
        leave_outbox(connection, inbox, message.id).await?;
    }
    match pending {
        Some(pending) => insert(connection, inbox, message, pending).await,
        None => delete(connection, inbox, &[message.id]).await,
    }
}

/// Adds a message, or confirms one that is there. What was read stays read.
async fn insert(
    connection: &mut SqliteConnection,
    inbox: i64,
    message: &StoredMessage,
    pending: &Pending,
) -> Result<(), sqlx::Error> {
    if pending.deleted.contains(&message.id.0) {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO messages
             (inbox, id, is_sent, peer, peer_since, body, at, written_at, reply_to, read,
              commit_index, commit_term, checked, is_on_servers)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, 1)
         ON CONFLICT (inbox, id) DO UPDATE
         SET read = max(read, excluded.read), peer_since = excluded.peer_since, checked = 1,
             is_on_servers = 1
         WHERE is_sent = excluded.is_sent",
    )
    .bind(inbox)
    .bind(&message.id.0.as_bytes()[..])
    .bind(message.direction == Direction::Sent)
    .bind(message.peer.as_str())
    .bind(message.peer_since.map(|since| number(since.0)))
    .bind(&*message.body)
    .bind(message.at.0)
    .bind(message.written_at.map(|written| written.0))
    .bind(rows::optional_bytes(message.reply_to))
    .bind(message.read || pending.read.contains(&message.id.0))
    .bind(number(message.commit.index.0))
    .bind(number(message.commit.term.0))
    .execute(connection)
    .await?;
    Ok(())
}

/// Marks messages as read; those that are not in the copy count as unread elsewhere no longer.
pub(super) async fn mark_read(
    connection: &mut SqliteConnection,
    inbox: i64,
    ids: &[MessageId],
) -> Result<(), sqlx::Error> {
    let mut elsewhere = 0_i64;
    for id in ids {
        let done = sqlx::query("UPDATE messages SET read = 1 WHERE inbox = ? AND id = ?")
            .bind(inbox)
            .bind(&id.0.as_bytes()[..])
            .execute(&mut *connection)
            .await?;
        elsewhere += i64::from(done.rows_affected() == 0);
    }
    if elsewhere > 0 {
        sqlx::query(
            "UPDATE inboxes SET unread_elsewhere = max(0, unread_elsewhere - ?) WHERE number = ?",
        )
        .bind(elsewhere)
        .bind(inbox)
        .execute(connection)
        .await?;
    }
    Ok(())
}

pub(super) async fn delete(
    connection: &mut SqliteConnection,
    inbox: i64,
    ids: &[MessageId],
) -> Result<(), sqlx::Error> {
    for id in ids {
        sqlx::query("DELETE FROM messages WHERE inbox = ? AND id = ?")
            .bind(inbox)
            .bind(&id.0.as_bytes()[..])
            .execute(&mut *connection)
            .await?;
        leave_outbox(connection, inbox, *id).await?;
    }
    Ok(())
}

/// The servers had a message: it is no longer on its way.
async fn leave_outbox(
    connection: &mut SqliteConnection,
    inbox: i64,
    id: MessageId,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "DELETE FROM outbox WHERE id = ? AND account = (
             SELECT account FROM inboxes WHERE number = ?)",
    )
    .bind(&id.0.as_bytes()[..])
    .bind(inbox)
    .execute(connection)
    .await?;
    Ok(())
}
