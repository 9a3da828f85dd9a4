//! The task that owns the commit log: it writes, syncs and reads in the order it is told (R1).

use chat_consensus::{LogIndex, UnsyncedBatch};
use chat_store::{CommitLog, LogError};
use tokio::sync::mpsc::{self, Receiver, Sender};

use crate::event::{EntriesReadId, Event};
use crate::runner::Stopped;
use crate::runner::turns::Incoming;
use crate::runner::watched;

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

/// The way to the task; the task ends when it is dropped.
#[derive(Debug)]
pub(super) struct LogTask {
    jobs: Sender<LogJob>,
    ended: watched::Ended,
}

impl LogTask {
    pub(super) fn start(log: CommitLog, events: Sender<Incoming>) -> Self {
        let (jobs, received) = mpsc::channel(JOBS_MAX);
        let working = work(log, received, events.clone());
        let ended = watched::spawn(working, events, Stopped::Log);
        Self { jobs, ended }
    }

    /// Hands a job over. `false` when the task has ended or has far too much to do; either way
    /// the replica cannot go on.
    pub(super) fn begin(&self, job: LogJob) -> bool {
        self.jobs.try_send(job).is_ok()
    }

    /// Completes when what was begun is done and the log is closed.
    pub(super) async fn close(self) {
        drop(self.jobs);
        self.ended.wait().await;
    }
}

async fn work(mut log: CommitLog, mut jobs: Receiver<LogJob>, events: Sender<Incoming>) {
    while let Some(job) = jobs.recv().await {
        let incoming = match carry_out(&mut log, job).await {
            Ok(event) => Incoming::Event(event),
            Err(error) => Incoming::Stop(Stopped::Log(std::sync::Arc::new(error))),
        };
        let stop = matches!(incoming, Incoming::Stop(_));
        if events.send(incoming).await.is_err() || stop {
            break;
        }
    }
    let closed = tokio::task::spawn_blocking(move || log.close()).await;
    if let Err(error) = closed.expect("closing the log does not panic") {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "the commit log did not close cleanly"
        );
    }
}

async fn carry_out(log: &mut CommitLog, job: LogJob) -> Result<Event, LogError> {
    match job {
        LogJob::Persist(batch) => {
            let synced = batch.persist_with_async(async |writes| log.write_and_sync(writes).await);
            Ok(Event::Synced(synced.await?))
        }
        LogJob::Read {
            id,
            after,
            last,
            bytes_max,
        } => {
            let entries = log.read(after, last, bytes_max).await?;
            Ok(Event::EntriesRead(id, entries))
        }
    }
}
