//! What a recipient does with an inbox: reading and deleting, which only ever go forward (R15).
//!
//! A deleted message stays as a tombstone: its row without its text, so that a late retry of its
//! sending finds that it was sent (`retention` removes it much later).

use std::ops::ControlFlow;

use chat_consensus::LogIndex;
use sqlx::Row;

use super::StateError;
use super::command::Authority;
use super::entry::EntryFacts;
use crate::database::{BoundQuery, Database};
use crate::multi_row::{ROWS_MAX, StatementPerCount};

/// Messages are found by their ids. The plus signs keep SQLite from walking through the whole inbox
/// instead. What was sent before the account existed was sent to an earlier one of that name.
const READ: &str = "UPDATE messages SET read = 1 \
     WHERE +recipient = ? AND +commit_index > ? AND +read = 0 AND +deleted = 0 AND id IN ";
const DELETE: &str = "UPDATE messages SET deleted = ?, deleted_at = ?, body = '' \
     WHERE +recipient = ? AND +commit_index > ? AND +deleted = 0 AND id IN ";
const RETURNING: &str = " RETURNING commit_index, id";

/// The oldest first: which they are must not be SQLite's choice (R16). Merges the unread and the read
/// stretch of one inbox as it walks through its index.
pub(super) const ERASE: &str = "UPDATE messages SET deleted = ?1, deleted_at = ?2, body = '' \
     WHERE commit_index IN ( \
     SELECT commit_index FROM messages \
     WHERE recipient = ?3 AND deleted = 0 AND read = 0 AND commit_index < ?1 \
     UNION ALL SELECT commit_index FROM messages \
     WHERE recipient = ?3 AND deleted = 0 AND read = 1 AND commit_index < ?1 \
     ORDER BY commit_index LIMIT ?4)";

/// The statements, each for several numbers of ids.
#[derive(Debug)]
pub(super) struct InboxChanges {
    read: StatementPerCount,
    delete: StatementPerCount,
}

impl InboxChanges {
    pub(super) fn new() -> Self {
        Self {
            read: StatementPerCount::new(read_sql),
            delete: StatementPerCount::new(delete_sql),
        }
    }

    /// Marks those of `ids` as read that are in the inbox and unread; returns them.
    pub(super) async fn read(
        &self,
        database: &mut Database,
        owner: &Authority,
        ids: &[String],
    ) -> Result<Vec<String>, StateError> {
        change(database, ids, |chunk| {
            let query = sqlx::query(self.read.for_count(chunk.len()))
                .bind(&owner.username)
                .bind(owner.credential.incarnation.0.cast_signed());
            with_ids(query, chunk)
        })
        .await
    }

    /// Deletes those of `ids` that are in the inbox; returns them.
    pub(super) async fn delete(
        &self,
        database: &mut Database,
        owner: &Authority,
        ids: &[String],
        entry: &EntryFacts,
    ) -> Result<Vec<String>, StateError> {
        change(database, ids, |chunk| {
            let query = sqlx::query(self.delete.for_count(chunk.len()))
                .bind(entry.commit.index.0.cast_signed())
                .bind(entry.now)
                .bind(&owner.username)
                .bind(owner.credential.incarnation.0.cast_signed());
            with_ids(query, chunk)
        })
        .await
    }
}

/// Deletes up to `limit` messages of the inbox of the account that ended with the commit `deleted`.
/// Returns how many those were.
pub(super) async fn erase(
    database: &mut Database,
    username: &str,
    (deleted, deleted_at): (LogIndex, i64),
    limit: u32,
) -> Result<u64, StateError> {
    let query = sqlx::query(ERASE)
        .bind(deleted.0.cast_signed())
        .bind(deleted_at)
        .bind(username)
        .bind(limit);
    Ok(database.execute(query).await?)
}

pub(super) fn read_sql(count: usize) -> String {
    format!("{READ}({}){RETURNING}", vec!["?"; count].join(","))
}

pub(super) fn delete_sql(count: usize) -> String {
    format!("{DELETE}({}){RETURNING}", vec!["?"; count].join(","))
}

fn with_ids<'q>(query: BoundQuery<'q>, ids: &'q [String]) -> BoundQuery<'q> {
    ids.iter().fold(query, BoundQuery::bind)
}

/// Runs the statement for all of `ids` and returns those that it changed, in the order of their
/// commits: SQLite returns them in any.
async fn change<'q>(
    database: &mut Database,
    ids: &'q [String],
    statement: impl Fn(&'q [String]) -> BoundQuery<'q>,
) -> Result<Vec<String>, StateError> {
    let mut changed = Vec::new();
    for chunk in ids.chunks(ROWS_MAX) {
        database
            .visit::<StateError>(statement(chunk), |row| {
                changed.push((row.try_get::<i64, _>(0)?, row.try_get::<String, _>(1)?));
                Ok(ControlFlow::Continue(()))
            })
            .await?;
    }
    changed.sort_unstable();
    Ok(changed.into_iter().map(|(_, id)| id).collect())
}
