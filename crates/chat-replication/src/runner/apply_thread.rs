//! The thread that owns the embedder's state machine: it applies, in order, and makes visible.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use chat_consensus::{Entry, Payload};
use tokio::sync::mpsc::Sender;
use tokio::sync::oneshot;

use crate::event::Event;
use crate::runner::Stopped;
use crate::runner::state_machine::{BoxError, Committed, StateMachine};
use crate::runner::turns::Incoming;

/// One batch is under way at most; the rest are reads that wait to see it.
const JOBS_MAX: usize = 8_192;

/// What was applied becomes visible after this long without anything to do.
const IDLE: Duration = Duration::from_millis(5);

#[derive(Debug)]
enum ApplyJob {
    Apply(Vec<Entry>),
    MakeVisible(oneshot::Sender<()>),
}

/// The way to the thread; the thread ends when every way to it is dropped.
#[derive(Debug)]
pub(super) struct ApplyThread {
    jobs: SyncSender<ApplyJob>,
}

/// Asks the state machine to show what it has applied.
#[derive(Clone, Debug)]
pub(super) struct Visibility {
    jobs: SyncSender<ApplyJob>,
}

impl ApplyThread {
    pub(super) fn start(machine: impl StateMachine, events: Sender<Incoming>) -> io::Result<Self> {
        let (jobs, received) = sync_channel(JOBS_MAX);
        let worker = Worker {
            machine,
            events,
            hidden: false,
        };
        let run = move || worker.work(&received);
        thread::Builder::new()
            .name("state-machine".into())
            .spawn(run)?;
        Ok(Self { jobs })
    }

    pub(super) fn visibility(&self) -> Visibility {
        Visibility {
            jobs: self.jobs.clone(),
        }
    }

    /// Hands committed entries over. `false` when the replica cannot go on.
    pub(super) fn apply(&self, entries: Vec<Entry>) -> bool {
        match self.jobs.try_send(ApplyJob::Apply(entries)) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
    }
}

impl Visibility {
    /// Completes when readers see everything that was applied before the call. `false` when there
    /// are too many such waits, or the replica has stopped.
    pub(super) async fn catch_up(&self) -> bool {
        let (shown, seen) = oneshot::channel();
        match self.jobs.try_send(ApplyJob::MakeVisible(shown)) {
            Ok(()) => seen.await.is_ok(),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
    }
}

struct Worker<M> {
    machine: M,
    events: Sender<Incoming>,
    /// Something was applied and not made visible yet.
    hidden: bool,
}

impl<M: StateMachine> Worker<M> {
    fn work(mut self, jobs: &Receiver<ApplyJob>) {
        loop {
            let job = if self.hidden {
                jobs.recv_timeout(IDLE)
            } else {
                jobs.recv().map_err(|_gone| RecvTimeoutError::Disconnected)
            };
            let done = match job {
                Ok(ApplyJob::Apply(entries)) => self.apply(entries),
                Ok(ApplyJob::MakeVisible(shown)) => self.show().map(|()| {
                    let _given_up = shown.send(());
                }),
                Err(RecvTimeoutError::Timeout) => self.show(),
                Err(RecvTimeoutError::Disconnected) => break,
            };
            if let Err(error) = done {
                let stop = Incoming::Stop(Stopped::StateMachine(Arc::from(error)));
                drop(self.events.blocking_send(stop));
                return;
            }
        }
        if let Err(error) = self.show() {
            tracing::warn!(
                error = error.as_ref(),
                "the state was not written at the end"
            );
        }
    }

    fn apply(&mut self, entries: Vec<Entry>) -> Result<(), BoxError> {
        let batch: Vec<Committed> = entries.into_iter().map(committed).collect();
        let answers = self.machine.apply(&batch)?;
        if answers.len() != batch.len() {
            return Err("the state machine must give one answer for each entry".into());
        }
        self.hidden = true;
        // A stopped replica wants to hear nothing more.
        drop(
            self.events
                .blocking_send(Incoming::Event(Event::Applied(answers))),
        );
        Ok(())
    }

    fn show(&mut self) -> Result<(), BoxError> {
        if self.hidden {
            self.machine.make_visible()?;
            self.hidden = false;
        }
        Ok(())
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
