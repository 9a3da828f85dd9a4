//! The chat's tables, `state.db`: the result of all commands in the log, for readers to query.
//!
//! [`ChatState`] is the only writer. It applies committed entries in order and stores its progress
//! in the same transaction as their effects. No acknowledgement depends on it: the log applies
//! again what a power failure removes from it, so it syncs only when SQLite copies its write-ahead
//! log into the main file. [`ChatReader`] reads what is committed, on its own connections.
//!
//! A snapshot ([`SnapshotWriter`]) is a copy of the tables, and [`ChatState::install`] replaces them by
//! one; each state has a directory of its own.

mod accounts;
mod applier;
mod apply_context;
mod cache;
mod checkpoints;
mod command;
mod copies;
mod copy_counts;
mod credential;
mod current;
mod error;
mod events;
mod found_damage;
mod inbox_changes;
mod inbox_counts;
mod message;
mod older_format;
mod opening;
mod outcome;
mod own_thread;
mod page_sums;
mod pending_messages;
mod progress;
mod queries;
mod reader;
mod remains;
mod replacing;
mod retention;
mod schema;
mod sessions;
mod snapshot_writer;
mod state_directories;
mod tombstones;
mod write_ahead_log;

#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use chat_consensus::{ChainValue, CommittedEntry, LogIndex, Position};
use futures::executor::block_on;

pub use command::{NewMessage, ProposedCommand, ProposedOperation, SendOptions};
pub use credential::Credential;
pub use error::{InvalidCommand, StateError};
pub use events::{ApplyResult, Change, Event};
pub use inbox_counts::InboxCounts;
pub use message::{Direction, Message};
pub use queries::{
    Account, DirectionFilter, InboxQuery, LocatedMessage, MessagePage, Session, StoredMessage,
    UsernamePage,
};
pub use reader::{ChatReader, FoundSession, ReadTransaction};
pub use snapshot_writer::SnapshotWriter;

use applier::Applier;
use checkpoints::Checkpoints;
use opening::OpenState;
use remains::Remains;
use retention::Retention;
use state_directories::StateDirectories;

use crate::database::Database;
use crate::directory::DirectoryLock;

/// How many entries the open transaction may hold before it is committed automatically.
///
/// A commit copies every page that was touched since the last one, and messages to many recipients
/// touch nearly one page each, again and again: fewer commits copy less. This limit keeps the time
/// that a crash costs, when these entries are applied again, well under a second.
const UNCOMMITTED_ENTRIES_MAX: usize = 2048;

/// The chat's tables and their only writer.
///
/// Opening and closing block the thread; everything else is `async` and waits for SQLite's own
/// thread. Dropping the future of a call before it has completed leaves the tables poisoned.
#[derive(Debug)]
pub struct ChatState {
    database: Database,
    /// The name of the directory in which it is.
    name: String,
    checkpoints: Checkpoints,
    remains: Remains,
    applier: Applier,
    retention: Retention,
    /// Reads the same tables, also after they are replaced.
    reader: ChatReader,
    directories: StateDirectories,
    /// See [`Self::set_aside`].
    set_aside: Position,
    /// See [`Self::lost`].
    lost: Option<String>,
    /// The last entry that readers see.
    visible: Position,
    /// How many entries the open transaction has applied; `None` while no transaction is open.
    uncommitted_entries: Option<usize>,
    /// Set while an operation is in progress; only its success resets it.
    poisoned: bool,
    /// Taken over by each database that is opened.
    lock: Arc<DirectoryLock>,
}

impl ChatState {
    /// Opens the tables in the data directory `directory`, or creates empty ones. Needs no `async`
    /// runtime.
    ///
    /// Tables of an older format are upgraded, or set aside and replaced by empty ones: see
    /// [`Self::set_aside`]. Tables that are missing or damaged are set aside, too: see [`Self::lost`].
    ///
    /// # Errors
    ///
    /// [`StateError::Open`] when the directory cannot be used or is in use.
    pub fn open(directory: &Path) -> Result<(Self, ChatReader), StateError> {
        Self::open_with(directory, Retention::DEFAULT)
    }

    /// Deletes the states and the files of the log in the data directory `directory` that were set aside
    /// more than a week before `now`. They may be needed to find out what was wrong, and contain what users have deleted since.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn remove_old_evidence(directory: &Path, now: SystemTime) -> io::Result<()> {
        StateDirectories::new(directory).remove_old_evidence(now)?;
        chat_log::remove_old_evidence(&directory.join("log"), now)
    }

    fn open_with(directory: &Path, retention: Retention) -> Result<(Self, ChatReader), StateError> {
        let directories = StateDirectories::new(directory);
        let folder = directories.folder().to_owned();
        let lock = schema::database_file(folder, directories.lock()).take_lock()?;
        let opened = opening::open_current(&directories, &lock)?;
        let OpenState {
            name,
            database,
            checkpoints,
            progress,
        } = opened.state;
        let set_aside = match opened.older {
            Some(older) if older.applied.index <= progress.applied.index => {
                older.remove()?;
                Position::ZERO
            }
            Some(older) => older.applied,
            None => Position::ZERO,
        };
        let reader = ChatReader::new(database.path(), checkpoints.verifier());
        let state = Self {
            checkpoints,
            remains: Remains::default(),
            database,
            name,
            applier: Applier::new(retention, progress),
            retention,
            reader: reader.clone(),
            directories,
            set_aside,
            lost: opened.lost,
            visible: progress.applied,
            uncommitted_entries: None,
            poisoned: false,
            lock,
        };
        Ok((state, reader))
    }

    /// Applies the entries that follow the last applied one. Returns the outcome of each, and the
    /// changes that they made.
    ///
    /// Readers see the effects only after a commit: see [`Self::commit_if_behind`].
    ///
    /// # Errors
    ///
    /// [`StateError::InvalidCommand`] when an entry cannot be decoded, which must never be skipped;
    /// otherwise SQLite's. After any error all later calls are refused: stop the node.
    ///
    /// # Panics
    ///
    /// If the entries do not follow the last applied one without a gap.
    pub async fn apply(&mut self, entries: &[CommittedEntry]) -> Result<ApplyResult, StateError> {
        self.begin()?;
        let result = self.apply_all(entries).await;
        let result = self.note_damage(result)?;
        self.poisoned = false;
        Ok(result)
    }

    /// The last entry whose effects are in the tables, committed or not.
    pub fn applied(&self) -> Position {
        self.applier.progress().applied
    }

    /// The log's chain value at [`Self::applied`]; `None` before the first entry, and for tables of a
    /// program that did not store it until the next entry is applied.
    pub fn applied_chain(&self) -> Option<ChainValue> {
        self.applier.progress().chain
    }

    /// Why the tables that were here are lost; `None` if they are not.
    ///
    /// They were missing or damaged, and this opening replaced them by empty ones. What they contained
    /// is in the log, or in a snapshot.
    pub fn lost(&self) -> Option<&str> {
        self.lost.as_deref()
    }

    /// Where the file with the tables is now.
    pub fn path(&self) -> PathBuf {
        self.database.path().to_owned()
    }

    /// The log's time, in seconds since 1970: the greatest time of any applied command.
    pub fn log_time(&self) -> f64 {
        self.applier.progress().log_time()
    }

    /// The index of [`Self::applied`].
    pub fn applied_index(&self) -> LogIndex {
        self.applied().index
    }

    /// The last entry that tables of an older format had applied; [`Position::ZERO`] if there are
    /// none.
    ///
    /// They were set aside by this opening or an earlier one, and are being rebuilt from the log.
    /// The log of the same disk must contain this entry, and the entry is committed.
    pub fn set_aside(&self) -> Position {
        self.set_aside
    }

    /// The last entry whose effects readers see.
    pub fn visible_index(&self) -> LogIndex {
        self.visible.index
    }

    /// Makes what is applied visible to readers, unless they see the entry at `index` already.
    /// Returns the last entry that they see, which is before `index` if that was not applied yet.
    ///
    /// # Errors
    ///
    /// SQLite's; all later calls are refused then.
    pub async fn commit_if_behind(&mut self, index: LogIndex) -> Result<LogIndex, StateError> {
        if self.visible.index < index {
            self.commit().await?;
        }
        Ok(self.visible.index)
    }

    /// Makes everything that is applied visible to readers.
    ///
    /// # Errors
    ///
    /// SQLite's; all later calls are refused then.
    pub async fn commit(&mut self) -> Result<(), StateError> {
        self.begin()?;
        let result = self.commit_open().await;
        self.note_damage(result)?;
        self.poisoned = false;
        Ok(())
    }

    /// Commits and closes. Dropping instead discards what was not committed.
    ///
    /// # Errors
    ///
    /// SQLite's.
    pub fn close(mut self) -> Result<(), StateError> {
        block_on(self.commit())?;
        let applied = self.visible.index;
        block_on(self.checkpoints.truncate_wal(&mut self.database, applied))?;
        Ok(self.database.close()?)
    }

    /// Poisons the tables until the operation that begins here succeeds. They stay poisoned when it
    /// fails, panics, or its future is dropped; and when a read has found that they are damaged.
    fn begin(&mut self) -> Result<(), StateError> {
        if self.poisoned {
            return Err(StateError::Poisoned);
        }
        self.poisoned = true;
        match self.reader.damage() {
            Some(reason) => self.note_damage(Err(StateError::Lost { reason })),
            None => Ok(()),
        }
    }

    async fn apply_all(&mut self, entries: &[CommittedEntry]) -> Result<ApplyResult, StateError> {
        if entries.is_empty() {
            return Ok(ApplyResult::default());
        }
        if self.uncommitted_entries.is_none() {
            self.database
                .execute(sqlx::query("BEGIN IMMEDIATE"))
                .await?;
        }
        let result = self.applier.apply(&mut self.database, entries).await?;
        let uncommitted = self.uncommitted_entries.unwrap_or(0) + entries.len();
        self.uncommitted_entries = Some(uncommitted);
        if uncommitted >= UNCOMMITTED_ENTRIES_MAX {
            self.commit_open().await?;
        }
        Ok(result)
    }

    async fn commit_open(&mut self) -> Result<(), StateError> {
        if let Some(entries) = self.uncommitted_entries.take() {
            let committing = self.checkpoints.committing().await;
            self.applier.commit(&mut self.database).await?;
            drop(committing);
            self.visible = self.applied();
            let (database, applied) = (&mut self.database, self.visible.index);
            let pages = self
                .remains
                .step_if_due(database, &self.checkpoints)
                .await?;
            self.checkpoints
                .shorten_wal(database, entries + pages, applied)
                .await?;
        }
        Ok(())
    }

    /// The next opening replaces tables that turned out to be damaged; it might not notice.
    fn note_damage<T>(&self, result: Result<T, StateError>) -> Result<T, StateError> {
        if let Err(error) = &result
            && error.is_damage()
            && let Err(error) = self.directories.mark(&self.name, &opening::sentence(error))
        {
            tracing::warn!(%error, "the damage is not noted");
        }
        result
    }
}
