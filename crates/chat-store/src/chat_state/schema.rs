//! The file `state.db`: its format, its tables, and the options of its writer.

use std::path::PathBuf;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteSynchronous};

use crate::database::{DatabaseFile, Upgrade, connect_options};

/// SQLite's `user_version` of `state.db`.
pub(super) const FORMAT: i64 = 5;

/// The oldest format that is upgraded when it is opened.
pub(super) const OLDEST_UPGRADED: i64 = 3;

/// How long the writer waits for reads in progress. It waits for nothing else in SQLite.
const BUSY_TIMEOUT: Duration = Duration::from_millis(100);

/// How much of the tables the writer keeps in memory, in KiB (SQLite expects a negative number).
/// What an open transaction changes beyond it is written to the write-ahead log early, and twice.
const CACHE_KIB: &str = "-65536";

/// The tables of format 4. `deleted` is the commit that deleted a message, of which the row keeps only
/// what a late retry needs (R15), or 0. The index `inbox` leaves deleted rows out. Within one recipient and
/// one value of `read` it is in log order, because the row's key is its commit's index. Times other than a
/// message's are whole seconds. The other indexes are for the clean-up; see `retention`.
/// `former_accounts` are the deleted accounts, and `erasures` the pending deletions of inboxes.
macro_rules! format_4 {
    () => {
        "
    CREATE TABLE progress (
        only INTEGER PRIMARY KEY CHECK (only = 1),
        applied_index INTEGER NOT NULL,
        applied_term INTEGER NOT NULL,
        last_timestamp REAL NOT NULL,
        chain BLOB
    ) STRICT;
    CREATE TABLE inboxes (
        account INTEGER PRIMARY KEY,
        messages INTEGER NOT NULL,
        unread INTEGER NOT NULL CHECK (unread BETWEEN 0 AND messages)
    ) STRICT;
    CREATE TABLE users (
        username TEXT PRIMARY KEY,
        password TEXT NOT NULL,
        incarnation INTEGER NOT NULL,
        credential_version INTEGER NOT NULL,
        created_by_request BLOB NOT NULL,
        password_request BLOB
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE former_accounts (
        deleted INTEGER PRIMARY KEY,
        deleted_at INTEGER NOT NULL,
        username TEXT NOT NULL,
        created_by_request BLOB NOT NULL,
        UNIQUE (username, created_by_request)
    ) STRICT;
    CREATE TABLE erasures (
        deleted INTEGER PRIMARY KEY,
        deleted_at INTEGER NOT NULL,
        username TEXT NOT NULL
    ) STRICT;
    CREATE TABLE sessions (
        token_hash BLOB PRIMARY KEY,
        username TEXT NOT NULL,
        incarnation INTEGER NOT NULL,
        credential_version INTEGER NOT NULL,
        idle_seconds INTEGER NOT NULL,
        ends INTEGER NOT NULL,
        last_used INTEGER NOT NULL,
        expires INTEGER NOT NULL,
        ended_by BLOB
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX session_ends ON sessions (expires);
    CREATE TABLE messages (
        commit_index INTEGER PRIMARY KEY,
        commit_term INTEGER NOT NULL,
        id TEXT NOT NULL UNIQUE,
        sender TEXT NOT NULL,
        sender_since INTEGER NOT NULL,
        recipient TEXT NOT NULL,
        body TEXT NOT NULL,
        timestamp REAL NOT NULL,
        read INTEGER NOT NULL DEFAULT 0,
        deleted INTEGER NOT NULL DEFAULT 0,
        deleted_at INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE INDEX inbox ON messages (recipient, read) WHERE deleted = 0;
    CREATE INDEX tombstones ON messages (deleted) WHERE deleted > 0;
    INSERT INTO progress VALUES (1, 0, 0, 0.0, NULL)
"
    };
}

/// What format 4 lacks: `copies` of sent messages, with their keys, and how many each account has.
/// `deleted` below 0 is a tombstone that is kept for a copy. The columns are added to the end, so that new
/// tables are the same as upgraded ones.
macro_rules! since_format_4 {
    () => {
        "ALTER TABLE messages ADD COLUMN reply_to TEXT;
    ALTER TABLE messages ADD COLUMN written_at REAL;
    CREATE TABLE copies (
        commit_index INTEGER PRIMARY KEY,
        owner TEXT NOT NULL,
        recipient_since INTEGER NOT NULL,
        body TEXT NOT NULL,
        reply_to TEXT,
        written_at REAL
    ) STRICT;
    CREATE INDEX sent ON copies (owner);
    CREATE TABLE copy_counts (
        account INTEGER PRIMARY KEY,
        copies INTEGER NOT NULL
    ) STRICT"
    };
}

/// Creates the tables.
pub(super) const SCHEMA: &str = concat!(format_4!(), ";\n    ", since_format_4!());

/// Format 3 had no chain value: it is unknown until the next entry is applied.
const UPGRADES: &[Upgrade] = &[
    Upgrade {
        from: OLDEST_UPGRADED,
        script: concat!(
            "ALTER TABLE progress ADD COLUMN chain BLOB; ",
            since_format_4!()
        ),
    },
    Upgrade {
        from: 4,
        script: since_format_4!(),
    },
];

/// The statements that create the tables of a snapshot of this format, if one can be installed: from format
/// 4 on there are snapshots.
pub(super) fn schema_of_snapshot(format: i64) -> Option<&'static str> {
    match format {
        4 => Some(format_4!()),
        FORMAT => Some(SCHEMA),
        _ => None,
    }
}

/// The database at `path`, with the lock file `lock`.
pub(super) fn database_file(path: PathBuf, lock: PathBuf) -> DatabaseFile {
    DatabaseFile {
        path,
        lock,
        format: FORMAT,
        schema: SCHEMA,
        upgrades: UPGRADES,
    }
}

/// The options of the writer's connection. SQLite checkpoints nothing by itself (`checkpoints`). What is deleted is overwritten with zeros, because a
/// message that a user deleted must not be on the disk for ever.
pub(super) fn writer_options() -> SqliteConnectOptions {
    connect_options()
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("wal_autocheckpoint", "0")
        .pragma("cache_size", CACHE_KIB)
        .pragma("secure_delete", "ON")
        .thread_name(|_| "state.db".to_owned())
}
