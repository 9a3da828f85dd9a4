//! What every task of a signed-in account works with, and the one thing that a task reports to the
//! engine. Deliberately absent: the tasks themselves, which all import this file.

use std::sync::Arc;

use chat_client::{ChatClient, Session};
use tokio::sync::{Mutex, MutexGuard, mpsc};

use crate::backend::contact::Contact;
use crate::backend::event_sender::EventSender;
use crate::local_store::{AccountKey, LocalStore};
use crate::model::event::BackendEvent;

/// The local store, shared by the engine and the tasks of an account.
pub(in crate::backend) type SharedStore = Arc<Mutex<LocalStore>>;

/// What a task reports to the engine.
#[derive(Debug)]
pub(in crate::backend) enum TaskEvent {
    /// The servers no longer accept the session with this number.
    SessionClosed(u64),
}

/// The session is over, or the window is gone: a task ends.
pub(in crate::backend) struct SessionClosed;

/// What every task of an account works with.
#[derive(Clone)]
pub(in crate::backend) struct SessionContext {
    pub(in crate::backend) client: ChatClient,
    pub(in crate::backend) account: AccountKey,
    pub(in crate::backend) session: Session,
    pub(in crate::backend) contact: Contact,
    pub(in crate::backend) store: SharedStore,
    pub(in crate::backend) events: EventSender,
    pub(in crate::backend) task_events: mpsc::Sender<TaskEvent>,
}

impl SessionContext {
    /// Sends an event to the window.
    pub(in crate::backend) async fn send(&self, event: BackendEvent) {
        self.events.send(event).await;
    }

    /// The addresses of the servers, for error texts.
    pub(in crate::backend) fn addresses(&self) -> Vec<String> {
        self.client.addresses()
    }

    /// Takes the lock of the local store.
    pub(in crate::backend) async fn store(&self) -> MutexGuard<'_, LocalStore> {
        self.store.lock().await
    }

    /// Reports that the servers no longer accept the session with this number.
    pub(in crate::backend) async fn report_session_closed(&self, number: u64) {
        // The engine is gone once the window is closed; the report is of no use then.
        let _gone = self
            .task_events
            .send(TaskEvent::SessionClosed(number))
            .await;
    }
}
