//! Checks that rows of the log are what was written: each against the chain of hashes.

use std::ops::ControlFlow;

use chat_consensus::{Entry, Membership, MembershipChange, Position, Term, TermRun};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::chain::ChainValue;
use super::encoding;
use super::error::LogError;
use crate::database::Database;

/// The result of reading the whole log.
pub(super) struct VerifiedLog {
    /// The membership, of an older log whose first entry it is.
    pub(super) membership: Option<Membership>,
    pub(super) last: Position,
    pub(super) last_chain: ChainValue,
    pub(super) terms: Vec<TermRun>,
    /// Of the members.
    pub(super) changes: Vec<MembershipChange>,
}

/// A row whose chain value matches the rows before it.
pub(super) struct VerifiedRow<'r> {
    pub(super) position: Position,
    pub(super) chain: ChainValue,
    pub(super) payload: &'r [u8],
    kind: u8,
}

/// Reads and checks the whole log, with few rows in memory at a time.
pub(super) async fn verify(database: &mut Database) -> Result<VerifiedLog, LogError> {
    let mut log = VerifiedLog {
        membership: None,
        last: Position::ZERO,
        last_chain: ChainValue::START,
        terms: Vec::new(),
        changes: Vec::new(),
    };
    let query =
        sqlx::query(r#"SELECT "index", term, kind, payload, chain FROM commits ORDER BY "index""#);
    let visited = database.for_each_row::<LogError>(query, |row| {
        let row = VerifiedRow::check(row, log.last, log.last_chain)?;
        if log.last == Position::ZERO {
            log.membership = encoding::first_membership(row.kind, row.payload);
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
        if let Some(membership) = encoding::changed_membership(row.kind, row.payload) {
            log.changes.push(MembershipChange {
                index: row.position.index,
                membership,
            });
        }
        (log.last, log.last_chain) = (row.position, row.chain);
        Ok(ControlFlow::Continue(()))
    });
    visited.await?;
    Ok(log)
}

impl<'r> VerifiedRow<'r> {
    /// Returns the columns of `row` if they are what was written after `previous`.
    pub(super) fn check(
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

    pub(super) fn to_entry(&self) -> Result<Entry, LogError> {
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
