//! Replaces all tables at once: by a snapshot, or by empty tables.
//!
//! The new state is complete in a directory of its own before that is named the current one; then the
//! writer and the readers change to it, and the old one goes. A crash leaves the old state or the new
//! one. Reads that have begun finish on the old file.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use chat_consensus::{LogBase, Position};
use futures::executor::block_on;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, Row as _};

use super::ChatState;
use super::applier::Applier;
use super::error::StateError;
use super::older_format;
use super::opening::{self, OpenState};
use super::own_thread::on_own_thread;
use super::remains::Remains;
use super::schema::schema_of_snapshot;
use super::snapshot_writer::SnapshotWriter;
use super::state_directories::{StateDirectories, failed};
use crate::database::connect_options;

/// How much of a snapshot is copied before it is synced, in bytes.
const COPIED_AT_ONCE: usize = 1 << 20;

/// How much of it is copied in a second, in bytes: as fast as it is downloaded.
const COPIED_PER_SECOND: u64 = 64 << 20;

impl ChatState {
    /// Begins a snapshot of everything that is applied, and makes that visible to readers. The copy is
    /// written by [`SnapshotWriter::write`], while further entries are applied here.
    ///
    /// # Errors
    ///
    /// [`StateError::ChainUnknown`], after which the tables may be used; otherwise SQLite's, and all
    /// later changes are refused.
    pub async fn snapshot(&mut self) -> Result<SnapshotWriter, StateError> {
        let chain = self.applied_chain().ok_or(StateError::ChainUnknown)?;
        self.begin()?;
        let committed = self.commit_and_overwrite_remains().await;
        self.note_damage(committed)?;
        self.poisoned = false;
        // What was deleted is in no file from now on, unless a read takes too long.
        let applied = self.applied();
        self.checkpoints
            .truncate_wal(&mut self.database, applied.index)
            .await?;
        let checkpoints = self.checkpoints.for_snapshot();
        SnapshotWriter::begin(self.database.path(), (applied, chain), checkpoints).await
    }

    /// While much is applied each commit overwrites some remains; otherwise the rest of the pass is made here.
    async fn commit_and_overwrite_remains(&mut self) -> Result<(), StateError> {
        let was_idle = self.remains.is_idle();
        self.commit_open().await?;
        if was_idle {
            let (database, checkpoints) = (&mut self.database, &self.checkpoints);
            self.remains.end_pass(database, checkpoints).await?;
        }
        Ok(())
    }

    /// Replaces the tables by the snapshot in the file at `path`, which must be at `base`. What is
    /// applied from then on follows its position. Readers change to the new tables; what they have
    /// begun to read they read to its end. The file at `path` is only read.
    ///
    /// # Errors
    ///
    /// [`StateError::WrongSnapshot`], after which the tables are unchanged; otherwise SQLite's and the
    /// operating system's, after which all later changes are refused, and the next opening finds the
    /// old tables or the new ones.
    pub async fn install(&mut self, path: &Path, base: &LogBase) -> Result<(), StateError> {
        self.begin()?;
        let directories = self.directories.clone();
        let lock = Arc::clone(&self.lock);
        let (path, base) = (path.to_owned(), base.clone());
        let installed = on_own_thread(move || {
            let name = copy(&directories, &path, &base)?;
            let state = opening::open(&directories, &lock, name)?;
            directories.set_current(&state.name)?;
            Ok(state)
        });
        match installed.await {
            Ok(state) => {
                let old = self.change_to(state).await;
                self.directories.remove(&old)?;
                self.poisoned = false;
                Ok(())
            }
            Err(error) => {
                self.poisoned = !matches!(error, StateError::WrongSnapshot { .. });
                Err(error)
            }
        }
    }

    /// Sets the tables aside because they must not be used, and begins with empty ones.
    ///
    /// # Errors
    ///
    /// SQLite's and the operating system's; all later changes are refused then.
    pub async fn begin_again(&mut self, reason: &str) -> Result<(), StateError> {
        self.poisoned = true;
        tracing::error!(reason, "the state is set aside");
        self.directories.mark(&self.name, reason)?;
        let directories = self.directories.clone();
        let lock = Arc::clone(&self.lock);
        let state = on_own_thread(move || opening::create(&directories, &lock)).await?;
        let old = self.change_to(state).await;
        self.directories.set_aside(&old, reason)?;
        // Tables of an older format are evidence of the same loss, which is noted by now.
        if let Some(older) = older_format::set_aside(&self.directories.undirected())? {
            older.remove()?;
        }
        self.set_aside = Position::ZERO;
        self.lost = Some(reason.to_owned());
        self.poisoned = false;
        Ok(())
    }

    /// Uses another state from now on, and closes the old one. Returns its name.
    async fn change_to(&mut self, state: OpenState) -> String {
        let OpenState {
            name,
            database,
            checkpoints,
            progress,
        } = state;
        self.checkpoints = checkpoints;
        self.remains = Remains::default();
        let verifier = self.checkpoints.verifier();
        self.reader.change_to(database.path(), verifier);
        let old = std::mem::replace(&mut self.database, database);
        self.applier = Applier::new(self.retention, progress);
        self.visible = progress.applied;
        self.uncommitted_entries = None;
        // Its last state does not matter any more.
        drop(on_own_thread(move || old.close()).await);
        std::mem::replace(&mut self.name, name)
    }
}

/// Copies the snapshot in the file at `path` into a directory of its own, durably, and returns its
/// name.
fn copy(directories: &StateDirectories, path: &Path, base: &LogBase) -> Result<String, StateError> {
    let name = directories.create(base.position.index)?;
    let copy = directories.database(&name);
    let copied = copy_slowly(path, &copy);
    directories.step();
    let result = match copied {
        Ok(()) => block_on(verify(&copy, base)),
        Err(error) => Err(failed(&copy)(error)),
    };
    if let Err(error) = result {
        directories.remove(&name)?;
        return Err(error);
    }
    Ok(name)
}

/// Copies a file durably, in pieces and not as fast as it could, so that no sync of the log waits for all of
/// it.
fn copy_slowly(from: &Path, to: &Path) -> io::Result<()> {
    let mut from = File::open(from)?;
    let mut to = private_file::open_options().create_new(true).open(to)?;
    let mut piece = vec![0; COPIED_AT_ONCE];
    let began = Instant::now();
    let mut bytes = 0;
    loop {
        let read = from.read(&mut piece)?;
        if read == 0 {
            return to.sync_all();
        }
        to.write_all(&piece[..read])?;
        to.sync_data()?;
        bytes += read as u64;
        let due = Duration::from_micros(bytes * 1_000_000 / COPIED_PER_SECOND);
        thread::sleep(due.saturating_sub(began.elapsed()));
    }
}

/// Checks that the file is a complete copy of the tables, and is at `base`.
async fn verify(copy: &Path, base: &LogBase) -> Result<(), StateError> {
    let wrong = |found: String| StateError::WrongSnapshot {
        expected: base.position,
        found,
    };
    let found = contents(copy).await;
    let found = found.map_err(|error| wrong(opening::sentence(&StateError::Sqlite(error))))?;
    let Some(script) = schema_of_snapshot(found.format) else {
        return Err(wrong(format!("its format is {}", found.format)));
    };
    if found.schema != schema_after(script).await? {
        return Err(wrong("it has other tables".to_owned()));
    }
    if found.check != "ok" {
        return Err(wrong(found.check));
    }
    if found.applied != base.position {
        let Position { index, term } = found.applied;
        return Err(wrong(format!("it is at {index}@{term}")));
    }
    if found.chain.as_deref() != Some(base.chain.0.as_slice()) {
        return Err(wrong("it belongs to another log".to_owned()));
    }
    Ok(())
}

struct Contents {
    format: i64,
    schema: Vec<String>,
    check: String,
    applied: Position,
    chain: Option<Vec<u8>>,
}

async fn contents(copy: &Path) -> sqlx::Result<Contents> {
    let options = connect_options().filename(copy).read_only(true);
    let mut connection = options.connect().await?;
    let format = sqlx::query("PRAGMA user_version")
        .fetch_one(&mut connection)
        .await?
        .try_get(0)?;
    let schema = schema_of(&mut connection).await?;
    let check = sqlx::query("PRAGMA quick_check(1)")
        .fetch_one(&mut connection)
        .await?
        .try_get(0)?;
    let progress = "SELECT applied_index, applied_term, chain FROM progress";
    let progress = sqlx::query(progress).fetch_one(&mut connection).await?;
    let number = |column| Ok::<_, sqlx::Error>(progress.try_get::<i64, _>(column)?.cast_unsigned());
    let applied = Position::new(number(0)?, number(1)?);
    let chain = progress.try_get(2)?;
    connection.close().await?;
    Ok(Contents {
        format,
        schema,
        check,
        applied,
        chain,
    })
}

/// What [`schema_of`] returns for the tables that `script` creates.
async fn schema_after(script: &'static str) -> sqlx::Result<Vec<String>> {
    let mut connection = SqliteConnectOptions::new().connect().await?;
    connection.execute(script).await?;
    let schema = schema_of(&mut connection).await?;
    connection.close().await?;
    Ok(schema)
}

async fn schema_of(connection: &mut SqliteConnection) -> sqlx::Result<Vec<String>> {
    let query =
        "SELECT type || ' ' || name || ' ' || ifnull(sql, '') FROM sqlite_schema ORDER BY 1";
    let rows = sqlx::query(query).fetch_all(connection).await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}
