//! What this device keeps: drafts, the outbox, copies of sent messages, preferences. One SQLite file
//! in a folder that nobody else may read; a call that returns has been synced to the disk.
//!
//! Deliberately absent: received messages, which the servers keep, and the session's token, which is
//! in a file of its own.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteRow, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection, Row};
use uuid::Uuid;

use crate::model::event::StoredAccount;
use crate::model::message::{Outgoing, SentCopy};
use crate::model::names::{Commit, LogIndex, MessageId, Name, RequestId, Term};
use crate::model::preferences::Preferences;
use crate::model::time::Timestamp;

mod refusal;
pub mod token_file;

/// Copies of sent messages that are kept of one account; the oldest go first.
const SENT_MAX: i64 = 50_000;
/// This program's format of the file.
const FORMAT: i64 = 1;
const FILE: &str = "local.db";
const LOCK: &str = "lock";

const SCHEMA: &str = "
CREATE TABLE drafts (
    account TEXT NOT NULL, peer TEXT NOT NULL, text TEXT NOT NULL,
    PRIMARY KEY (account, peer)
) STRICT, WITHOUT ROWID;
CREATE TABLE outbox (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL UNIQUE, request_id BLOB NOT NULL,
    account TEXT NOT NULL, recipient TEXT NOT NULL, body TEXT NOT NULL,
    written_at REAL NOT NULL, refused TEXT
) STRICT;
CREATE TABLE sent (
    id BLOB PRIMARY KEY, request_id BLOB NOT NULL,
    account TEXT NOT NULL, recipient TEXT NOT NULL, body TEXT NOT NULL,
    at REAL NOT NULL, commit_index INTEGER NOT NULL, commit_term INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sent_in_order ON sent (account, commit_index);
CREATE TABLE muted (
    account TEXT NOT NULL, peer TEXT NOT NULL,
    PRIMARY KEY (account, peer)
) STRICT, WITHOUT ROWID;
CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
PRAGMA user_version = 1;
";

/// Why this device does not keep something.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder could not be made or protected.
    #[error("cannot use the folder {path}")]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another window uses the folder.
    #[error("another window uses {path}; `--profile NAME` opens one beside it")]
    InUse {
        /// Which.
        path: PathBuf,
    },
    /// A newer program wrote the file, or an altogether different one.
    #[error("{path} has format {found}, and only format {FORMAT} is understood")]
    UnknownFormat {
        /// Which.
        path: PathBuf,
        /// Its format.
        found: i64,
    },
    /// SQLite could not do it.
    #[error("the database of this device cannot be used")]
    Database(#[from] sqlx::Error),
}

/// The store. Dropping it leaves nothing undone.
#[derive(Debug)]
pub struct LocalStore {
    connection: SqliteConnection,
    /// Held as long as the store is open; nobody reads it.
    _lock: Option<File>,
}

/// Whose data: an account of one cluster. The same name on other servers is somebody else, whose
/// messages must not go out here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountKey {
    /// The cluster's id: 32 hexadecimal digits.
    pub cluster_id: String,
    /// The account's name.
    pub name: Name,
}

impl AccountKey {
    /// As it stands in the file: no cluster's id has a space in it.
    fn text(&self) -> String {
        format!("{} {}", self.cluster_id, self.name)
    }
}

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
            .synchronous(SqliteSynchronous::Full);
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
        let row = sqlx::query("PRAGMA user_version")
            .fetch_one(&mut connection)
            .await?;
        match row.try_get(0)? {
            0 => {
                let mut change = connection.begin().await?;
                sqlx::raw_sql(SCHEMA).execute(&mut *change).await?;
                change.commit().await?;
            }
            FORMAT => {}
            found => return Err(StoreError::UnknownFormat { path, found }),
        }
        Ok(Self {
            connection,
            _lock: lock,
        })
    }

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
        self.set("preferences", preferences).await
    }

    /// Keeps the servers that are used.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn save_addresses(&mut self, addresses: &[String]) -> Result<(), StoreError> {
        self.set("addresses", addresses).await
    }

    /// Keeps who is signed in; nobody, after the account was deleted.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn save_remembered(&mut self, name: Option<&Name>) -> Result<(), StoreError> {
        self.set("remembered", &name.map(Name::as_str)).await
    }

    /// A setting that cannot be understood any more is as good as none.
    async fn setting<T: DeserializeOwned>(&mut self, key: &str) -> Result<Option<T>, StoreError> {
        let row = sqlx::query("SELECT value FROM settings WHERE key = ?")
            .bind(key)
            .fetch_optional(&mut self.connection)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let value: String = row.try_get(0)?;
        Ok(serde_json::from_str(&value).ok())
    }

    async fn set<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> Result<(), StoreError> {
        let value = serde_json::to_string(value).expect("settings hold only what JSON can say");
        sqlx::query("INSERT OR REPLACE INTO settings (key, value) VALUES (?, ?)")
            .bind(key)
            .bind(value)
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    /// Everything that is kept of an account.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn account(&mut self, account: &AccountKey) -> Result<StoredAccount, StoreError> {
        self.drop_oldest_copies(account).await?;
        let drafts = sqlx::query("SELECT peer, text FROM drafts WHERE account = ?")
            .bind(account.text())
            .fetch_all(&mut self.connection)
            .await?;
        let outbox = sqlx::query(
            "SELECT id, request_id, recipient, body, written_at, refused
             FROM outbox WHERE account = ? ORDER BY position",
        )
        .bind(account.text())
        .fetch_all(&mut self.connection)
        .await?;
        let sent = sqlx::query(
            "SELECT id, request_id, recipient, body, at, commit_index, commit_term
             FROM sent WHERE account = ? ORDER BY commit_index",
        )
        .bind(account.text())
        .fetch_all(&mut self.connection)
        .await?;
        let muted = sqlx::query("SELECT peer FROM muted WHERE account = ?")
            .bind(account.text())
            .fetch_all(&mut self.connection)
            .await?;
        let draft = |row: &SqliteRow| Ok((name(row, 0)?, text(row, 1)?));
        Ok(StoredAccount {
            name: account.name.clone(),
            drafts: drafts
                .iter()
                .map(draft)
                .collect::<Result<_, sqlx::Error>>()?,
            outbox: outbox.iter().map(outgoing).collect::<Result<_, _>>()?,
            sent: sent.iter().map(sent_copy).collect::<Result<_, _>>()?,
            muted: muted
                .iter()
                .map(|row| name(row, 0))
                .collect::<Result<_, _>>()?,
        })
    }

    async fn drop_oldest_copies(&mut self, account: &AccountKey) -> Result<(), StoreError> {
        sqlx::query(
            "DELETE FROM sent WHERE account = ?1 AND commit_index <= (
                 SELECT commit_index FROM sent WHERE account = ?1
                 ORDER BY commit_index DESC LIMIT 1 OFFSET ?2)",
        )
        .bind(account.text())
        .bind(SENT_MAX)
        .execute(&mut self.connection)
        .await?;
        Ok(())
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
            "DELETE FROM sent WHERE account = ?",
            "DELETE FROM muted WHERE account = ?",
        ] {
            sqlx::query(statement)
                .bind(account.text())
                .execute(&mut *change)
                .await?;
        }
        Ok(change.commit().await?)
    }

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

    /// Keeps whether somebody is muted.
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

mod outbox;

/// Makes the folder ours alone, and keeps other windows out of it.
fn claim(folder: &Path) -> Result<File, StoreError> {
    let failed = |source| StoreError::Folder {
        path: folder.to_owned(),
        source,
    };
    private_file::create_folder(folder).map_err(failed)?;
    let lock = open_private(&folder.join(LOCK)).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse {
            path: folder.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

fn open_private(path: &Path) -> io::Result<File> {
    let mut options = private_file::open_options();
    options.create(true).truncate(false).open(path)
}

fn name(row: &SqliteRow, column: usize) -> Result<Name, sqlx::Error> {
    Ok(Name::new(row.try_get::<&str, _>(column)?))
}

fn text(row: &SqliteRow, column: usize) -> Result<Arc<str>, sqlx::Error> {
    Ok(Arc::from(row.try_get::<&str, _>(column)?))
}

fn uuid(row: &SqliteRow, column: usize) -> Result<Uuid, sqlx::Error> {
    let bytes: &[u8] = row.try_get(column)?;
    Uuid::from_slice(bytes).map_err(|error| sqlx::Error::Decode(error.into()))
}

fn outgoing(row: &SqliteRow) -> Result<Outgoing, sqlx::Error> {
    let refused: Option<&str> = row.try_get(5)?;
    Ok(Outgoing {
        id: MessageId(uuid(row, 0)?),
        request_id: RequestId(uuid(row, 1)?),
        recipient: name(row, 2)?,
        body: text(row, 3)?,
        written_at: Timestamp(row.try_get(4)?),
        refused: refused.map(refusal::read),
    })
}

fn sent_copy(row: &SqliteRow) -> Result<SentCopy, sqlx::Error> {
    let number = |column| -> Result<u64, sqlx::Error> {
        let number: i64 = row.try_get(column)?;
        u64::try_from(number).map_err(|error| sqlx::Error::Decode(error.into()))
    };
    Ok(SentCopy {
        id: MessageId(uuid(row, 0)?),
        request_id: RequestId(uuid(row, 1)?),
        recipient: name(row, 2)?,
        body: text(row, 3)?,
        at: Timestamp(row.try_get(4)?),
        commit: Commit {
            index: LogIndex(number(5)?),
            term: Term(number(6)?),
        },
    })
}

#[cfg(test)]
mod tests;
