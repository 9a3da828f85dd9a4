//! The commit log, `log.db`: its contents survive a power failure, or opening reports
//! the damage.
//!
//! Each batch of [`Writes`] is one transaction and one sync, on one connection, in the order in
//! which the node decided them (R1). Every entry has a [`ChainValue`]; all of them are checked when
//! the log is opened, and again by every read. The log decides neither what is appended nor what is
//! truncated.

mod chain;
mod encoding;
mod entry_table;
mod error;
mod hard_state_row;
mod schema;
mod verification;

#[cfg(test)]
mod tests;

use std::path::Path;

use chat_consensus::{
    BlockNumber, ClusterId, Entry, LogBase, LogIndex, NodeId, Position, Stored, Writes,
};
use futures::executor::block_on;
use sqlx::Row;

pub use chain::ChainValue;
pub use entry_table::ReadLimits;
pub use error::LogError;

use entry_table::EntryTable;
use hard_state_row::HardStateRow;
use verification::VerifiedLog;

use crate::batched_statement::ROWS_MAX;
use crate::database::Database;
use crate::directory;

/// The log of one node: its entries, its vote, and the ids of its disk and cluster.
///
/// Opening and closing block the thread; everything else is `async` and waits for SQLite's own
/// thread. Dropping the future of a write before it has completed leaves the log poisoned.
#[derive(Debug)]
pub struct CommitLog {
    database: Database,
    hard_state_row: HardStateRow,
    entries: EntryTable,
    /// Set while a write is in progress; only its success resets it.
    poisoned: bool,
}

impl CommitLog {
    /// Opens the log in `directory`, or creates an empty one with a new random storage id, and
    /// checks the chain values of all its entries.
    ///
    /// Reads the whole log: a few microseconds an entry.
    ///
    /// # Errors
    ///
    /// [`LogError::Open`] when the directory cannot be used or is in use;
    /// [`LogError::Fault`] when [`Self::record_fault`] has ended its use;
    /// an error with [`LogError::is_damage`] when the log is not what was written.
    pub fn open(directory: &Path) -> Result<(Self, Stored), LogError> {
        let file = schema::database_file(directory);
        let mut database = file.open(schema::connection_options())?;
        let row = block_on(HardStateRow::load(&mut database))?;
        let verified = block_on(verification::verify(&mut database))?;
        let row = block_on(with_base(row, &verified, &mut database))?;
        let base = row.base.clone();
        let cluster = base.as_ref().map(|base| base.membership.cluster);
        let begins = base.as_ref().map(|base| base.position);
        // Without a base there is no entry, and the base is of the disk's cluster.
        if cluster.is_some_and(|cluster| row.hard_state.cluster != Some(cluster))
            || begins.unwrap_or(Position::ZERO) != Position::ZERO
            || (begins.is_none() && verified.last != Position::ZERO)
        {
            return Err(LogError::HardStateDamaged);
        }
        let stored = Stored {
            storage: row.storage,
            boot_count: row.boot_count,
            hard_state: row.hard_state,
            base,
            last: verified.last,
            terms: verified.terms.clone(),
            changes: verified.changes.clone(),
            behind_hole: false,
            synced_block: BlockNumber::UNKNOWN,
        };
        let log = Self {
            database,
            hard_state_row: row,
            entries: EntryTable::new(&verified),
            poisoned: false,
        };
        Ok((log, stored))
    }

    /// Binds this log to `node` permanently. A log that is not bound yet accepts any node.
    ///
    /// # Errors
    ///
    /// [`LogError::OtherNode`] when it belongs to another node; otherwise as
    /// [`Self::write_and_sync`].
    pub async fn claim(&mut self, node: NodeId) -> Result<(), LogError> {
        if self.poisoned {
            return Err(LogError::Poisoned);
        }
        let query = sqlx::query("SELECT node_id FROM node WHERE only = 1");
        let row = self.database.fetch_optional(query).await?;
        let row = row.ok_or(LogError::HardStateDamaged)?;
        let found: Option<i64> = row.try_get(0)?;
        match found.map(|found| NodeId(found.cast_unsigned())) {
            Some(found) if found == node => Ok(()),
            Some(found) => Err(LogError::OtherNode { found, node }),
            None => {
                self.poisoned = true;
                let query = sqlx::query("UPDATE node SET node_id = ? WHERE only = 1");
                let node = node.0.cast_signed();
                self.database.execute(query.bind(node)).await?;
                self.poisoned = false;
                Ok(())
            }
        }
    }

    /// Writes all of `writes` in one transaction and returns when it is durable.
    ///
    /// # Errors
    ///
    /// After an error it is unknown what is on the disk. The log is poisoned then: every later
    /// write returns [`LogError::Poisoned`], because a failed sync must never be retried. Stop the
    /// node.
    ///
    /// # Panics
    ///
    /// If an invariant of the node is broken: the entries do not follow the end of the log without
    /// a gap, their terms decrease, or the disk gets another cluster or a second base.
    pub async fn write_and_sync(&mut self, writes: &Writes) -> Result<(), LogError> {
        if self.poisoned {
            return Err(LogError::Poisoned);
        }
        self.poisoned = true;
        self.write(writes).await?;
        self.poisoned = false;
        Ok(())
    }

    /// Ends the use of this log permanently: opening it fails from now on and reports `fault`
    /// (R11).
    ///
    /// For a node that found that a protocol invariant is violated. If it were started again it
    /// could continue with less knowledge than it has now, and remove the last copy of what was
    /// acknowledged.
    ///
    /// # Errors
    ///
    /// As [`Self::write_and_sync`].
    pub async fn record_fault(&mut self, fault: &str) -> Result<(), LogError> {
        if self.poisoned {
            return Err(LogError::Poisoned);
        }
        self.poisoned = true;
        let query = sqlx::query("UPDATE node SET fault = ? WHERE only = 1");
        self.database.execute(query.bind(fault.to_owned())).await?;
        Ok(())
    }

    /// The entries after `after` up to and including `last`, or up to the log's end.
    ///
    /// Returns at least one entry if there is one, then no more than `limits` allow in all.
    ///
    /// # Errors
    ///
    /// When SQLite cannot read, or an entry is not what was written.
    pub async fn read(
        &mut self,
        after: LogIndex,
        last: LogIndex,
        limits: ReadLimits,
    ) -> Result<Vec<Entry>, LogError> {
        self.entries
            .read(&mut self.database, after, last, limits)
            .await
    }

    /// The last entry's position; [`Position::ZERO`] for an empty log.
    pub fn last(&self) -> Position {
        self.entries.last()
    }

    /// The cluster that this disk belongs to, once it belongs to one.
    pub fn cluster(&self) -> Option<ClusterId> {
        self.hard_state_row.hard_state.cluster
    }

    /// The chain value of the entry at `index`; `None` after the log's end.
    ///
    /// # Errors
    ///
    /// When SQLite cannot read it, or an entry before the log's end is missing.
    pub async fn chain_at(&mut self, index: LogIndex) -> Result<Option<ChainValue>, LogError> {
        if index > self.last().index {
            return Ok(None);
        }
        let entry = self.entries.position_and_hash_at(&mut self.database, index);
        let (_, chain) = entry.await?;
        Ok(Some(chain))
    }

    /// How many bytes `log.db` and its write-ahead log take on the disk.
    ///
    /// # Errors
    ///
    /// When the file system cannot report it.
    pub fn size_on_disk(&self) -> Result<u64, LogError> {
        directory::size_with_wal(self.database.path()).map_err(|source| LogError::Size { source })
    }

    /// Closes the log. Dropping does the same, but only logs an error.
    ///
    /// # Errors
    ///
    /// When SQLite cannot close; everything that was acknowledged is durable all the same.
    pub fn close(self) -> Result<(), LogError> {
        Ok(self.database.close()?)
    }

    /// Writes one batch as one transaction, in as few statements as possible, in the order that R1
    /// requires: boot count, term, vote and cluster, base, truncation, entries.
    async fn write(&mut self, writes: &Writes) -> Result<(), LogError> {
        let row = self.hard_state_row.clone().updated_by(writes);
        let last = self.last().index;
        let truncate_after = writes.truncate_after.filter(|&index| {
            assert!(index <= last, "truncation is within the log");
            index < last
        });

        let statements = usize::from(row != self.hard_state_row)
            + usize::from(truncate_after.is_some())
            + writes.entries.len().div_ceil(ROWS_MAX);
        // A single statement is a transaction by itself, which saves two round trips.
        if statements > 1 {
            self.database
                .execute(sqlx::query("BEGIN IMMEDIATE"))
                .await?;
        }
        if row != self.hard_state_row {
            row.save(&mut self.database).await?;
            self.hard_state_row = row;
        }
        if let Some(index) = truncate_after {
            self.entries.truncate(&mut self.database, index).await?;
        }
        for entries in writes.entries.chunks(ROWS_MAX) {
            self.entries.append(&mut self.database, entries).await?;
        }
        if statements > 1 {
            self.database.execute(sqlx::query("COMMIT")).await?;
        }
        Ok(())
    }
}

/// The row of a log of an older form gets its base, once: there the first entry was the membership.
/// Such a log with a cluster and without that entry has lost it.
async fn with_base(
    mut row: HardStateRow,
    log: &VerifiedLog,
    database: &mut Database,
) -> Result<HardStateRow, LogError> {
    if row.base_is_first_entry {
        let membership = log.membership.clone().ok_or(LogError::HardStateDamaged)?;
        row.base = Some(LogBase::first(membership));
        row.base_is_first_entry = false;
        row.save(database).await?;
    }
    Ok(row)
}
