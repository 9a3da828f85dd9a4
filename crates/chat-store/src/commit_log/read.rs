//! Reading entries back, each checked against the chain.

use std::ops::ControlFlow;

use chat_consensus::{Entry, LogIndex, Membership, Payload, Position, Term, TermRun};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{ChainValue, CommitLog, LogError, encoding};
use crate::database::Database;

/// How much one read of the log may bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadLimits {
    /// In entries; small ones cost time and room of their own.
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

/// What reading the whole log has shown.
pub(super) struct VerifiedLog {
    pub(super) membership: Option<Membership>,
    pub(super) last: Position,
    pub(super) last_chain: ChainValue,
    pub(super) terms: Vec<TermRun>,
}

/// A row whose chain value fits what precedes it.
struct VerifiedRow<'r> {
    position: Position,
    chain: ChainValue,
    kind: u8,
    payload: &'r [u8],
}

impl CommitLog {
    /// The entries after `after` up to and including `last`, or up to the log's end.
    ///
    /// At least one if there is one, then no more than `limits` allow in all.
    ///
    /// # Errors
    ///
    /// When SQLite cannot read, or an entry is not what was written.
    pub async fn read(
        &mut self,
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
        let (mut previous, mut chain) = self.position_and_hash_at(after).await?;
        let mut bytes = 0;
        let query = sqlx::query(
            r#"SELECT "index", term, kind, payload, chain FROM commits
               WHERE "index" > ? AND "index" <= ? ORDER BY "index""#,
        );
        let query = query.bind(after.0.cast_signed()).bind(last.0.cast_signed());
        let visited = self.database.for_each_row::<LogError>(query, |row| {
            let row = VerifiedRow::check(row, previous, chain)?;
            bytes += row.payload.len();
            if bytes > limits.bytes_max && !entries.is_empty() {
                return Ok(ControlFlow::Break(()));
            }
            entries.push(row.to_entry()?);
            (previous, chain) = (row.position, row.chain);
            Ok(ControlFlow::Continue(()))
        });
        visited.await?;
        if previous.index < last && bytes <= limits.bytes_max {
            return Err(LogError::MissingEntry {
                index: previous.index.next(),
            });
        }
        Ok(entries)
    }

    /// Position and chain value of the entry at `index`, which must not be after the log's end.
    pub(super) async fn position_and_hash_at(
        &mut self,
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
        let row = self
            .database
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
}

/// Reads and checks the whole log, of which only some rows are in memory at a time.
pub(super) async fn verify(database: &mut Database) -> Result<VerifiedLog, LogError> {
    let mut log = VerifiedLog {
        membership: None,
        last: Position::ZERO,
        last_chain: ChainValue::START,
        terms: Vec::new(),
    };
    let query =
        sqlx::query(r#"SELECT "index", term, kind, payload, chain FROM commits ORDER BY "index""#);
    let visited = database.for_each_row::<LogError>(query, |row| {
        let row = VerifiedRow::check(row, log.last, log.last_chain)?;
        if row.position.index == LogIndex(1)
            && let Payload::Membership(membership) = row.to_entry()?.payload
        {
            log.membership = Some(membership);
        }
        if log
            .terms
            .last()
            .is_none_or(|span| span.term < row.position.term)
        {
            log.terms.push(TermRun {
                term: row.position.term,
                first: row.position.index,
            });
        }
        (log.last, log.last_chain) = (row.position, row.chain);
        Ok(ControlFlow::Continue(()))
    });
    visited.await?;
    Ok(log)
}

impl<'r> VerifiedRow<'r> {
    /// The columns of `row`, once they are known to be what was written after `previous`.
    fn check(
        row: &'r SqliteRow,
        previous: Position,
        previous_chain: ChainValue,
    ) -> Result<Self, LogError> {
        let index = previous.index.next();
        let mismatch = LogError::ChainMismatch { index };
        if row.try_get::<i64, _>(0)? != index.0.cast_signed() {
            return Err(LogError::MissingEntry { index });
        }
        let term = Term(row.try_get::<i64, _>(1)?.cast_unsigned());
        let position = Position { term, index };
        let Ok(kind) = u8::try_from(row.try_get::<i64, _>(2)?) else {
            return Err(mismatch);
        };
        let payload = row.try_get(3)?;
        let chain = previous_chain.next(position, kind, payload);
        if row.try_get::<&[u8], _>(4)? != chain.0 || term < previous.term {
            return Err(mismatch);
        }
        Ok(Self {
            position,
            chain,
            kind,
            payload,
        })
    }

    fn to_entry(&self) -> Result<Entry, LogError> {
        let payload =
            encoding::decode(self.kind, self.payload).ok_or(LogError::UndecodableEntry {
                index: self.position.index,
            })?;
        Ok(Entry {
            position: self.position,
            payload,
        })
    }
}
