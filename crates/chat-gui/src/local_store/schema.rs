//! The tables of the local store, and the number of their format.

/// This program's format of the file.
pub(super) const FORMAT: i64 = 1;

/// Creates the tables in an empty file.
pub(super) const SCHEMA: &str = "
CREATE TABLE drafts (
    account TEXT NOT NULL, peer TEXT NOT NULL, text TEXT NOT NULL,
    PRIMARY KEY (account, peer)
) STRICT, WITHOUT ROWID;
CREATE TABLE outbox (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL UNIQUE, request_id BLOB NOT NULL,
    account TEXT NOT NULL, recipient TEXT NOT NULL, body TEXT NOT NULL,
    written_at REAL NOT NULL, refused TEXT
) STRICT;
CREATE TABLE sent (
    id BLOB PRIMARY KEY, request_id BLOB NOT NULL,
    account TEXT NOT NULL, recipient TEXT NOT NULL, body TEXT NOT NULL,
    at REAL NOT NULL, commit_index INTEGER NOT NULL, commit_term INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sent_in_order ON sent (account, commit_index);
CREATE TABLE muted (
    account TEXT NOT NULL, peer TEXT NOT NULL,
    PRIMARY KEY (account, peer)
) STRICT, WITHOUT ROWID;
CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
PRAGMA user_version = 1;
";
