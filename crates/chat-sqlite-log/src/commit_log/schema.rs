//! The file `log.db`: its format, its tables, and the options of its connection.

use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqliteLockingMode, SqliteSynchronous};

use crate::database::{DatabaseFile, Upgrade, connect_options};

/// SQLite's `user_version` of `log.db`.
const FORMAT: i64 = 4;

/// Format 1 lacked the columns that R11 and R18 need, format 2 the id of the node, format 3 the base,
/// whose membership was the first entry: an empty base says that it is still to be taken from there. Rows stay as
/// they are: new columns are empty, and the digest of a row with empty new columns is the same in
/// all formats.
const UPGRADES: &[Upgrade] = &[
    Upgrade {
        from: 1,
        script: "ALTER TABLE node ADD COLUMN repair_through INTEGER NOT NULL DEFAULT 0;
                 ALTER TABLE node ADD COLUMN fault TEXT;
                 ALTER TABLE node ADD COLUMN node_id INTEGER;
                 ALTER TABLE node ADD COLUMN base BLOB;
                 UPDATE node SET base = x'' WHERE cluster IS NOT NULL",
    },
    Upgrade {
        from: 2,
        script: "ALTER TABLE node ADD COLUMN node_id INTEGER;
                 ALTER TABLE node ADD COLUMN base BLOB;
                 UPDATE node SET base = x'' WHERE cluster IS NOT NULL",
    },
    Upgrade {
        from: 3,
        script: "ALTER TABLE node ADD COLUMN base BLOB;
                 UPDATE node SET base = x'' WHERE cluster IS NOT NULL",
    },
];

/// The number of pages of 4 KiB in the write-ahead log after which SQLite copies them into the main
/// file, at the end of a commit.
///
/// It bounds the size of the file (about 8 MiB and one batch) and what a start has to replay. A
/// larger number would be cheaper in total, because the last page of the log is copied once however
/// often it was written. But the commit that copies delays its batch: docs/storage.md has the
/// figures.
const CHECKPOINT_PAGES: &str = "2000";

/// A write-ahead log that one large batch made longer than this is truncated to it, in bytes.
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
        node_id INTEGER,
        base BLOB
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

/// How many rows SQLite's thread may read ahead of the reader. An entry is at most some tens of
/// KiB, so this bounds the memory of a read beyond its result.
const ROW_BUFFER: usize = 64;

/// The database in `directory`.
pub(super) fn database_file(directory: &Path) -> DatabaseFile {
    DatabaseFile {
        path: directory.join("log.db"),
        lock: directory.join("log.lock"),
        format: FORMAT,
        schema: SCHEMA,
        upgrades: UPGRADES,
    }
}

/// The options of its only connection.
pub(super) fn connection_options() -> SqliteConnectOptions {
    // EXCLUSIVE keeps SQLite's index of the write-ahead log in memory, where no other process can
    // modify it. SQLite must receive it before the journal mode, which sqlx ensures.
    connect_options()
        .locking_mode(SqliteLockingMode::Exclusive)
        .synchronous(SqliteSynchronous::Full)
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
        .pragma("journal_size_limit", WAL_BYTES_KEPT)
        .row_buffer_size(ROW_BUFFER)
        .thread_name(|_| "log.db".to_owned())
}
