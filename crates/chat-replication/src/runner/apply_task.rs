//! The task that owns the embedder's state machine: it applies, in order, and makes visible what it
//! has applied, once for everybody who waits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chat_consensus::{Entry, LogIndex, Payload};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::time::sleep_until;

use crate::event::Event;
use crate::runner::StopReason;
use crate::runner::event_loop::LoopEvent;
use crate::runner::state_machine::{BoxError, Committed, StateMachine};
use crate::runner::supervised_task;

/// The replica has one batch under way at most.
const BATCHES_MAX: usize = 1;

/// What was applied becomes visible after this long without anything to do.
const IDLE: Duration = Duration::from_millis(5);

/// After a publishing the next waits this many times as long as the last one took, so that readers
/// cost the batches a fifth of the time at most…
const PUBLISH_PAUSE_TIMES: u32 = 4;
/// …but never longer than this: readers notice more.
const PUBLISH_PAUSE_MAX: Duration = Duration::from_millis(3);

/// The way to the task; the task ends when the replica tells it to.
#[derive(Debug)]
pub(super) struct ApplyTask {
    batches: Sender<Vec<Entry>>,
    publisher: Publisher,
    ended: supervised_task::TaskHandle,
    /// Dropped to end the task: readers keep ways to it for as long as they like.
    ending: oneshot::Sender<()>,
}

/// The task has ended: the state machine failed, or the replica has stopped.
#[derive(Clone, Copy, Debug)]
pub(super) struct ApplyTaskEnded;

/// What readers see, and how they ask for more.
#[derive(Clone, Debug)]
pub(super) struct Publisher {
    visible: watch::Receiver<LogIndex>,
    /// The highest index that somebody waits for.
    wanted: Arc<watch::Sender<LogIndex>>,
    places: Arc<Semaphore>,
}

/// Why an index is not visible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PublishError {
    /// Too many wait for their index.
    Overloaded,
    /// The task has ended.
    Closed,
}

impl ApplyTask {
    /// `waiting_max` is how many may wait at once until readers see their index.
    pub(super) fn start(
        machine: impl StateMachine,
        waiting_max: usize,
        events: Sender<LoopEvent>,
    ) -> Self {
        let applied = LogIndex(machine.applied().index);
        let (batches, received) = mpsc::channel(BATCHES_MAX);
        let (ending, end) = oneshot::channel();
        let (visible, seen) = watch::channel(applied);
        let (wanted, asked) = watch::channel(applied);
        let now = Instant::now();
        let worker = Worker {
            machine,
            events: events.clone(),
            applied,
            visible,
            wanted: asked,
            idle_since: now,
            publish_from: now,
        };
        let ended =
            supervised_task::spawn(worker.work(received, end), events, StopReason::StateMachine);
        let publisher = Publisher {
            visible: seen,
            wanted: Arc::new(wanted),
            places: Arc::new(Semaphore::new(waiting_max)),
        };
        Self {
            batches,
            publisher,
            ended,
            ending,
        }
    }

    pub(super) fn publisher(&self) -> Publisher {
        self.publisher.clone()
    }

    /// Workers committed entries over.
    pub(super) fn apply(&self, entries: Vec<Entry>) -> Result<(), ApplyTaskEnded> {
        match self.batches.try_send(entries) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(ApplyTaskEnded),
            Err(mpsc::error::TrySendError::Full(_)) => {
                unreachable!("the replica has one batch under way at most")
            }
        }
    }

    /// Completes when what was begun is done and the state machine is gone.
    pub(super) async fn close(self) {
        drop(self.ending);
        self.ended.wait().await;
    }
}

impl Publisher {
    /// Completes when readers see everything up to `index`, which must be applied. At once when they
    /// do already.
    pub(super) async fn publish(&self, index: LogIndex) -> Result<(), PublishError> {
        if *self.visible.borrow() >= index {
            return Ok(());
        }
        let Ok(_place) = self.places.try_acquire() else {
            return Err(PublishError::Overloaded);
        };
        self.wanted.send_if_modified(|wanted| {
            let more = *wanted < index;
            *wanted = index.max(*wanted);
            more
        });
        let mut visible = self.visible.clone();
        match visible.wait_for(|visible| *visible >= index).await {
            Ok(_) => Ok(()),
            Err(_gone) => Err(PublishError::Closed),
        }
    }
}

struct Worker<M> {
    machine: M,
    events: Sender<LoopEvent>,
    applied: LogIndex,
    /// What readers see: everything up to here.
    visible: watch::Sender<LogIndex>,
    /// What they wait for.
    wanted: watch::Receiver<LogIndex>,
    /// When the last batch was applied.
    idle_since: Instant,
    /// Publishing is not done again before.
    publish_from: Instant,
}

impl<M: StateMachine> Worker<M> {
    async fn work(mut self, mut batches: Receiver<Vec<Entry>>, end: oneshot::Receiver<()>) {
        let mut end = std::pin::pin!(end);
        loop {
            let publish_at = self.publish_at();
            // Not by the timer, which may be a millisecond late.
            let due = publish_at.is_some_and(|at| at <= Instant::now());
            let done = if due {
                self.publish().await
            } else {
                tokio::select! {
                    biased;
                    _ = &mut end => break,
                    Some(entries) = batches.recv() => self.apply(entries).await,
                    Ok(()) = self.wanted.changed() => continue,
                    () = sleep_until_some(publish_at) => continue,
                }
            };
            if let Err(error) = done {
                let stop = LoopEvent::Stop(StopReason::StateMachine(Arc::from(error)));
                // A stopped replica wants to hear nothing more.
                return drop(self.events.send(stop).await);
            }
        }
        if self.is_hidden()
            && let Err(error) = self.publish().await
        {
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
        if let Some(last) = batch.last() {
            self.applied = LogIndex(last.index);
        }
        self.idle_since = Instant::now();
        // A stopped replica wants to hear nothing more.
        drop(
            self.events
                .send(LoopEvent::Event(Event::Applied(answers)))
                .await,
        );
        Ok(())
    }

    async fn publish(&mut self) -> Result<(), BoxError> {
        let began = Instant::now();
        self.machine.publish().await?;
        let pause = began.elapsed().saturating_mul(PUBLISH_PAUSE_TIMES);
        self.publish_from = Instant::now() + pause.min(PUBLISH_PAUSE_MAX);
        self.visible.send_replace(self.applied);
        Ok(())
    }

    /// Whether something was applied and not made visible yet.
    fn is_hidden(&self) -> bool {
        *self.visible.borrow() < self.applied
    }

    /// When what is applied is to be made visible; `None` while everything is.
    fn publish_at(&mut self) -> Option<Instant> {
        let wanted = *self.wanted.borrow_and_update();
        let visible = *self.visible.borrow();
        if visible >= self.applied {
            None
        } else if wanted > visible {
            Some(self.publish_from)
        } else {
            Some(self.idle_since + IDLE)
        }
    }
}

async fn sleep_until_some(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

fn committed(entry: Entry) -> Committed {
    Committed {
        index: entry.position.index.0,
        term: entry.position.term.0,
        command: match entry.payload {
            Payload::Command(command) => Some(command),
            Payload::Empty | Payload::Membership(_) => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use bytes::Bytes;
    use chat_consensus::Position;
    use tokio::task::JoinSet;
    use tokio::time::timeout;

    use super::*;
    use crate::runner::state_machine::Applied;

    /// Counts how often it was made visible; applies only what it has a permit for.
    #[derive(Clone, Debug)]
    struct Machine {
        shown: Arc<AtomicUsize>,
        may_apply: Arc<Semaphore>,
    }

    impl StateMachine for Machine {
        fn applied(&self) -> Applied {
            Applied { index: 3, term: 1 }
        }

        async fn apply(&mut self, batch: &[Committed]) -> Result<Vec<Bytes>, BoxError> {
            self.may_apply.acquire().await?.forget();
            Ok(vec![Bytes::new(); batch.len()])
        }

        async fn publish(&mut self) -> Result<(), BoxError> {
            self.shown.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }
    }

    struct Running {
        task: ApplyTask,
        machine: Machine,
        events: Receiver<LoopEvent>,
    }

    impl Running {
        fn start(waiting_max: usize, may_apply: usize) -> Self {
            let machine = Machine {
                shown: Arc::default(),
                may_apply: Arc::new(Semaphore::new(may_apply)),
            };
            let (sender, events) = mpsc::channel(8);
            Self {
                task: ApplyTask::start(machine.clone(), waiting_max, sender),
                machine,
                events,
            }
        }

        fn apply(&self, index: u64) {
            let entry = Entry {
                position: Position::new(index, 1),
                payload: Payload::Empty,
            };
            self.task.apply(vec![entry]).expect("the task runs");
        }

        async fn applied(&mut self) {
            let event = self.events.recv().await;
            assert!(
                matches!(event, Some(LoopEvent::Event(Event::Applied(_)))),
                "{event:?}"
            );
        }

        /// Readers that have begun to wait for `index`.
        async fn readers(&self, count: usize, index: u64) -> JoinSet<Result<(), PublishError>> {
            let mut readers = JoinSet::new();
            for _ in 0..count {
                let publisher = self.task.publisher();
                readers.spawn(async move { publisher.publish(LogIndex(index)).await });
            }
            // Each of them runs before this task does again.
            tokio::task::yield_now().await;
            readers
        }
    }

    /// R14, C6: a commit for each reader would cost more than what it commits.
    #[tokio::test]
    async fn readers_who_wait_together_share_one_publishing() {
        let mut running = Running::start(1_000, usize::from(u16::MAX));
        for index in 4..=6 {
            running.apply(index);
            running.applied().await;
        }
        let readers = running.readers(1_000, 6).await;
        for outcome in readers.join_all().await {
            assert_eq!(outcome, Ok(()));
        }
        let shown = running.machine.shown.load(Ordering::Relaxed);
        assert!(shown == 1, "{shown}");
        running.task.close().await;
    }

    /// R14: what readers see already is not made visible again, and waits for no batch.
    #[tokio::test]
    async fn index_that_is_visible_is_published_at_once() {
        let running = Running::start(1, 0);
        running.apply(4);
        let publisher = running.task.publisher();
        let published = timeout(Duration::from_secs(5), publisher.publish(LogIndex(3))).await;
        assert_eq!(published, Ok(Ok(())));
        assert_eq!(running.machine.shown.load(Ordering::Relaxed), 0);
    }

    /// S-A10: readers are shed; a batch never finds its way taken by them.
    #[tokio::test]
    async fn more_readers_than_places_are_refused_and_batches_go_on() {
        let mut running = Running::start(2, 0);
        running.apply(4);
        let waiting = running.readers(2, 4).await;
        let refused = running.readers(100, 4).await;
        for outcome in refused.join_all().await {
            assert_eq!(outcome, Err(PublishError::Overloaded));
        }
        running.machine.may_apply.add_permits(2);
        running.applied().await;
        running.apply(5);
        running.applied().await;
        for outcome in waiting.join_all().await {
            assert_eq!(outcome, Ok(()));
        }
        running.task.close().await;
    }
}
