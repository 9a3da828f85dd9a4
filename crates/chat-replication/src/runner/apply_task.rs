//! The task that owns the embedder's state machine: it applies and publishes, one after the other,
//! as the replica asks.

use std::sync::Arc;

use chat_consensus::{CommittedEntry, Entry, Payload};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::oneshot;

use crate::event::Event;
use crate::runner::loop_event::LoopEvent;
use crate::runner::state_machine::{BoxError, StateMachine};
use crate::runner::stop_reason::StopReason;
use crate::runner::supervised_task;

/// The replica has one job under way at most.
const JOBS_MAX: usize = 1;

/// What the state machine is to do.
#[derive(Debug)]
enum Job {
    Apply(Vec<Entry>),
    Publish,
}

/// The way to the task; the task ends when this is closed.
#[derive(Debug)]
pub(super) struct ApplyTask {
    jobs: Sender<Job>,
    task: supervised_task::TaskHandle,
    /// Dropped to end the task.
    ending: oneshot::Sender<()>,
}

/// The task has ended: the state machine failed, or the replica has stopped.
#[derive(Clone, Copy, Debug)]
pub(super) struct ApplyTaskEnded;

impl ApplyTask {
    pub(super) fn start(machine: impl StateMachine, events: Sender<LoopEvent>) -> Self {
        let (jobs, received) = mpsc::channel(JOBS_MAX);
        let (ending, end) = oneshot::channel();
        let worker = Worker {
            machine,
            events: events.clone(),
            has_unpublished: false,
        };
        let task =
            supervised_task::spawn(worker.work(received, end), events, StopReason::StateMachine);
        Self { jobs, task, ending }
    }

    /// Starts to apply committed entries.
    pub(super) fn apply(&self, entries: Vec<Entry>) -> Result<(), ApplyTaskEnded> {
        self.begin(Job::Apply(entries))
    }

    /// Starts to make visible what is applied.
    pub(super) fn publish(&self) -> Result<(), ApplyTaskEnded> {
        self.begin(Job::Publish)
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
                unreachable!("the replica has one job under way at most")
            }
        }
    }
}

struct Worker<M> {
    machine: M,
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
                    Job::Apply(entries) => self.apply(entries).await,
                    Job::Publish => self.publish().await.map(|()| Event::Published),
                },
            };
            let event = match done {
                Ok(event) => LoopEvent::Event(event),
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

    async fn apply<F>(&mut self, entries: Vec<Entry>) -> Result<Event<F>, BoxError> {
        let batch: Vec<CommittedEntry> = entries.into_iter().map(committed).collect();
        let answers = self.machine.apply(&batch).await?;
        if answers.len() != batch.len() {
            return Err("the state machine must give one answer for each entry".into());
        }
        self.has_unpublished = true;
        Ok(Event::Applied(answers))
    }

    async fn publish(&mut self) -> Result<(), BoxError> {
        self.machine.publish().await?;
        self.has_unpublished = false;
        Ok(())
    }
}

fn committed(entry: Entry) -> CommittedEntry {
    CommittedEntry {
        index: entry.position.index,
        term: entry.position.term,
        command: match entry.payload {
            Payload::Command(command) => Some(command),
            Payload::Empty => None,
        },
    }
}
