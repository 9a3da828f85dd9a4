//! What this device keeps: drafts, the outbox, copies of received and of sent messages, preferences.
//! One SQLite file in a folder that only its user may read; a call that returns has been synced to
//! the disk. `docs/window-store.md` has the rules.
//!
//! Deliberately absent: the session's token, which is in a file of its own.

mod conversations;
mod error;
pub mod inbox_copy;
mod marks;
mod members;
mod message_rows;
mod outbox;
mod packed_messages;
pub mod pending_changes;
mod private_folder;
mod refusal;
mod rows;
mod schema;
pub mod settings;
pub mod token_file;

use std::fs::File;
use std::path::{Path, PathBuf};

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteRow, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection};

use crate::model::event::{StoredAccount, StoredDraft};
use crate::model::message::OutboxMessage;
use crate::model::names::Name;
use private_folder::{claim, open_private};
use rows::{name, optional_id, outbox_message, text};

pub use error::StoreError;

/// Sent messages that only this device has, of one account at most; the oldest go first.
const SENT_MAX: usize = 50_000;
const FILE: &str = "local.db";

/// The store. Dropping it leaves nothing undone.
#[derive(Debug)]
pub struct LocalStore {
    connection: SqliteConnection,
    /// Messages of a box that are kept at most.
    received_max: usize,
    /// Messages that were added since the oldest went.
    surplus: usize,
    /// Held as long as the store is open; never read.
    _lock: Option<File>,
}

/// Whose data: an account of one cluster. The same name on other servers is another person, whose
/// messages must not go out here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountKey {
    /// The cluster's id: 32 hexadecimal digits.
    pub cluster_id: String,
    /// The account's name.
    pub name: Name,
}

impl AccountKey {
    /// As it is written in the file: no cluster's id has a space in it.
    fn text(&self) -> String {
        format!("{} {}", self.cluster_id, self.name)
    }

    fn from_text(text: &str) -> Option<Self> {
        let (cluster_id, name) = text.split_once(' ')?;
        Some(Self {
            cluster_id: cluster_id.to_owned(),
            name: Name::new(name),
        })
    }
}

impl LocalStore {
    /// Opens the store in a folder, which is made if it is missing and belongs to this window alone
    /// as long as the store is open.
    ///
    /// # Errors
    ///
    /// See [`StoreError`]; nothing was changed then.
    pub async fn open(folder: &Path) -> Result<Self, StoreError> {
        let lock = claim(folder)?;
        let path = folder.join(FILE);
        // Made by us, so that neither it nor what SQLite makes beside it is readable by others.
        open_private(&path).map_err(|source| StoreError::Folder {
            path: path.clone(),
            source,
        })?;
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            // What is deleted is overwritten: it cannot be read from the file any more.
            .pragma("secure_delete", "ON");
        Self::connect(options, path, Some(lock)).await
    }

    /// A store that keeps everything until it is dropped: for a device whose disk is of no use.
    ///
    /// # Errors
    ///
    /// When there is no memory.
    pub async fn in_memory() -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new().in_memory(true);
        Self::connect(options, PathBuf::from(":memory:"), None).await
    }

    async fn connect(
        options: SqliteConnectOptions,
        path: PathBuf,
        lock: Option<File>,
    ) -> Result<Self, StoreError> {
        let mut connection = options.connect().await?;
        if let Some(found) = schema::migrate(&mut connection).await? {
            return Err(StoreError::UnknownFormat { path, found });
        }
        let mut store = Self {
            connection,
            received_max: 0,
            surplus: 0,
            _lock: lock,
        };
        let settings = store.settings().await?;
        store.received_max = settings.preferences.kept_messages.count();
        Ok(store)
    }

    /// Everything that is kept of an account.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn account(&mut self, account: &AccountKey) -> Result<StoredAccount, StoreError> {
        let drafts = sqlx::query("SELECT peer, text, reply_to FROM drafts WHERE account = ?")
            .bind(account.text())
            .fetch_all(&mut self.connection)
            .await?;
        let outbox = self.outbox(account).await?;
        let muted = sqlx::query("SELECT peer FROM muted WHERE account = ?")
            .bind(account.text())
            .fetch_all(&mut self.connection)
            .await?;
        let draft = |row: &SqliteRow| {
            let draft = StoredDraft {
                text: text(row, 1)?,
                reply_to: optional_id(row, 2)?,
            };
            Ok((name(row, 0)?, draft))
        };
        let (inbox, sent) = self.messages(account).await?;
        let (_, deleted) = self.pending_changes(account).await?;
        Ok(StoredAccount {
            name: account.name.clone(),
            cluster_id: account.cluster_id.clone(),
            drafts: drafts
                .iter()
                .map(draft)
                .collect::<Result<_, sqlx::Error>>()?,
            outbox,
            sent,
            muted: muted
                .iter()
                .map(|row| name(row, 0))
                .collect::<Result<_, _>>()?,
            marks: self.marks(account).await?,
            inbox,
            deleted,
        })
    }

    /// What is not acknowledged, in the order of writing.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn outbox(&mut self, account: &AccountKey) -> Result<Vec<OutboxMessage>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, request_id, recipient, body, written_at, refused, reply_to, keeps_copy
             FROM outbox WHERE account = ? ORDER BY position",
        )
        .bind(account.text())
        .fetch_all(&mut self.connection)
        .await?;
        let outbox = rows.iter().map(outbox_message).collect::<Result<_, _>>()?;
        Ok(outbox)
    }

    /// Deletes everything that is kept of an account.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn erase(&mut self, account: &AccountKey) -> Result<(), StoreError> {
        let mut change = self.connection.begin().await?;
        for statement in [
            "DELETE FROM drafts WHERE account = ?",
            "DELETE FROM outbox WHERE account = ?",
            "DELETE FROM muted WHERE account = ?",
            "DELETE FROM settings WHERE key = 'marks ' || ?",
            "DELETE FROM messages WHERE inbox = (SELECT number FROM inboxes WHERE account = ?)",
            "DELETE FROM pending_changes
             WHERE inbox = (SELECT number FROM inboxes WHERE account = ?)",
            "DELETE FROM inboxes WHERE account = ?",
        ] {
            sqlx::query(statement)
                .bind(account.text())
                .execute(&mut *change)
                .await?;
        }
        change.commit().await?;
        self.overwrite_deleted().await
    }

    /// What was deleted is in no file any more.
    async fn overwrite_deleted(&mut self) -> Result<(), StoreError> {
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)")
            .fetch_all(&mut self.connection)
            .await?;
        Ok(())
    }
}

/// A number of the servers as SQLite keeps it.
fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
