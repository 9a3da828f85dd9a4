//! The snapshot that a node downloads and the one that it installs (R24).

use alloc::boxed::Box;

use crate::node::transfer_size::TransferSize;
use crate::snapshot::{PartialDownload, Snapshot, SnapshotId};
use crate::types::NodeId;

/// What a node has of snapshots that are not its own yet. Kept across roles and leaders.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Downloads {
    /// What a start found of a download; continued when the same snapshot is offered.
    pub(super) partial: Option<PartialDownload>,
    pub(super) current: Option<Download>,
    /// The snapshot that replaces the state.
    pub(super) installing: Option<Installing>,
    /// How much the next request for a piece wants (R8).
    pub(super) piece_size: TransferSize,
}

/// A download under way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Download {
    pub(super) snapshot: Box<Snapshot>,
    /// Who offered it last and is asked for pieces, whether or not it still leads.
    pub(super) source: NodeId,
    /// How many bytes are stored.
    pub(super) bytes: u64,
    pub(super) phase: Phase,
}

/// What the next step of a download is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Phase {
    /// The next piece is requested, or the file is finished.
    Fetching,
    /// The driver stores a piece, after which so many bytes are there.
    Storing { through: u64 },
    /// The driver verifies the file.
    Finishing,
}

/// A snapshot whose state is installed once its position is synced.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Installing {
    pub(super) snapshot: Box<Snapshot>,
    /// The driver was asked to install the state.
    pub(super) requested: bool,
}

impl Downloads {
    pub(super) fn new() -> Self {
        Self {
            partial: None,
            current: None,
            installing: None,
            piece_size: TransferSize::of_piece(),
        }
    }

    /// Takes how many bytes of `id` a start has found; another snapshot's are of no use.
    pub(super) fn take_partial(&mut self, id: SnapshotId, size: u64) -> u64 {
        let found = self.partial.take_if(|partial| partial.id == id);
        let bytes = found.map_or(0, |partial| partial.bytes);
        if bytes > size { 0 } else { bytes }
    }
}
