//! The outbox: what was written and is not acknowledged. A message is here or among the messages of
//! the box, and moves in one transaction.

use sqlx::Connection;

use crate::local_store::rows::optional_bytes;
use crate::local_store::{AccountKey, LocalStore, StoreError, number, refusal};
use crate::model::failure::Failure;
use crate::model::message::{CopyPlace, OutboxMessage};
use crate::model::names::{Commit, MessageId};
use crate::model::time::Timestamp;

impl LocalStore {
    /// Keeps a message until it is acknowledged or withdrawn. What was in the composer goes in the
    /// same transaction.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`]; neither has happened then.
    pub async fn enqueue(
        &mut self,
        account: &AccountKey,
        message: &OutboxMessage,
    ) -> Result<(), StoreError> {
        let mut change = self.connection.begin().await?;
        sqlx::query(
            "INSERT INTO outbox
                 (id, request_id, account, recipient, body, written_at, reply_to, keeps_copy)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(&message.id.0.as_bytes()[..])
        .bind(&message.request_id.0.as_bytes()[..])
        .bind(account.text())
        .bind(message.recipient.as_str())
        .bind(&*message.body)
        .bind(message.written_at.0)
        .bind(optional_bytes(message.reply_to))
        .bind(message.copy == CopyPlace::Servers)
        .execute(&mut *change)
        .await?;
        sqlx::query("DELETE FROM drafts WHERE account = ? AND peer = ?")
            .bind(account.text())
            .bind(message.recipient.as_str())
            .execute(&mut *change)
            .await?;
        Ok(change.commit().await?)
    }

    /// Marks a message as rejected; it is kept for the person to decide.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn refuse(&mut self, id: MessageId, why: &Failure) -> Result<(), StoreError> {
        sqlx::query("UPDATE outbox SET refused = ? WHERE id = ?")
            .bind(refusal::write(why))
            .bind(&id.0.as_bytes()[..])
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    /// Puts a rejected message at the end of the queue again.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn requeue(&mut self, id: MessageId) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE outbox SET refused = NULL,
                 position = (SELECT max(position) + 1 FROM outbox)
             WHERE id = ?",
        )
        .bind(&id.0.as_bytes()[..])
        .execute(&mut self.connection)
        .await?;
        Ok(())
    }

    /// A message is given up. Returns whether it was still in the outbox.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn withdraw(&mut self, id: MessageId) -> Result<bool, StoreError> {
        let done = sqlx::query("DELETE FROM outbox WHERE id = ?")
            .bind(&id.0.as_bytes()[..])
            .execute(&mut self.connection)
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// The servers have no room for a copy: every further attempt is without one.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn send_without_copy(&mut self, id: MessageId) -> Result<(), StoreError> {
        sqlx::query("UPDATE outbox SET keeps_copy = 0 WHERE id = ?")
            .bind(&id.0.as_bytes()[..])
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    /// A message is acknowledged: out of the outbox, into the messages of the box or of this device. A
    /// message to oneself is in the inbox and needs no copy; one of which the servers have a copy is kept
    /// unless nothing of the box is.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`]; the message is still in the outbox then.
    pub async fn acknowledge(
        &mut self,
        id: MessageId,
        at: Timestamp,
        commit: Commit,
    ) -> Result<(), StoreError> {
        let mut change = self.connection.begin().await?;
        let id = &id.0.as_bytes()[..];
        sqlx::query(
            "INSERT OR IGNORE INTO inboxes (account) SELECT account FROM outbox WHERE id = ?",
        )
        .bind(id)
        .execute(&mut *change)
        .await?;
        sqlx::query(
            "INSERT OR IGNORE INTO messages
                 (inbox, id, is_sent, peer, body, at, written_at, reply_to, read,
                  commit_index, commit_term, checked, is_on_servers)
             SELECT number, id, 1, recipient, body, ?, written_at, reply_to, 1, ?, ?, 1, keeps_copy
             FROM outbox JOIN inboxes USING (account)
             WHERE id = ? AND recipient <> substr(account, instr(account, ' ') + 1)
                 AND (? OR NOT keeps_copy)",
        )
        .bind(at.0)
        .bind(number(commit.index.0))
        .bind(number(commit.term.0))
        .bind(id)
        .bind(self.received_max > 0)
        .execute(&mut *change)
        .await?;
        sqlx::query("DELETE FROM outbox WHERE id = ?")
            .bind(id)
            .execute(&mut *change)
            .await?;
        self.surplus += 1;
        Ok(change.commit().await?)
    }
}
