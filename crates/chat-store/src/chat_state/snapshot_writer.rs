//! A snapshot: a consistent copy of the tables, made beside the writer, without what was deleted.
//!
//! A read transaction on a connection of its own keeps the state of one position while later entries
//! are applied. The copy is a new file to which all rows are appended, so it has no free pages and no
//! remains of deleted rows. Until it is complete SQLite cannot shorten the write-ahead log, so a slow
//! copy costs space.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use chat_consensus::{ChainValue, Position};
use futures::executor::block_on;
use sqlx::sqlite::{SqliteConnection, SqliteJournalMode};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, Row as _};

use super::checkpoints::SnapshotCheckpoints;
use super::error::StateError;
use super::schema::{FORMAT, SCHEMA};
use super::state_directories::failed;
use crate::database::connect_options;

/// After how many steps of SQLite's virtual machine the progress of the copy is looked at: less than a
/// millisecond.
const STEPS_BETWEEN_LOOKS: i32 = 1000;

/// How much is written before the pace is asked, in bytes.
const BYTES_BETWEEN_WAITS: u64 = 256 << 10;

/// Beyond this many bytes of the write-ahead log, which cannot be shortened meanwhile, the copy is as fast
/// as it can be: the pace is not asked.
const WAL_BYTES_MAX: u64 = 48 << 20;

/// How much of each file the copying connection keeps in memory, in KiB (SQLite expects a negative
/// number). What is beyond it is written, so that the file grows evenly.
const CACHE_KIB: &str = "-1024";

/// Writes a copy of the tables as they were at one position. Dropping it ends the snapshot.
#[derive(Debug)]
pub struct SnapshotWriter {
    /// In a read transaction.
    connection: SqliteConnection,
    position: Position,
    chain: ChainValue,
    checkpoints: SnapshotCheckpoints,
}

/// Waits as long as so many bytes may take; an error ends the copy.
type Pace<'a> = &'a mut dyn FnMut(usize) -> io::Result<()>;

impl SnapshotWriter {
    /// Begins a snapshot of what is committed in the tables at `path`, which must be at `position`.
    pub(super) async fn begin(
        path: &Path,
        (position, chain): (Position, ChainValue),
        checkpoints: SnapshotCheckpoints,
    ) -> Result<Self, StateError> {
        let options = connect_options()
            .filename(path)
            .pragma("cache_size", CACHE_KIB)
            .pragma("wal_autocheckpoint", "0")
            .busy_timeout(Duration::ZERO)
            .thread_name(|_| "state.db snapshot".to_owned());
        let mut connection = options.connect().await?;
        // Beginning a transaction does not take the snapshot; the first read in it does.
        let begin = "BEGIN; SELECT applied_index, applied_term FROM progress";
        let row = sqlx::query(begin).fetch_one(&mut connection).await?;
        let index = row.try_get::<i64, _>(0)?.cast_unsigned();
        let found = Position::new(index, row.try_get::<i64, _>(1)?.cast_unsigned());
        assert_eq!(found, position, "everything applied was committed");
        Ok(Self {
            connection,
            position,
            chain,
            checkpoints,
        })
    }

    /// The last entry whose effects the copy has.
    pub fn position(&self) -> Position {
        self.position
    }

    /// The log's chain value there.
    pub fn chain(&self) -> ChainValue {
        self.chain
    }

    /// Writes the copy into a new file at `path`, readable by its owner only, and does not sync it.
    /// Blocks the thread. `pace` is called after every few hundred kilobytes, with their number, and
    /// waits as long as they may take.
    ///
    /// # Errors
    ///
    /// SQLite's, and that of `pace`. The file is incomplete then. The tables are not concerned.
    pub fn write(
        self,
        path: &Path,
        pace: &mut dyn FnMut(usize) -> io::Result<()>,
    ) -> Result<(), StateError> {
        create_empty_copy(path)?;
        let (looks, looked) = sync_channel(0);
        let (answer, answers) = sync_channel(0);
        let growth = Growth {
            path: path.to_owned(),
            wal: self.checkpoints.wal(),
            bytes: 0,
            looks,
            answers,
        };
        thread::scope(|scope| {
            let copying = thread::Builder::new().name("state.db copy".to_owned());
            let copying = copying
                .spawn_scoped(scope, || block_on(self.copy(path, growth)))
                .map_err(failed(path))?;
            let stopped = follow(&looked, &answer, pace);
            let copied = copying.join().expect("copying does not panic");
            match stopped {
                Err(error) => Err(failed(path)(error)),
                Ok(()) => copied,
            }
        })
    }

    async fn copy(mut self, path: &Path, mut growth: Growth) -> Result<(), StateError> {
        let connection = &mut self.connection;
        let tables = "SELECT name FROM main.sqlite_schema WHERE type = 'table' ORDER BY name";
        let tables = sqlx::query(tables).fetch_all(&mut *connection).await?;
        let attach = sqlx::query("ATTACH DATABASE ? AS copy");
        let name = path.to_string_lossy().into_owned();
        attach.bind(name).execute(&mut *connection).await?;
        // A copy that is not complete is not used.
        let options =
            format!("PRAGMA copy.journal_mode = OFF; PRAGMA copy.cache_size = {CACHE_KIB}");
        connection.execute(AssertSqlSafe(options)).await?;
        let mut handle = connection.lock_handle().await?;
        handle.set_progress_handler(STEPS_BETWEEN_LOOKS, move || growth.may_go_on());
        drop(handle);
        for table in tables {
            // SQLite copies rows and indexes as they are, in their order: both files have one schema.
            let table: &str = table.try_get(0)?;
            let copy = format!("INSERT INTO copy.{table} SELECT * FROM main.{table}");
            connection.execute(AssertSqlSafe(copy)).await?;
        }
        connection.execute("COMMIT; DETACH DATABASE copy").await?;
        connection.lock_handle().await?.remove_progress_handler();
        // Otherwise the writer would have to copy at once what has come into the write-ahead log.
        self.checkpoints.shorten_wal(&mut self.connection).await?;
        Ok(self.connection.close().await?)
    }
}

/// How far the copy is, as SQLite's thread sees it.
struct Growth {
    path: PathBuf,
    /// The write-ahead log of the tables.
    wal: PathBuf,
    /// How much the pace knows of.
    bytes: u64,
    looks: SyncSender<usize>,
    answers: Receiver<bool>,
}

impl Growth {
    fn may_go_on(&mut self) -> bool {
        let bytes = length(&self.path);
        let more = bytes.saturating_sub(self.bytes);
        if more < BYTES_BETWEEN_WAITS {
            return true;
        }
        if length(&self.wal) > WAL_BYTES_MAX {
            self.bytes = bytes;
            return true;
        }
        self.bytes = bytes;
        let asked = self.looks.send(usize::try_from(more).unwrap_or(usize::MAX));
        asked.is_ok() && self.answers.recv().unwrap_or(false)
    }
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// Passes what is written to `pace`, until the copy ends.
fn follow(looked: &Receiver<usize>, answer: &SyncSender<bool>, pace: Pace<'_>) -> io::Result<()> {
    let mut stopped = Ok(());
    while let Ok(bytes) = looked.recv() {
        if stopped.is_ok() {
            stopped = pace(bytes);
        }
        if answer.send(stopped.is_ok()).is_err() {
            break;
        }
    }
    stopped
}

/// Tables without any row, not even that of the progress.
fn create_empty_copy(path: &Path) -> Result<(), StateError> {
    let created = private_file::open_options().create_new(true).open(path);
    created.map_err(failed(path))?;
    let options = connect_options()
        .filename(path)
        .journal_mode(SqliteJournalMode::Off);
    let script =
        format!("BEGIN; {SCHEMA}; DELETE FROM progress; PRAGMA user_version = {FORMAT}; COMMIT");
    block_on(async {
        let mut connection = options.connect().await?;
        connection.execute(AssertSqlSafe(script)).await?;
        connection.close().await
    })?;
    Ok(())
}
