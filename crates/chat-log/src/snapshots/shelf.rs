//! The snapshots that are complete, as all who use them see them.

use std::sync::{Mutex, MutexGuard, PoisonError};

use chat_consensus::{Digest, LogBase, Snapshot, SnapshotId};

use crate::files::{Directory, File as _};
use crate::snapshots::content::{Pace, digest};
use crate::snapshots::error::SnapshotError;
use crate::snapshots::names::{file_name, sidecar_name};
use crate::snapshots::record::remove_if_there;
use crate::snapshots::sidecar;

/// The directory, and what is complete in it.
#[derive(Debug)]
pub(super) struct Shelf<D> {
    pub(super) directory: D,
    /// Ascending by position.
    kept: Mutex<Vec<Kept>>,
}

#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) snapshot: Snapshot,
    /// Whether the whole content was compared with the digest in this run.
    pub(super) verified: bool,
}

impl<D: Directory> Shelf<D> {
    pub(super) fn new(directory: D, found: Vec<Snapshot>) -> Self {
        let shelf = Self {
            directory,
            kept: Mutex::default(),
        };
        for snapshot in found {
            shelf.put(snapshot, false);
        }
        shelf
    }

    /// Everything that is kept, ascending by position.
    pub(super) fn kept(&self) -> Vec<Kept> {
        self.lock().clone()
    }

    pub(super) fn find(&self, id: SnapshotId) -> Option<Kept> {
        let kept = self.lock();
        kept.iter().find(|kept| kept.snapshot.id() == id).cloned()
    }

    /// Makes a file whose content is known and synced a snapshot that counts: its name, then its
    /// sidecar.
    pub(super) fn publish(
        &self,
        from: &str,
        base: LogBase,
        (digest, size): (Digest, u64),
    ) -> Result<Snapshot, SnapshotError> {
        let snapshot = Snapshot { base, digest, size };
        let name = file_name(&snapshot);
        self.directory
            .rename(from, &name)
            .and_then(|()| self.directory.sync())
            .map_err(SnapshotError::io("rename", from))?;
        sidecar::write_snapshot(&self.directory, &snapshot)?;
        self.put(snapshot.clone(), true);
        Ok(snapshot)
    }

    /// Compares the whole content with the digest, as the medium has it, unless that was done. What
    /// does not match is removed. Returns the file's name.
    pub(super) fn verify(&self, id: SnapshotId, pace: Pace<'_>) -> Result<String, SnapshotError> {
        match self.find(id) {
            Some(kept) if kept.verified => Ok(file_name(&kept.snapshot)),
            _ => self.verify_again(id, pace),
        }
    }

    /// As [`Self::verify`], also if it was done: it counts as verified meanwhile.
    pub(super) fn verify_again(
        &self,
        id: SnapshotId,
        pace: Pace<'_>,
    ) -> Result<String, SnapshotError> {
        let position = id.position;
        let kept = self.find(id).ok_or(SnapshotError::Unknown { position })?;
        let name = file_name(&kept.snapshot);
        let check = |file: D::File| {
            file.drop_cache()?;
            digest(&file, pace)
        };
        let found = self.directory.open(&name).and_then(check);
        let found = found.map_err(SnapshotError::io("read", &name))?;
        if found != (kept.snapshot.digest, kept.snapshot.size) {
            self.remove(&kept.snapshot)?;
            return Err(SnapshotError::WrongDigest { position });
        }
        self.put(kept.snapshot, true);
        Ok(name)
    }

    /// Removes a snapshot: it does not count from here on, whatever the disk says.
    pub(super) fn remove(&self, snapshot: &Snapshot) -> Result<(), SnapshotError> {
        self.lock()
            .retain(|kept| kept.snapshot.id() != snapshot.id());
        remove_if_there(&self.directory, &sidecar_name(snapshot))?;
        remove_if_there(&self.directory, &file_name(snapshot))?;
        self.directory
            .sync()
            .map_err(SnapshotError::io("sync", "the directory of snapshots"))
    }

    fn put(&self, snapshot: Snapshot, verified: bool) {
        let mut all = self.lock();
        all.retain(|kept| kept.snapshot.id() != snapshot.id());
        let place = all.partition_point(|kept| kept.snapshot.id() < snapshot.id());
        all.insert(place, Kept { snapshot, verified });
    }

    /// A panic of another thread leaves nothing half done: each change is one assignment.
    fn lock(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
