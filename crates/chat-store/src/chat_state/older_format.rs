//! Tables of an older format: set aside, and rebuilt from the log, which contains all commands.
//!
//! What they lack cannot be added in place: only the log contains which of several accounts of one
//! name sent a message. The old file is kept until the new one has applied as many entries, because
//! it shows which entry this disk's log must contain. Nothing here reads the log.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use chat_consensus::{LogIndex, Position, Term};
use futures::executor::block_on;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode};
use sqlx::{ConnectOptions, Connection, Row};

use super::error::StateError;
use super::schema::OLDEST_UPGRADED;
use crate::database::OpenError;
use crate::directory;

/// Tables that were set aside and still exist, and their last applied entry.
#[derive(Debug)]
pub(super) struct SetAside {
    path: PathBuf,
    pub(super) applied: Position,
}

/// Moves the tables at `path` away if their format is too old to be upgraded. Returns the
/// tables that were moved away now or before. The caller must have the lock.
pub(super) fn set_aside(path: &Path) -> Result<Option<SetAside>, StateError> {
    let aside = path.with_extension("db.older");
    let failed = |source| {
        StateError::Open(OpenError::Prepare {
            path: aside.clone(),
            source,
        })
    };
    if has_older_format(path)? {
        tracing::info!(path = %path.display(), "rebuilding tables of an older format");
        fs::rename(path, &aside).map_err(failed)?;
        let folder = path.parent().expect("the path names a file in a directory");
        directory::sync_names(folder).map_err(failed)?;
    }
    if !aside.try_exists().map_err(failed)? {
        return Ok(None);
    }
    let applied = block_on(applied(&aside)).map_err(|source| OpenError::Sqlite {
        path: aside.clone(),
        source,
    })?;
    Ok(Some(SetAside {
        path: aside,
        applied,
    }))
}

impl SetAside {
    /// Deletes them, once the new tables have applied as many entries.
    pub(super) fn remove(self) -> Result<(), StateError> {
        let Self { path, .. } = self;
        fs::remove_file(&path)
            .map_err(|source| StateError::Open(OpenError::Prepare { path, source }))
    }
}

/// If it is older, the file has no side files afterwards, so that it can be moved.
fn has_older_format(path: &Path) -> Result<bool, StateError> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.len() > 0 => {}
        Ok(_) => return Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(source) => {
            let path = path.to_owned();
            return Err(StateError::Open(OpenError::Prepare { path, source }));
        }
    }
    let looking = async {
        let mut connection = SqliteConnectOptions::new().filename(path).connect().await?;
        let format: i64 = first_integer(&mut connection, "PRAGMA user_version").await?;
        let is_older = (1..OLDEST_UPGRADED).contains(&format);
        connection.close().await?;
        if is_older {
            // Copies the write-ahead log into the file, and fails while another process uses it.
            let options = SqliteConnectOptions::new().filename(path);
            let options = options.journal_mode(SqliteJournalMode::Delete);
            options.connect().await?.close().await?;
        }
        Ok(is_older)
    };
    block_on(looking).map_err(|source| {
        let path = path.to_owned();
        StateError::Open(OpenError::Sqlite { path, source })
    })
}

/// The last entry that the tables at `path` applied. All formats store it in the same place.
async fn applied(path: &Path) -> sqlx::Result<Position> {
    let options = SqliteConnectOptions::new().filename(path).read_only(true);
    let mut connection = options.connect().await?;
    let query = sqlx::query("SELECT applied_index, applied_term FROM progress");
    let row = query.fetch_one(&mut connection).await?;
    connection.close().await?;
    Ok(Position {
        index: LogIndex(row.try_get::<i64, _>(0)?.cast_unsigned()),
        term: Term(row.try_get::<i64, _>(1)?.cast_unsigned()),
    })
}

async fn first_integer(connection: &mut SqliteConnection, sql: &'static str) -> sqlx::Result<i64> {
    let row = sqlx::query(sql).fetch_one(connection).await?;
    row.try_get(0)
}
