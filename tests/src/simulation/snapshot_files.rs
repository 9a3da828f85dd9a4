//! The snapshot files of one node: complete ones, and one that is being downloaded. They survive the
//! process; what a power loss does to a file that was not synced is modelled, too.

use bytes::Bytes;
use chat_consensus::{Digest, LogIndex, PartialDownload, Snapshot, SnapshotId};

/// The files of one node.
#[derive(Clone, Debug, Default)]
pub(crate) struct SnapshotFiles {
    /// In ascending order of position.
    complete: Vec<File>,
    partial: Option<(SnapshotId, Vec<u8>)>,
}

#[derive(Clone, Debug)]
struct File {
    snapshot: Snapshot,
    bytes: Bytes,
}

impl SnapshotFiles {
    /// The complete snapshots, as a start finds them.
    pub(crate) fn complete(&self) -> Vec<Snapshot> {
        self.complete.iter().map(|f| f.snapshot.clone()).collect()
    }

    /// The download that was not finished.
    pub(crate) fn partial(&self) -> Option<PartialDownload> {
        let (id, bytes) = self.partial.as_ref()?;
        let bytes = bytes.len() as u64;
        Some(PartialDownload { id: *id, bytes })
    }

    /// The position of the newest one, damaged ones left out; 0 without one.
    pub(crate) fn newest_intact(&self) -> LogIndex {
        let intact = self.complete.iter().rfind(|file| file.is_intact());
        intact.map_or(LogIndex::ZERO, |file| file.snapshot.base.position.index)
    }

    pub(crate) fn add(&mut self, snapshot: Snapshot, bytes: Bytes) {
        let index = snapshot.base.position.index;
        let after = self
            .complete
            .partition_point(|file| file.snapshot.base.position.index <= index);
        self.complete.insert(after, File { snapshot, bytes });
    }

    pub(crate) fn remove(&mut self, id: SnapshotId) {
        self.complete.retain(|file| file.snapshot.id() != id);
    }

    /// The bytes of a file, if it is there and what its name promises.
    pub(crate) fn read(&self, id: SnapshotId) -> Option<Bytes> {
        let mut files = self.complete.iter();
        let file = files.find(|file| file.snapshot.id() == id)?;
        file.is_intact().then(|| file.bytes.clone())
    }

    /// Stores a piece; returns how much is there.
    pub(crate) fn store(&mut self, id: SnapshotId, offset: u64, piece: &[u8]) -> Option<u64> {
        if offset == 0 {
            self.partial = Some((id, Vec::new()));
        }
        let (partial, bytes) = self.partial.as_mut()?;
        let offset = usize::try_from(offset).ok()?;
        if *partial != id || offset > bytes.len() {
            return None;
        }
        bytes.truncate(offset);
        bytes.extend_from_slice(piece);
        Some(bytes.len() as u64)
    }

    pub(crate) fn drop_partial(&mut self, id: SnapshotId) {
        self.partial.take_if(|(partial, _)| *partial == id);
    }

    /// Verifies what was downloaded; a complete file is durable under its name.
    pub(crate) fn finish(&mut self, snapshot: &Snapshot) -> bool {
        let partial = self.partial.take_if(|(id, _)| *id == snapshot.id());
        let bytes = Bytes::from(partial.map(|(_, bytes)| bytes).unwrap_or_default());
        let complete = bytes.len() as u64 == snapshot.size && digest(&bytes) == snapshot.digest;
        if complete {
            self.add(snapshot.clone(), bytes);
        }
        complete
    }

    /// A power loss: the end of a file that was never synced may be anything.
    pub(crate) fn damage_partial(&mut self, from: usize) -> bool {
        let Some((_, bytes)) = &mut self.partial else {
            return false;
        };
        let damaged = bytes.len() > from;
        for byte in bytes.iter_mut().skip(from) {
            *byte = 0;
        }
        damaged
    }

    /// All complete snapshots are gone, or can only be read with errors.
    pub(crate) fn lose_complete(&mut self, damaged: bool) {
        if !damaged {
            return self.complete.clear();
        }
        for file in &mut self.complete {
            let mut bytes = file.bytes.to_vec();
            bytes[0] ^= 1;
            file.bytes = Bytes::from(bytes);
        }
    }
}

impl File {
    fn is_intact(&self) -> bool {
        digest(&self.bytes) == self.snapshot.digest
    }
}

/// In place of a SHA-256: four sums that begin differently.
pub(crate) fn digest(bytes: &[u8]) -> Digest {
    let mut digest = [0; 32];
    for (number, part) in (1_u64..).zip(digest.chunks_mut(8)) {
        let mut sum = 0xcbf2_9ce4_8422_2325_u64.wrapping_mul(2 * number + 1);
        for byte in bytes {
            sum = (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
        part.copy_from_slice(&sum.to_le_bytes());
    }
    Digest(digest)
}
