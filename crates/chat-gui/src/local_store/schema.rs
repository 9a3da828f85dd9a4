//! The tables of the local store, the number of their format, and how a file of an earlier format is
//! brought to this one.

use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Row};

/// This program's format of the file.
pub(super) const FORMAT: i64 = 3;

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

/// From format 2 to format 3: one table for all messages of the box, received and sent, as the servers
/// have them. What was sent before has no copy there. The box is fetched again, because so far only
/// received messages came.
///
/// `messages.is_on_servers` is whether the servers have it in the box; otherwise only this device has it.
/// `outbox.keeps_copy` is whether the servers make a copy for the sender, the same for every attempt.
const FORMAT_3: &str = "
ALTER TABLE received RENAME TO messages;
ALTER TABLE messages RENAME COLUMN sender TO peer;
ALTER TABLE messages RENAME COLUMN sender_since TO peer_since;
ALTER TABLE messages ADD COLUMN is_sent INTEGER NOT NULL DEFAULT 0;
ALTER TABLE messages ADD COLUMN is_on_servers INTEGER NOT NULL DEFAULT 1;
ALTER TABLE messages ADD COLUMN written_at REAL;
ALTER TABLE messages ADD COLUMN reply_to BLOB;
DROP INDEX received_by_id;
DROP INDEX received_in_order;
CREATE UNIQUE INDEX messages_by_id ON messages (inbox, id);
CREATE INDEX messages_in_order ON messages (inbox, is_on_servers, commit_index);
INSERT OR IGNORE INTO inboxes (account) SELECT DISTINCT account FROM sent;
INSERT OR IGNORE INTO messages
    (inbox, id, peer, body, at, read, commit_index, commit_term, checked, is_sent, is_on_servers)
    SELECT number, id, recipient, body, at, 1, commit_index, commit_term, 1, 1, 0
    FROM sent JOIN inboxes USING (account);
DROP TABLE sent;
UPDATE inboxes SET is_complete = 0, cursor = NULL, older = NULL;
ALTER TABLE outbox ADD COLUMN keeps_copy INTEGER NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN reply_to BLOB;
ALTER TABLE drafts ADD COLUMN reply_to BLOB;
PRAGMA user_version = 3;
";

/// Brings the file to this program's format, in one transaction. Returns the format that was found
/// if it is a later one; nothing was changed then.
pub(super) async fn migrate(connection: &mut SqliteConnection) -> Result<Option<i64>, sqlx::Error> {
    let row = sqlx::query("PRAGMA user_version")
        .fetch_one(&mut *connection)
        .await?;
    let steps: &[&'static str] = match row.try_get(0)? {
        0 => &[FORMAT_1, FORMAT_2, FORMAT_3],
        1 => &[FORMAT_2, FORMAT_3],
        2 => &[FORMAT_3],
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
    /// The tables as earlier versions wrote them.
    pub(in crate::local_store) const FORMAT_1: &str = super::FORMAT_1;
    /// What the next version changed in them.
    pub(in crate::local_store) const FORMAT_2: &str = super::FORMAT_2;
}
