//! A snapshot that is fetched from another node, piece by piece, over restarts of both.

use std::sync::Arc;

use chat_consensus::{PartialDownload, Snapshot, SnapshotId};

use crate::files::{Directory, File as _};
use crate::snapshots::content::{Pace, digest};
use crate::snapshots::error::SnapshotError;
use crate::snapshots::names::{DOWNLOAD, DOWNLOAD_SIDECAR};
use crate::snapshots::record::remove_if_there;
use crate::snapshots::shelf::Shelf;
use crate::snapshots::sidecar::{read_download, write_download};

/// A power failure costs no more than this of a download, in bytes.
const SYNC_BYTES: u64 = 4 << 20;

/// The one snapshot that is being downloaded, if there is one.
#[derive(Debug)]
pub struct Download<D: Directory> {
    shelf: Arc<Shelf<D>>,
    current: Option<Current<D::File>>,
}

#[derive(Debug)]
struct Current<F> {
    id: SnapshotId,
    file: F,
    /// In bytes from the beginning.
    stored: u64,
    /// As far as it survives a power failure.
    synced: u64,
}

impl<D: Directory> Download<D> {
    /// With what an earlier run has stored; what is not synced for certain is dropped.
    pub(super) fn open(shelf: Arc<Shelf<D>>) -> Result<Self, SnapshotError> {
        let mut download = Self {
            shelf,
            current: None,
        };
        let directory = &download.shelf.directory;
        if let Some(PartialDownload { id, bytes }) = read_download(directory)? {
            let file = directory.open(DOWNLOAD).and_then(|file| {
                let long_enough = file.length()? >= bytes;
                if long_enough {
                    file.set_length(bytes)?;
                }
                Ok(long_enough.then_some(file))
            });
            download.current = file.ok().flatten().map(|file| Current {
                id,
                file,
                stored: bytes,
                synced: bytes,
            });
        }
        if download.current.is_none() {
            download.abandon()?;
        }
        Ok(download)
    }

    /// What is being downloaded, and how many bytes of it are stored.
    pub fn progress(&self) -> Option<PartialDownload> {
        self.current.as_ref().map(|current| PartialDownload {
            id: current.id,
            bytes: current.stored,
        })
    }

    /// Stores a piece of a snapshot, in place of what is there from `offset` on; at 0 the file is a new
    /// one, and a download of another snapshot is dropped. Returns how many bytes are stored then.
    /// After an error [`Self::progress`] says how many are.
    ///
    /// # Errors
    ///
    /// When the piece does not follow what is stored of this snapshot; the disk's.
    pub fn store(
        &mut self,
        id: SnapshotId,
        offset: u64,
        piece: &[u8],
    ) -> Result<u64, SnapshotError> {
        if offset == 0 {
            self.begin(id)?;
        }
        let current = self.current.as_mut().filter(|current| current.id == id);
        let current = current.ok_or(SnapshotError::PieceDoesNotFit { offset, stored: 0 })?;
        if offset > current.stored {
            let stored = current.stored;
            return Err(SnapshotError::PieceDoesNotFit { offset, stored });
        }
        if offset < current.synced {
            // Never claimed to be there and not: the sidecar goes back first.
            let bytes = offset;
            write_download(&self.shelf.directory, PartialDownload { id, bytes })?;
            current.synced = offset;
        }
        let written = current.file.set_length(offset);
        current.stored = offset;
        written
            .and_then(|()| current.file.write_at(offset, piece))
            .map_err(SnapshotError::io("write", DOWNLOAD))?;
        current.stored += piece.len() as u64;
        if current.stored - current.synced >= SYNC_BYTES {
            return self.sync();
        }
        Ok(current.stored)
    }

    /// Makes a snapshot of a download that is complete, if the whole file has its digest; otherwise it
    /// is dropped.
    ///
    /// # Errors
    ///
    /// [`SnapshotError::WrongDigest`]; [`SnapshotError::Incomplete`]; the disk's.
    pub fn finish(&mut self, snapshot: &Snapshot, pace: Pace<'_>) -> Result<(), SnapshotError> {
        let finished = self.verify_and_publish(snapshot, pace);
        let dropped = self.abandon();
        finished.and(dropped)
    }

    /// Drops what is stored.
    ///
    /// # Errors
    ///
    /// The disk's.
    pub fn abandon(&mut self) -> Result<(), SnapshotError> {
        self.current = None;
        remove_if_there(&self.shelf.directory, DOWNLOAD_SIDECAR)?;
        remove_if_there(&self.shelf.directory, DOWNLOAD)
    }

    fn begin(&mut self, id: SnapshotId) -> Result<(), SnapshotError> {
        self.abandon()?;
        let directory = &self.shelf.directory;
        let file = directory
            .create(DOWNLOAD)
            .map_err(SnapshotError::io("create", DOWNLOAD))?;
        write_download(directory, PartialDownload { id, bytes: 0 })?;
        self.current = Some(Current {
            id,
            file,
            stored: 0,
            synced: 0,
        });
        Ok(())
    }

    fn verify_and_publish(
        &mut self,
        snapshot: &Snapshot,
        pace: Pace<'_>,
    ) -> Result<(), SnapshotError> {
        if snapshot.size == 0 {
            self.begin(snapshot.id())?;
        }
        let is_of = |current: &&Current<D::File>| {
            current.id == snapshot.id() && current.stored == snapshot.size
        };
        let current = self.current.as_ref().filter(is_of);
        let current = current.ok_or(SnapshotError::Incomplete)?;
        let found = current
            .file
            .sync()
            .and_then(|()| current.file.drop_cache())
            .and_then(|()| digest(&current.file, pace));
        let found = found.map_err(SnapshotError::io("read", DOWNLOAD))?;
        if found != (snapshot.digest, snapshot.size) {
            let position = snapshot.base.position;
            return Err(SnapshotError::WrongDigest { position });
        }
        let published = self.shelf.publish(DOWNLOAD, snapshot.base.clone(), found);
        published.map(drop)
    }

    /// After a failed sync nothing of the file is known any more, and the download begins again.
    fn sync(&mut self) -> Result<u64, SnapshotError> {
        let Some(current) = &mut self.current else {
            return Ok(0);
        };
        if let Err(error) = current.file.sync() {
            self.abandon()?;
            return Err(SnapshotError::io("sync", DOWNLOAD)(error));
        }
        let (id, bytes) = (current.id, current.stored);
        current.synced = bytes;
        write_download(&self.shelf.directory, PartialDownload { id, bytes })?;
        Ok(bytes)
    }
}
