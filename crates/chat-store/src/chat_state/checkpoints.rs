//! Keeps the write-ahead log of `state.db` short while others read.
//!
//! SQLite copies pages into the main file automatically, but restarts its write-ahead log only at a
//! moment when no reader uses it. With many readers there may be no such moment, and the file would
//! grow for as long as that lasts. So once the file is too large the writer waits for such a moment
//! and copies everything; readers that begin afterwards read the main file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sqlx::{AssertSqlSafe, Row};

use super::error::StateError;
use super::schema::CHECKPOINT_PAGES;
use crate::database::Database;
use crate::directory;

/// How large the write-ahead log may become, in bytes: twice what SQLite leaves by itself without
/// readers. It may exceed this by what one transaction writes, and while a snapshot is written.
const WAL_BYTES_MAX: u64 = 32 << 20;

/// When to truncate the write-ahead log.
#[derive(Debug)]
pub(super) struct Checkpoints {
    wal: PathBuf,
    /// The next checkpoint is due beyond this many bytes.
    due_above: u64,
    /// Has another owner while a snapshot is written. That read is long, so the writer does not wait
    /// for it.
    snapshots: Arc<()>,
    /// SQLite copies nothing automatically since a snapshot has begun.
    paused: bool,
}

impl Checkpoints {
    pub(super) fn new(database: &Path) -> Self {
        Self {
            wal: directory::wal_of(database),
            due_above: WAL_BYTES_MAX,
            snapshots: Arc::new(()),
            paused: false,
        }
    }

    /// A snapshot is written until what this returns is dropped. Until then the writer copies nothing:
    /// most of it would wait for the snapshot, and then the writer would have to copy all of it at once.
    /// The snapshot's own thread does that before, beside the writer.
    pub(super) async fn begin_snapshot(
        &mut self,
        database: &mut Database,
    ) -> Result<Arc<()>, StateError> {
        let snapshot = Arc::clone(&self.snapshots);
        database
            .fetch_optional(sqlx::query("PRAGMA wal_autocheckpoint = 0"))
            .await?;
        self.paused = true;
        Ok(snapshot)
    }

    async fn resume(&mut self, database: &mut Database) -> Result<(), StateError> {
        let query = format!("PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}");
        let query = sqlx::query(AssertSqlSafe(query));
        database.fetch_optional(query).await?;
        self.paused = false;
        Ok(())
    }

    /// To be called after each commit.
    pub(super) async fn shorten_wal(&mut self, database: &mut Database) -> Result<(), StateError> {
        if Arc::strong_count(&self.snapshots) > 1 {
            return Ok(());
        }
        if self.paused {
            self.resume(database).await?;
        }
        // The file does not exist before the first write.
        let bytes = std::fs::metadata(&self.wal).map_or(0, |metadata| metadata.len());
        if bytes <= self.due_above {
            return Ok(());
        }
        self.due_above = if truncate(database).await? {
            WAL_BYTES_MAX
        } else {
            // A read took too long: the next attempt is made later.
            bytes.saturating_add(WAL_BYTES_MAX)
        };
        tracing::debug!(bytes, "a large write-ahead log is copied");
        Ok(())
    }

    /// Copies everything into the main file and empties the write-ahead log, in which deleted rows may
    /// be; after a commit. If a read takes too long, the next commit does it.
    pub(super) async fn truncate_wal(&mut self, database: &mut Database) -> Result<(), StateError> {
        let empty = Arc::strong_count(&self.snapshots) == 1 && truncate(database).await?;
        self.due_above = if empty { WAL_BYTES_MAX } else { 0 };
        Ok(())
    }
}

/// Returns whether it was possible.
async fn truncate(database: &mut Database) -> Result<bool, StateError> {
    let query = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)");
    let busy = match database.fetch_optional(query).await? {
        Some(row) => row.try_get::<i64, _>(0)? != 0,
        None => false,
    };
    Ok(!busy)
}
