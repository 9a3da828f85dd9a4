//! What is stored about one conversation: the draft, and whether it is muted.

use crate::local_store::{AccountKey, LocalStore, StoreError};
use crate::model::names::Name;

impl LocalStore {
    /// Keeps what is in a composer; an empty text removes it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn save_draft(
        &mut self,
        account: &AccountKey,
        peer: &Name,
        text: &str,
    ) -> Result<(), StoreError> {
        let statement = if text.is_empty() {
            sqlx::query("DELETE FROM drafts WHERE account = ? AND peer = ?")
        } else {
            sqlx::query("INSERT OR REPLACE INTO drafts (account, peer, text) VALUES (?, ?, ?)")
        };
        let mut statement = statement.bind(account.text()).bind(peer.as_str());
        if !text.is_empty() {
            statement = statement.bind(text);
        }
        statement.execute(&mut self.connection).await?;
        Ok(())
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
