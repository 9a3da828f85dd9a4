//! Changes of an inbox that a person has requested: the copy changes at once, and the change is kept
//! until the servers have it, also over a restart.

use sqlx::Connection;
use uuid::Uuid;

use crate::local_store::message_rows::{Pending, delete, inbox_number, mark_read};
use crate::local_store::{AccountKey, LocalStore, StoreError};
use crate::model::names::MessageId;

/// What a person does with messages of the inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// They are read.
    Read,
    /// They are deleted.
    Delete,
}

impl LocalStore {
    /// Keeps a change until the servers have it, and applies it to the copy.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`]; neither has happened then.
    pub async fn request_change(
        &mut self,
        account: &AccountKey,
        kind: ChangeKind,
        ids: &[MessageId],
    ) -> Result<(), StoreError> {
        let mut change = self.connection.begin().await?;
        let inbox = inbox_number(&mut change, account).await?;
        match kind {
            ChangeKind::Read => mark_read(&mut change, inbox, ids).await?,
            ChangeKind::Delete => delete(&mut change, inbox, ids).await?,
        }
        for id in ids {
            sqlx::query(
                "INSERT OR IGNORE INTO pending_changes (inbox, id, deletes) VALUES (?, ?, ?)",
            )
            .bind(inbox)
            .bind(&id.0.as_bytes()[..])
            .bind(kind == ChangeKind::Delete)
            .execute(&mut *change)
            .await?;
        }
        Ok(change.commit().await?)
    }

    /// The servers have a change, or rejected it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`]; it is requested again after the next start then, which does no
    /// harm.
    pub async fn change_done(
        &mut self,
        account: &AccountKey,
        kind: ChangeKind,
        ids: &[Uuid],
    ) -> Result<(), StoreError> {
        let mut change = self.connection.begin().await?;
        let inbox = inbox_number(&mut change, account).await?;
        for id in ids {
            sqlx::query("DELETE FROM pending_changes WHERE inbox = ? AND id = ? AND deletes = ?")
                .bind(inbox)
                .bind(&id.as_bytes()[..])
                .bind(kind == ChangeKind::Delete)
                .execute(&mut *change)
                .await?;
        }
        Ok(change.commit().await?)
    }

    /// The changes that the servers do not have yet: which messages are read, and which are deleted.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn pending_changes(
        &mut self,
        account: &AccountKey,
    ) -> Result<(Vec<MessageId>, Vec<MessageId>), StoreError> {
        let mut change = self.connection.begin().await?;
        let inbox = inbox_number(&mut change, account).await?;
        let pending = Pending::load(&mut change, inbox).await?;
        let ids = |ids: std::collections::HashSet<Uuid>| ids.into_iter().map(MessageId).collect();
        Ok((ids(pending.read), ids(pending.deleted)))
    }
}
