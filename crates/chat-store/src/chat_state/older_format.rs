//! Tables of an older format: set aside, and made again from the log, which has everything that
//! they were made of.
//!
//! What they lack cannot be added in place: which of several accounts of one name has sent a message
//! stands in the log alone. The old file stays beside the new one until that has come as far,
//! because it shows what this disk's log must hold. Nothing here reads the log.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use chat_consensus::{LogIndex, Position, Term};
use futures::executor::block_on;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode};
use sqlx::{ConnectOptions, Connection, Row};

use super::error::StateError;
use super::schema::FORMAT;
use crate::database::OpenError;
use crate::directory;

/// How far the tables had come that were set aside, while they are still there.
#[derive(Debug)]
pub(super) struct SetAside {
    path: PathBuf,
    pub(super) applied: Position,
}

/// Moves the tables at `path` away if their format is older than today's, and says what was moved
/// away now or before. For whoever has the lock.
pub(super) fn set_aside(path: &Path) -> Result<Option<SetAside>, StateError> {
    let aside = path.with_extension("db.older");
    let failed = |source| {
        StateError::Open(OpenError::Prepare {
            path: aside.clone(),
            source,
        })
    };
    if has_older_format(path)? {
        tracing::info!(path = %path.display(), "tables of an older format are made again");
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
    /// The new tables have come as far.
    pub(super) fn remove(self) -> Result<(), StateError> {
        let Self { path, .. } = self;
        fs::remove_file(&path)
            .map_err(|source| StateError::Open(OpenError::Prepare { path, source }))
    }
}

/// Leaves an older file without side files, so that it can be moved.
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
        let is_older = (1..FORMAT).contains(&format);
        connection.close().await?;
        if is_older {
            // Copies the write-ahead log into the file, and fails while somebody else uses it.
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

/// What the tables at `path` had applied; every format says so in the same place.
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
