//! Tasks that the replica cannot do without: one that panics stops it, instead of leaving a node
//! that is neither dead nor alive.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::mpsc::Sender;
use tokio::task::JoinHandle;

use crate::runner::loop_event::LoopEvent;
use crate::runner::state_machine::BoxError;
use crate::runner::stop_reason::StopReason;

/// Runs `task`; if it panics, the replica stops for the reason that `stopped` makes.
pub(super) fn spawn(
    task: impl Future<Output = ()> + Send + 'static,
    events: Sender<LoopEvent>,
    stopped: fn(Arc<dyn std::error::Error + Send + Sync>) -> StopReason,
) -> TaskHandle {
    watch(tokio::spawn(task), events, stopped)
}

/// As [`spawn`], for a task that blocks its thread.
pub(super) fn spawn_on_a_thread(
    task: impl Future<Output = ()> + Send + 'static,
    events: Sender<LoopEvent>,
    stopped: fn(Arc<dyn std::error::Error + Send + Sync>) -> StopReason,
) -> TaskHandle {
    let runtime = tokio::runtime::Handle::current();
    let running = tokio::task::spawn_blocking(move || runtime.block_on(task));
    watch(running, events, stopped)
}

fn watch(
    running: JoinHandle<()>,
    events: Sender<LoopEvent>,
    stopped: fn(Arc<dyn std::error::Error + Send + Sync>) -> StopReason,
) -> TaskHandle {
    let watching = tokio::spawn(async move {
        if let Err(ended) = running.await
            && ended.is_panic()
        {
            let error: BoxError = ended.into();
            // A replica that has stopped receives nothing more.
            drop(
                events
                    .send(LoopEvent::Stop(stopped(Arc::from(error))))
                    .await,
            );
        }
    });
    TaskHandle(watching)
}

/// The end of a task.
#[derive(Debug)]
pub(super) struct TaskHandle(JoinHandle<()>);

impl TaskHandle {
    /// Completes when the task has ended, however it did.
    pub(super) async fn wait(self) {
        // Watching does not panic; it is cancelled when the runtime ends.
        drop(self.0.await);
    }
}
