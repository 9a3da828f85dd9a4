//! The tasks of the log: one writes and syncs, one batch after the other (R1), one reads what was
//! synced, beside it.

use std::future::Future;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use chat_consensus::{ChainValue, LogIndex, MEMBERS_MAX, UnsyncedBatch};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::event::{Event, LogReadId};
use crate::runner::log_scrub::LogScrub;
use crate::runner::log_store::{LogReader, LogStore, ReadLimits};
use crate::runner::loop_event::LoopEvent;
use crate::runner::reply_maker::ReplyMaker;
use crate::runner::state_machine::BoxError;
use crate::runner::stop_reason::StopReason;
use crate::runner::supervised_task;

/// The replica has one batch under way at most (R1), one compaction, one question, and one mark to remove.
const JOBS_MAX: usize = 4;

/// What the writer is to do.
#[derive(Debug)]
enum Job {
    Persist(Box<UnsyncedBatch>),
    Compact {
        through: LogIndex,
        rolls: bool,
    },
    /// The chain value at an index, if the log knows it.
    ChainAt(LogIndex, oneshot::Sender<Option<ChainValue>>),
    /// The disk that forgot is a voter again (R20).
    ClearAmnesia,
}

/// What the log must keep of the end of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LastRecord {
    /// The log is not used again (R11).
    Fault(String),
    /// The disk forgot what it had acknowledged (R18).
    Amnesia(String),
}

/// How long after it did [`LogStore::rest`] the log does so again, if it wrote meanwhile.
const REST_AFTER: Duration = Duration::from_secs(1);

/// What is to be read of the log.
#[derive(Debug)]
pub(super) struct LogRead {
    pub(super) id: LogReadId,
    pub(super) after: LogIndex,
    pub(super) last: LogIndex,
    pub(super) limits: ReadLimits,
}

/// The way to the tasks; they end when it is dropped.
#[derive(Debug)]
pub(super) struct LogTask {
    jobs: Sender<Job>,
    reads: Sender<LogRead>,
    /// What is recorded when the writer ends.
    last: oneshot::Sender<LastRecord>,
    writer: supervised_task::TaskHandle,
    reader: supervised_task::TaskHandle,
    _scrub: Option<LogScrub>,
}

/// A task has ended: the log is closed, or failed.
#[derive(Clone, Copy, Debug)]
pub(super) struct LogTaskEnded;

impl LogTask {
    /// The replica has one read for each follower under way at most, and one to apply.
    pub(super) fn start<L: LogStore>(log: L, events: &Sender<LoopEvent>) -> Self {
        let (jobs, received) = mpsc::channel(JOBS_MAX);
        let (reads, asked) = mpsc::channel(MEMBERS_MAX + 1);
        let (last, recorded) = oneshot::channel();
        let reader = log.reader();
        let scrub = L::BLOCKS.then(|| LogScrub::start(log.reader(), events.clone()));
        let writing = write(log, (received, recorded), events.clone());
        let writer = spawn::<L>(writing, events);
        let reader = spawn::<L>(read(reader, asked, events.clone()), events);
        Self {
            jobs,
            reads,
            last,
            writer,
            reader,
            _scrub: scrub,
        }
    }

    /// Starts to write and sync a batch.
    pub(super) fn persist(&self, batch: UnsyncedBatch) -> Result<(), LogTaskEnded> {
        begin(&self.jobs, Job::Persist(Box::new(batch)))
    }

    /// Starts to remove entries up to `through`; before that the log `rolls`.
    pub(super) fn compact(&self, through: LogIndex, rolls: bool) -> Result<(), LogTaskEnded> {
        begin(&self.jobs, Job::Compact { through, rolls })
    }

    /// Asks for the chain value at an index of the log.
    pub(super) fn chain_at(
        &self,
        index: LogIndex,
    ) -> Result<oneshot::Receiver<Option<ChainValue>>, LogTaskEnded> {
        let (asker, answered) = oneshot::channel();
        begin(&self.jobs, Job::ChainAt(index, asker))?;
        Ok(answered)
    }

    /// Starts to remove the mark of a disk that forgot. Once in a run.
    pub(super) fn clear_amnesia(&self) -> Result<(), LogTaskEnded> {
        begin(&self.jobs, Job::ClearAmnesia)
    }

    /// Starts a read of synced entries.
    pub(super) fn read(&self, read: LogRead) -> Result<(), LogTaskEnded> {
        begin(&self.reads, read)
    }

    /// Completes when the batch that was begun is done, `last` is recorded, and the log is closed.
    pub(super) async fn close(self, last: Option<LastRecord>) {
        match last {
            // The task may have ended; then its own end was reported.
            Some(last) => drop(self.last.send(last)),
            None => drop(self.last),
        }
        drop((self.jobs, self.reads));
        self.reader.wait().await;
        self.writer.wait().await;
    }
}

fn begin<T>(jobs: &Sender<T>, job: T) -> Result<(), LogTaskEnded> {
    match jobs.try_send(job) {
        Ok(()) => Ok(()),
        Err(mpsc::error::TrySendError::Closed(_)) => Err(LogTaskEnded),
        Err(mpsc::error::TrySendError::Full(_)) => {
            unreachable!(
                "the replica has one job of a kind and one read for each follower under way"
            )
        }
    }
}

fn spawn<L: LogStore>(
    task: impl Future<Output = ()> + Send + 'static,
    events: &Sender<LoopEvent>,
) -> supervised_task::TaskHandle {
    if L::BLOCKS {
        supervised_task::spawn_on_a_thread(task, events.clone(), StopReason::Log)
    } else {
        supervised_task::spawn(task, events.clone(), StopReason::Log)
    }
}

async fn write<L: LogStore>(
    mut log: L,
    (mut jobs, last): (Receiver<Job>, oneshot::Receiver<LastRecord>),
    events: Sender<LoopEvent>,
) {
    // When it is due.
    let mut rest_at: Option<Instant> = None;
    loop {
        let received = match rest_at {
            None => Ok(jobs.recv().await),
            // Jobs that wait do not put it off.
            Some(at) if Instant::now() >= at => Err(()),
            Some(at) => tokio::time::timeout_at(at, jobs.recv()).await.map_err(drop),
        };
        let job = match received {
            Ok(Some(job)) => job,
            Ok(None) => break,
            Err(()) => {
                rest_at = None;
                match log.rest().await {
                    Ok(()) => continue,
                    Err(error) => {
                        // Nothing goes on after a failed write, so whether it is received is no matter.
                        let _reported = report(Err(error), &events).await;
                        break;
                    }
                }
            }
        };
        rest_at.get_or_insert_with(|| Instant::now() + REST_AFTER);
        let done = match job {
            Job::Persist(batch) => {
                let synced =
                    batch.persist_with_async(async |writes| log.append_and_sync(writes).await);
                let synced = synced.await;
                // What is synced by now, with this batch.
                let block = log.synced_block();
                synced.map(|synced| Some(Event::Synced(synced.with_synced_block(block))))
            }
            Job::Compact { through, rolls } => {
                let rolled = if rolls { log.roll().await } else { Ok(()) };
                match rolled {
                    Ok(()) => {
                        let base = log.compact(through).await;
                        base.map(|base| Some(Event::Compacted(base)))
                    }
                    Err(error) => Err(error),
                }
            }
            Job::ClearAmnesia => log.clear_amnesia().await.map(|()| None),
            Job::ChainAt(index, asker) => log.chain_at(index).await.map(|chain| {
                // Who asked has gone if the replica has stopped.
                let _gone = asker.send(chain);
                None
            }),
        };
        if let Some(done) = done.transpose()
            && report(done, &events).await.is_break()
        {
            break;
        }
    }
    let recorded = match last.await {
        Ok(LastRecord::Fault(fault)) => log.record_fault(&fault).await,
        Ok(LastRecord::Amnesia(why)) => log.begin_amnesia(&why).await,
        Err(_nothing) => Ok(()),
    };
    if let Err(error) = recorded {
        let error: BoxError = error.into();
        tracing::error!(
            error = error.as_ref(),
            "the fault could not be recorded: do not start this node again before its log was looked at"
        );
    }
    if let Err(error) = log.close().await {
        let error: BoxError = error.into();
        tracing::warn!(error = error.as_ref(), "the log did not close cleanly");
    }
}

async fn read(mut reader: impl LogReader, mut reads: Receiver<LogRead>, events: Sender<LoopEvent>) {
    while let Some(asked) = reads.recv().await {
        let LogRead {
            id,
            after,
            last,
            limits,
        } = asked;
        let read = reader.read(after, last, limits).await;
        let read = read.map(|entries| Event::EntriesRead(id, entries));
        if report(read, &events).await.is_break() {
            break;
        }
    }
}

/// Sends the outcome of a job to the event loop; no more are done when it failed, or the event loop has
/// ended.
async fn report(
    done: Result<Event<ReplyMaker>, impl Into<BoxError>>,
    events: &Sender<LoopEvent>,
) -> ControlFlow<()> {
    let incoming = match done {
        Ok(event) => LoopEvent::Event(event),
        Err(error) => LoopEvent::Stop(StopReason::Log(Arc::from(error.into()))),
    };
    let stop = matches!(incoming, LoopEvent::Stop(_));
    if events.send(incoming).await.is_err() || stop {
        ControlFlow::Break(())
    } else {
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use chat_consensus::{Config, Entry, LogBase, Node, NodeId, Stored, Time, Timing, Writes};
    use tokio::sync::Semaphore;

    use super::*;
    use crate::runner::memory_log::{MemoryLog, MemoryLogReader};

    /// A log that reads nothing without a permit.
    struct SlowReads {
        log: MemoryLog,
        permits: Arc<Semaphore>,
    }

    struct SlowReader {
        reader: MemoryLogReader,
        permits: Arc<Semaphore>,
    }

    impl LogStore for SlowReads {
        type Reader = SlowReader;
        type Error = <MemoryLog as LogStore>::Error;

        const BLOCKS: bool = true;

        async fn load(&mut self, node: NodeId) -> Result<Stored, Self::Error> {
            self.log.load(node).await
        }

        fn reader(&self) -> SlowReader {
            SlowReader {
                reader: self.log.reader(),
                permits: Arc::clone(&self.permits),
            }
        }

        async fn append_and_sync(&mut self, writes: &Writes) -> Result<(), Self::Error> {
            self.log.append_and_sync(writes).await
        }

        async fn compact(&mut self, through: LogIndex) -> Result<LogBase, Self::Error> {
            self.log.compact(through).await
        }

        async fn record_fault(&mut self, fault: &str) -> Result<(), Self::Error> {
            self.log.record_fault(fault).await
        }

        async fn close(self) -> Result<(), Self::Error> {
            self.log.close().await
        }
    }

    impl LogReader for SlowReader {
        type Error = <MemoryLogReader as LogReader>::Error;

        async fn read(
            &mut self,
            after: LogIndex,
            last: LogIndex,
            limits: ReadLimits,
        ) -> Result<Vec<Entry>, Self::Error> {
            self.permits.acquire().await.unwrap().forget();
            self.reader.read(after, last, limits).await
        }
    }

    /// R10: a leader whose write lasts too long resigns, so no write waits for reads; and as many
    /// reads as there can be are no reason to stop.
    #[tokio::test]
    async fn batch_is_written_while_all_reads_wait() {
        const NODES: usize = MEMBERS_MAX;
        let permits = Arc::new(Semaphore::new(0));
        let mut log = SlowReads {
            log: MemoryLog::new(),
            permits: Arc::clone(&permits),
        };
        let stored = log.load(NodeId(1)).await.unwrap();
        let config = Config::new(NodeId(1), &[NodeId(1)], Timing::default()).unwrap();
        let config = config.allow_bootstrap(true);
        let mut node = Node::new(config, stored, LogIndex::ZERO, 1, Time(0));
        let (sender, mut events) = mpsc::channel(NODES + 2);
        let task = LogTask::start(log, &sender);
        for id in 0..=NODES as u64 {
            let read = LogRead {
                id: LogReadId(id),
                after: LogIndex::ZERO,
                last: LogIndex(1),
                limits: ReadLimits {
                    entries_max: 1,
                    bytes_max: 1,
                },
            };
            task.read(read).unwrap();
        }
        task.persist(node.take_batch().unwrap()).unwrap();
        let first = events.recv().await;
        assert!(
            matches!(first, Some(LoopEvent::Event(Event::Synced(_)))),
            "{first:?}"
        );
        permits.add_permits(NODES + 1);
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
