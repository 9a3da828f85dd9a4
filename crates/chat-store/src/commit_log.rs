//! The commit log, `log.db`: what is in it survives a power cut, or is found to be damaged.
//!
//! One connection, one transaction and one sync for each batch of [`Writes`], in the order in which
//! they were decided (R1). Every entry carries a [`ChainValue`]; all of them are checked when the
//! log is opened, and again by every read. Decides nothing: neither what is appended nor what is
//! cut off.

mod chain;
mod encoding;
mod error;
mod hard_state_row;
mod read;
mod write;

#[cfg(test)]
mod tests;

use std::path::Path;

use futures::executor::block_on;
use sqlx::Row;
use sqlx::sqlite::{SqliteLockingMode, SqliteSynchronous};

use chat_consensus::{ClusterId, HardState, LogIndex, NodeId, Position, StorageId, Stored, Writes};

pub use chain::ChainValue;
pub use error::LogError;
pub use read::ReadLimits;

use crate::batched_statement::BatchedStatement;
use crate::database::{Database, DatabaseFile, Upgrade, connect_options};
use crate::directory;

/// SQLite's `user_version` of `log.db`.
const FORMAT: i64 = 3;

/// Format 1 lacked what R11 and R18 make a disk remember, format 2 whose disk it is. Rows stay as they
/// are: what is new in them is empty, and the digest of a row without it is the same in all formats.
const UPGRADES: &[Upgrade] = &[
    Upgrade {
        from: 1,
        script: "ALTER TABLE node ADD COLUMN repair_through INTEGER NOT NULL DEFAULT 0;
                 ALTER TABLE node ADD COLUMN fault TEXT;
                 ALTER TABLE node ADD COLUMN node_id INTEGER",
    },
    Upgrade {
        from: 2,
        script: "ALTER TABLE node ADD COLUMN node_id INTEGER",
    },
];

/// After how many pages of 4 KiB in the write-ahead log SQLite copies them into the main file, at
/// the end of a commit.
///
/// It bounds the file (about 8 MiB and one batch) and what a start has to replay. More would be
/// cheaper in total, because the last page of the log is copied once however often it was written,
/// but the commit that does the copying makes its batch wait: docs/storage.md has the figures.
const CHECKPOINT_PAGES: &str = "2000";

/// A write-ahead log that one great batch has made larger than this is cut back, in bytes.
const WAL_BYTES_KEPT: &str = "33554432";

const SCHEMA: &str = r#"
    CREATE TABLE node (
        only INTEGER PRIMARY KEY CHECK (only = 1),
        storage BLOB NOT NULL,
        cluster BLOB,
        start_counter INTEGER NOT NULL,
        term INTEGER NOT NULL,
        vote_node INTEGER,
        vote_storage BLOB,
        digest BLOB,
        repair_through INTEGER NOT NULL DEFAULT 0,
        fault TEXT,
        node_id INTEGER
    ) STRICT;
    CREATE TABLE commits (
        "index" INTEGER PRIMARY KEY,
        term INTEGER NOT NULL,
        kind INTEGER NOT NULL,
        payload BLOB NOT NULL,
        chain BLOB NOT NULL
    ) STRICT;
    INSERT INTO node (only, storage, start_counter, term) VALUES (1, randomblob(16), 0, 0)
"#;

/// The log of one node: its entries, its vote, and the names of its disk and cluster.
///
/// Opening and closing block; everything else waits for SQLite's own thread. A write that is dropped
/// before it has ended leaves the log poisoned.
#[derive(Debug)]
pub struct CommitLog {
    database: Database,
    insert_entries: BatchedStatement,
    hard_state_row: HardStateRow,
    last: Position,
    /// The chain value of the last entry.
    last_chain: ChainValue,
    /// Set while a write is under way, so that nothing but its success takes it back.
    poisoned: bool,
}

/// The only row of the table `node`, but for the fault, which ends a log's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct HardStateRow {
    storage: StorageId,
    /// Fixed by the membership, for good (R12).
    cluster: Option<ClusterId>,
    boot_count: u64,
    hard_state: HardState,
}

impl CommitLog {
    /// Opens the log in `directory`, or makes an empty one with a new random storage id, and checks
    /// the chain values of all its entries.
    ///
    /// Reads the whole log: a few microseconds an entry.
    ///
    /// # Errors
    ///
    /// [`LogError::Open`] when the directory cannot be used or is in use;
    /// [`LogError::Fault`] when [`Self::record_fault`] has ended its use;
    /// an error with [`LogError::is_damage`] when the log is not what was written.
    pub fn open(directory: &Path) -> Result<(Self, Stored), LogError> {
        let file = DatabaseFile {
            path: directory.join("log.db"),
            lock: directory.join("log.lock"),
            format: FORMAT,
            schema: SCHEMA,
            upgrades: UPGRADES,
        };
        // EXCLUSIVE keeps SQLite's index of the write-ahead log in memory, where no other process
        // can disturb it. It must be set before the journal mode.
        let options = connect_options()
            .locking_mode(SqliteLockingMode::Exclusive)
            .synchronous(SqliteSynchronous::Full)
            .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
            .pragma("journal_size_limit", WAL_BYTES_KEPT)
            .row_buffer_size(ROW_BUFFER)
            .thread_name(|_| "log.db".to_owned());
        let mut database = file.open(options)?;
        let row = block_on(HardStateRow::load(&mut database))?;
        let verified = block_on(read::verify(&mut database))?;
        if let Some(membership) = &verified.membership
            && row.cluster != Some(membership.cluster)
        {
            return Err(LogError::HardStateDamaged);
        }
        let log = Self {
            database,
            insert_entries: BatchedStatement::insert("commits", 5, ""),
            hard_state_row: row,
            last: verified.last,
            last_chain: verified.last_chain,
            poisoned: false,
        };
        let stored = Stored {
            storage: row.storage,
            boot_count: row.boot_count,
            hard_state: row.hard_state,
            membership: verified.membership,
            last: verified.last,
            terms: verified.terms,
        };
        Ok((log, stored))
    }

    /// Binds this log to `node`, for good; a log that no node had yet takes the first one.
    ///
    /// # Errors
    ///
    /// [`LogError::OtherNode`] when it is another node's; otherwise as [`Self::write_and_sync`].
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

    /// Writes all of `writes` in one transaction and returns when it is on the disk to stay.
    ///
    /// # Errors
    ///
    /// Any error leaves open what is on the disk. The log is poisoned then: every later write
    /// returns [`LogError::Poisoned`], because a failed sync must never be tried again. Stop.
    ///
    /// # Panics
    ///
    /// If the entries do not follow the end of the log without a gap, in terms that never run
    /// backwards, or if a membership is not the first entry or not the first membership of this disk:
    /// the node's own invariants are broken then.
    pub async fn write_and_sync(&mut self, writes: &Writes) -> Result<(), LogError> {
        if self.poisoned {
            return Err(LogError::Poisoned);
        }
        self.poisoned = true;
        self.write(writes).await?;
        self.poisoned = false;
        Ok(())
    }

    /// Ends the use of this log for good: it does not open any more, and says why (R11).
    ///
    /// For a node that found that a promise of the protocol is broken. Started again it might go on
    /// with less than it knows now, and remove the last copy of what was acknowledged.
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

    /// The last entry's position; [`Position::ZERO`] for an empty log.
    pub fn last(&self) -> Position {
        self.last
    }

    /// The cluster that this disk belongs to, once it has accepted a membership.
    pub fn cluster(&self) -> Option<ClusterId> {
        self.hard_state_row.cluster
    }

    /// The chain value of the entry at `index`; `None` after the log's end.
    ///
    /// # Errors
    ///
    /// When SQLite cannot read it, or an entry before the log's end is missing.
    pub async fn chain_at(&mut self, index: LogIndex) -> Result<Option<ChainValue>, LogError> {
        if index > self.last.index {
            return Ok(None);
        }
        Ok(Some(self.position_and_hash_at(index).await?.1))
    }

    /// How many bytes `log.db` and its write-ahead log take on the disk.
    ///
    /// # Errors
    ///
    /// When the file system does not say.
    pub fn size_on_disk(&self) -> Result<u64, LogError> {
        directory::size_with_wal(self.database.path()).map_err(|source| LogError::Size { source })
    }

    /// Closes the log. Dropping does the same, but only logs an error.
    ///
    /// # Errors
    ///
    /// When SQLite cannot close; nothing that was acknowledged is lost by it.
    pub fn close(self) -> Result<(), LogError> {
        Ok(self.database.close()?)
    }
}

/// How many rows SQLite's thread may read ahead of whoever takes them. An entry is at most some
/// tens of KiB, so this bounds what a read holds beyond its answer.
const ROW_BUFFER: usize = 64;
