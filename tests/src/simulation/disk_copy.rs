//! A copy of all that a node has on its disk: the log, the state, the snapshots.

use crate::simulation::disk::Disk;
use crate::simulation::process::Machine;
use crate::simulation::snapshot_files::SnapshotFiles;

/// What a node that does not run has on its disk.
#[derive(Debug)]
pub(super) struct DiskCopy {
    pub(super) disk: Disk,
    pub(super) machine: Machine,
    pub(super) files: SnapshotFiles,
}
