//! The table `commits`: entries are appended, truncated, and read back, each checked against the
//! chain of hashes.

use std::ops::ControlFlow;

use chat_consensus::{Entry, LogIndex, Position, Term};
use sqlx::Row;

use super::chain::ChainValue;
use super::encoding;
use super::error::LogError;
use super::verification::{VerifiedLog, VerifiedRow};
use crate::batched_statement::BatchedStatement;
use crate::database::Database;

/// How much one read of the log may return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadLimits {
    /// In entries. Small entries cost time and space beyond their payload.
    pub entries_max: usize,
    /// In bytes of payload.
    pub bytes_max: usize,
}

impl ReadLimits {
    /// Everything at once.
    pub const NONE: Self = Self {
        entries_max: usize::MAX,
        bytes_max: usize::MAX,
    };
}

/// The entries, and where they end.
#[derive(Debug)]
pub(super) struct EntryTable {
    insert: BatchedStatement,
    last: Position,
    /// The chain value of the last entry.
    last_chain: ChainValue,
}

impl EntryTable {
    pub(super) fn new(log: &VerifiedLog) -> Self {
        Self {
            insert: BatchedStatement::insert("commits", 5, ""),
            last: log.last,
            last_chain: log.last_chain,
        }
    }

    /// The last entry's position; [`Position::ZERO`] if there is none.
    pub(super) fn last(&self) -> Position {
        self.last
    }

    /// See [`super::CommitLog::read`].
    pub(super) async fn read(
        &self,
        database: &mut Database,
        after: LogIndex,
        last: LogIndex,
        limits: ReadLimits,
    ) -> Result<Vec<Entry>, LogError> {
        let count = u64::try_from(limits.entries_max.max(1)).unwrap_or(u64::MAX);
        let last = last
            .min(self.last.index)
            .min(LogIndex(after.0.saturating_add(count)));
        let mut entries = Vec::new();
        if after >= last {
            return Ok(entries);
        }
        let (mut previous, mut chain) = self.position_and_hash_at(database, after).await?;
        let mut bytes = 0;
        let query = sqlx::query(
            r#"SELECT "index", term, kind, payload, chain FROM commits
               WHERE "index" > ? AND "index" <= ? ORDER BY "index""#,
        );
        let query = query.bind(after.0.cast_signed()).bind(last.0.cast_signed());
        let rows = database.for_each_row::<LogError>(query, |row| {
            let row = VerifiedRow::check(row, previous, chain)?;
            bytes += row.payload.len();
            if bytes > limits.bytes_max && !entries.is_empty() {
                return Ok(ControlFlow::Break(()));
            }
            entries.push(row.to_entry()?);
            (previous, chain) = (row.position, row.chain);
            Ok(ControlFlow::Continue(()))
        });
        rows.await?;
        if previous.index < last && bytes <= limits.bytes_max {
            return Err(LogError::MissingEntry {
                index: previous.index.next(),
            });
        }
        Ok(entries)
    }

    /// Position and chain value of the entry at `index`, which must not be after the log's end.
    pub(super) async fn position_and_hash_at(
        &self,
        database: &mut Database,
        index: LogIndex,
    ) -> Result<(Position, ChainValue), LogError> {
        assert!(index <= self.last.index);
        if index == self.last.index {
            return Ok((self.last, self.last_chain));
        }
        if index == LogIndex::ZERO {
            return Ok((Position::ZERO, ChainValue::START));
        }
        let query = sqlx::query(r#"SELECT term, chain FROM commits WHERE "index" = ?"#);
        let row = database
            .fetch_optional(query.bind(index.0.cast_signed()))
            .await?
            .ok_or(LogError::MissingEntry { index })?;
        let term = Term(row.try_get::<i64, _>(0)?.cast_unsigned());
        let chain: &[u8] = row.try_get(1)?;
        match chain.try_into() {
            Ok(chain) => Ok((Position { index, term }, ChainValue(chain))),
            Err(_) => Err(LogError::ChainMismatch { index }),
        }
    }

    /// Removes the entries after `index`.
    pub(super) async fn truncate(
        &mut self,
        database: &mut Database,
        index: LogIndex,
    ) -> Result<(), LogError> {
        let (position, chain) = self.position_and_hash_at(database, index).await?;
        let query = sqlx::query(r#"DELETE FROM commits WHERE "index" > ?"#);
        database.execute(query.bind(index.0.cast_signed())).await?;
        self.last = position;
        self.last_chain = chain;
        Ok(())
    }

    /// Appends `entries` in one statement.
    pub(super) async fn append(
        &mut self,
        database: &mut Database,
        entries: &[Entry],
    ) -> Result<(), LogError> {
        let mut query = sqlx::query(self.insert.for_count(entries.len()));
        for entry in entries {
            let (kind, payload) = encoding::encode(&entry.payload);
            self.advance_to(entry, kind, &payload);
            query = query
                .bind(entry.position.index.0.cast_signed())
                .bind(entry.position.term.0.cast_signed())
                .bind(i64::from(kind))
                .bind(payload.into_owned())
                .bind(self.last_chain.0.to_vec());
        }
        database.execute(query).await?;
        Ok(())
    }

    /// Moves the end of the log to `entry`, which must be the next one.
    fn advance_to(&mut self, entry: &Entry, kind: u8, payload: &[u8]) {
        let position = entry.position;
        assert_eq!(position.index, self.last.index.next(), "no gap in the log");
        assert!(position.term >= self.last.term, "terms never decrease");
        self.last = position;
        self.last_chain = ChainValue::next(self.last_chain, position, kind, payload);
    }
}
