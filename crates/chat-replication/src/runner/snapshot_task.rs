//! The threads of the snapshots, at a low priority: one takes and verifies, one reads pieces for
//! followers and stores those of a download, so that neither waits for a snapshot that is taken.
//!
//! What fails here is no reason to stop: the log holds what a snapshot would have replaced.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use bytes::Bytes;
use chat_consensus::{LogBase, MEMBERS_MAX, Snapshot, SnapshotId};
use chat_log::{Download, OsDirectory, Pace, SnapshotError, SnapshotReader, SnapshotStore};
use tokio::sync::mpsc::Sender;
use tokio::sync::oneshot;

use crate::event::{Event, PieceReadId};
use crate::runner::loop_event::LoopEvent;
use crate::runner::snapshot_directory::TemporaryDirectory;
use crate::runner::snapshot_source::{SnapshotPace, SnapshotSource};
use crate::runner::state_machine::BoxError;
use crate::runner::stop_reason::StopReason;

/// The replica takes one snapshot at a time; the rest are removals, of few files.
const JOBS_MAX: usize = 64;

/// Beside a read for each peer: one piece to store, one download to finish, and downloads to drop.
const PIECE_JOBS_MAX: usize = 64;

/// The nicest that a thread can be on Linux is 19; what serves clients has 0.
const NICENESS: i32 = 10;

/// A snapshot that is asked for from its beginning again and again is verified as often as this: the
/// nodes that fetched it may have found that it is damaged.
const VERIFY_INTERVAL: Duration = Duration::from_secs(60);

type Store = SnapshotStore<OsDirectory>;
type Reader = SnapshotReader<OsDirectory>;

/// The snapshots as a start has found them.
#[derive(Debug)]
pub(super) struct Snapshots {
    pub(super) store: Store,
    pub(super) download: Download<OsDirectory>,
    /// Kept until the replica has stopped.
    pub(super) temporary: Option<TemporaryDirectory>,
}

/// What the thread is to do that takes snapshots.
#[derive(Debug)]
enum Job {
    Take(SnapshotSource, LogBase),
    Drop(SnapshotId),
    Verify(SnapshotId),
    VerifyAgain(SnapshotId),
}

/// What the thread of the pieces is to do.
#[derive(Debug)]
pub(super) enum PieceJob {
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
    Drop(SnapshotId),
}

/// The way to the threads; they end when it is dropped.
#[derive(Debug)]
pub(super) struct SnapshotTask {
    taker: SnapshotTaker,
    pieces: SyncSender<PieceJob>,
    stop: Arc<AtomicBool>,
    ended: Vec<oneshot::Receiver<()>>,
    _temporary: Option<TemporaryDirectory>,
}

/// Where a snapshot that has begun is finished.
#[derive(Clone, Debug)]
pub(super) struct SnapshotTaker(SyncSender<Job>);

/// A thread has ended: it panicked, or the replica has stopped.
#[derive(Clone, Copy, Debug)]
pub(super) struct SnapshotTaskEnded;

impl SnapshotTask {
    /// Each member may read a piece.
    pub(super) fn start(snapshots: Snapshots, events: &Sender<LoopEvent>) -> Self {
        let Snapshots {
            store,
            download,
            temporary,
        } = snapshots;
        let stop = Arc::new(AtomicBool::new(false));
        let (jobs, received) = sync_channel(JOBS_MAX);
        let (pieces, asked) = sync_channel(PIECE_JOBS_MAX + MEMBERS_MAX);
        let reader = store.reader();
        let found = store.kept();
        let taking = Taking {
            store,
            stop: Arc::clone(&stop),
            events: events.clone(),
        };
        let taker = SnapshotTaker(jobs);
        let carrying = Carrying {
            reader,
            download,
            taker: taker.clone(),
            begun: None,
            storing: None,
            stop: Arc::clone(&stop),
            events: events.clone(),
        };
        for snapshot in found {
            // Before one is offered, its content is compared; a read that comes first does it too.
            let _ended = taker.begin(Job::Verify(snapshot.id()));
        }
        Self {
            taker,
            pieces,
            stop,
            ended: vec![
                spawn("snapshots", events, move || taking.work(&received)),
                spawn("snapshot-pieces", events, move || carrying.work(&asked)),
            ],
            _temporary: temporary,
        }
    }

    pub(super) fn taker(&self) -> SnapshotTaker {
        self.taker.clone()
    }

    /// Removes a snapshot.
    pub(super) fn remove(&self, id: SnapshotId) -> Result<(), SnapshotTaskEnded> {
        self.taker.begin(Job::Drop(id))
    }

    /// Reads or stores a piece, or ends a download.
    pub(super) fn begin(&self, job: PieceJob) -> Result<(), SnapshotTaskEnded> {
        match self.pieces.try_send(job) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(PieceJob::Drop(_))) => Ok(()),
            Err(TrySendError::Disconnected(_)) => Err(SnapshotTaskEnded),
            Err(TrySendError::Full(_)) => {
                unreachable!("the replica has one read for each peer and one download under way")
            }
        }
    }

    /// Completes when what was begun is given up, and the threads have ended.
    pub(super) async fn close(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let ended = std::mem::take(&mut self.ended);
        drop(self);
        for ended in ended {
            // Dropped or sent, the thread is at its end.
            drop(ended.await);
        }
    }
}

impl Drop for SnapshotTask {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl SnapshotTaker {
    /// Writes the snapshot of which `source` has the state, and makes it complete.
    pub(super) fn take(
        &self,
        source: SnapshotSource,
        base: LogBase,
    ) -> Result<(), SnapshotTaskEnded> {
        self.begin(Job::Take(source, base))
    }

    fn begin(&self, job: Job) -> Result<(), SnapshotTaskEnded> {
        match self.0.try_send(job) {
            Ok(()) => Ok(()),
            Err(TrySendError::Disconnected(_) | TrySendError::Full(Job::Take(..))) => {
                Err(SnapshotTaskEnded)
            }
            // A snapshot that is not removed now is removed by the next start.
            Err(TrySendError::Full(job)) => {
                tracing::warn!(?job, "too much is to be done with snapshots");
                Ok(())
            }
        }
    }
}

type Verify = fn(&Reader, SnapshotId, Pace<'_>) -> Result<String, SnapshotError>;

struct Taking {
    store: Store,
    stop: Arc<AtomicBool>,
    events: Sender<LoopEvent>,
}

impl Taking {
    fn work(mut self, jobs: &Receiver<Job>) {
        while let Ok(job) = jobs.recv() {
            match job {
                Job::Take(source, base) => {
                    let taken = self.take(source, base);
                    let taken = Event::SnapshotTaken(taken);
                    if self.events.blocking_send(LoopEvent::Event(taken)).is_err() {
                        return;
                    }
                }
                Job::Drop(id) => {
                    if let Err(error) = self.store.remove(id) {
                        log_failure(&error, "a snapshot is not removed");
                    }
                }
                Job::Verify(id) => self.verify(id, Reader::verify),
                Job::VerifyAgain(id) => self.verify(id, Reader::verify_again),
            }
        }
    }

    fn take(&mut self, source: SnapshotSource, base: LogBase) -> Option<Snapshot> {
        let began = Instant::now();
        let index = base.position.index.0;
        tracing::info!(index, "a snapshot is being taken");
        match self.write(source, base) {
            Ok(snapshot) => {
                let (bytes, ms) = (snapshot.size, began.elapsed().as_millis());
                tracing::info!(index, bytes, ms, "snapshot taken");
                Some(snapshot)
            }
            Err(error) => {
                self.store.abandon();
                log_failure(error.as_ref(), "no snapshot is taken");
                None
            }
        }
    }

    fn write(&mut self, source: SnapshotSource, base: LogBase) -> Result<Snapshot, BoxError> {
        let name = self.store.begin()?;
        let path = self.store.directory().path().join(name);
        let mut pace = SnapshotPace::new(Arc::clone(&self.stop));
        source.write(&path, &mut pace)?;
        let mut pace = SnapshotPace::new(Arc::clone(&self.stop));
        let mut read = |bytes| pace.advance(bytes);
        Ok(self.store.finish(base, &mut read)?)
    }

    fn verify(&self, id: SnapshotId, verify: Verify) {
        let mut pace = SnapshotPace::new(Arc::clone(&self.stop));
        let verified = verify(&self.store.reader(), id, &mut |bytes| pace.advance(bytes));
        if let Err(error) = verified
            && !self.stop.load(Ordering::Relaxed)
        {
            log_failure(&error, "a snapshot is not used");
        }
    }
}

struct Carrying {
    reader: Reader,
    download: Download<OsDirectory>,
    taker: SnapshotTaker,
    /// What was last read from its beginning, and when it was last verified for that.
    begun: Option<(SnapshotId, Instant)>,
    /// How fast the download is stored.
    storing: Option<(SnapshotId, SnapshotPace)>,
    stop: Arc<AtomicBool>,
    events: Sender<LoopEvent>,
}

impl Carrying {
    fn work(mut self, jobs: &Receiver<PieceJob>) {
        while let Ok(job) = jobs.recv() {
            let done = match job {
                PieceJob::Read {
                    id,
                    snapshot,
                    offset,
                    bytes_max,
                } => Event::PieceRead(id, self.read(snapshot, offset, bytes_max)),
                PieceJob::Store {
                    snapshot,
                    offset,
                    bytes,
                } => Event::PieceStored(snapshot, self.store(snapshot, offset, &bytes)),
                PieceJob::Finish(snapshot) => {
                    let finished = self.finish(&snapshot);
                    Event::DownloadFinished(snapshot, finished)
                }
                PieceJob::Drop(id) => {
                    self.abandon(id);
                    continue;
                }
            };
            if self.events.blocking_send(LoopEvent::Event(done)).is_err() {
                return;
            }
        }
    }

    fn read(&mut self, id: SnapshotId, offset: u64, bytes_max: usize) -> Option<Bytes> {
        if offset == 0 {
            self.verify_if_asked_again(id);
        }
        let verified = self.reader.verify(id, &mut unless(&self.stop));
        let read = verified.and_then(|_name| self.reader.read(id, offset, bytes_max));
        match read {
            Ok(bytes) => Some(bytes.into()),
            Err(error) => {
                log_failure(&error, "a snapshot cannot be read for another node");
                None
            }
        }
    }

    /// Beside the reads, which go on meanwhile.
    fn verify_if_asked_again(&mut self, id: SnapshotId) {
        match self.begun {
            Some((begun, at)) if begun == id => {
                if at.elapsed() >= VERIFY_INTERVAL {
                    self.begun = Some((id, Instant::now()));
                    let _ended = self.taker.begin(Job::VerifyAgain(id));
                }
            }
            _ => self.begun = Some((id, Instant::now())),
        }
    }

    fn store(&mut self, id: SnapshotId, offset: u64, bytes: &[u8]) -> Option<u64> {
        match self.download.store(id, offset, bytes) {
            Ok(stored) => {
                self.wait_after_storing(id, bytes.len());
                Some(stored)
            }
            Err(error) => {
                log_failure(&error, "a piece of a snapshot is not stored");
                None
            }
        }
    }

    fn wait_after_storing(&mut self, id: SnapshotId, bytes: usize) {
        if self.storing.as_ref().is_none_or(|(last, _)| *last != id) {
            self.storing = Some((id, SnapshotPace::new(Arc::clone(&self.stop))));
        }
        if let Some((_, pace)) = &mut self.storing {
            // An error only says that the replica stops.
            drop(pace.advance(bytes));
        }
    }

    fn finish(&mut self, snapshot: &Snapshot) -> bool {
        let (index, bytes) = (snapshot.base.position.index.0, snapshot.size);
        match self.download.finish(snapshot, &mut unless(&self.stop)) {
            Ok(()) => {
                tracing::info!(index, bytes, "snapshot downloaded");
                true
            }
            Err(error) => {
                log_failure(&error, "a download is dropped");
                false
            }
        }
    }

    fn abandon(&mut self, id: SnapshotId) {
        let current = self.download.progress();
        if current.is_some_and(|current| current.id == id)
            && let Err(error) = self.download.abandon()
        {
            log_failure(&error, "a download is not removed");
        }
    }
}

/// The path of a complete snapshot whose content is that of its digest.
pub(super) fn verified_path(
    reader: &Reader,
    directory: &Path,
    id: SnapshotId,
) -> Result<std::path::PathBuf, SnapshotError> {
    let name = reader.verify(id, &mut chat_log::unpaced)?;
    Ok(directory.join(name))
}

/// As fast as the disk does it, unless the replica stops.
fn unless(stop: &Arc<AtomicBool>) -> impl FnMut(usize) -> std::io::Result<()> + use<> {
    let stop = Arc::clone(stop);
    move |_bytes| {
        if stop.load(Ordering::Relaxed) {
            return Err(std::io::Error::other("the replica stops"));
        }
        Ok(())
    }
}

fn log_failure(error: &(dyn Error + 'static), what: &str) {
    tracing::warn!(error, "{what}");
}

/// Runs `work` on a thread of its own at a low priority; a panic stops the replica.
fn spawn(
    name: &str,
    events: &Sender<LoopEvent>,
    work: impl FnOnce() + Send + 'static,
) -> oneshot::Receiver<()> {
    let (end, ended) = oneshot::channel();
    let watch = Watch {
        events: events.clone(),
        _end: end,
    };
    let spawned = std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            let _watch = watch;
            lower_priority();
            work();
        });
    if let Err(error) = spawned {
        tracing::error!(%error, "the system gives no thread for snapshots");
    }
    ended
}

/// Lets everything else go before this thread. On Linux niceness belongs to the thread.
pub(super) fn lower_priority() {
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::warn!(%error, "the priority of work in the background cannot be lowered");
    }
}

/// Dropped when the thread ends, however it does.
struct Watch {
    events: Sender<LoopEvent>,
    _end: oneshot::Sender<()>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let error: BoxError = "a thread of its snapshots panicked".into();
            let stop = LoopEvent::Stop(StopReason::StateMachine(Arc::from(error)));
            // A replica that has stopped receives nothing more.
            drop(self.events.blocking_send(stop));
        }
    }
}
