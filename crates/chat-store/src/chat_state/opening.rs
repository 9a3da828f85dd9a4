//! Which state a start uses: the current one, that of a program without directories, or an empty one.
//!
//! A state that is missing or damaged does not stop the node: everything in it is in the log, or in a
//! snapshot. It is set aside, and an empty one takes its place.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use chat_consensus::LogIndex;
use futures::executor::block_on;
use sqlx::ConnectOptions as _;
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};

use super::checkpoints::{Checkpoints, Verified, open_reader};
use super::current::Current;
use super::error::StateError;
use super::older_format::{self, SetAside};
use super::page_sums::PageSums;
use super::progress::Progress;
use super::schema;
use super::state_directories::{CONVERTED, StateDirectories, failed, sync_file};
use super::write_ahead_log::WriteAheadLog;
use crate::database::{Database, DatabaseFile};
use crate::directory::{self, DirectoryLock};

/// A state that is open for writing.
#[derive(Debug)]
pub(super) struct OpenState {
    /// The name of its directory.
    pub(super) name: String,
    pub(super) database: Database,
    pub(super) checkpoints: Checkpoints,
    pub(super) progress: Progress,
}

/// What a start has found.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) state: OpenState,
    /// Tables of a format that is too old to be upgraded.
    pub(super) older: Option<SetAside>,
    /// Why the state that was here is lost, if it is.
    pub(super) lost: Option<String>,
}

/// Opens the current state, or an empty one if there is none. The caller must have the lock.
pub(super) fn open_current(
    directories: &StateDirectories,
    lock: &Arc<DirectoryLock>,
) -> Result<Opened, StateError> {
    if directories.current()? != Current::Missing {
        directories.remove_undirected()?;
    }
    let (older, mut lost) = match convert(directories) {
        Ok(older) => (older, None),
        Err(error) if error.is_damage() => {
            let reason = sentence(&error);
            directories.set_undirected_aside(&reason)?;
            (None, Some(reason))
        }
        Err(error) => return Err(error),
    };
    let (state, reason) = match directories.current()? {
        Current::Missing => (None, None),
        Current::Unreadable => {
            let reason = "the name of the current state is unreadable".to_owned();
            directories.set_all_aside(&reason)?;
            (None, Some(reason))
        }
        Current::Named(name) => match open(directories, lock, name.clone()) {
            Ok(state) => (Some(state), None),
            Err(error) if error.is_damage() => {
                let reason = sentence(&error);
                directories.set_aside(&name, &reason)?;
                (None, Some(reason))
            }
            Err(error) => return Err(error),
        },
    };
    lost = lost.or(reason);
    if let Some(reason) = &lost {
        tracing::error!(reason, "the state is lost; what is left of it is set aside");
    }
    let state = match state {
        Some(state) => state,
        None => create(directories, lock)?,
    };
    directories.remove_unnamed(&state.name)?;
    Ok(Opened { state, older, lost })
}

/// An empty state, which is the current one from now on.
pub(super) fn create(
    directories: &StateDirectories,
    lock: &Arc<DirectoryLock>,
) -> Result<OpenState, StateError> {
    let name = directories.create(LogIndex::ZERO)?;
    let open = open_file(&file(directories, &name), lock, name)?;
    directories.set_current(&open.name)?;
    Ok(open)
}

/// Opens the state with this name, which must be complete.
pub(super) fn open(
    directories: &StateDirectories,
    lock: &Arc<DirectoryLock>,
    name: String,
) -> Result<OpenState, StateError> {
    if let Some(reason) = directories.reason_against(&name)? {
        return Err(StateError::Lost { reason });
    }
    let file = file(directories, &name);
    // Opening would create a file that is missing.
    if is_empty(&file.path)? {
        let reason = format!("{} is missing", file.path.display());
        return Err(StateError::Lost { reason });
    }
    open_file(&file, lock, name)
}

fn open_file(
    file: &DatabaseFile,
    lock: &Arc<DirectoryLock>,
    name: String,
) -> Result<OpenState, StateError> {
    let verified = verify(&file.path)?;
    let mut database = file.open_locked(Arc::clone(lock), schema::writer_options())?;
    let progress = block_on(Progress::load(&mut database))?;
    let applied = progress.applied.index;
    let checkpoints = Checkpoints::begin(&mut database, applied, verified);
    Ok(OpenState {
        name,
        checkpoints: block_on(checkpoints)?,
        database,
        progress,
    })
}

/// Compares the database at `path` with its checksums, if it has any.
fn verify(path: &Path) -> Result<Option<Verified>, StateError> {
    let Some(mut sums) = PageSums::load(path)? else {
        return Ok(None);
    };
    let wal_path = directory::wal_of(path);
    let wal = if sums.is_wal_beginning() {
        None
    } else {
        WriteAheadLog::read(&wal_path).map_err(failed(&wal_path))?
    };
    let verified = sums.verify(path, wal.as_ref()).map_err(failed(path))?;
    verified.map_err(|reason| StateError::Lost { reason })?;
    if wal.is_none() {
        match fs::remove_file(&wal_path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed(&wal_path)(error));
            }
            _ => {}
        }
        // An upgrade of the tables is the first transaction of the next one. After a crash it is done again.
        sums.wal_begins(path).map_err(failed(path))?;
    }
    let (reader, applied) = block_on(open_reader(path))?;
    if applied < sums.applied {
        let expected = sums.applied;
        let reason = format!("the tables are at {applied}, and were at {expected}");
        return Err(StateError::Lost { reason });
    }
    Ok(Some(Verified {
        sums,
        reader,
        is_wal_missing: wal.is_none(),
    }))
}

fn file(directories: &StateDirectories, name: &str) -> DatabaseFile {
    schema::database_file(directories.database(name), directories.lock())
}

/// Moves `state.db` of a program that had no directories into one, which becomes the current one, or
/// sets it aside if its format is too old. Does nothing if there is a current one.
fn convert(directories: &StateDirectories) -> Result<Option<SetAside>, StateError> {
    let path = directories.undirected();
    let older = older_format::set_aside(&path)?;
    if directories.current()? != Current::Missing {
        return Ok(older);
    }
    // A crash may have come after the move.
    if is_empty(&directories.database(CONVERTED))? {
        if is_empty(&path)? {
            return Ok(older);
        }
        directories.step();
        without_side_files(&path)?;
        directories.move_undirected(CONVERTED)?;
    }
    directories.set_current(CONVERTED)?;
    tracing::info!(path = %path.display(), "the state has a directory of its own now");
    Ok(older)
}

/// Copies the write-ahead log into the file and deletes it, so that the file can be moved.
fn without_side_files(path: &Path) -> Result<(), StateError> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Delete);
    block_on(async { options.connect().await?.close().await })?;
    let wal = directory::wal_of(path);
    if !is_empty(&wal)? {
        let still_there = io::Error::other("SQLite did not delete it");
        return Err(failed(&wal)(still_there));
    }
    sync_file(path).map_err(failed(path))
}

/// Whether the file at `path` is missing or has no bytes.
fn is_empty(path: &Path) -> Result<bool, StateError> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(metadata.len() == 0),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(failed(path)(error)),
    }
}

/// The error and its causes.
pub(super) fn sentence(error: &StateError) -> String {
    let mut sentence = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        sentence = format!("{sentence}: {error}");
        cause = error.source();
    }
    sentence
}
