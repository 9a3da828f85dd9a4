//! Keeps the write-ahead log of `state.db` short while others read.
//!
//! SQLite copies pages into the main file automatically, but restarts its write-ahead log only at a
//! moment when no reader uses it. With many readers there may be no such moment, and the file would
//! grow for as long as that lasts. So once the file is too large the writer waits for such a moment
//! and copies everything; readers that begin afterwards read the main file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::Row;

use super::error::StateError;
use crate::database::Database;
use crate::directory;

/// How large the write-ahead log may become, in bytes: twice what SQLite leaves by itself without
/// readers. It may exceed this by what one transaction writes.
const WAL_BYTES_MAX: u64 = 32 << 20;

/// How long the writer waits for reads in progress. It waits for nothing else in SQLite.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_millis(100);

/// When to truncate the write-ahead log.
#[derive(Debug)]
pub(super) struct Checkpoints {
    wal: PathBuf,
    /// The next checkpoint is due beyond this many bytes.
    due_above: u64,
}

impl Checkpoints {
    pub(super) fn new(database: &Path) -> Self {
        Self {
            wal: directory::wal_of(database),
            due_above: WAL_BYTES_MAX,
        }
    }

    /// To be called after each commit.
    pub(super) async fn shorten_wal(&mut self, database: &mut Database) -> Result<(), StateError> {
        // The file does not exist before the first write.
        let bytes = std::fs::metadata(&self.wal).map_or(0, |metadata| metadata.len());
        if bytes <= self.due_above {
            return Ok(());
        }
        let query = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)");
        let row = database.fetch_optional(query).await?;
        let busy = match row {
            Some(row) => row.try_get::<i64, _>(0)? != 0,
            None => false,
        };
        // A read took too long: the next attempt is made later.
        self.due_above = if busy {
            bytes.saturating_add(WAL_BYTES_MAX)
        } else {
            WAL_BYTES_MAX
        };
        tracing::debug!(bytes, busy, "a large write-ahead log is copied");
        Ok(())
    }
}
