//! Reads pieces of snapshots, for followers that install one.

use std::io;
use std::sync::Arc;

use chat_consensus::SnapshotId;

use crate::files::{Directory, File as _};
use crate::snapshots::content::Pace;
use crate::snapshots::error::SnapshotError;
use crate::snapshots::names::file_name;
use crate::snapshots::shelf::Shelf;

/// What a piece has at most, in bytes: it travels in one message.
pub const PIECE_BYTES_MAX: usize = 1 << 20;

/// How many files are open: a follower that begins again, and several followers at once.
const OPEN_MAX: usize = 4;

/// Reads pieces of snapshots beside the [`SnapshotStore`](crate::SnapshotStore).
#[derive(Debug)]
pub struct SnapshotReader<D: Directory> {
    shelf: Arc<Shelf<D>>,
    /// The most recently used last.
    open: Vec<(SnapshotId, D::File)>,
}

impl<D: Directory> Clone for SnapshotReader<D> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.shelf))
    }
}

impl<D: Directory> SnapshotReader<D> {
    pub(super) fn new(shelf: Arc<Shelf<D>>) -> Self {
        Self {
            shelf,
            open: Vec::new(),
        }
    }

    /// Compares the whole content of a snapshot with its digest, as the medium has it, unless that
    /// was done in this run; returns the name of its file.
    ///
    /// # Errors
    ///
    /// [`SnapshotError::WrongDigest`], and it is removed; [`SnapshotError::Unknown`]; the disk's.
    pub fn verify(&self, id: SnapshotId, pace: Pace<'_>) -> Result<String, SnapshotError> {
        self.shelf.verify(id, pace)
    }

    /// As [`Self::verify`], also if it was done: files rot. It can be read meanwhile.
    ///
    /// # Errors
    ///
    /// As [`Self::verify`].
    pub fn verify_again(&self, id: SnapshotId, pace: Pace<'_>) -> Result<String, SnapshotError> {
        self.shelf.verify_again(id, pace)
    }

    /// The bytes at `offset`, at most `bytes_max` and [`PIECE_BYTES_MAX`]; none at the file's end and
    /// after it.
    ///
    /// # Errors
    ///
    /// [`SnapshotError::Unknown`] when the snapshot is gone, or not verified; the disk's.
    pub fn read(
        &mut self,
        id: SnapshotId,
        offset: u64,
        bytes_max: usize,
    ) -> Result<Vec<u8>, SnapshotError> {
        let position = id.position;
        let kept = self.shelf.find(id).filter(|kept| kept.verified);
        let Some(kept) = kept else {
            self.open.retain(|(open, _)| *open != id);
            return Err(SnapshotError::Unknown { position });
        };
        let name = file_name(&kept.snapshot);
        let left = kept.snapshot.size.saturating_sub(offset);
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        let mut bytes = vec![0; left.min(bytes_max).min(PIECE_BYTES_MAX)];
        let read = self
            .file(id, &name)
            .and_then(|file| file.read_at(offset, &mut bytes));
        let read = read.map_err(SnapshotError::io("read", &name))?;
        if read < bytes.len() {
            let short = io::Error::from(io::ErrorKind::UnexpectedEof);
            return Err(SnapshotError::io("read", &name)(short));
        }
        Ok(bytes)
    }

    fn file(&mut self, id: SnapshotId, name: &str) -> io::Result<&D::File> {
        let opened = match self.open.iter().position(|(open, _)| *open == id) {
            Some(place) => self.open.remove(place),
            None => (id, self.shelf.directory.open(name)?),
        };
        if self.open.len() == OPEN_MAX {
            self.open.remove(0);
        }
        Ok(&self.open.push_mut(opened).1)
    }
}
