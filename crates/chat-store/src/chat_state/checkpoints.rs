//! Keeps the write-ahead log of `state.db` short while others read.
//!
//! SQLite copies pages into the main file by itself, but begins its write-ahead log anew only at an
//! instant at which nobody reads in it. With many readers there may be no such instant, and the file
//! would grow for as long as that lasts. So once it is too large the writer waits for one: it copies
//! everything, and from then on readers that begin read in the main file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::Row;

use super::error::StateError;
use crate::database::Database;
use crate::directory;

/// How large the write-ahead log may become, in bytes: twice what SQLite leaves by itself when nobody
/// reads. Beyond it comes what was written in one transaction.
const WAL_BYTES_MAX: u64 = 32 << 20;

/// How long the writer waits for the reads under way. Nothing else makes it wait in SQLite.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_millis(100);

/// When to make the write-ahead log short.
#[derive(Debug)]
pub(super) struct Checkpoints {
    wal: PathBuf,
    /// The next one is made beyond this many bytes.
    due_above: u64,
}

impl Checkpoints {
    pub(super) fn new(database: &Path) -> Self {
        Self {
            wal: directory::wal_of(database),
            due_above: WAL_BYTES_MAX,
        }
    }

    /// For after a commit.
    pub(super) async fn shorten_wal(&mut self, database: &mut Database) -> Result<(), StateError> {
        // It is missing while nothing was written.
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
        // A read took too long: later, then.
        self.due_above = if busy {
            bytes.saturating_add(WAL_BYTES_MAX)
        } else {
            WAL_BYTES_MAX
        };
        tracing::debug!(bytes, busy, "a large write-ahead log is copied");
        Ok(())
    }
}
