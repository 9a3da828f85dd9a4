//! Which rows are kept for late retries, and when they are removed.
//!
//! Removing is a part of applying: at every n-th entry, some rows, by the log's time. So all nodes
//! remove the same rows at the same entry (R16), and never so many that messages are delayed.

use std::ops::ControlFlow;

use chat_consensus::LogIndex;
use sqlx::Row;

use super::accounts::Accounts;
use super::command::TokenHash;
use super::copies::{self, KEEP_TOMBSTONES};
use super::error::StateError;
use super::inbox_changes::delete_oldest;
use crate::database::Database;

/// How long ended things are kept, and how fast they are removed then. The same on all nodes, and
/// never changed: a node that applies an old log must remove what the others have removed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Retention {
    /// Rows are removed at each entry whose index is a multiple of this.
    pub(super) entries_between: u64,
    /// The most rows of each kind that are removed at once: about ten milliseconds.
    pub(super) rows_max: u32,
    /// The most messages that are deleted at once with their account; the clean-up deletes the
    /// others.
    pub(super) deleted_at_once_max: u32,
    /// Rows are kept for at least this many commits …
    pub(super) commits: u64,
    /// … and this many seconds: the longest time for which a client retries.
    pub(super) seconds: i64,
}

impl Retention {
    /// The values that R15 guarantees.
    pub(super) const DEFAULT: Self = Self {
        entries_between: 256,
        rows_max: 1024,
        deleted_at_once_max: 8192,
        commits: 100_000,
        seconds: 24 * 60 * 60,
    };

    /// Whether the clean-up runs at the entry at `index`.
    pub(super) fn is_due(&self, index: LogIndex) -> bool {
        index.0.is_multiple_of(self.entries_between)
    }

    /// Removes rows that have been kept for long enough at the entry at `index`, at `now` seconds.
    pub(super) async fn clean_up(
        &self,
        database: &mut Database,
        accounts: &mut Accounts,
        index: LogIndex,
        now: i64,
    ) -> Result<(), StateError> {
        self.expire_sessions(database, accounts, now).await?;
        self.continue_deletion(database).await?;
        let removed = |statement, last: i64, rows| sqlx::query(statement).bind(last).bind(rows);
        if let Some(last) = self.last_old(database, OLD_TOMBSTONES, index, now).await? {
            let rows = i64::from(self.rows_max);
            let kept = removed(KEEP_TOMBSTONES, last, rows);
            let kept = database.execute(kept).await?.cast_signed();
            // Of the same rows, those that are left.
            let rest = removed(REMOVE_TOMBSTONES, last, rows - kept);
            database.execute(rest).await?;
        }
        if let Some(last) = self
            .last_old(database, OLD_DELETED_ACCOUNTS, index, now)
            .await?
        {
            let rows = i64::from(self.rows_max);
            let old = removed(REMOVE_DELETED_ACCOUNTS, last, rows);
            database.execute(old).await?;
        }
        Ok(())
    }

    /// Begins to delete the messages and copies of the account that the commit `deleted` deleted.
    pub(super) async fn begin_deletion(
        &self,
        database: &mut Database,
        username: &str,
        (deleted, deleted_at): (LogIndex, i64),
    ) -> Result<(), StateError> {
        let limit = self.deleted_at_once_max;
        let deleted_now = delete_rows(database, username, (deleted, deleted_at), limit).await?;
        if deleted_now == limit {
            let query = sqlx::query("INSERT INTO erasures VALUES (?, ?, ?)")
                .bind(deleted.0.cast_signed())
                .bind(deleted_at)
                .bind(username);
            database.execute(query).await?;
        }
        Ok(())
    }

    async fn continue_deletion(&self, database: &mut Database) -> Result<(), StateError> {
        let query = sqlx::query(
            "SELECT deleted, deleted_at, username FROM erasures ORDER BY deleted LIMIT 1",
        );
        let Some(row) = database.fetch_optional(query).await? else {
            return Ok(());
        };
        let deleted = LogIndex(row.try_get::<i64, _>(0)?.cast_unsigned());
        let username: &str = row.try_get(2)?;
        let limit = self.rows_max;
        let deleted_now =
            delete_rows(database, username, (deleted, row.try_get(1)?), limit).await?;
        if deleted_now < limit {
            let query = sqlx::query("DELETE FROM erasures WHERE deleted = ?");
            database
                .execute(query.bind(deleted.0.cast_signed()))
                .await?;
        }
        Ok(())
    }

    async fn expire_sessions(
        &self,
        database: &mut Database,
        accounts: &mut Accounts,
        now: i64,
    ) -> Result<(), StateError> {
        let query = sqlx::query(EXPIRE_SESSIONS).bind(now).bind(self.rows_max);
        database
            .for_each_row::<StateError>(query, |row| {
                let token_hash = TokenHash::try_from(row.try_get::<&[u8], _>(0)?);
                let Ok(token_hash) = token_hash else {
                    return Err(StateError::Damaged { table: "sessions" });
                };
                accounts.sessions_mut().cache_remove(&token_hash);
                Ok(ControlFlow::Continue(()))
            })
            .await
    }

    /// `old` lists the oldest rows, with the commit and the time that ended them. Returns the last
    /// of these commits that is old enough. Both columns grow together, so the scan ends at the
    /// first row that is too young.
    async fn last_old(
        &self,
        database: &mut Database,
        old: &'static str,
        index: LogIndex,
        now: i64,
    ) -> Result<Option<i64>, StateError> {
        let Some(before) = index.0.checked_sub(self.commits) else {
            return Ok(None);
        };
        let mut last = None;
        let query = sqlx::query(old)
            .bind(before.cast_signed())
            .bind(self.rows_max);
        database
            .for_each_row::<StateError>(query, |row| {
                if row.try_get::<i64, _>(1)? > now.saturating_sub(self.seconds) {
                    return Ok(ControlFlow::Break(()));
                }
                last = Some(row.try_get(0)?);
                Ok(ControlFlow::Continue(()))
            })
            .await?;
        Ok(last)
    }
}

/// Deletes up to `limit` messages of the inbox, and copies if there are fewer messages.
async fn delete_rows(
    database: &mut Database,
    username: &str,
    deleted: (LogIndex, i64),
    limit: u32,
) -> Result<u32, StateError> {
    let messages = delete_oldest(database, username, deleted, limit).await?;
    let messages = u32::try_from(messages).unwrap_or(limit);
    let limit = limit.saturating_sub(messages);
    let copies = copies::delete_oldest(database, username, deleted, limit).await?;
    Ok(messages + u32::try_from(copies).unwrap_or(limit))
}

pub(super) const EXPIRE_SESSIONS: &str = "DELETE FROM sessions WHERE token_hash IN \
     (SELECT token_hash FROM sessions WHERE expires <= ? ORDER BY expires, token_hash LIMIT ?) \
     RETURNING token_hash";

pub(super) const OLD_TOMBSTONES: &str = "SELECT deleted, deleted_at FROM messages \
     WHERE deleted > 0 AND deleted <= ? ORDER BY deleted LIMIT ?";

pub(super) const REMOVE_TOMBSTONES: &str = "DELETE FROM messages WHERE commit_index IN \
     (SELECT commit_index FROM messages WHERE deleted > 0 AND deleted <= ? \
     ORDER BY deleted, commit_index LIMIT ?)";

const OLD_DELETED_ACCOUNTS: &str = "SELECT deleted, deleted_at FROM former_accounts \
     WHERE deleted <= ? ORDER BY deleted LIMIT ?";

const REMOVE_DELETED_ACCOUNTS: &str = "DELETE FROM former_accounts WHERE deleted IN \
     (SELECT deleted FROM former_accounts WHERE deleted <= ? ORDER BY deleted LIMIT ?)";
