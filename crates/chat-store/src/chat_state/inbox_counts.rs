//! How many messages each inbox contains, and how many of them are unread: updated while applying,
//! so that no query ever counts the rows of an inbox.
//!
//! The changes of a transaction are collected and written before it is committed, one row for each
//! account however many messages it received. Why a number changes is decided elsewhere.

use std::collections::BTreeMap;

use chat_consensus::LogIndex;
use sqlx::Row;

use super::copy_counts::CopyCountChanges;
use super::error::StateError;
use crate::batched_statement::{BatchedStatement, ROWS_MAX};
use crate::database::Database;

/// The size of an inbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InboxCounts {
    /// How many messages it contains, read or not. Deleted ones are not counted.
    pub messages: u64,
    /// How many of them are unread.
    pub unread: u64,
}

/// The changes of the open transaction. The commit that created an account identifies it, so a
/// later account of the same name begins with an empty inbox.
#[derive(Debug)]
pub(super) struct CountChanges {
    update: BatchedStatement,
    by_account: BTreeMap<LogIndex, CountChange>,
    copies: CopyCountChanges,
}

#[derive(Clone, Copy, Debug, Default)]
struct CountChange {
    messages: i64,
    unread: i64,
}

impl CountChanges {
    pub(super) fn new() -> Self {
        Self {
            update: BatchedStatement::new(update_sql),
            by_account: BTreeMap::new(),
            copies: CopyCountChanges::new(),
        }
    }

    /// Adds the empty inbox of an account that was just created.
    pub(super) async fn create(
        database: &mut Database,
        account: LogIndex,
    ) -> Result<(), StateError> {
        let query = sqlx::query("INSERT INTO inboxes (account, messages, unread) VALUES (?, 0, 0)");
        database
            .execute(query.bind(account.0.cast_signed()))
            .await?;
        Ok(())
    }

    /// Removes the counts of a deleted account. Messages that are still in its inbox are not
    /// counted.
    pub(super) async fn remove(
        &mut self,
        database: &mut Database,
        account: LogIndex,
    ) -> Result<(), StateError> {
        self.by_account.remove(&account);
        let query = sqlx::query("DELETE FROM inboxes WHERE account = ?");
        database
            .execute(query.bind(account.0.cast_signed()))
            .await?;
        self.copies.remove(database, account).await
    }

    /// Counts a new copy in the box of the account that sent the message.
    pub(super) fn copied(&mut self, account: LogIndex) {
        self.copies.change(account, 1);
    }

    /// Counts `count` copies as deleted.
    pub(super) fn copies_deleted(&mut self, account: LogIndex, count: usize) {
        if count > 0 {
            self.copies.change(account, -signed(count));
        }
    }

    /// Counts a new, unread message.
    pub(super) fn stored(&mut self, account: LogIndex) {
        let change = self.by_account.entry(account).or_default();
        change.messages += 1;
        change.unread += 1;
    }

    /// Counts `count` unread messages as read.
    pub(super) fn read(&mut self, account: LogIndex, count: usize) {
        self.by_account.entry(account).or_default().unread -= signed(count);
    }

    /// Counts `count` messages as deleted, of which `unread` were unread.
    pub(super) fn deleted(&mut self, account: LogIndex, count: usize, unread: usize) {
        let change = self.by_account.entry(account).or_default();
        change.messages -= signed(count);
        change.unread -= signed(unread);
    }

    /// How many messages of an existing account are unread now.
    pub(super) async fn unread(
        &self,
        database: &mut Database,
        account: LogIndex,
    ) -> Result<u64, StateError> {
        let query = sqlx::query(UNREAD).bind(account.0.cast_signed());
        let damaged = StateError::Damaged { table: "inboxes" };
        let Some(row) = database.fetch_optional(query).await? else {
            return Err(damaged);
        };
        let change = self.by_account.get(&account).copied().unwrap_or_default();
        let unread = row.try_get::<i64, _>(0)? + change.unread;
        u64::try_from(unread).map_err(|_negative| damaged)
    }

    /// Writes all changes into the table.
    pub(super) async fn write(&mut self, database: &mut Database) -> Result<(), StateError> {
        let changes: Vec<_> = std::mem::take(&mut self.by_account).into_iter().collect();
        for chunk in changes.chunks(ROWS_MAX) {
            let mut query = sqlx::query(self.update.for_count(chunk.len()));
            for (account, change) in chunk {
                query = query
                    .bind(account.0.cast_signed())
                    .bind(change.messages)
                    .bind(change.unread);
            }
            if database.execute(query).await? != chunk.len() as u64 {
                return Err(StateError::Damaged { table: "inboxes" });
            }
        }
        self.copies.write(database).await
    }
}

pub(super) const UNREAD: &str = "SELECT unread FROM inboxes WHERE account = ?";

pub(super) fn update_sql(count: usize) -> String {
    let rows = vec!["(?,?,?)"; count].join(",");
    format!(
        "UPDATE inboxes SET messages = messages + change.column2, \
         unread = unread + change.column3 \
         FROM (VALUES {rows}) AS change WHERE account = change.column1"
    )
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).expect("an entry names few messages")
}
