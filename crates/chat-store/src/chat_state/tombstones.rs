//! Deleted messages whose text was long: their rows are written anew.
//!
//! A row is usually made a tombstone in place. SQLite would keep one with a long text on a page for itself,
//! which then has little but free space, until the clean-up removes the row a day later: it merges
//! neighbours when a row is deleted, and not when one becomes smaller.

use std::ops::ControlFlow;
use std::sync::LazyLock;

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::error::StateError;
use crate::batched_statement::{BatchedStatement, ROWS_MAX};
use crate::database::{BoundQuery, Database};

/// The condition of a row that is written anew. A page of 4 KiB has at least three shorter rows.
pub(super) const IS_LONG: &str = "octet_length(body) > 1000";

/// What a statement that deletes such rows must return: all columns but the text and those of deletions.
pub(super) const RETURNING: &str =
    " RETURNING commit_index, id, read, commit_term, sender, sender_since, recipient, timestamp";

static INSERT: LazyLock<BatchedStatement> = LazyLock::new(|| {
    let columns = "messages (commit_index, id, read, commit_term, sender, sender_since, recipient, \
                   timestamp, deleted, deleted_at, body)";
    BatchedStatement::insert(columns, 11, "")
});

/// A row that was deleted to be written anew.
#[derive(Debug)]
pub(super) struct Tombstone {
    pub(super) commit_index: i64,
    pub(super) id: String,
    pub(super) read: i64,
    commit_term: i64,
    sender: String,
    sender_since: i64,
    recipient: String,
    timestamp: f64,
}

impl Tombstone {
    fn in_row(row: &SqliteRow) -> sqlx::Result<Self> {
        Ok(Self {
            commit_index: row.try_get(0)?,
            id: row.try_get(1)?,
            read: row.try_get(2)?,
            commit_term: row.try_get(3)?,
            sender: row.try_get(4)?,
            sender_since: row.try_get(5)?,
            recipient: row.try_get(6)?,
            timestamp: row.try_get(7)?,
        })
    }
}

/// Runs a statement that deletes long rows and returns them, and writes them anew. `deleted` is the commit
/// that deleted them, and its second.
pub(super) async fn rewrite(
    database: &mut Database,
    delete: BoundQuery<'_>,
    deleted: (i64, i64),
) -> Result<Vec<Tombstone>, StateError> {
    let mut tombstones = Vec::new();
    database
        .for_each_row::<StateError>(delete, |row| {
            tombstones.push(Tombstone::in_row(row)?);
            Ok(ControlFlow::Continue(()))
        })
        .await?;
    for rows in tombstones.chunks(ROWS_MAX) {
        let mut query = sqlx::query(INSERT.for_count(rows.len()));
        for row in rows {
            query = query
                .bind(row.commit_index)
                .bind(&row.id)
                .bind(row.read)
                .bind(row.commit_term)
                .bind(&row.sender)
                .bind(row.sender_since)
                .bind(&row.recipient)
                .bind(row.timestamp)
                .bind(deleted.0)
                .bind(deleted.1)
                .bind("");
        }
        database.execute(query).await?;
    }
    Ok(tombstones)
}
