//! One account that is signed in: its tasks, which all end with it.

use std::sync::Arc;

use chat_client::{ChatClient, Session};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use crate::backend::change_queue::{self, Change};
use crate::backend::delivery::{Delivery, Order};
use crate::backend::event::StoredAccount;
use crate::backend::follower::{Follower, Wish};
use crate::backend::{Outlet, delivery, ledger_check};
use crate::local_store::LocalStore;
use crate::model::names::{MessageId, Name};

/// Orders of one kind that wait at most; who orders more waits.
const ORDERS_MAX: usize = 256;

/// What this device keeps, for whoever needs it next.
pub(super) type SharedStore = Arc<Mutex<LocalStore>>;

/// What a task tells the engine.
#[derive(Debug)]
pub(super) enum Internal {
    /// The servers do not accept the session any more.
    SessionOver,
}

/// One account that is signed in. Dropping it ends its tasks.
pub(super) struct SignedIn {
    pub(super) name: Name,
    pub(super) session: Session,
    pub(super) tasks: JoinSet<()>,
    pub(super) to_delivery: mpsc::Sender<Order>,
    pub(super) to_follower: mpsc::Sender<Wish>,
    pub(super) to_changes: mpsc::Sender<Change>,
    client: ChatClient,
    store: SharedStore,
    outlet: Outlet,
}

impl SignedIn {
    /// Begins to follow the inbox and to deliver what waits.
    pub(super) fn begin(
        client: &ChatClient,
        addresses: &[String],
        session: Session,
        stored: &StoredAccount,
        store: &SharedStore,
        outlet: &Outlet,
        internal: &mpsc::Sender<Internal>,
    ) -> Self {
        let mut tasks = JoinSet::new();
        let (to_delivery, orders) = mpsc::channel(ORDERS_MAX);
        let delivery = Delivery::new(
            stored.name.clone(),
            client,
            session.clone(),
            addresses.to_vec(),
            Arc::clone(store),
            outlet.clone(),
            internal.clone(),
            stored.outbox.clone(),
        );
        tasks.spawn(delivery.run(orders));
        let (to_follower, wishes) = mpsc::channel(ORDERS_MAX);
        let follower = Follower::new(
            client,
            session.clone(),
            addresses.to_vec(),
            outlet.clone(),
            internal.clone(),
        );
        tasks.spawn(follower.run(wishes));
        let (to_changes, changes) = mpsc::channel(ORDERS_MAX);
        tasks.spawn(change_queue::run(
            client.clone(),
            session.clone(),
            addresses.to_vec(),
            outlet.clone(),
            changes,
        ));
        Self {
            name: stored.name.clone(),
            session,
            tasks,
            to_delivery,
            to_follower,
            to_changes,
            client: client.clone(),
            store: Arc::clone(store),
            outlet: outlet.clone(),
        }
    }

    /// Compares what was acknowledged with what the servers have.
    pub(super) fn check_ledger(&mut self, ids: Vec<MessageId>) {
        let check = ledger_check::run(
            self.client.clone(),
            self.session.clone(),
            Arc::clone(&self.store),
            self.outlet.clone(),
            ids,
        );
        self.tasks.spawn(check);
    }

    /// Ends all tasks, and waits until they have: nothing more is told by them.
    pub(super) async fn end(mut self) {
        self.tasks.shutdown().await;
    }

    /// Lets the changes of the inbox that were ordered be finished, for so long.
    pub(super) async fn finish(mut self, patience: std::time::Duration) {
        let (done, finished) = tokio::sync::oneshot::channel();
        if self.to_changes.send(Change::Flush(done)).await.is_ok() {
            // What is not finished by then is tried no longer; the person wants to go.
            let _late = tokio::time::timeout(patience, finished).await;
        }
        self.tasks.shutdown().await;
    }
}

/// What the store says, in one line.
pub(super) fn device_trouble(error: &dyn std::error::Error) -> crate::model::failure::Failure {
    crate::model::failure::Failure::Device(delivery::chain(error))
}
