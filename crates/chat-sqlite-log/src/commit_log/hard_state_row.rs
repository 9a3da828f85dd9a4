//! The row that holds the ids of disk and cluster, the boot count, the term and the vote, where the log
//! begins, and what the disk must fetch again (R18).
//!
//! A flipped bit here could make a node vote twice, so the row contains a digest of itself.

use chat_consensus::{
    BOOT_COUNT_MAX, ClusterId, HardState, LOG_INDEX_MAX, LogBase, LogIndex, NodeId, StorageId,
    TERM_MAX, Term, Voter, Writes,
};
use sha2::{Digest, Sha256};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::chain::truncate_to_128_bits;
use super::encoding;
use super::error::LogError;
use crate::database::Database;

/// The only row of the table `node`, without the column `fault`: a log that has a fault is not used
/// any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HardStateRow {
    pub(super) storage: StorageId,
    pub(super) boot_count: u64,
    pub(super) hard_state: HardState,
    /// Written once (R12).
    pub(super) base: Option<LogBase>,
    /// The log is of an older form, and its first entry is the membership of its base.
    pub(super) base_is_first_entry: bool,
}

impl HardStateRow {
    pub(super) async fn load(database: &mut Database) -> Result<Self, LogError> {
        let query = sqlx::query(
            "SELECT storage, cluster, start_counter, term, vote_node, vote_storage, digest, \
             repair_through, fault, base FROM node",
        );
        let row = database
            .fetch_optional(query)
            .await?
            .ok_or(LogError::HardStateDamaged)?;
        let number = |column| row.try_get::<i64, _>(column).map(i64::cast_unsigned);
        let vote = match row.try_get::<Option<i64>, _>(4)? {
            Some(node) => Some(Voter {
                node: NodeId(node.cast_unsigned()),
                storage: StorageId(identifier(&row, 5)?.ok_or(LogError::HardStateDamaged)?),
            }),
            None => None,
        };
        let base = row.try_get::<Option<&[u8]>, _>(9)?;
        let found = Self {
            storage: StorageId(identifier(&row, 0)?.ok_or(LogError::HardStateDamaged)?),
            boot_count: number(2)?,
            hard_state: HardState {
                term: Term(number(3)?),
                vote,
                cluster: identifier(&row, 1)?.map(ClusterId),
                repair_through: LogIndex(number(7)?),
            },
            base: match base {
                None | Some([]) => None,
                Some(bytes) => {
                    Some(encoding::decode_base(bytes).ok_or(LogError::HardStateDamaged)?)
                }
            },
            base_is_first_entry: base.is_some_and(<[u8]>::is_empty),
        };
        if let Some(fault) = row.try_get::<Option<String>, _>(8)? {
            return Err(LogError::Fault { fault });
        }
        let intact = match row.try_get::<Option<&[u8]>, _>(6)? {
            Some(digest) => digest == found.digest(),
            // As the schema created it: nothing was written yet that a digest could protect.
            None => found == Self::new(found.storage),
        };
        let bounded = found.boot_count <= BOOT_COUNT_MAX
            && found.hard_state.term <= TERM_MAX
            && found.hard_state.repair_through <= LOG_INDEX_MAX;
        if intact && bounded {
            Ok(found)
        } else {
            Err(LogError::HardStateDamaged)
        }
    }

    /// The row as `writes` change it.
    pub(super) fn updated_by(mut self, writes: &Writes) -> Self {
        let before = self.hard_state.cluster;
        self.boot_count = writes.boot_count.unwrap_or(self.boot_count);
        self.hard_state = writes.hard_state.unwrap_or(self.hard_state);
        let cluster = before.or(self.hard_state.cluster);
        assert_eq!(
            cluster, self.hard_state.cluster,
            "a disk belongs to one cluster (R12)"
        );
        if let Some(base) = &writes.base {
            assert!(self.base.is_none(), "a disk gets one base (R12)");
            self.base = Some((**base).clone());
        }
        self
    }

    pub(super) async fn save(&self, database: &mut Database) -> Result<(), LogError> {
        let vote = self.hard_state.vote;
        let query = sqlx::query(
            "UPDATE node SET cluster = ?, start_counter = ?, term = ?, vote_node = ?, \
             vote_storage = ?, digest = ?, repair_through = ?, base = ? WHERE only = 1",
        )
        .bind(
            self.hard_state
                .cluster
                .map(|cluster| cluster.0.to_be_bytes().to_vec()),
        )
        .bind(self.boot_count.cast_signed())
        .bind(self.hard_state.term.0.cast_signed())
        .bind(vote.map(|vote| vote.node.0.cast_signed()))
        .bind(vote.map(|vote| vote.storage.0.to_be_bytes().to_vec()))
        .bind(self.digest().to_vec())
        .bind(self.hard_state.repair_through.0.cast_signed())
        .bind(self.base.as_ref().map(encoding::encode_base));
        let changed = database.execute(query).await?;
        assert_eq!(changed, 1, "the schema creates the row");
        Ok(())
    }

    fn new(storage: StorageId) -> Self {
        Self {
            storage,
            boot_count: 0,
            hard_state: HardState::default(),
            base: None,
            base_is_first_entry: false,
        }
    }

    fn digest(&self) -> [u8; 16] {
        let HardState {
            term,
            vote,
            cluster,
            repair_through,
        } = self.hard_state;
        let mut hash = Sha256::new();
        hash.update(self.storage.0.to_be_bytes());
        hash.update([u8::from(cluster.is_some())]);
        hash.update(cluster.map_or(0, |cluster| cluster.0).to_be_bytes());
        hash.update(self.boot_count.to_be_bytes());
        hash.update(term.0.to_be_bytes());
        hash.update([u8::from(vote.is_some())]);
        hash.update(vote.map_or(0, |vote| vote.node.0).to_be_bytes());
        hash.update(vote.map_or(0, |vote| vote.storage.0).to_be_bytes());
        // Format 1 had no such field: a row without it keeps the digest that it had then.
        if repair_through != LogIndex::ZERO {
            hash.update(repair_through.0.to_be_bytes());
        }
        // Formats before 4 had no base.
        if let Some(base) = &self.base {
            hash.update(encoding::encode_base(base));
        }
        truncate_to_128_bits(&hash.finalize().into())
    }
}

/// A random id of 16 bytes, or NULL.
fn identifier(row: &SqliteRow, column: usize) -> Result<Option<u128>, LogError> {
    let Some(bytes) = row.try_get::<Option<&[u8]>, _>(column)? else {
        return Ok(None);
    };
    match bytes.try_into() {
        Ok(bytes) => Ok(Some(u128::from_be_bytes(bytes))),
        Err(_) => Err(LogError::HardStateDamaged),
    }
}
