//! The thread that owns the commit log: it writes, syncs and reads in the order it is told (R1).

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;

use chat_consensus::{LogIndex, UnsyncedBatch};
use chat_store::CommitLog;
use tokio::sync::mpsc::Sender;

use crate::event::{EntriesReadId, Event};
use crate::runner::Stopped;
use crate::runner::turns::Incoming;

/// One batch is under way at most, one read to apply, and a read or two for each follower.
const JOBS_MAX: usize = 1_024;

/// What the log is asked to do.
#[derive(Debug)]
pub(super) enum LogJob {
    Persist(Box<UnsyncedBatch>),
    Read {
        id: EntriesReadId,
        after: LogIndex,
        last: LogIndex,
        bytes_max: usize,
    },
}

/// The way to the thread; the thread ends when it is dropped.
#[derive(Debug)]
pub(super) struct LogThread {
    jobs: SyncSender<LogJob>,
}

impl LogThread {
    pub(super) fn start(log: CommitLog, events: Sender<Incoming>) -> io::Result<Self> {
        let (jobs, received) = sync_channel(JOBS_MAX);
        let run = move || work(log, &received, &events);
        thread::Builder::new()
            .name("commit-log".into())
            .spawn(run)?;
        Ok(Self { jobs })
    }

    /// Hands a job over. `false` when the thread has ended or has far too much to do; either way
    /// the replica cannot go on.
    pub(super) fn begin(&self, job: LogJob) -> bool {
        match self.jobs.try_send(job) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
    }
}

fn work(mut log: CommitLog, jobs: &Receiver<LogJob>, events: &Sender<Incoming>) {
    while let Ok(job) = jobs.recv() {
        let done = match job {
            LogJob::Persist(batch) => batch
                .persist_with(|writes| log.write_and_sync(writes))
                .map(Event::Synced),
            LogJob::Read {
                id,
                after,
                last,
                bytes_max,
            } => log
                .read(after, last, bytes_max)
                .map(|entries| Event::EntriesRead(id, entries)),
        };
        let incoming = match done {
            Ok(event) => Incoming::Event(event),
            Err(error) => Incoming::Stop(Stopped::Log(std::sync::Arc::new(error))),
        };
        let stop = matches!(incoming, Incoming::Stop(_));
        if events.blocking_send(incoming).is_err() || stop {
            break;
        }
    }
    if let Err(error) = log.close() {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "the commit log did not close cleanly"
        );
    }
}
