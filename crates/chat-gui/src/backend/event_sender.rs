//! Where the tasks of the backend send their events: the channel to the window, which is woken
//! after each of them.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::backend::translate;
use crate::model::event::BackendEvent;

/// Wakes the window after each event.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// Sends events to the window, and wakes it.
#[derive(Clone)]
pub(super) struct EventSender {
    pub(super) events: mpsc::Sender<BackendEvent>,
    pub(super) wake: Wake,
}

impl EventSender {
    /// Waits when the window is behind. An event after the window has closed is dropped.
    pub(super) async fn send(&self, event: BackendEvent) {
        if self.events.send(event).await.is_ok() {
            (self.wake)();
        }
    }

    /// Reports that this device did not store something that it should have.
    pub(super) async fn report_storage_error<E: std::error::Error>(&self, outcome: Result<(), E>) {
        if let Err(error) = outcome {
            let why = translate::local_storage_error(&error);
            self.send(BackendEvent::LocalStorageFailed(why)).await;
        }
    }
}
