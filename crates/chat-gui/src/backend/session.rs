//! One account that is signed in: its tasks, which all end with it.

use std::sync::Arc;

use chat_client::{ChatClient, Session};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use crate::backend::change_queue::{self, Change};
use crate::backend::delivery::{Delivery, Order};
use crate::backend::event::StoredAccount;
use crate::backend::follower::{Follower, Wish};
use crate::backend::{Outlet, ledger_check};
use crate::local_store::{AccountKey, LocalStore};
use crate::model::names::MessageId;

/// Orders of one kind that wait at most; who orders more waits.
const ORDERS_MAX: usize = 256;

/// What this device keeps, for whoever needs it next.
pub(super) type SharedStore = Arc<Mutex<LocalStore>>;

/// What a task tells the engine.
#[derive(Debug)]
pub(super) enum Internal {
    /// The servers do not accept the session with this number any more.
    SessionOver(u64),
}

/// One account that is signed in. Dropping it ends its tasks.
pub(super) struct SignedIn {
    pub(super) account: AccountKey,
    /// Tells what its tasks say from what those of an earlier session said.
    pub(super) number: u64,
    pub(super) session: Session,
    pub(super) tasks: JoinSet<()>,
    pub(super) to_delivery: mpsc::Sender<Order>,
    pub(super) to_follower: mpsc::Sender<Wish>,
    pub(super) to_changes: mpsc::Sender<Change>,
    means: Means,
}

/// What every task of an account works with.
#[derive(Clone)]
pub(super) struct Means {
    pub(super) client: ChatClient,
    pub(super) account: AccountKey,
    pub(super) session: Session,
    /// For sentences only; the client knows them too.
    pub(super) addresses: Vec<String>,
    pub(super) store: SharedStore,
    pub(super) outlet: Outlet,
    pub(super) internal: mpsc::Sender<Internal>,
}

impl Means {
    /// The servers do not accept this session any more.
    pub(super) async fn session_is_over(&self, number: u64) {
        // Nobody is left to be told once the window is gone.
        let _gone = self.internal.send(Internal::SessionOver(number)).await;
    }
}

impl SignedIn {
    /// Begins to follow the inbox and to deliver what waits.
    pub(super) fn begin(number: u64, means: &Means, stored: &StoredAccount) -> Self {
        let mut tasks = JoinSet::new();
        let (to_delivery, orders) = mpsc::channel(ORDERS_MAX);
        let delivery = Delivery::new(number, means.clone(), stored);
        tasks.spawn(delivery.run(orders));
        let (to_follower, wishes) = mpsc::channel(ORDERS_MAX);
        tasks.spawn(Follower::new(number, means.clone()).run(wishes));
        let (to_changes, changes) = mpsc::channel(ORDERS_MAX);
        tasks.spawn(change_queue::run(means.clone(), changes));
        Self {
            account: means.account.clone(),
            number,
            session: means.session.clone(),
            tasks,
            to_delivery,
            to_follower,
            to_changes,
            means: means.clone(),
        }
    }

    /// Compares what was acknowledged with what the servers have.
    pub(super) fn check_ledger(&mut self, ids: Vec<MessageId>) {
        self.tasks.spawn(ledger_check::run(self.means.clone(), ids));
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
    crate::model::failure::Failure::Device(chain(error))
}

/// An error with its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
