//! Snapshots of the state machine in a directory of their own: taken here or fetched from another
//! node, and read by the nodes that fetch them.
//!
//! A snapshot is the state machine's file, opaque here, and a sidecar that says which it is: the log's
//! base at its position, its digest, its size. The sidecar gets its name last, and only a file with
//! one counts. A file whose content was not compared with its digest in this run is neither installed
//! nor offered.
//!
//! Deliberately absent: when one is taken, and what is in it.

mod content;
mod download;
mod error;
mod names;
mod reader;
mod record;
mod shelf;
mod sidecar;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use chat_consensus::{Digest, LogBase, Snapshot, SnapshotId};
use sha2::{Digest as _, Sha256};

use crate::files::{Directory, File as _};
use content::digest;
use names::{DOWNLOAD, DOWNLOAD_SIDECAR, TAKING, file_name, is_of_a_snapshot, sidecar_name};
use record::remove_if_there;
use shelf::Shelf;
use sidecar::read_snapshot;

pub use content::{Pace, unpaced};
pub use download::Download;
pub use error::SnapshotError;
pub use reader::{PIECE_BYTES_MAX, SnapshotReader};

/// The snapshots in one directory: takes them, and keeps those that are complete.
///
/// One writer at a time: a replica opens its directory once. [`Self::reader`] and the [`Download`]
/// may be used on other threads.
#[derive(Debug)]
pub struct SnapshotStore<D: Directory> {
    shelf: Arc<Shelf<D>>,
}

impl<D: Directory> SnapshotStore<D> {
    /// Opens a directory, and removes what an earlier run has left unfinished, but for a download
    /// that can go on.
    ///
    /// # Errors
    ///
    /// [`SnapshotError::NewerFormat`]; the disk's.
    pub fn open(directory: D) -> Result<(Self, Download<D>), SnapshotError> {
        let all = "the directory of snapshots";
        let names = directory.names().map_err(SnapshotError::io("read", all))?;
        let mut found = Vec::new();
        for name in &names {
            if let Some(snapshot) = read_snapshot(&directory, name)?
                && is_complete(&directory, name, &snapshot)
            {
                found.push(snapshot);
            }
        }
        let counts = |name: &String| {
            let is_of = |snapshot| [file_name(snapshot), sidecar_name(snapshot)].contains(name);
            found.iter().any(is_of) || [DOWNLOAD, DOWNLOAD_SIDECAR].contains(&name.as_str())
        };
        for name in names
            .iter()
            .filter(|name| is_of_a_snapshot(name) && !counts(name))
        {
            tracing::info!(name, "an unfinished or damaged snapshot is removed");
            remove_if_there(&directory, name)?;
        }
        let shelf = Arc::new(Shelf::new(directory, found));
        let download = Download::open(Arc::clone(&shelf))?;
        let synced = shelf.directory.sync();
        synced.map_err(SnapshotError::io("sync", all))?;
        Ok((Self { shelf }, download))
    }

    /// The directory.
    pub fn directory(&self) -> &D {
        &self.shelf.directory
    }

    /// Every complete snapshot, ascending by position. A start has not verified them.
    pub fn kept(&self) -> Vec<Snapshot> {
        let kept = self.shelf.kept().into_iter();
        kept.map(|kept| kept.snapshot).collect()
    }

    /// The name of a snapshot's file in the directory.
    pub fn file_name(snapshot: &Snapshot) -> String {
        file_name(snapshot)
    }

    /// Makes room for a snapshot that is taken, and returns the name for its file, which
    /// [`Self::finish`] expects.
    ///
    /// # Errors
    ///
    /// The disk's.
    pub fn begin(&mut self) -> Result<&'static str, SnapshotError> {
        remove_if_there(&self.shelf.directory, TAKING)?;
        Ok(TAKING)
    }

    /// Makes a snapshot of the file that was written since [`Self::begin`]: computes its digest,
    /// syncs it, renames it. The file is removed if that fails.
    ///
    /// # Errors
    ///
    /// The disk's, and that of `pace`.
    pub fn finish(&mut self, base: LogBase, pace: Pace<'_>) -> Result<Snapshot, SnapshotError> {
        let synced = self.shelf.directory.open(TAKING).and_then(|file| {
            let found = digest(&file, pace)?;
            file.sync()?;
            Ok(found)
        });
        let taken = synced
            .map_err(SnapshotError::io("sync", TAKING))
            .and_then(|found| self.shelf.publish(TAKING, base, found));
        if taken.is_err() {
            self.abandon();
        }
        taken
    }

    /// Writes a snapshot whose content is in memory.
    ///
    /// # Errors
    ///
    /// The disk's. Nothing is left of it then.
    pub fn write(&mut self, base: LogBase, state: &[u8]) -> Result<Snapshot, SnapshotError> {
        let name = self.begin()?;
        let written = self.shelf.directory.create(name).and_then(|file| {
            file.write_at(0, state)?;
            file.sync()
        });
        let found = (Digest(Sha256::digest(state).into()), state.len() as u64);
        let taken = written
            .map_err(SnapshotError::io("write", name))
            .and_then(|()| self.shelf.publish(name, base, found));
        if taken.is_err() {
            self.abandon();
        }
        taken
    }

    /// Gives up what was begun. What cannot be removed now is removed by the next attempt, or start.
    pub fn abandon(&mut self) {
        if let Err(error) = remove_if_there(&self.shelf.directory, TAKING) {
            tracing::warn!(error = &error as &dyn std::error::Error, "not removed");
        }
    }

    /// Removes a snapshot, if it is kept. It does not count from here on, whatever the disk says.
    ///
    /// # Errors
    ///
    /// The disk's.
    pub fn remove(&mut self, id: SnapshotId) -> Result<(), SnapshotError> {
        let kept = self.shelf.find(id);
        kept.map_or(Ok(()), |kept| self.shelf.remove(&kept.snapshot))
    }

    /// Reads pieces beside this.
    pub fn reader(&self) -> SnapshotReader<D> {
        SnapshotReader::new(Arc::clone(&self.shelf))
    }
}

/// Whether a sidecar has its own name, and the file beside it its size.
fn is_complete(directory: &impl Directory, name: &str, snapshot: &Snapshot) -> bool {
    let file = || directory.open(&file_name(snapshot))?.length();
    name == sidecar_name(snapshot) && file().is_ok_and(|length| length == snapshot.size)
}
