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
    let running = tokio::spawn(task);
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
        self.0.await.expect("watching does not panic");
    }
}
