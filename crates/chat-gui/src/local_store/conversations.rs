//! What is stored about one conversation: the draft, and whether it is muted.

use sqlx::Connection;

use crate::local_store::rows::optional_bytes;
use crate::local_store::{AccountKey, LocalStore, StoreError};
use crate::model::event::StoredDraft;
use crate::model::names::Name;

impl LocalStore {
    /// Keeps what is in a composer; an empty text without a message to reply to removes it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn save_draft(
        &mut self,
        account: &AccountKey,
        peer: &Name,
        draft: &StoredDraft,
    ) -> Result<(), StoreError> {
        let mut change = self.connection.begin().await?;
        sqlx::query("DELETE FROM drafts WHERE account = ? AND peer = ?")
            .bind(account.text())
            .bind(peer.as_str())
            .execute(&mut *change)
            .await?;
        if !draft.text.is_empty() || draft.reply_to.is_some() {
            sqlx::query("INSERT INTO drafts (account, peer, text, reply_to) VALUES (?, ?, ?, ?)")
                .bind(account.text())
                .bind(peer.as_str())
                .bind(&*draft.text)
                .bind(optional_bytes(draft.reply_to))
                .execute(&mut *change)
                .await?;
        }
        Ok(change.commit().await?)
    }

    /// Stores whether a person is muted.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn save_muted(
        &mut self,
        account: &AccountKey,
        peer: &Name,
        muted: bool,
    ) -> Result<(), StoreError> {
        let statement = if muted {
            "INSERT OR REPLACE INTO muted (account, peer) VALUES (?, ?)"
        } else {
            "DELETE FROM muted WHERE account = ? AND peer = ?"
        };
        sqlx::query(statement)
            .bind(account.text())
            .bind(peer.as_str())
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }
}
