//! The task that owns the embedder's state machine: it applies, publishes and installs, one after the
//! other, as the replica asks, and begins snapshots in between.

use std::path::PathBuf;
use std::sync::Arc;

use chat_consensus::{
    ChainValue, CommittedEntry, Entry, LogBase, Membership, Payload, Position, Snapshot,
};
use chat_log::{OsDirectory, SnapshotReader};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::oneshot;

use crate::event::Event;
use crate::runner::loop_event::LoopEvent;
use crate::runner::reply_maker::ReplyMaker;
use crate::runner::snapshot_task::{SnapshotTaker, verified_path};
use crate::runner::state_machine::{BoxError, StateMachine};
use crate::runner::stop_reason::StopReason;
use crate::runner::supervised_task;

/// The replica has one job under way at most, and one snapshot.
const JOBS_MAX: usize = 2;

/// What the state machine is to do.
#[derive(Debug)]
enum Job {
    Apply(Vec<Entry>, Option<ChainValue>),
    Publish,
    BeginSnapshot(Membership),
    Install(Box<Snapshot>),
}

/// How far the state machine is, and where its snapshots go.
#[derive(Debug)]
pub(super) struct ApplyStart {
    pub(super) applied: Position,
    /// The log's chain value there; `None` before the log has a base.
    pub(super) chain: Option<ChainValue>,
    pub(super) taker: SnapshotTaker,
    pub(super) reader: SnapshotReader<OsDirectory>,
    /// Where the snapshots are.
    pub(super) directory: PathBuf,
}

/// The way to the task; the task ends when this is closed.
#[derive(Debug)]
pub(super) struct ApplyTask {
    jobs: Sender<Job>,
    task: supervised_task::TaskHandle,
    /// Dropped to end the task.
    ending: oneshot::Sender<()>,
}

/// Installs a snapshot later.
#[derive(Debug)]
pub(super) struct Installer(Sender<Job>);

/// The task has ended: the state machine failed, or the replica has stopped.
#[derive(Clone, Copy, Debug)]
pub(super) struct ApplyTaskEnded;

impl ApplyTask {
    pub(super) fn start(
        machine: impl StateMachine,
        start: ApplyStart,
        events: Sender<LoopEvent>,
    ) -> Self {
        let (jobs, received) = mpsc::channel(JOBS_MAX);
        let (ending, end) = oneshot::channel();
        let worker = Worker {
            machine,
            start,
            events: events.clone(),
            has_unpublished: false,
        };
        let task =
            supervised_task::spawn(worker.work(received, end), events, StopReason::StateMachine);
        Self { jobs, task, ending }
    }

    /// Starts to apply committed entries. `first_chain` is the chain value before the first, if the log
    /// got its first base since the last call.
    pub(super) fn apply(
        &self,
        entries: Vec<Entry>,
        first_chain: Option<ChainValue>,
    ) -> Result<(), ApplyTaskEnded> {
        self.begin(Job::Apply(entries, first_chain))
    }

    /// Starts to make visible what is applied.
    pub(super) fn publish(&self) -> Result<(), ApplyTaskEnded> {
        self.begin(Job::Publish)
    }

    /// Starts a snapshot of everything that is applied; the cluster has these voters there.
    pub(super) fn begin_snapshot(&self, membership: Membership) -> Result<(), ApplyTaskEnded> {
        self.begin(Job::BeginSnapshot(membership))
    }

    /// Installs a snapshot, once that is certain; nothing else is begun before.
    pub(super) fn installer(&self) -> Installer {
        Installer(self.jobs.clone())
    }

    /// Completes when what was begun is done and the state machine is gone.
    pub(super) async fn close(self) {
        drop(self.ending);
        self.task.wait().await;
    }

    fn begin(&self, job: Job) -> Result<(), ApplyTaskEnded> {
        match self.jobs.try_send(job) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(ApplyTaskEnded),
            Err(mpsc::error::TrySendError::Full(_)) => {
                unreachable!("the replica has one job and one snapshot under way at most")
            }
        }
    }
}

impl Installer {
    /// Starts to install.
    pub(super) async fn install(self, snapshot: Snapshot) {
        // A task that has ended has reported why.
        drop(self.0.send(Job::Install(Box::new(snapshot))).await);
    }
}

struct Worker<M> {
    machine: M,
    start: ApplyStart,
    events: Sender<LoopEvent>,
    /// Something was applied and not published yet.
    has_unpublished: bool,
}

impl<M: StateMachine> Worker<M> {
    async fn work(mut self, mut jobs: Receiver<Job>, mut end: oneshot::Receiver<()>) {
        loop {
            let done = tokio::select! {
                biased;
                _ = &mut end => break,
                Some(job) = jobs.recv() => match job {
                    Job::Apply(entries, first) => self.apply(entries, first).await.map(Some),
                    Job::Publish => self.publish().await.map(|()| Some(Event::Published)),
                    Job::BeginSnapshot(membership) => Ok(self.begin_snapshot(membership).await),
                    Job::Install(snapshot) => self.install(*snapshot).await.map(Some),
                },
            };
            let event = match done {
                Ok(Some(event)) => LoopEvent::Event(event),
                Ok(None) => continue,
                Err(error) => LoopEvent::Stop(StopReason::StateMachine(Arc::from(error))),
            };
            let failed = matches!(event, LoopEvent::Stop(_));
            // A replica that has stopped receives nothing more.
            drop(self.events.send(event).await);
            if failed {
                return;
            }
        }
        if self.has_unpublished
            && let Err(error) = self.publish().await
        {
            tracing::warn!(
                error = error.as_ref(),
                "the state was not written at the end"
            );
        }
    }

    async fn apply(
        &mut self,
        entries: Vec<Entry>,
        first_chain: Option<ChainValue>,
    ) -> Result<Event<ReplyMaker>, BoxError> {
        let mut chain = self
            .start
            .chain
            .or(first_chain)
            .ok_or("the log has entries and no base")?;
        let mut position = self.start.applied;
        let commit = |entry: Entry| {
            chain = chain.next(&entry);
            position = entry.position;
            committed(entry, chain)
        };
        let batch: Vec<CommittedEntry> = entries.into_iter().map(commit).collect();
        let answers = self.machine.apply(&batch).await?;
        if answers.len() != batch.len() {
            return Err("the state machine must give one answer for each entry".into());
        }
        (self.start.applied, self.start.chain) = (position, Some(chain));
        self.has_unpublished = true;
        Ok(Event::Applied(answers))
    }

    async fn publish(&mut self) -> Result<(), BoxError> {
        self.machine.publish().await?;
        self.has_unpublished = false;
        Ok(())
    }

    /// Returns the outcome if there is none to wait for.
    async fn begin_snapshot(&mut self, membership: Membership) -> Option<Event<ReplyMaker>> {
        let not_taken = Some(Event::SnapshotTaken(None));
        let Some(chain) = self.start.chain else {
            return not_taken;
        };
        let base = LogBase {
            position: self.start.applied,
            chain,
            membership,
        };
        match self.machine.snapshot().await {
            // A thread that has ended has reported why.
            Ok(Some(source)) => self.start.taker.take(source, base).err().and(not_taken),
            Ok(None) => {
                tracing::debug!("the state machine has no snapshots, and the log grows");
                not_taken
            }
            Err(error) => {
                tracing::warn!(error = error.as_ref(), "no snapshot is taken");
                not_taken
            }
        }
    }

    async fn install(&mut self, snapshot: Snapshot) -> Result<Event<ReplyMaker>, BoxError> {
        let (reader, directory) = (self.start.reader.clone(), self.start.directory.clone());
        let id = snapshot.id();
        let verifying = tokio::task::spawn_blocking(move || verified_path(&reader, &directory, id));
        let path = match verifying.await? {
            Ok(path) => path,
            Err(error) => {
                let error: &(dyn std::error::Error + 'static) = &error;
                tracing::error!(error, "a snapshot cannot be installed");
                return Ok(Event::StateInstalled(false));
            }
        };
        self.machine.install(&path, &snapshot.base).await?;
        let LogBase {
            position, chain, ..
        } = snapshot.base;
        (self.start.applied, self.start.chain) = (position, Some(chain));
        self.has_unpublished = true;
        let (index, bytes) = (position.index.0, snapshot.size);
        tracing::info!(index, bytes, "snapshot installed");
        Ok(Event::StateInstalled(true))
    }
}

fn committed(entry: Entry, chain: ChainValue) -> CommittedEntry {
    CommittedEntry {
        index: entry.position.index,
        term: entry.position.term,
        chain,
        command: match entry.payload {
            Payload::Command(command) => Some(command),
            Payload::Empty | Payload::Membership(_) => None,
        },
    }
}
