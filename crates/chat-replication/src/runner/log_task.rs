//! The task that owns the commit log: it writes, syncs and reads, one after the other, and writes
//! before it reads (R1).

use std::sync::Arc;

use chat_consensus::{LogIndex, UnsyncedBatch};
use chat_store::{CommitLog, LogError, ReadLimits};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::oneshot;

use crate::event::{Event, LogReadId};
use crate::runner::loop_event::LoopEvent;
use crate::runner::reply_maker::ReplyMaker;
use crate::runner::stop_reason::StopReason;
use crate::runner::supervised_task;

/// The replica has one batch under way at most (R1).
const BATCHES_MAX: usize = 1;

/// What is to be read of the log.
#[derive(Debug)]
pub(super) struct LogRead {
    pub(super) id: LogReadId,
    pub(super) after: LogIndex,
    pub(super) last: LogIndex,
    pub(super) limits: ReadLimits,
}

/// The way to the task; the task ends when it is dropped.
#[derive(Debug)]
pub(super) struct LogTask {
    batches: Sender<UnsyncedBatch>,
    reads: Sender<LogRead>,
    /// What is recorded when the task ends, so that the log is not used again (R11).
    fault: oneshot::Sender<String>,
    task: supervised_task::TaskHandle,
}

/// The task has ended: the log is closed, or failed.
#[derive(Clone, Copy, Debug)]
pub(super) struct LogTaskEnded;

impl LogTask {
    /// `nodes` is how many nodes there are: the replica has one read for each follower under way at
    /// most, and one to apply.
    pub(super) fn start(log: CommitLog, nodes: usize, events: Sender<LoopEvent>) -> Self {
        let (batches, received) = mpsc::channel(BATCHES_MAX);
        let (reads, asked) = mpsc::channel(nodes + 1);
        let (fault, found) = oneshot::channel();
        let working = work(log, (received, asked, found), events.clone());
        let task = supervised_task::spawn(working, events, StopReason::Log);
        Self {
            batches,
            reads,
            fault,
            task,
        }
    }

    /// Starts to write and sync a batch.
    pub(super) fn persist(&self, batch: UnsyncedBatch) -> Result<(), LogTaskEnded> {
        begin(&self.batches, batch)
    }

    /// Starts a read; it waits for every batch that was passed before it begins.
    pub(super) fn read(&self, read: LogRead) -> Result<(), LogTaskEnded> {
        begin(&self.reads, read)
    }

    /// Completes when the batch that was begun is done, the fault is recorded, if there is one, and
    /// the log is closed.
    pub(super) async fn close(self, fault: Option<String>) {
        match fault {
            // The task may have ended; then its own end was reported.
            Some(fault) => drop(self.fault.send(fault)),
            None => drop(self.fault),
        }
        drop((self.batches, self.reads));
        self.task.wait().await;
    }
}

fn begin<T>(jobs: &Sender<T>, job: T) -> Result<(), LogTaskEnded> {
    match jobs.try_send(job) {
        Ok(()) => Ok(()),
        Err(mpsc::error::TrySendError::Closed(_)) => Err(LogTaskEnded),
        Err(mpsc::error::TrySendError::Full(_)) => {
            unreachable!("the replica has one batch and one read for each follower under way")
        }
    }
}

async fn work(
    mut log: CommitLog,
    (mut batches, mut reads, fault): (
        Receiver<UnsyncedBatch>,
        Receiver<LogRead>,
        oneshot::Receiver<String>,
    ),
    events: Sender<LoopEvent>,
) {
    loop {
        let done = tokio::select! {
            biased;
            batch = batches.recv() => match batch {
                Some(batch) => persist(&mut log, batch).await,
                // The sender of reads is gone too.
                None => break,
            },
            Some(asked) = reads.recv() => read(&mut log, asked).await,
        };
        let incoming = match done {
            Ok(event) => LoopEvent::Event(event),
            Err(error) => LoopEvent::Stop(StopReason::Log(Arc::new(error))),
        };
        let stop = matches!(incoming, LoopEvent::Stop(_));
        if events.send(incoming).await.is_err() || stop {
            break;
        }
    }
    if let Ok(fault) = fault.await
        && let Err(error) = log.record_fault(&fault).await
    {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "the fault could not be recorded: do not start this node again before its log was looked at"
        );
    }
    let closed = tokio::task::spawn_blocking(move || log.close()).await;
    if let Err(error) = closed.expect("closing the log does not panic") {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "the commit log did not close cleanly"
        );
    }
}

async fn persist(log: &mut CommitLog, batch: UnsyncedBatch) -> Result<Event<ReplyMaker>, LogError> {
    let synced = batch.persist_with_async(async |writes| log.write_and_sync(writes).await);
    Ok(Event::Synced(synced.await?))
}

async fn read(log: &mut CommitLog, asked: LogRead) -> Result<Event<ReplyMaker>, LogError> {
    let LogRead {
        id,
        after,
        last,
        limits,
    } = asked;
    Ok(Event::EntriesRead(id, log.read(after, last, limits).await?))
}

#[cfg(test)]
mod tests {
    use chat_consensus::{Config, Node, NodeId, Time, Timing};

    use super::*;

    fn first_batch() -> (CommitLog, UnsyncedBatch, tempfile::TempDir) {
        let directory = tempfile::tempdir().unwrap();
        let (log, stored) = CommitLog::open(directory.path()).unwrap();
        let config = Config::new(NodeId(1), &[NodeId(1)], Timing::default()).unwrap();
        let mut node = Node::new(config, stored, LogIndex::ZERO, 1, Time(0));
        (log, node.take_batch().unwrap(), directory)
    }

    /// R10: a leader whose write lasts too long resigns, so no read goes before a write; and as many
    /// reads as there can be are no reason to stop.
    #[tokio::test]
    async fn a_batch_is_written_before_all_reads_that_wait() {
        const NODES: usize = 5;
        let (log, batch, _directory) = first_batch();
        let (sender, mut events) = mpsc::channel(NODES + 2);
        let task = LogTask::start(log, NODES, sender);
        for id in 0..=NODES as u64 {
            let read = LogRead {
                id: LogReadId(id),
                after: LogIndex::ZERO,
                last: LogIndex(1),
                limits: ReadLimits::NONE,
            };
            task.read(read).unwrap();
        }
        task.persist(batch).unwrap();
        let first = events.recv().await;
        assert!(
            matches!(first, Some(LoopEvent::Event(Event::Synced(_)))),
            "{first:?}"
        );
        for _ in 0..=NODES {
            let read = events.recv().await;
            assert!(
                matches!(read, Some(LoopEvent::Event(Event::EntriesRead(..)))),
                "{read:?}"
            );
        }
        task.close(None).await;
    }
}
