//! The work with snapshots and compaction that takes a while (R24).

use bytes::Bytes;
use chat_consensus::{LogIndex, Snapshot, SnapshotId};
use chat_replication::PieceReadId;

/// What takes a while; done when the time is over.
#[derive(Debug)]
pub(crate) enum SnapshotWork {
    Take(Snapshot, Bytes),
    Compact {
        through: LogIndex,
        rolls: bool,
    },
    Read {
        id: PieceReadId,
        snapshot: SnapshotId,
        offset: u64,
        bytes_max: usize,
    },
    Store {
        snapshot: SnapshotId,
        offset: u64,
        bytes: Bytes,
    },
    Finish(Snapshot),
    Install(Snapshot),
}
