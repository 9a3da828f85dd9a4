//! Marking messages of an inbox as read, and deleting them. Neither can be undone (R15).
//!
//! A deleted message becomes a tombstone: its row without its text, so that a late retry of SEND
//! finds that it was sent. `retention` removes the tombstone much later.

use std::ops::ControlFlow;

use chat_consensus::LogIndex;
use sqlx::{AssertSqlSafe, Row};

use super::apply_context::ApplyContext;
use super::command::SessionClaim;
use super::error::StateError;
use super::tombstones::{self, IS_LONG, RETURNING as ALL_BUT_THE_TEXT, Tombstone};
use crate::batched_statement::{BatchedStatement, ROWS_MAX, parameters};
use crate::database::{BoundQuery, Database};

/// Messages are found by their ids; the plus signs keep SQLite from scanning the whole inbox
/// instead. Messages sent before the account existed were sent to an earlier account of that name.
const READ: &str = "UPDATE messages SET read = 1 \
     WHERE +recipient = ? AND +commit_index > ? AND +read = 0 AND +deleted = 0 AND id IN ";
const DELETE: &str = "UPDATE messages SET deleted = ?, deleted_at = ?, body = '', reply_to = NULL, \
     written_at = NULL WHERE ";
const TO_DELETE: &str = "+recipient = ? AND +commit_index > ? AND +deleted = 0 AND id IN ";
const RETURNING: &str = " RETURNING commit_index, id, read";

/// The oldest messages first, so that all nodes delete the same ones (R16). Merges the unread and
/// the read messages of one inbox while it scans the index.
const OLDEST: &str = "commit_index IN ( \
     SELECT commit_index FROM messages \
     WHERE recipient = ?1 AND deleted = 0 AND read = 0 AND commit_index < ?2 \
     UNION ALL SELECT commit_index FROM messages \
     WHERE recipient = ?1 AND deleted = 0 AND read = 1 AND commit_index < ?2 \
     ORDER BY commit_index LIMIT ?3)";

/// The messages that were deleted.
#[derive(Debug)]
pub(super) struct Deleted {
    /// In the order of their commits.
    pub(super) message_ids: Vec<String>,
    /// How many of them were unread.
    pub(super) unread: usize,
}

/// A message that has been changed.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Changed {
    commit_index: i64,
    id: String,
    read: i64,
}

impl From<Tombstone> for Changed {
    fn from(tombstone: Tombstone) -> Self {
        Self {
            commit_index: tombstone.commit_index,
            id: tombstone.id,
            read: tombstone.read,
        }
    }
}

/// The statements, each for several numbers of ids.
#[derive(Debug)]
pub(super) struct InboxChanges {
    read: BatchedStatement,
    delete_long: BatchedStatement,
    delete: BatchedStatement,
}

impl InboxChanges {
    pub(super) fn new() -> Self {
        Self {
            read: BatchedStatement::new(read_sql),
            delete_long: BatchedStatement::new(delete_long_sql),
            delete: BatchedStatement::new(delete_sql),
        }
    }

    /// Marks the messages with these ids that are in the inbox and unread as read, and returns
    /// their ids.
    pub(super) async fn read(
        &self,
        database: &mut Database,
        owner: &SessionClaim,
        ids: &[String],
    ) -> Result<Vec<String>, StateError> {
        let changed = change(database, ids, |chunk| {
            let query = sqlx::query(self.read.for_count(chunk.len()))
                .bind(&owner.username)
                .bind(owner.credential.incarnation.0.cast_signed());
            with_ids(query, chunk)
        });
        Ok(ids_of(changed.await?))
    }

    /// Deletes the messages with these ids that are in the inbox.
    pub(super) async fn delete(
        &self,
        database: &mut Database,
        owner: &SessionClaim,
        ids: &[String],
        context: &ApplyContext,
    ) -> Result<Deleted, StateError> {
        let deleted = (context.commit.index.0.cast_signed(), context.now);
        let incarnation = owner.credential.incarnation.0.cast_signed();
        let mut long = Vec::new();
        for chunk in ids.chunks(ROWS_MAX) {
            let query = sqlx::query(self.delete_long.for_count(chunk.len()))
                .bind(&owner.username)
                .bind(incarnation);
            long.extend(tombstones::rewrite(database, with_ids(query, chunk), deleted).await?);
        }
        let changed = change(database, ids, |chunk| {
            let query = sqlx::query(self.delete.for_count(chunk.len()))
                .bind(deleted.0)
                .bind(deleted.1)
                .bind(&owner.username)
                .bind(incarnation);
            with_ids(query, chunk)
        });
        let mut changed = changed.await?;
        changed.extend(long.into_iter().map(Changed::from));
        changed.sort_unstable();
        Ok(Deleted {
            unread: changed.iter().filter(|message| message.read == 0).count(),
            message_ids: ids_of(changed),
        })
    }
}

/// Deletes up to `limit` messages of the inbox of the account that the commit `deleted` deleted.
/// Returns how many were deleted.
pub(super) async fn delete_oldest(
    database: &mut Database,
    username: &str,
    (deleted, deleted_at): (LogIndex, i64),
    limit: u32,
) -> Result<u64, StateError> {
    let (index, limit) = (deleted.0.cast_signed(), i64::from(limit));
    let query = sqlx::query(AssertSqlSafe(delete_oldest_long_sql()));
    let query = query.bind(username).bind(index).bind(limit);
    let long = tombstones::rewrite(database, query, (index, deleted_at)).await?;
    let long = i64::try_from(long.len()).unwrap_or(limit);
    // Those are deleted already, so the oldest ones now are the rest of the same ones.
    let query = sqlx::query(AssertSqlSafe(delete_oldest_sql()));
    let query = query.bind(username).bind(index).bind(limit - long);
    let short = database.execute(query.bind(deleted_at)).await?;
    Ok(long.unsigned_abs() + short)
}

pub(super) fn delete_oldest_sql() -> String {
    format!(
        "UPDATE messages SET deleted = ?2, deleted_at = ?4, body = '', reply_to = NULL, \
         written_at = NULL WHERE {OLDEST}"
    )
}

pub(super) fn delete_oldest_long_sql() -> String {
    format!("DELETE FROM messages WHERE {IS_LONG} AND {OLDEST}{ALL_BUT_THE_TEXT}")
}

pub(super) fn delete_long_sql(count: usize) -> String {
    let ids = parameters(count);
    format!("DELETE FROM messages WHERE {IS_LONG} AND {TO_DELETE}{ids}{ALL_BUT_THE_TEXT}")
}

pub(super) fn read_sql(count: usize) -> String {
    format!("{READ}{}{RETURNING}", parameters(count))
}

pub(super) fn delete_sql(count: usize) -> String {
    format!("{DELETE}{TO_DELETE}{}{RETURNING}", parameters(count))
}

fn with_ids<'q>(query: BoundQuery<'q>, ids: &'q [String]) -> BoundQuery<'q> {
    ids.iter().fold(query, BoundQuery::bind)
}

fn ids_of(changed: Vec<Changed>) -> Vec<String> {
    changed.into_iter().map(|message| message.id).collect()
}

/// Runs the statement for all of `ids` and returns the messages that it changed, in the order of
/// their commits; SQLite returns them in no particular order.
async fn change<'q>(
    database: &mut Database,
    ids: &'q [String],
    statement: impl Fn(&'q [String]) -> BoundQuery<'q>,
) -> Result<Vec<Changed>, StateError> {
    let mut changed = Vec::new();
    for chunk in ids.chunks(ROWS_MAX) {
        database
            .for_each_row::<StateError>(statement(chunk), |row| {
                changed.push(Changed {
                    commit_index: row.try_get(0)?,
                    id: row.try_get(1)?,
                    read: row.try_get(2)?,
                });
                Ok(ControlFlow::Continue(()))
            })
            .await?;
    }
    changed.sort_unstable();
    Ok(changed)
}
