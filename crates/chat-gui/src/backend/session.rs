//! One account that is signed in: its tasks, which all end with it.

pub(super) mod context;

use chat_client::Session;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::backend::change_queue::{self, ChangeRequest};
use crate::backend::inbox_sync::{InboxSync, SyncRequest};
use crate::backend::ledger_check;
use crate::backend::outbox_sender::{OutboxRequest, OutboxSender};
use crate::backend::session::context::SessionContext;
use crate::local_store::AccountKey;
use crate::local_store::inbox_copy::CopyPosition;
use crate::model::ledger::LedgerScope;
use crate::model::message::OutboxMessage;
use crate::model::names::MessageId;

/// Requests of one kind in a queue at most; the engine waits when it is full.
const REQUESTS_MAX: usize = 256;

/// What the tasks of an account start with.
#[derive(Debug, Default)]
pub(super) struct Start {
    /// What is not acknowledged.
    pub(super) outbox: Vec<OutboxMessage>,
    /// How far the copy of the inbox goes.
    pub(super) copy: CopyPosition,
}

/// One account that is signed in. Dropping it ends its tasks.
pub(super) struct SignedIn {
    pub(super) account: AccountKey,
    /// Distinguishes reports of its tasks from those of an earlier session.
    pub(super) number: u64,
    pub(super) session: Session,
    pub(super) tasks: JoinSet<()>,
    pub(super) outbox_requests: mpsc::Sender<OutboxRequest>,
    pub(super) sync_requests: mpsc::Sender<SyncRequest>,
    pub(super) change_requests: mpsc::Sender<ChangeRequest>,
    context: SessionContext,
}

impl SignedIn {
    /// Starts the tasks that watch the inbox and send the outbox.
    pub(super) fn start(number: u64, context: &SessionContext, start: Start) -> Self {
        let mut tasks = JoinSet::new();
        let (outbox_requests, requests) = mpsc::channel(REQUESTS_MAX);
        let outbox_sender = OutboxSender::new(number, context.clone(), start.outbox);
        tasks.spawn(outbox_sender.run(requests));
        let (sync_requests, requests) = mpsc::channel(REQUESTS_MAX);
        let inbox_sync = InboxSync::new(number, context.clone(), start.copy);
        tasks.spawn(inbox_sync.run(requests));
        let (change_requests, changes) = mpsc::channel(REQUESTS_MAX);
        tasks.spawn(change_queue::run(context.clone(), changes));
        Self {
            account: context.account.clone(),
            number,
            session: context.session.clone(),
            tasks,
            outbox_requests,
            sync_requests,
            change_requests,
            context: context.clone(),
        }
    }

    /// Compares what was acknowledged with what the servers have.
    pub(super) fn check_ledger(&mut self, ids: Vec<MessageId>, scope: LedgerScope) {
        self.tasks
            .spawn(ledger_check::run(self.context.clone(), ids, scope));
    }

    /// Ends all tasks, and waits until they have: they send no more events.
    pub(super) async fn stop(mut self) {
        self.tasks.shutdown().await;
    }

    /// Waits for the changes of the inbox that were requested, at most for `limit`.
    pub(super) async fn finish(self, limit: std::time::Duration) {
        self.flush(limit).await;
        let Self {
            mut tasks,
            outbox_requests,
            sync_requests,
            change_requests,
            ..
        } = self;
        // Without requests a task ends by itself, when the window shows all that the task has stored.
        drop((outbox_requests, sync_requests, change_requests));
        let all_ended = async { while tasks.join_next().await.is_some() {} };
        let _late = tokio::time::timeout(limit, all_ended).await;
        tasks.shutdown().await;
    }

    /// The same, and the tasks go on.
    pub(super) async fn flush(&self, limit: std::time::Duration) {
        let (done, finished) = tokio::sync::oneshot::channel();
        if self
            .change_requests
            .send(ChangeRequest::Flush(done))
            .await
            .is_ok()
        {
            // What is not finished by then is tried no longer; the person wants to go.
            let _late = tokio::time::timeout(limit, finished).await;
        }
    }
}
