//! Keeps the write-ahead log of `state.db` short while others read, and the checksums of the main file
//! up to date.
//!
//! SQLite copies nothing by itself: what copies pages into the main file notes their checksums before
//! anything else is written (`page_sums`). SQLite begins its write-ahead log anew only at a moment when
//! no reader uses it. With many readers there may be no such moment, and the file would grow for as
//! long as that lasts. So once the file is too large the writer waits for such a moment and copies
//! everything; readers that begin afterwards read the main file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chat_consensus::LogIndex;
use futures::lock::{Mutex, OwnedMutexGuard};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, Row as _};

use super::error::StateError;
use super::own_thread::on_own_thread;
use super::page_sums::{PageSums, SumsFile};
use super::schema::FORMAT;
use super::state_directories::failed;
use crate::database::{Database, connect_options};
use crate::directory;

/// How many pages of 4 KiB the write-ahead log may have before they are copied into the main file.
///
/// Only readers wait for these syncs, and the same index pages are written again and again, so it
/// is larger than the log's: about 16 MiB.
const FRAMES_MAX: i64 = 4000;

/// After how many more pages it is tried again, if a read has prevented it.
const FRAMES_BETWEEN_ATTEMPTS: i64 = 1000;

/// How large the file may become, in bytes: twice the above. It may exceed this by what one transaction
/// writes, and while a snapshot is written.
const WAL_BYTES_MAX: u64 = 32 << 20;

/// How much is written, in entries, before SQLite is asked how many pages there are.
const ENTRIES_BETWEEN_LOOKS: usize = 512;
/// What a commit counts for in that, because it writes some pages for itself.
const ENTRIES_A_COMMIT: usize = 32;

/// What copies pages into the main file has this.
type Sums = Arc<Mutex<SumsFile>>;

/// When to copy the write-ahead log, and what the main file has then.
#[derive(Debug)]
pub(super) struct Checkpoints {
    database: PathBuf,
    wal: PathBuf,
    sums: Sums,
    /// Held while the writer commits, and while the end of a snapshot empties the write-ahead log.
    committing: Arc<Mutex<()>>,
    /// Since SQLite was asked, in entries.
    written: usize,
    /// The next checkpoint is due beyond this many pages, and the one that waits beyond this many bytes.
    due_above_frames: i64,
    due_above_bytes: u64,
    /// Has another owner while a snapshot is written. That read is long, so the writer does not wait
    /// for it.
    snapshots: Arc<()>,
}

/// Copies the write-ahead log for the thread that writes a snapshot. Until it is dropped the writer
/// copies nothing: most of it would wait for the snapshot, and then the writer would have to copy all of
/// it at once.
#[derive(Debug)]
pub(super) struct SnapshotCheckpoints {
    database: PathBuf,
    sums: Sums,
    committing: Arc<Mutex<()>>,
    _snapshot: Arc<()>,
}

/// Compares the main file with its checksums, a part at a time.
#[derive(Clone, Debug)]
pub(super) struct Verifier {
    database: PathBuf,
    sums: Sums,
}

/// How a checkpoint treats readers of older pages.
#[derive(Clone, Copy)]
pub(super) enum Mode {
    /// It copies nothing, and says what there is.
    Noop,
    /// It copies what it may.
    Passive,
    /// It waits for them, as long as the connection waits for anything.
    Full,
    /// It does that, and then empties the write-ahead log.
    Truncate,
}

/// A database that was compared with its checksums.
#[derive(Debug)]
pub(super) struct Verified {
    pub(super) sums: PageSums,
    /// Has read from it.
    pub(super) reader: SqliteConnection,
    /// It has no write-ahead log.
    pub(super) is_wal_missing: bool,
}

impl Checkpoints {
    /// Of a database that was just opened, and is at `applied`. Without `verified` it has no checksums: it
    /// is believed.
    pub(super) async fn begin(
        database: &mut Database,
        applied: LogIndex,
        verified: Option<Verified>,
    ) -> Result<Self, StateError> {
        let path = database.path().to_owned();
        let (sums, is_wal_missing) = match verified {
            Some(verified) => {
                let sums = SumsFile::verified(&path, verified.sums, verified.reader);
                (sums, verified.is_wal_missing)
            }
            None => {
                let frames = Frames::of(database, Mode::Full).await?;
                let frames = frames.if_all_copied().ok_or_else(|| {
                    let busy = io::Error::other("it is being read by another program");
                    failed(&path)(busy)
                })?;
                let (reader, _applied) = open_reader(&path).await?;
                let sums = SumsFile::create(&path, applied, frames, reader);
                (sums, frames == 0)
            }
        };
        let mut sums = sums.map_err(failed(&path))?;
        if is_wal_missing {
            begin_wal(database, &mut sums).await?;
        }
        Ok(Self {
            wal: directory::wal_of(&path),
            database: path,
            sums: Arc::new(Mutex::new(sums)),
            committing: Arc::default(),
            written: 0,
            due_above_frames: FRAMES_MAX,
            due_above_bytes: WAL_BYTES_MAX,
            snapshots: Arc::new(()),
        })
    }

    /// To be kept during a commit.
    pub(super) async fn committing(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.committing).lock_owned().await
    }

    /// What [`Verifier`] shares with checkpoints.
    pub(super) fn verifier(&self) -> Verifier {
        Verifier {
            database: self.database.clone(),
            sums: Arc::clone(&self.sums),
        }
    }

    /// For a snapshot that begins now.
    pub(super) fn for_snapshot(&self) -> SnapshotCheckpoints {
        SnapshotCheckpoints {
            database: self.database.clone(),
            sums: Arc::clone(&self.sums),
            committing: Arc::clone(&self.committing),
            _snapshot: Arc::clone(&self.snapshots),
        }
    }

    /// Whether a snapshot is being written. Until it is complete the writer copies nothing.
    pub(super) fn is_snapshot_written(&self) -> bool {
        Arc::strong_count(&self.snapshots) > 1
    }

    /// To be called after each commit, with how many entries it had and the last one applied.
    pub(super) async fn shorten_wal(
        &mut self,
        database: &mut Database,
        entries: usize,
        applied: LogIndex,
    ) -> Result<(), StateError> {
        if self.is_snapshot_written() {
            return Ok(());
        }
        self.written += entries + ENTRIES_A_COMMIT;
        if self.written >= ENTRIES_BETWEEN_LOOKS {
            self.written = 0;
            self.copy_if_due(database, applied).await?;
        }
        let bytes = fs::metadata(&self.wal).map_or(0, |metadata| metadata.len());
        if bytes > self.due_above_bytes {
            self.due_above_bytes = if self.truncate(database, applied).await? {
                WAL_BYTES_MAX
            } else {
                // A read took too long: the next attempt is made later.
                bytes.saturating_add(WAL_BYTES_MAX)
            };
            tracing::debug!(bytes, "a large write-ahead log is copied");
        }
        Ok(())
    }

    async fn copy_if_due(
        &mut self,
        database: &mut Database,
        applied: LogIndex,
    ) -> Result<(), StateError> {
        let there = Frames::of(database, Mode::Noop).await?.there;
        if there <= FRAMES_MAX {
            self.due_above_frames = FRAMES_MAX;
        } else if there > self.due_above_frames
            && !self.copy(database, Mode::Passive, applied).await?
        {
            self.due_above_frames = there.saturating_add(FRAMES_BETWEEN_ATTEMPTS);
        }
        Ok(())
    }

    /// Copies everything into the main file and empties the write-ahead log, in which deleted rows may
    /// be; after a commit. If a read takes too long, one of the next commits does it.
    pub(super) async fn truncate_wal(
        &mut self,
        database: &mut Database,
        applied: LogIndex,
    ) -> Result<(), StateError> {
        let empty = !self.is_snapshot_written() && self.truncate(database, applied).await?;
        self.due_above_bytes = if empty { WAL_BYTES_MAX } else { 0 };
        Ok(())
    }

    /// Returns whether the write-ahead log is empty.
    async fn truncate(
        &self,
        database: &mut Database,
        applied: LogIndex,
    ) -> Result<bool, StateError> {
        if !self.copy(database, Mode::Full, applied).await? {
            return Ok(false);
        }
        // Emptying it begins it anew, even if it is empty: not twice without a note.
        let is_empty = Frames::of(database, Mode::Noop).await?.there == 0;
        // There is nothing left to copy.
        Ok(is_empty || !Frames::of(database, Mode::Truncate).await?.is_busy)
    }

    /// Returns whether everything was copied.
    pub(super) async fn copy(
        &self,
        database: &mut Database,
        mode: Mode,
        applied: LogIndex,
    ) -> Result<bool, StateError> {
        let mut sums = Arc::clone(&self.sums).lock_owned().await;
        let Some(frames) = Frames::of(database, mode).await?.if_all_copied() else {
            return Ok(false);
        };
        let noted = on_own_thread(move || sums.note(frames, applied)).await;
        noted.map_err(failed(&self.database))?;
        Ok(true)
    }
}

impl Verifier {
    /// Compares some pages after `after`; returns the last one, or `None` at the end of the file.
    pub(super) async fn verify_part(
        &self,
        after: u32,
        count: u32,
    ) -> Result<Option<u32>, StateError> {
        let sums = Arc::clone(&self.sums).lock_owned().await;
        let verified = on_own_thread(move || sums.verify_part(after, count)).await;
        let verified = verified.map_err(failed(&self.database))?;
        verified.map_err(|reason| StateError::Lost { reason })
    }
}

impl SnapshotCheckpoints {
    /// The file that grows until the snapshot ends.
    pub(super) fn wal(&self) -> PathBuf {
        directory::wal_of(&self.database)
    }

    /// Copies what it may, and empties the write-ahead log if nothing uses it, through the connection of
    /// the snapshot, on which no transaction is open and which waits for nothing. Blocks the thread.
    pub(super) async fn shorten_wal(
        &self,
        connection: &mut SqliteConnection,
    ) -> Result<(), StateError> {
        // Most of it beside the writer.
        self.copy(connection).await?;
        let _no_commit = self.committing.lock().await;
        if self.copy(connection).await? {
            // There is nothing left to copy. If something uses it, one of the next commits does it.
            Frames::run(connection, Mode::Truncate).await?;
        }
        Ok(())
    }

    /// Returns whether everything was copied, and there was something.
    async fn copy(&self, connection: &mut SqliteConnection) -> Result<bool, StateError> {
        // While this reads the newest pages, SQLite cannot begin the write-ahead log anew, unless all was
        // copied, and noted, before.
        let mut reader = connect_reader(&self.database).await?;
        reader.execute("BEGIN").await?;
        let applied = applied_in(&mut reader).await?;
        let mut sums = self.sums.lock().await;
        let before = sums.salts().map_err(failed(&self.database))?;
        let copied = Frames::run(connection, Mode::Passive).await?;
        let copied = copied.if_all_copied().filter(|frames| *frames > 0);
        let after = sums.salts().map_err(failed(&self.database))?;
        let copied = copied.filter(|_| before == after);
        if let Some(frames) = copied {
            let noted = sums.note(frames, applied);
            noted.map_err(failed(&self.database))?;
        }
        drop(sums);
        reader.close().await?;
        Ok(copied.is_some())
    }
}

/// A connection that has read from the database at `path`, and the last entry that is applied there.
pub(super) async fn open_reader(path: &Path) -> Result<(SqliteConnection, LogIndex), StateError> {
    let mut reader = connect_reader(path).await?;
    let applied = applied_in(&mut reader).await?;
    Ok((reader, applied))
}

async fn connect_reader(path: &Path) -> sqlx::Result<SqliteConnection> {
    let options = connect_options().filename(path).read_only(true);
    options.connect().await
}

async fn applied_in(reader: &mut SqliteConnection) -> Result<LogIndex, StateError> {
    let query = sqlx::query("SELECT applied_index FROM progress");
    let row = query.fetch_optional(reader).await?;
    let row = row.ok_or(StateError::Damaged { table: "progress" })?;
    Ok(LogIndex(row.try_get::<i64, _>(0)?.cast_unsigned()))
}

/// What SQLite says after a checkpoint.
#[derive(Clone, Copy, Debug)]
struct Frames {
    /// It was not done, or not all of it.
    is_busy: bool,
    /// How many pages the write-ahead log has; -1 if there is none.
    there: i64,
    /// How many of them are copied.
    copied: i64,
}

impl Frames {
    async fn of(database: &mut Database, mode: Mode) -> Result<Self, StateError> {
        let row = database.fetch_optional(sqlx::query(mode.sql())).await?;
        Ok(Self::in_row(&row.ok_or(sqlx::Error::RowNotFound)?)?)
    }

    async fn run(connection: &mut SqliteConnection, mode: Mode) -> Result<Self, StateError> {
        let row = sqlx::query(mode.sql()).fetch_one(connection).await?;
        Ok(Self::in_row(&row)?)
    }

    fn in_row(row: &SqliteRow) -> sqlx::Result<Self> {
        Ok(Self {
            is_busy: row.try_get::<i64, _>(0)? != 0,
            there: row.try_get(1)?,
            copied: row.try_get(2)?,
        })
    }

    /// How many there are, if all are copied.
    fn if_all_copied(self) -> Option<u64> {
        let all = u64::try_from(self.there).ok();
        all.filter(|_| self.copied == self.there)
    }
}

impl Mode {
    fn sql(self) -> &'static str {
        match self {
            Self::Noop => "PRAGMA wal_checkpoint(NOOP)",
            Self::Passive => "PRAGMA wal_checkpoint(PASSIVE)",
            Self::Full => "PRAGMA wal_checkpoint(FULL)",
            Self::Truncate => "PRAGMA wal_checkpoint(TRUNCATE)",
        }
    }
}

/// Begins the empty write-ahead log, whose salts SQLite draws then. No entry is applied before they are
/// noted.
async fn begin_wal(database: &mut Database, sums: &mut SumsFile) -> Result<(), StateError> {
    let path = database.path().to_owned();
    sums.begin_wal().map_err(failed(&path))?;
    // SQLite writes no row that has its values already, but always this number.
    let nothing = format!("PRAGMA user_version = {FORMAT}");
    database
        .execute(sqlx::query(AssertSqlSafe(nothing)))
        .await?;
    sums.wal_has_begun().map_err(failed(&path))
}
