//! Sends the outbox: one message after the other, from the disk, each under the same ids on every
//! attempt. A permanently rejected message does not block the queue; everything else is retried
//! until it is acknowledged. What the servers do not take now blocks only messages to the same person.

mod send_queue;

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chat_client::{ClientError, OutgoingMessage, SendOptions, Sent};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::backend::contact::ContactReceiver;
use crate::backend::outbox_sender::send_queue::{SendQueue, Waiting};
use crate::backend::session::context::SessionContext;
use crate::backend::translate::{self, local_storage_error};
use crate::local_store::AccountKey;
use crate::model::event::BackendEvent;
use crate::model::failure::Failure;
use crate::model::message::{CopyPlace, OutboxMessage};
use crate::model::names::{Commit, MessageId};
use crate::model::time::Timestamp;

/// How long one attempt searches for a node that accepts the message.
const ATTEMPT: Duration = Duration::from_secs(4);
/// The pause after the first attempt that failed; it doubles with each further one…
const PAUSE_MIN: Duration = Duration::from_millis(200);
/// …up to this: a person who starts the servers again does not want to wait.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// The servers remember for a day which messages were deleted. A message that may have been sent
/// and is older is not sent again by itself; the rest of the day allows for clocks that differ.
const RETRY_AGE_MAX: Duration = Duration::from_secs(20 * 60 * 60);

/// A request to the task that sends the outbox.
#[derive(Debug)]
pub(super) enum OutboxRequest {
    /// Send a message that is on the disk.
    Send(OutboxMessage),
    /// Hold a message that could not be stored, until the person tries again.
    Hold(OutboxMessage),
    /// Send a rejected message again.
    Requeue(MessageId),
    /// Remove a message that is not sent.
    Withdraw(MessageId),
    /// Do not wait any longer.
    TryNow,
}

/// Sends the outbox of one account.
pub(super) struct OutboxSender {
    account: AccountKey,
    number: u64,
    context: SessionContext,
    contact: ContactReceiver,
    waiting: SendQueue,
    /// Rejected, and kept for the person to decide; by id.
    refused: HashMap<MessageId, Refused>,
}

#[derive(Debug)]
struct Refused {
    message: OutboxMessage,
    on_disk: bool,
    /// As of [`Waiting`]: it is too old to be sent again by itself.
    outcome_uncertain: bool,
}

/// What to do after an attempt.
enum Next {
    GoOn,
    SessionOver,
}

impl OutboxSender {
    /// Starts with what an earlier run has left.
    pub(super) fn new(
        number: u64,
        mut context: SessionContext,
        outbox: Vec<OutboxMessage>,
    ) -> Self {
        context.client = context.client.with_deadline(ATTEMPT);
        let (refused, waiting): (Vec<_>, Vec<_>) = outbox
            .into_iter()
            .partition(|message| message.refused.is_some());
        let waiting = waiting.into_iter().map(|message| Waiting {
            // It is not known how far the last run got with it.
            outcome_uncertain: true,
            ..Waiting::new(message)
        });
        let mut queue = SendQueue::default();
        queue.extend(waiting);
        let refused = refused.into_iter();
        Self {
            account: context.account.clone(),
            number,
            contact: context.contact.subscribe(),
            context,
            waiting: queue,
            refused: refused
                .map(|message| {
                    let refused = Refused {
                        outcome_uncertain: message.refused == Some(Failure::TooOld),
                        message,
                        on_disk: true,
                    };
                    (refused.message.id, refused)
                })
                .collect(),
        }
    }

    /// Sends until the channel of requests is closed, or the session is over.
    pub(super) async fn run(mut self, mut requests: mpsc::Receiver<OutboxRequest>) {
        loop {
            if self.waiting.is_empty() {
                let Some(request) = requests.recv().await else {
                    return;
                };
                self.handle(request, None).await;
                continue;
            }
            if !self.pause(&mut requests).await {
                return;
            }
            match self.attempt(&mut requests).await {
                Next::GoOn => {}
                Next::SessionOver => {
                    self.context.report_session_closed(self.number).await;
                    return;
                }
            }
        }
    }

    /// Waits until a message may be sent or none waits, and handles requests meanwhile. Returns whether
    /// the window is still open.
    async fn pause(&mut self, requests: &mut mpsc::Receiver<OutboxRequest>) -> bool {
        loop {
            let Err(Some(until)) = self.waiting.next(Instant::now()) else {
                return true;
            };
            tokio::select! {
                request = requests.recv() => match request {
                    None => return false,
                    Some(request) => self.handle(request, None).await,
                },
                () = sleep_until(until) => {}
                () = self.contact.changed() => self.waiting.release(),
            }
        }
    }

    /// One attempt with the next message in the queue; requests are handled meanwhile.
    async fn attempt(&mut self, requests: &mut mpsc::Receiver<OutboxRequest>) -> Next {
        let Ok(first) = self.waiting.next(Instant::now()) else {
            return Next::GoOn;
        };
        let id = first.message.id;
        let is_old = age(first.message.written_at) > RETRY_AGE_MAX;
        if first.outcome_uncertain && is_old && !first.is_requested {
            return self.find_outcome(id).await;
        }
        let attempt = first.attempts + 1;
        let message = OutgoingMessage {
            id: id.0,
            request_id: first.message.request_id.0,
            recipient: first.message.recipient.to_string(),
            body: first.message.body.to_string(),
        };
        let options = SendOptions {
            keep_copy: first.message.copy == CopyPlace::Servers,
            reply_to: first.message.reply_to.map(|id| id.0),
            written_at: Some(first.message.written_at.0),
        };
        self.contact.forget();
        let started = BackendEvent::SendStarted { id, attempt };
        self.context.send(started).await;
        let (client, session) = (self.context.client.clone(), self.context.session.clone());
        let sending = async move { client.send_message_with(&session, &message, &options).await };
        tokio::pin!(sending);
        let mut open = true;
        let outcome = loop {
            tokio::select! {
                outcome = &mut sending => break outcome,
                request = requests.recv(), if open => match request {
                    // The attempt is finished; then the outer loop notices.
                    None => open = false,
                    Some(request) => self.handle(request, Some(id)).await,
                },
            }
        };
        self.handle_send_result(id, attempt, outcome).await
    }

    async fn handle_send_result(
        &mut self,
        id: MessageId,
        attempt: u32,
        outcome: Result<Sent, ClientError>,
    ) -> Next {
        let error = match outcome {
            Ok(sent) => {
                self.context.contact.succeeded();
                // A success of this task is no reason to try another recipient again.
                self.contact.forget();
                let (at, commit) = (Timestamp(sent.timestamp), translate::commit(sent.commit));
                self.acknowledged(id, at, commit).await;
                return Next::GoOn;
            }
            Err(error) => error,
        };
        let why = translate::failure(&error, &self.context.addresses());
        match error {
            error if translate::is_session_over(&error) => return Next::SessionOver,
            ClientError::Application { .. } => {
                self.refuse(id, why).await;
                return Next::GoOn;
            }
            ClientError::CopiesFull(_) => return self.send_without_copy(id).await,
            // What the servers call malformed stays so, unless they are of another version.
            ClientError::Status { .. } if !matches!(why, Failure::OtherVersion { .. }) => {
                self.refuse(id, why).await;
                return Next::GoOn;
            }
            _ => {}
        }
        let pause = PAUSE_MAX.min(PAUSE_MIN * 2_u32.pow((attempt - 1).min(8)));
        let Some(tried) = self.waiting.find(id) else {
            return Next::GoOn;
        };
        tried.outcome_uncertain |= !matches!(error, ClientError::Unavailable { .. });
        tried.attempts = attempt;
        if matches!(error, ClientError::Unavailable { answered: true, .. }) {
            // It may be about this recipient, whose inbox is full.
            let recipient = tried.message.recipient.clone();
            self.waiting.hold(recipient, Instant::now() + pause);
            self.report_delay(id, why, pause).await;
            return Next::GoOn;
        }
        self.delay(id, why, pause).await
    }

    async fn acknowledged(&mut self, id: MessageId, at: Timestamp, commit: Commit) {
        let kept = self.context.store().await.acknowledge(id, at, commit).await;
        // If this failed, the message is sent again after the next start, which changes nothing.
        self.context.events.report_storage_error(kept).await;
        let Some(sent) = self.waiting.remove(id) else {
            return;
        };
        self.context.contact.acknowledge(commit.index.0);
        let copy = sent.message.copy;
        let event = BackendEvent::SendAcknowledged {
            id,
            at,
            commit,
            copy,
        };
        self.context.send(event).await;
    }

    /// What became of a message that is too old to be sent again by itself, and that may have been sent.
    async fn find_outcome(&mut self, id: MessageId) -> Next {
        let (client, session) = (&self.context.client, &self.context.session);
        match client.check_messages(session, &[id.0]).await {
            Ok(stored) => {
                match stored.first() {
                    Some(message) => {
                        let at = Timestamp(message.timestamp);
                        let commit = translate::commit(message.commit);
                        self.acknowledged(id, at, commit).await;
                    }
                    None => self.refuse(id, Failure::TooOld).await,
                }
                Next::GoOn
            }
            Err(error) if translate::is_session_over(&error) => Next::SessionOver,
            // It stays so: what is behind this message must not wait for it.
            Err(ClientError::Status { .. }) => {
                self.refuse(id, Failure::TooOld).await;
                Next::GoOn
            }
            Err(error) => {
                let why = translate::failure(&error, &self.context.addresses());
                self.delay(id, why, PAUSE_MAX).await
            }
        }
    }

    /// All messages wait until the next attempt with this one.
    async fn delay(&mut self, id: MessageId, why: Failure, pause: Duration) -> Next {
        self.waiting.pause(Instant::now() + pause);
        self.report_delay(id, why, pause).await;
        Next::GoOn
    }

    async fn report_delay(&self, id: MessageId, why: Failure, pause: Duration) {
        let delayed = BackendEvent::SendDelayed {
            id,
            why,
            next_try: pause,
        };
        self.context.send(delayed).await;
    }

    /// The servers have no room for a copy: only this device will have one. What is on the disk decides
    /// after a restart, so nothing is sent before it says so.
    async fn send_without_copy(&mut self, id: MessageId) -> Next {
        let kept = self.context.store().await.send_without_copy(id).await;
        if let Err(error) = kept {
            let why = local_storage_error(&error);
            return self.delay(id, why, PAUSE_MAX).await;
        }
        let tried = self.waiting.find(id);
        if tried
            .as_ref()
            .is_some_and(|tried| tried.message.copy == CopyPlace::Device)
        {
            // It was sent without one: what answers so is no server of this version.
            let why = Failure::OtherVersion { theirs: None };
            return self.delay(id, why, PAUSE_MAX).await;
        }
        if let Some(tried) = tried {
            tried.message.copy = CopyPlace::Device;
            // An earlier attempt may have been carried out all the same.
            tried.outcome_uncertain = true;
        }
        Next::GoOn
    }

    async fn refuse(&mut self, id: MessageId, why: Failure) {
        let kept = self.context.store().await.refuse(id, &why).await;
        self.context.events.report_storage_error(kept).await;
        if let Some(waiting) = self.waiting.remove(id) {
            let refused = Refused {
                message: waiting.message,
                on_disk: true,
                outcome_uncertain: why == Failure::TooOld,
            };
            self.refused.insert(id, refused);
        }
        self.context
            .send(BackendEvent::SendRefused { id, why })
            .await;
    }

    /// Handles a request while the message `under_way` is being sent.
    async fn handle(&mut self, request: OutboxRequest, under_way: Option<MessageId>) {
        match request {
            OutboxRequest::TryNow => self.waiting.release(),
            OutboxRequest::Send(message) => self.waiting.push(Waiting::new(message)),
            OutboxRequest::Hold(message) => self.hold(message),
            OutboxRequest::Requeue(id) => {
                let Some(refused) = self.refused.remove(&id) else {
                    return;
                };
                if !refused.on_disk {
                    self.enqueue(refused.message).await;
                    return;
                }
                let kept = self.context.store().await.requeue(id).await;
                self.context.events.report_storage_error(kept).await;
                self.waiting.push(Waiting {
                    outcome_uncertain: refused.outcome_uncertain,
                    is_requested: true,
                    ..Waiting::new(refused.message)
                });
            }
            OutboxRequest::Withdraw(id) => self.withdraw(id, under_way).await,
        }
    }

    /// Stores a message that could not be stored before: nothing is sent that a crash would lose.
    async fn enqueue(&mut self, message: OutboxMessage) {
        let kept = self
            .context
            .store()
            .await
            .enqueue(&self.account, &message)
            .await;
        match kept {
            Ok(()) => self.waiting.push(Waiting::new(message)),
            Err(error) => {
                let why = local_storage_error(&error);
                let id = message.id;
                self.hold(message);
                self.context
                    .send(BackendEvent::SendRefused { id, why })
                    .await;
            }
        }
    }

    fn hold(&mut self, message: OutboxMessage) {
        let held = Refused {
            message,
            on_disk: false,
            outcome_uncertain: false,
        };
        self.refused.insert(held.message.id, held);
    }

    async fn withdraw(&mut self, id: MessageId, under_way: Option<MessageId>) {
        let certain = match self.waiting.find(id) {
            Some(waiting) => !waiting.outcome_uncertain && under_way != Some(id),
            None => self.refused.contains_key(&id),
        };
        if !certain {
            self.context.send(BackendEvent::WithdrawRefused(id)).await;
            return;
        }
        let withdrawn = self.context.store().await.withdraw(id).await;
        let was_there = match withdrawn {
            Ok(was_there) => was_there,
            Err(error) => {
                self.context.events.report_storage_error(Err(error)).await;
                return;
            }
        };
        self.waiting.remove(id);
        let refused = self.refused.remove(&id);
        // Else the servers have reported it: it is a message of the box.
        if was_there || refused.is_some_and(|refused| !refused.on_disk) {
            self.context.send(BackendEvent::Withdrawn(id)).await;
        }
    }
}

fn age(written_at: Timestamp) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let age = now.unwrap_or_default().as_secs_f64() - written_at.0;
    // A clock that was set back, or a number that is none.
    Duration::try_from_secs_f64(age).unwrap_or_default()
}
