//! How many copies of sent messages each account has, for the limit of its box (rule C9 of `docs/api.md`).
//!
//! Apart from the counts of inboxes, so that a transaction without copies writes what it would write if there
//! were none.

use std::collections::BTreeMap;

use chat_consensus::LogIndex;

use super::error::StateError;
use crate::batched_statement::{BatchedStatement, ROWS_MAX};
use crate::database::Database;

/// The changes of the open transaction, by the commit that created the account.
#[derive(Debug)]
pub(super) struct CopyCountChanges {
    update: BatchedStatement,
    by_account: BTreeMap<LogIndex, i64>,
}

impl CopyCountChanges {
    pub(super) fn new() -> Self {
        let target = "copy_counts (account, copies)";
        let add = "ON CONFLICT (account) DO UPDATE SET copies = copies + excluded.copies";
        Self {
            update: BatchedStatement::insert(target, 2, add),
            by_account: BTreeMap::new(),
        }
    }

    pub(super) fn change(&mut self, account: LogIndex, by: i64) {
        *self.by_account.entry(account).or_default() += by;
    }

    /// Removes the count of a deleted account.
    pub(super) async fn remove(
        &mut self,
        database: &mut Database,
        account: LogIndex,
    ) -> Result<(), StateError> {
        self.by_account.remove(&account);
        let query = sqlx::query("DELETE FROM copy_counts WHERE account = ?");
        database
            .execute(query.bind(account.0.cast_signed()))
            .await?;
        Ok(())
    }

    /// Writes all changes into the table.
    pub(super) async fn write(&mut self, database: &mut Database) -> Result<(), StateError> {
        let changes: Vec<_> = std::mem::take(&mut self.by_account).into_iter().collect();
        for chunk in changes.chunks(ROWS_MAX) {
            let mut query = sqlx::query(self.update.for_count(chunk.len()));
            for (account, change) in chunk {
                query = query.bind(account.0.cast_signed()).bind(change);
            }
            database.execute(query).await?;
        }
        Ok(())
    }
}
