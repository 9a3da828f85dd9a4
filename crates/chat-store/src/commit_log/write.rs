//! One batch of writes as one transaction, in as few statements as it can be.

use chat_consensus::{Entry, LogIndex, Payload, Writes};

use super::{ChainValue, CommitLog, LogError, encoding};
use crate::batched_statement::ROWS_MAX;

impl CommitLog {
    /// Writes in the order in which the batch lists (R1).
    pub(super) async fn write(&mut self, writes: &Writes) -> Result<(), LogError> {
        let mut row = self.hard_state_row;
        row.boot_count = writes.boot_count.unwrap_or(row.boot_count);
        row.hard_state = writes.hard_state.unwrap_or(row.hard_state);
        if let Some(first) = writes.entries.first()
            && let Payload::Membership(membership) = &first.payload
        {
            assert!(
                row.cluster
                    .is_none_or(|cluster| cluster == membership.cluster),
                "a disk accepts one membership, ever"
            );
            row.cluster = Some(membership.cluster);
        }
        let truncate_after = writes.truncate_after.filter(|&index| {
            assert!(
                index <= self.last.index,
                "only what is there can be cut off"
            );
            index < self.last.index
        });

        let statements = usize::from(row != self.hard_state_row)
            + usize::from(truncate_after.is_some())
            + writes.entries.len().div_ceil(ROWS_MAX);
        // One statement is a transaction of its own: two round trips less.
        if statements > 1 {
            self.database
                .execute(sqlx::query("BEGIN IMMEDIATE"))
                .await?;
        }
        if row != self.hard_state_row {
            row.save(&mut self.database).await?;
            self.hard_state_row = row;
        }
        if let Some(index) = truncate_after {
            self.truncate(index).await?;
        }
        for entries in writes.entries.chunks(ROWS_MAX) {
            self.append(entries).await?;
        }
        if statements > 1 {
            self.database.execute(sqlx::query("COMMIT")).await?;
        }
        Ok(())
    }

    async fn truncate(&mut self, index: LogIndex) -> Result<(), LogError> {
        let (position, chain) = self.position_and_hash_at(index).await?;
        let query = sqlx::query(r#"DELETE FROM commits WHERE "index" > ?"#);
        self.database
            .execute(query.bind(index.0.cast_signed()))
            .await?;
        self.last = position;
        self.last_chain = chain;
        Ok(())
    }

    async fn append(&mut self, entries: &[Entry]) -> Result<(), LogError> {
        let mut query = sqlx::query(self.insert_entries.for_count(entries.len()));
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
        self.database.execute(query).await?;
        Ok(())
    }

    /// Moves the end of the log to `entry`, which must follow it.
    fn advance_to(&mut self, entry: &Entry, kind: u8, payload: &[u8]) {
        let position = entry.position;
        assert_eq!(position.index, self.last.index.next(), "no gap in the log");
        assert!(position.term >= self.last.term, "terms never run backwards");
        assert!(
            !matches!(entry.payload, Payload::Membership(_)) || position.index == LogIndex(1),
            "the birth of the cluster is its first entry"
        );
        self.last = position;
        self.last_chain = ChainValue::next(self.last_chain, position, kind, payload);
    }
}
