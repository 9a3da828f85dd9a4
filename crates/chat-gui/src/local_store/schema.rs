//! The tables of the local store, the number of their format, and how a file of an earlier format is
//! brought to this one.

use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Row};

/// This program's format of the file.
pub(super) const FORMAT: i64 = 2;

/// The tables of format 1, in an empty file.
const FORMAT_1: &str = "
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

/// From format 1 to format 2: copies of received messages, changes of the inbox that the servers do
/// not have yet, and the members of clusters.
///
/// `inboxes.is_complete` is whether the copy is the whole inbox down to its oldest message as of
/// `cursor`; while it is not, the next start fetches the inbox again. `received.checked` is whether
/// a message has come since that began.
const FORMAT_2: &str = "
CREATE TABLE inboxes (
    number INTEGER PRIMARY KEY, account TEXT NOT NULL UNIQUE,
    cursor TEXT, is_complete INTEGER NOT NULL DEFAULT 0,
    more INTEGER NOT NULL DEFAULT 0, older TEXT, unread_elsewhere INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE received (
    inbox INTEGER NOT NULL, id BLOB NOT NULL,
    sender TEXT NOT NULL, sender_since INTEGER, body TEXT NOT NULL, at REAL NOT NULL,
    read INTEGER NOT NULL, commit_index INTEGER NOT NULL, commit_term INTEGER NOT NULL,
    checked INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX received_by_id ON received (inbox, id);
CREATE INDEX received_in_order ON received (inbox, commit_index);
CREATE TABLE pending_changes (
    position INTEGER PRIMARY KEY, inbox INTEGER NOT NULL, id BLOB NOT NULL,
    deletes INTEGER NOT NULL, UNIQUE (inbox, id, deletes)
) STRICT;
CREATE TABLE members (
    cluster_id TEXT NOT NULL, address TEXT NOT NULL, node_id INTEGER NOT NULL,
    saved INTEGER NOT NULL, PRIMARY KEY (cluster_id, address)
) STRICT, WITHOUT ROWID;
PRAGMA user_version = 2;
";

/// Brings the file to this program's format, in one transaction. Returns the format that was found
/// if it is a later one; nothing was changed then.
pub(super) async fn migrate(connection: &mut SqliteConnection) -> Result<Option<i64>, sqlx::Error> {
    let row = sqlx::query("PRAGMA user_version")
        .fetch_one(&mut *connection)
        .await?;
    let steps: &[&'static str] = match row.try_get(0)? {
        0 => &[FORMAT_1, FORMAT_2],
        1 => &[FORMAT_2],
        FORMAT => &[],
        unknown => return Ok(Some(unknown)),
    };
    let mut change = connection.begin().await?;
    for step in steps {
        sqlx::raw_sql(*step).execute(&mut *change).await?;
    }
    change.commit().await?;
    Ok(None)
}

#[cfg(test)]
pub(super) mod tests {
    /// The tables as the version before wrote them.
    pub(in crate::local_store) const EARLIER: &str = super::FORMAT_1;
}
