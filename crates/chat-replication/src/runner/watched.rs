//! Tasks that the replica cannot do without: one that panics stops it, instead of leaving a node
//! that is neither dead nor alive.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::mpsc::Sender;
use tokio::task::JoinHandle;

use crate::runner::Stopped;
use crate::runner::state_machine::BoxError;
use crate::runner::turns::Incoming;

/// Runs `task`; if it panics, the replica is told to stop for the reason that `stopped` makes.
pub(super) fn spawn(
    task: impl Future<Output = ()> + Send + 'static,
    events: Sender<Incoming>,
    stopped: fn(Arc<dyn std::error::Error + Send + Sync>) -> Stopped,
) -> Ended {
    let running = tokio::spawn(task);
    let watching = tokio::spawn(async move {
        if let Err(ended) = running.await
            && ended.is_panic()
        {
            let error: BoxError = ended.into();
            // A replica that has stopped already wants to hear nothing more.
            drop(events.send(Incoming::Stop(stopped(Arc::from(error)))).await);
        }
    });
    Ended(watching)
}

/// The end of a task.
#[derive(Debug)]
pub(super) struct Ended(JoinHandle<()>);

impl Ended {
    /// Completes when the task has ended, however it did.
    pub(super) async fn wait(self) {
        self.0.await.expect("watching does not panic");
    }
}
