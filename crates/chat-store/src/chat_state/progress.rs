//! The last applied entry: one row, written in the transaction that applied it.

use chat_consensus::{ChainValue, LogIndex, Position, Term};
use sqlx::Row;

use super::error::StateError;
use crate::database::Database;

/// The only row of the table `progress`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    pub(super) applied: Position,
    /// The log's chain value there. Unknown before the first entry, and after an upgrade from format 3
    /// until the next one.
    pub(super) chain: Option<ChainValue>,
    /// Seconds since 1970; the greatest time of any command.
    last_timestamp: f64,
}

impl Progress {
    pub(super) async fn load(database: &mut Database) -> Result<Self, StateError> {
        let query =
            sqlx::query("SELECT applied_index, applied_term, last_timestamp, chain FROM progress");
        let row = database
            .fetch_optional(query)
            .await?
            .ok_or(StateError::Damaged { table: "progress" })?;
        let chain = row.try_get::<Option<&[u8]>, _>(3)?;
        let chain = chain.map(<[u8; 16]>::try_from).transpose();
        Ok(Self {
            applied: Position {
                index: LogIndex(row.try_get::<i64, _>(0)?.cast_unsigned()),
                term: Term(row.try_get::<i64, _>(1)?.cast_unsigned()),
            },
            chain: chain
                .map_err(|_other_length| StateError::Damaged { table: "progress" })?
                .map(ChainValue),
            last_timestamp: row.try_get(2)?,
        })
    }

    /// Advances to the entry at `position` with this chain value, which must be the next one.
    pub(super) fn advance(&mut self, position: Position, chain: ChainValue) {
        assert_eq!(
            position.index,
            self.applied.index.next(),
            "entries are applied in order"
        );
        assert!(position.term >= self.applied.term, "terms never decrease");
        self.applied = position;
        self.chain = Some(chain);
    }

    /// The time of a command that was proposed at `time`. A later leader's clock may be behind, but
    /// the log's time never decreases.
    pub(super) fn timestamp(&mut self, time: f64) -> f64 {
        // Not `f64::max`, which may return either of the two zeros.
        if time > self.last_timestamp {
            self.last_timestamp = time;
        }
        self.last_timestamp
    }

    /// The log's time in seconds since 1970.
    pub(super) fn log_time(&self) -> f64 {
        self.last_timestamp
    }

    /// The log's time in whole seconds.
    pub(super) fn now(&self) -> i64 {
        // Drops the fraction, and saturates at both ends of the range.
        self.last_timestamp as i64
    }

    /// Commits the open transaction, after writing this row in it.
    pub(super) async fn save_and_commit(&self, database: &mut Database) -> Result<(), StateError> {
        // Two statements in one text are one round trip.
        let query = sqlx::query(
            "UPDATE progress SET applied_index = ?, applied_term = ?, last_timestamp = ?, chain = ? \
             WHERE only = 1; COMMIT",
        );
        let query = query
            .bind(self.applied.index.0.cast_signed())
            .bind(self.applied.term.0.cast_signed())
            .bind(self.last_timestamp)
            .bind(self.chain.map(|chain| chain.0.to_vec()));
        database.execute(query).await?;
        Ok(())
    }
}
