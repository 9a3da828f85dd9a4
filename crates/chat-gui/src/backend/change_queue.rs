//! Changes of the inbox: marks messages as read and deletes them, in order, and retries each
//! request until it is done. All of it may be done twice without harm. The engine has stored each
//! change before it is requested here; the next start takes up what was not finished.

use std::collections::VecDeque;
use std::time::Duration;

use chat_client::{ClientError, StatusCode};
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;
use uuid::Uuid;

use crate::backend::session::context::SessionContext;
use crate::backend::translate;
use crate::local_store::pending_changes::ChangeKind;
use crate::model::event::BackendEvent;
use crate::model::failure::Failure;
use crate::model::names::MessageId;

/// The most ids in one request; the servers' own limit.
const IDS_MAX: usize = 1_000;
/// The pause after an attempt that failed; the client has tried every node by then.
const PAUSE: Duration = Duration::from_secs(1);
/// The pause after a server answered with something that is neither the change nor a rejection of it.
const REJECTED_PAUSE: Duration = Duration::from_secs(10);
/// Steps in the queue at most. More come when a person deletes for minutes without a server; the
/// channel before this queue fills up then.
const WAITING_MAX: usize = 1_000;

/// A change of the inbox.
#[derive(Debug)]
pub(super) enum ChangeRequest {
    /// These were read.
    Read(Vec<MessageId>),
    /// These are to go.
    Delete(Vec<MessageId>),
    /// Signal when everything before this is done.
    Flush(oneshot::Sender<()>),
}

enum Step {
    Read(Vec<Uuid>),
    Delete(Vec<Uuid>),
    Flush(oneshot::Sender<()>),
}

/// Handles requests until the channel is closed.
pub(super) async fn run(context: SessionContext, mut changes: mpsc::Receiver<ChangeRequest>) {
    let (client, session) = (&context.client, &context.session);
    let mut contact = context.contact.subscribe();
    let mut waiting = unfinished(&context).await;
    loop {
        if waiting.is_empty() {
            match changes.recv().await {
                Some(change) => add(&mut waiting, change),
                None => return,
            }
        }
        while waiting.len() < WAITING_MAX
            && let Ok(change) = changes.try_recv()
        {
            add(&mut waiting, change);
        }
        let Some(step) = waiting.pop_front() else {
            continue;
        };
        contact.forget();
        let outcome = match &step {
            Step::Read(ids) => client.mark_read(session, ids).await,
            Step::Delete(ids) => client.delete_messages(session, ids).await,
            Step::Flush(_) => Ok(()),
        };
        match outcome {
            Ok(()) => finish(&context, step).await,
            // The task that watches the inbox notices it too, and reports it.
            Err(error) if translate::is_session_over(&error) => return,
            // Only a malformed request fails on every node, and permanently.
            Err(ClientError::Status {
                code: StatusCode::InvalidArgument,
                message,
                ..
            }) => {
                let why = Failure::Refused(message);
                context.send(BackendEvent::InboxFailed(why)).await;
                finish(&context, step).await;
            }
            Err(error) => {
                waiting.push_front(step);
                let pause = match error {
                    ClientError::Unavailable { .. } | ClientError::OutcomeUnknown { .. } => PAUSE,
                    _ => REJECTED_PAUSE,
                };
                tokio::select! {
                    () = sleep(pause) => {}
                    () = contact.changed() => {}
                }
            }
        }
    }
}

/// What an earlier run of the window has requested and not finished.
async fn unfinished(context: &SessionContext) -> VecDeque<Step> {
    let pending = context
        .store()
        .await
        .pending_changes(&context.account)
        .await;
    let mut waiting = VecDeque::new();
    match pending {
        Ok((read, deleted)) => {
            add(&mut waiting, ChangeRequest::Read(read));
            add(&mut waiting, ChangeRequest::Delete(deleted));
        }
        Err(error) => context.events.report_storage_error(Err(error)).await,
    }
    waiting
}

/// The servers have carried a step out, or rejected it permanently.
async fn finish(context: &SessionContext, step: Step) {
    let (kind, ids) = match step {
        Step::Read(ids) => (ChangeKind::Read, ids),
        Step::Delete(ids) => (ChangeKind::Delete, ids),
        Step::Flush(done) => {
            // The receiver may have stopped waiting.
            let _gone = done.send(());
            return;
        }
    };
    let mut store = context.store().await;
    let kept = store.change_done(&context.account, kind, &ids).await;
    drop(store);
    context.events.report_storage_error(kept).await;
}

fn add(waiting: &mut VecDeque<Step>, change: ChangeRequest) {
    let chunks = |ids: Vec<MessageId>| {
        let ids: Vec<Uuid> = ids.into_iter().map(|id| id.0).collect();
        let chunks: Vec<Vec<Uuid>> = ids.chunks(IDS_MAX).map(<[Uuid]>::to_vec).collect();
        chunks
    };
    match change {
        ChangeRequest::Read(ids) => waiting.extend(chunks(ids).into_iter().map(Step::Read)),
        ChangeRequest::Delete(ids) => waiting.extend(chunks(ids).into_iter().map(Step::Delete)),
        ChangeRequest::Flush(done) => waiting.push_back(Step::Flush(done)),
    }
}
