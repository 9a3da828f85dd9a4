//! Copies of sent messages in the boxes of their senders (rules C1 to C10 of `docs/api.md`).
//!
//! A copy has the key of its message and its own text. What else it shows is in the message's row, which
//! stays as long as the copy: as a tombstone once the recipient has deleted the message. A tombstone that is
//! old enough to be removed, and has a copy, is kept with `deleted` negated.

use std::ops::ControlFlow;

use chat_consensus::LogIndex;
use sqlx::Row;

use super::command::SessionClaim;
use super::error::StateError;
use crate::batched_statement::{BatchedStatement, ROWS_MAX, parameters};
use crate::database::{BoundQuery, Database};

/// A copy to store.
#[derive(Clone, Copy, Debug)]
pub(super) struct NewCopy<'a> {
    pub(super) commit: LogIndex,
    /// The sender's username.
    pub(super) owner: &'a str,
    /// The commit that created the recipient's account.
    pub(super) recipient_since: LogIndex,
    pub(super) body: &'a str,
    pub(super) reply_to: Option<&'a str>,
    pub(super) written_at: Option<f64>,
}

/// Most accounts that delete messages have none: one lookup instead of one for each id.
const HAS_ANY: &str = "SELECT 1 FROM copies WHERE owner = ? LIMIT 1";

/// Copies are found by the ids of their messages.
pub(super) const OWN: &str = "SELECT copies.commit_index, messages.id FROM messages \
     CROSS JOIN copies ON copies.commit_index = messages.commit_index \
     WHERE +owner = ? AND copies.commit_index > ? AND messages.id IN ";

/// The window in which the ids are remembered begins anew, unless the recipient's deletion was later (C7).
const RENEW_TOMBSTONES: &str = "UPDATE messages SET deleted = ?, deleted_at = ? \
     WHERE +deleted <> 0 AND +deleted < ? AND commit_index IN ";
const DELETE: &str = "DELETE FROM copies WHERE commit_index IN ";

/// The oldest copies first, so that all nodes delete the same ones (R16).
macro_rules! oldest {
    () => {
        "(SELECT commit_index FROM copies WHERE owner = ?3 AND commit_index < ?1 \
         ORDER BY commit_index LIMIT ?4)"
    };
}
const RENEW_OLDEST: &str = concat!(
    "UPDATE messages SET deleted = ?1, deleted_at = ?2 \
     WHERE +deleted <> 0 AND +deleted < ?1 AND commit_index IN ",
    oldest!()
);
/// The time is not used.
const DELETE_OLDEST: &str = concat!(
    "DELETE FROM copies WHERE ?2 IS NOT NULL AND commit_index IN ",
    oldest!()
);

/// Of the tombstones that the clean-up is about to remove, those with a copy.
pub(super) const KEEP_TOMBSTONES: &str = "UPDATE messages SET deleted = -deleted \
     WHERE commit_index IN (SELECT commit_index FROM messages WHERE deleted > 0 AND deleted <= ? \
     ORDER BY deleted, commit_index LIMIT ?) \
     AND EXISTS (SELECT 1 FROM copies WHERE copies.commit_index = messages.commit_index)";

/// The statements, each for several numbers of rows.
#[derive(Debug)]
pub(super) struct Copies {
    insert: BatchedStatement,
    own: BatchedStatement,
    renew_tombstones: BatchedStatement,
    delete: BatchedStatement,
}

impl Copies {
    pub(super) fn new() -> Self {
        let target = "copies (commit_index, owner, recipient_since, body, reply_to, written_at)";
        Self {
            insert: BatchedStatement::insert(target, 6, ""),
            own: BatchedStatement::new(|count| in_list(OWN, count)),
            renew_tombstones: BatchedStatement::new(|count| in_list(RENEW_TOMBSTONES, count)),
            delete: BatchedStatement::new(|count| in_list(DELETE, count)),
        }
    }

    /// Stores copies of messages that were just stored, at most as many as one statement has rows.
    pub(super) async fn insert(
        &self,
        database: &mut Database,
        copies: &[NewCopy<'_>],
    ) -> Result<(), StateError> {
        let mut query = sqlx::query(self.insert.for_count(copies.len()));
        for copy in copies {
            query = query
                .bind(copy.commit.0.cast_signed())
                .bind(copy.owner)
                .bind(copy.recipient_since.0.cast_signed())
                .bind(copy.body)
                .bind(copy.reply_to)
                .bind(copy.written_at);
        }
        database.execute(query).await?;
        Ok(())
    }

    /// Deletes the copies of the messages with these ids that the account has. Returns the ids, in the order
    /// of the messages' commits. `deleted` is the commit that deletes them, and its second.
    pub(super) async fn delete(
        &self,
        database: &mut Database,
        owner: &SessionClaim,
        ids: &[String],
        (deleted, deleted_at): (LogIndex, i64),
    ) -> Result<Vec<String>, StateError> {
        let any = sqlx::query(HAS_ANY).bind(&owner.username);
        if database.fetch_optional(any).await?.is_none() {
            return Ok(Vec::new());
        }
        let own = self.own(database, owner, ids).await?;
        for chunk in own.chunks(ROWS_MAX) {
            let with_keys = |query: BoundQuery<'static>| {
                let keys = chunk.iter().map(|(commit_index, _)| *commit_index);
                keys.fold(query, BoundQuery::bind)
            };
            let renew = sqlx::query(self.renew_tombstones.for_count(chunk.len()))
                .bind(deleted.0.cast_signed())
                .bind(deleted_at)
                .bind(deleted.0.cast_signed());
            database.execute(with_keys(renew)).await?;
            let delete = sqlx::query(self.delete.for_count(chunk.len()));
            database.execute(with_keys(delete)).await?;
        }
        Ok(own.into_iter().map(|(_, id)| id).collect())
    }

    /// The keys and ids of the copies that the account has, of the messages with these ids.
    async fn own(
        &self,
        database: &mut Database,
        owner: &SessionClaim,
        ids: &[String],
    ) -> Result<Vec<(i64, String)>, StateError> {
        let mut own = Vec::new();
        for chunk in ids.chunks(ROWS_MAX) {
            let query = sqlx::query(self.own.for_count(chunk.len()))
                .bind(&owner.username)
                .bind(owner.credential.incarnation.0.cast_signed());
            let query = chunk.iter().fold(query, BoundQuery::bind);
            database
                .for_each_row::<StateError>(query, |row| {
                    own.push((row.try_get(0)?, row.try_get(1)?));
                    Ok(ControlFlow::Continue(()))
                })
                .await?;
        }
        // An id may be given twice.
        own.sort_unstable();
        own.dedup();
        Ok(own)
    }
}

/// Deletes up to `limit` copies of the account that the commit `deleted` deleted. Returns how many were
/// deleted.
pub(super) async fn delete_oldest(
    database: &mut Database,
    username: &str,
    (deleted, deleted_at): (LogIndex, i64),
    limit: u32,
) -> Result<u64, StateError> {
    let bound = |statement: &'static str| {
        sqlx::query(statement)
            .bind(deleted.0.cast_signed())
            .bind(deleted_at)
            .bind(username)
            .bind(limit)
    };
    database.execute(bound(RENEW_OLDEST)).await?;
    Ok(database.execute(bound(DELETE_OLDEST)).await?)
}

fn in_list(statement: &str, count: usize) -> String {
    format!("{statement}{}", parameters(count))
}
