//! What is stored about the window and not about an account: preferences, the servers in use, and
//! the last account.

use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::Row;

use crate::local_store::{AccountKey, LocalStore, StoreError};
use crate::model::names::Name;
use crate::model::preferences::Preferences;

/// What was chosen about the window and not about an account.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// What the person has chosen.
    pub preferences: Preferences,
    /// The servers that were used last.
    pub addresses: Vec<String>,
    /// Who was signed in last.
    pub remembered: Option<Name>,
}

impl LocalStore {
    /// What was chosen about the window.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], as everywhere below.
    pub async fn settings(&mut self) -> Result<Settings, StoreError> {
        Ok(Settings {
            preferences: self.setting("preferences").await?.unwrap_or_default(),
            addresses: self.setting("addresses").await?.unwrap_or_default(),
            remembered: self.setting::<String>("remembered").await?.map(Name::new),
        })
    }

    /// Keeps what the person has chosen.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn save_preferences(&mut self, preferences: &Preferences) -> Result<(), StoreError> {
        self.set("preferences", preferences).await?;
        self.limit_received(preferences.kept_messages.count()).await
    }

    /// Received messages that are more than the person wants to keep are deleted, of all accounts.
    async fn limit_received(&mut self, received_max: usize) -> Result<(), StoreError> {
        let before = std::mem::replace(&mut self.received_max, received_max);
        if received_max >= before {
            return Ok(());
        }
        let rows = sqlx::query("SELECT account FROM inboxes")
            .fetch_all(&mut self.connection)
            .await?;
        for row in rows {
            let text: &str = row.try_get(0)?;
            let Some(account) = AccountKey::from_text(text) else {
                continue;
            };
            if received_max == 0 {
                self.forget_received(&account).await?;
            } else {
                self.trim(&account).await?;
            }
        }
        self.overwrite_deleted().await
    }

    /// Keeps the servers that are used.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn save_addresses(&mut self, addresses: &[String]) -> Result<(), StoreError> {
        self.set("addresses", addresses).await
    }

    /// Stores who is signed in; no name after the account was deleted.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn save_remembered(&mut self, name: Option<&Name>) -> Result<(), StoreError> {
        self.set("remembered", &name.map(Name::as_str)).await
    }

    /// A setting that can no longer be parsed counts as not set.
    pub(super) async fn setting<T: DeserializeOwned>(
        &mut self,
        key: &str,
    ) -> Result<Option<T>, StoreError> {
        let row = sqlx::query("SELECT value FROM settings WHERE key = ?")
            .bind(key)
            .fetch_optional(&mut self.connection)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let value: String = row.try_get(0)?;
        Ok(serde_json::from_str(&value).ok())
    }

    pub(super) async fn set<T: Serialize + ?Sized>(
        &mut self,
        key: &str,
        value: &T,
    ) -> Result<(), StoreError> {
        let value =
            serde_json::to_string(value).expect("settings hold only what JSON can represent");
        sqlx::query("INSERT OR REPLACE INTO settings (key, value) VALUES (?, ?)")
            .bind(key)
            .bind(value)
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }
}
