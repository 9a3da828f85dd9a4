//! One SQLite file and one connection to it.
//!
//! What both databases share: the required version of SQLite, the options of connections, and how a
//! file is created, opened and closed, which blocks. It does not depend on the tables.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::TryStreamExt;
use futures::executor::block_on;
use sqlx::query::Query;
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteRow,
};
use sqlx::{ConnectOptions, Connection, Executor, Row, Sqlite};

use crate::directory::{self, DirectoryLock};

/// Older versions can corrupt a database when its write-ahead log is reset while a second
/// connection is open.
const SQLITE_VERSION_MIN: [u32; 3] = [3, 51, 3];

/// A prepared statement and its values.
pub type BoundQuery<'q> = Query<'q, Sqlite, SqliteArguments>;

/// Why a database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory or a file in it could not be created, read or synced.
    #[error("cannot prepare {path}")]
    Prepare {
        /// The file or directory.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// Another process, or another part of this one, has the database open.
    #[error("{path} is in use by another process")]
    InUse {
        /// The database.
        path: PathBuf,
    },
    /// This program was built with a SQLite that can lose data.
    #[error("the built-in SQLite {found} is older than 3.51.3, which can corrupt its files")]
    SqliteTooOld {
        /// The version of the one that was built in.
        found: String,
    },
    /// The file was written by a newer version of this program, or by another program.
    #[error("{path} has format {found}, but this program supports only format {known}")]
    UnknownFormat {
        /// The database.
        path: PathBuf,
        /// Its format, SQLite's `user_version`.
        found: i64,
        /// The only one that this program reads and writes.
        known: i64,
    },
    /// SQLite could not open it.
    #[error("cannot open {path}")]
    Sqlite {
        /// The database.
        path: PathBuf,
        /// SQLite's error.
        source: sqlx::Error,
    },
}

/// How one of the databases is created and opened.
#[derive(Debug)]
pub struct DatabaseFile {
    /// Where it is; names a file in a directory.
    pub path: PathBuf,
    /// A file of its own, because SQLite takes and releases its own locks on the database.
    pub lock: PathBuf,
    /// SQLite's `user_version`. A new file has 0.
    pub format: i64,
    /// Creates the tables, in one transaction with setting the format.
    pub schema: &'static str,
    /// Each upgrades one older format, in one transaction with setting the format.
    pub upgrades: &'static [Upgrade],
}

/// The upgrade from an older format to the current one.
#[derive(Clone, Copy, Debug)]
pub struct Upgrade {
    /// The older format's number.
    pub from: i64,
    /// Statements that turn its tables into the current ones.
    pub script: &'static str,
}

/// A connection with one owner. Dropping closes it, and releases its part of the lock only afterwards.
#[derive(Debug)]
pub struct Database {
    connection: Option<SqliteConnection>,
    path: PathBuf,
    _lock: Arc<DirectoryLock>,
}

impl DatabaseFile {
    /// Opens the database with `options`. Creates directory, file and tables if they are missing.
    ///
    /// # Errors
    ///
    /// See [`OpenError`].
    pub fn open(&self, options: SqliteConnectOptions) -> Result<Database, OpenError> {
        self.open_locked(self.take_lock()?, options)
    }

    /// Creates the directory of the lock if it is missing, and locks the database against other
    /// processes, until the last clone of the lock is dropped.
    ///
    /// # Errors
    ///
    /// See [`OpenError`].
    pub fn take_lock(&self) -> Result<Arc<DirectoryLock>, OpenError> {
        let directory = self.lock.parent();
        let directory = directory.expect("the path names a file in a directory");
        prepare(directory, directory::create_directory(directory))?;
        let lock = DirectoryLock::take(&self.lock)
            .map_err(|source| OpenError::Prepare {
                path: self.lock.clone(),
                source,
            })?
            .ok_or_else(|| OpenError::InUse {
                path: self.path.clone(),
            })?;
        check_sqlite_version(&block_on(sqlite_version()).map_err(|error| self.failed(error))?)?;
        Ok(Arc::new(lock))
    }

    /// As [`Self::open`], with the lock from [`Self::take_lock`], in a directory that exists.
    ///
    /// # Errors
    ///
    /// See [`OpenError`].
    pub fn open_locked(
        &self,
        lock: Arc<DirectoryLock>,
        options: SqliteConnectOptions,
    ) -> Result<Database, OpenError> {
        let sqlite = |source| self.failed(source);
        prepare(&self.path, directory::create_private_file(&self.path))?;

        let options = options
            .filename(&self.path)
            .journal_mode(SqliteJournalMode::Wal);
        let connection = block_on(options.connect()).map_err(sqlite)?;
        let mut database = Database {
            connection: Some(connection),
            path: self.path.clone(),
            _lock: lock,
        };
        let found = database
            .fetch_integer("PRAGMA user_version")
            .map_err(sqlite)?;
        if found == 0 {
            // The names are synced first, because they are not synced again once the file has
            // tables. SQLite itself syncs the name of each write-ahead log that it creates.
            let directory = self.directory();
            prepare(directory, directory::sync_names(directory))?;
            database
                .create_tables(self.schema, self.format)
                .map_err(sqlite)?;
        } else if let Some(upgrade) = self.upgrades.iter().find(|upgrade| upgrade.from == found) {
            database
                .create_tables(upgrade.script, self.format)
                .map_err(sqlite)?;
            tracing::info!(path = %self.path.display(), from = found, to = self.format, "upgraded");
        } else if found != self.format {
            return Err(OpenError::UnknownFormat {
                path: self.path.clone(),
                found,
                known: self.format,
            });
        }
        Ok(database)
    }

    fn directory(&self) -> &Path {
        self.path
            .parent()
            .expect("the path names a file in a directory")
    }

    fn failed(&self, source: sqlx::Error) -> OpenError {
        OpenError::Sqlite {
            path: self.path.clone(),
            source,
        }
    }
}

/// The options of all connections to both databases. A damaged file must lead to an error: pages are
/// read instead of mapped into memory, and checked, and functions in the schema are not trusted.
/// Statements are not logged.
pub fn connect_options() -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .pragma("mmap_size", "0")
        .pragma("cell_size_check", "ON")
        .pragma("trusted_schema", "OFF")
        .disable_statement_logging()
}

fn prepare(path: &Path, result: std::io::Result<()>) -> Result<(), OpenError> {
    result.map_err(|source| OpenError::Prepare {
        path: path.to_owned(),
        source,
    })
}

impl Database {
    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs a statement and returns how many rows it changed.
    ///
    /// # Errors
    ///
    /// SQLite's.
    pub async fn execute(&mut self, query: BoundQuery<'_>) -> sqlx::Result<u64> {
        let done = query.execute(self.connection()).await?;
        Ok(done.rows_affected())
    }

    /// The first row, if there is one.
    ///
    /// # Errors
    ///
    /// SQLite's.
    pub async fn fetch_optional(
        &mut self,
        query: BoundQuery<'_>,
    ) -> sqlx::Result<Option<SqliteRow>> {
        query.fetch_optional(self.connection()).await
    }

    /// Calls `handle` with each row until it returns `Break`. Few rows are in memory at a time.
    ///
    /// # Errors
    ///
    /// SQLite's, and those of `handle`.
    pub async fn for_each_row<E: From<sqlx::Error>>(
        &mut self,
        query: BoundQuery<'_>,
        mut handle: impl FnMut(&SqliteRow) -> Result<ControlFlow<()>, E>,
    ) -> Result<(), E> {
        let mut rows = query.fetch(self.connection());
        while let Some(row) = rows.try_next().await? {
            if handle(&row)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// The only value of a statement that always returns one.
    ///
    /// # Errors
    ///
    /// SQLite's.
    pub fn fetch_integer(&mut self, sql: &'static str) -> sqlx::Result<i64> {
        block_on(sqlx::query(sql).fetch_one(self.connection()))?.try_get(0)
    }

    /// Closes the file and returns the error that dropping would only log.
    ///
    /// # Errors
    ///
    /// SQLite's.
    pub fn close(mut self) -> sqlx::Result<()> {
        match self.connection.take() {
            Some(connection) => block_on(connection.close()),
            None => Ok(()),
        }
    }

    /// Adds every further step of SQLite's virtual machine to `steps`.
    ///
    /// # Errors
    ///
    /// When the connection has failed.
    #[cfg(any(test, feature = "count-steps"))]
    pub async fn count_steps(
        &mut self,
        steps: Arc<std::sync::atomic::AtomicU64>,
    ) -> sqlx::Result<()> {
        let mut handle = self.connection().lock_handle().await?;
        handle.set_progress_handler(1, move || {
            steps.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            true
        });
        Ok(())
    }

    fn create_tables(&mut self, schema: &'static str, format: i64) -> sqlx::Result<()> {
        let script = format!("BEGIN IMMEDIATE; {schema}; PRAGMA user_version = {format}; COMMIT");
        let script = sqlx::raw_sql(sqlx::AssertSqlSafe(script));
        block_on(self.connection().execute(script)).map(drop)
    }

    fn connection(&mut self) -> &mut SqliteConnection {
        self.connection
            .as_mut()
            .expect("only `close` and `drop` take it")
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else {
            return;
        };
        // Waiting keeps the lock until the file is closed.
        if let Err(error) = block_on(connection.close()) {
            tracing::warn!(path = %self.path.display(), %error, "cannot close a database");
        }
    }
}

/// Queried on a database in memory, so that a SQLite that is too old never touches the file.
async fn sqlite_version() -> sqlx::Result<String> {
    let mut connection = SqliteConnectOptions::new().connect().await?;
    let row = sqlx::query("SELECT sqlite_version()")
        .fetch_one(&mut connection)
        .await?;
    connection.close().await?;
    row.try_get(0)
}

fn check_sqlite_version(found: &str) -> Result<(), OpenError> {
    let numbers: Option<Vec<u32>> = found.split('.').map(|part| part.parse().ok()).collect();
    match numbers {
        Some(numbers) if numbers.as_slice() >= SQLITE_VERSION_MIN.as_slice() => Ok(()),
        _ => Err(OpenError::SqliteTooOld {
            found: found.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlite_with_the_wal_reset_bug_is_refused() {
        let accepted = [
            "3.51.2", "3.51.3", "3.51.10", "3.52.0", "4.0.0", "3.9.99", "", "3.51.x",
        ]
        .map(|version| check_sqlite_version(version).is_ok());
        assert_eq!(
            accepted,
            [false, true, true, true, true, false, false, false]
        );
    }
}
