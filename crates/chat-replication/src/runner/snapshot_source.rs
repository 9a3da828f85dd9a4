//! What writes the file of a snapshot, beside the state machine that goes on.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::runner::box_error::BoxError;

/// How fast a snapshot is written and read at most, in bytes a second: a fraction of what a disk does,
/// so that the log's syncs wait for little of it.
const BYTES_PER_SECOND: u64 = 64 << 20;

/// A wait is not shorter than this.
const WAIT_MIN: Duration = Duration::from_millis(1);

/// What is written is synced as often as this, in bytes: a sync of the log must not wait for a whole
/// snapshot.
const SYNC_BYTES: u64 = 1 << 20;

const CHUNK_BYTES: usize = 256 << 10;

type Write = Box<dyn FnOnce(&Path, &mut SnapshotPace) -> Result<(), BoxError> + Send>;

/// Writes the file of a snapshot, on a thread of its own, of the state as it was when this was made.
pub struct SnapshotSource(Write);

impl std::fmt::Debug for SnapshotSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SnapshotSource").finish_non_exhaustive()
    }
}

impl SnapshotSource {
    /// `write` makes the file at the path that it is given, where none is, readable by its owner only.
    /// It need not sync it. It calls [`SnapshotPace::advance`] now and then, and ends when that is an
    /// error. After an error of its own no snapshot is taken now; the replica goes on.
    pub fn new(
        write: impl FnOnce(&Path, &mut SnapshotPace) -> Result<(), BoxError> + Send + 'static,
    ) -> Self {
        Self(Box::new(write))
    }

    /// The file has this content.
    pub fn from_bytes(state: Vec<u8>) -> Self {
        Self::new(move |path, pace| {
            let mut options = OpenOptions::new();
            options.write(true).create_new(true).mode(0o600);
            let mut file = options.open(path)?;
            for chunk in state.chunks(CHUNK_BYTES) {
                file.write_all(chunk)?;
                pace.advance(chunk.len())?;
            }
            Ok(())
        })
    }

    /// Writes the file.
    pub(super) fn write(self, path: &Path, pace: &mut SnapshotPace) -> Result<(), BoxError> {
        pace.file = Some(path.to_owned());
        let written = (self.0)(path, pace);
        pace.file = None;
        written
    }
}

/// Makes the work on a snapshot leave the disk and the processor to others.
#[derive(Debug)]
pub struct SnapshotPace {
    stop: Arc<AtomicBool>,
    began: Instant,
    bytes: u64,
    /// What is being written, and how much of it is synced.
    file: Option<PathBuf>,
    synced: u64,
}

impl SnapshotPace {
    /// Ends with an error once `stop` is set.
    pub(super) fn new(stop: Arc<AtomicBool>) -> Self {
        Self {
            stop,
            began: Instant::now(),
            bytes: 0,
            file: None,
            synced: 0,
        }
    }

    /// `bytes` more are written, or read. Waits as long as that may take, and syncs what is written
    /// from time to time.
    ///
    /// # Errors
    ///
    /// When the replica stops, and the snapshot is not needed any more; when a sync fails.
    pub fn advance(&mut self, bytes: usize) -> io::Result<()> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(io::Error::other("the replica stops"));
        }
        self.bytes += bytes as u64;
        if let Some(file) = &self.file
            && self.bytes - self.synced >= SYNC_BYTES
        {
            File::open(file)?.sync_data()?;
            self.synced = self.bytes;
        }
        let due = Duration::from_micros(self.bytes * 1_000_000 / BYTES_PER_SECOND);
        let early = due.saturating_sub(self.began.elapsed());
        if early >= WAIT_MIN {
            std::thread::sleep(early);
        }
        Ok(())
    }
}
