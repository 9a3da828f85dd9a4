//! The task that owns the embedder's state machine: it applies, in order, and makes visible.

use std::sync::Arc;
use std::time::Duration;

use chat_consensus::{Entry, Payload};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::event::Event;
use crate::runner::Stopped;
use crate::runner::state_machine::{BoxError, Committed, StateMachine};
use crate::runner::turns::Incoming;
use crate::runner::watched;

/// One batch is under way at most; the rest are reads that wait to see it.
const JOBS_MAX: usize = 8_192;

/// What was applied becomes visible after this long without anything to do.
const IDLE: Duration = Duration::from_millis(5);

#[derive(Debug)]
enum ApplyJob {
    Apply(Vec<Entry>),
    MakeVisible(oneshot::Sender<()>),
}

/// The way to the task; the task ends when the replica tells it to.
#[derive(Debug)]
pub(super) struct ApplyTask {
    jobs: Sender<ApplyJob>,
    ended: watched::Ended,
    /// Dropped to end the task: readers keep ways to it for as long as they like.
    ending: oneshot::Sender<()>,
}

/// Asks the state machine to show what it has applied.
#[derive(Clone, Debug)]
pub(super) struct Visibility {
    jobs: Sender<ApplyJob>,
}

impl ApplyTask {
    pub(super) fn start(machine: impl StateMachine, events: Sender<Incoming>) -> Self {
        let (jobs, received) = mpsc::channel(JOBS_MAX);
        let (ending, end) = oneshot::channel();
        let worker = Worker {
            machine,
            events: events.clone(),
            hidden: false,
        };
        let ended = watched::spawn(worker.work(received, end), events, Stopped::StateMachine);
        Self {
            jobs,
            ended,
            ending,
        }
    }

    pub(super) fn visibility(&self) -> Visibility {
        Visibility {
            jobs: self.jobs.clone(),
        }
    }

    /// Hands committed entries over. `false` when the replica cannot go on.
    pub(super) fn apply(&self, entries: Vec<Entry>) -> bool {
        self.jobs.try_send(ApplyJob::Apply(entries)).is_ok()
    }

    /// Completes when what was begun is done and the state machine is gone.
    pub(super) async fn close(self) {
        drop(self.ending);
        self.ended.wait().await;
    }
}

impl Visibility {
    /// Completes when readers see everything that was applied before the call. `false` when there
    /// are too many such waits, or the replica has stopped.
    pub(super) async fn catch_up(&self) -> bool {
        let (shown, seen) = oneshot::channel();
        self.jobs.try_send(ApplyJob::MakeVisible(shown)).is_ok() && seen.await.is_ok()
    }
}

struct Worker<M> {
    machine: M,
    events: Sender<Incoming>,
    /// Something was applied and not made visible yet.
    hidden: bool,
}

impl<M: StateMachine> Worker<M> {
    async fn work(mut self, mut jobs: Receiver<ApplyJob>, end: oneshot::Receiver<()>) {
        let mut end = std::pin::pin!(end);
        loop {
            let next = tokio::select! {
                biased;
                _ = &mut end => break,
                next = next_job(&mut jobs, self.hidden) => next,
            };
            let done = match next {
                Some(ApplyJob::Apply(entries)) => self.apply(entries).await,
                Some(ApplyJob::MakeVisible(shown)) => self.show().await.map(|()| {
                    let _given_up = shown.send(());
                }),
                None => self.show().await,
            };
            if let Err(error) = done {
                let stop = Incoming::Stop(Stopped::StateMachine(Arc::from(error)));
                // A stopped replica wants to hear nothing more.
                return drop(self.events.send(stop).await);
            }
        }
        if let Err(error) = self.show().await {
            tracing::warn!(
                error = error.as_ref(),
                "the state was not written at the end"
            );
        }
    }

    async fn apply(&mut self, entries: Vec<Entry>) -> Result<(), BoxError> {
        let batch: Vec<Committed> = entries.into_iter().map(committed).collect();
        let answers = self.machine.apply(&batch).await?;
        if answers.len() != batch.len() {
            return Err("the state machine must give one answer for each entry".into());
        }
        self.hidden = true;
        // A stopped replica wants to hear nothing more.
        drop(
            self.events
                .send(Incoming::Event(Event::Applied(answers)))
                .await,
        );
        Ok(())
    }

    async fn show(&mut self) -> Result<(), BoxError> {
        if self.hidden {
            self.machine.make_visible().await?;
            self.hidden = false;
        }
        Ok(())
    }
}

/// `None` when there is something to show and nothing else to do. Waits for ever when every way
/// to the task is gone: its owner ends it.
async fn next_job(jobs: &mut Receiver<ApplyJob>, hidden: bool) -> Option<ApplyJob> {
    if hidden {
        return timeout(IDLE, jobs.recv()).await.ok().flatten();
    }
    match jobs.recv().await {
        Some(job) => Some(job),
        None => std::future::pending().await,
    }
}

fn committed(entry: Entry) -> Committed {
    Committed {
        index: entry.position.index.0,
        term: entry.position.term.0,
        command: match entry.payload {
            Payload::Command(command) => Some(command),
            Payload::Empty | Payload::Formation(_) => None,
        },
    }
}
