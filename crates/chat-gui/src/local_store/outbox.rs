//! The outbox and the copies of what was sent: a message is in exactly one of the two, and moves in
//! one transaction.

use sqlx::Connection;

use crate::local_store::rows::sent_copy;
use crate::local_store::{AccountKey, LocalStore, StoreError, number, refusal};
use crate::model::failure::Failure;
use crate::model::message::{OutboxMessage, SentCopy};
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
            "INSERT INTO outbox (id, request_id, account, recipient, body, written_at)
             VALUES (?, ?, ?, ?, ?, ?)",
        )
        .bind(&message.id.0.as_bytes()[..])
        .bind(&message.request_id.0.as_bytes()[..])
        .bind(account.text())
        .bind(message.recipient.as_str())
        .bind(&*message.body)
        .bind(message.written_at.0)
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

    /// A message is given up.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn withdraw(&mut self, id: MessageId) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM outbox WHERE id = ?")
            .bind(&id.0.as_bytes()[..])
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    /// A message is acknowledged: out of the outbox, into the copies of what was sent. A message
    /// to oneself is in the inbox and needs no copy.
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
        sqlx::query(
            "INSERT OR REPLACE INTO sent
                 (id, request_id, account, recipient, body, at, commit_index, commit_term)
             SELECT id, request_id, account, recipient, body, ?, ?, ?
             FROM outbox
             WHERE id = ? AND recipient <> substr(account, instr(account, ' ') + 1)",
        )
        .bind(at.0)
        .bind(number(commit.index.0))
        .bind(number(commit.term.0))
        .bind(&id.0.as_bytes()[..])
        .execute(&mut *change)
        .await?;
        sqlx::query("DELETE FROM outbox WHERE id = ?")
            .bind(&id.0.as_bytes()[..])
            .execute(&mut *change)
            .await?;
        Ok(change.commit().await?)
    }

    /// Deletes copies of what was sent.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`]; none is deleted then.
    pub async fn forget_sent(&mut self, ids: &[MessageId]) -> Result<(), StoreError> {
        let mut change = self.connection.begin().await?;
        for id in ids {
            sqlx::query("DELETE FROM sent WHERE id = ?")
                .bind(&id.0.as_bytes()[..])
                .execute(&mut *change)
                .await?;
        }
        Ok(change.commit().await?)
    }

    /// The copy of a sent message, if it is kept.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn sent_copy(&mut self, id: MessageId) -> Result<Option<SentCopy>, StoreError> {
        let row = sqlx::query(
            "SELECT id, request_id, recipient, body, at, commit_index, commit_term
             FROM sent WHERE id = ?",
        )
        .bind(&id.0.as_bytes()[..])
        .fetch_optional(&mut self.connection)
        .await?;
        Ok(row.as_ref().map(sent_copy).transpose()?)
    }
}
