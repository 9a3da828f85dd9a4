//! The way of own messages out: one after the other, each under its own ids on every attempt, from
//! the disk. A message that is refused makes way for the next; everything else is tried again until
//! it is acknowledged.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chat_client::{ClientError, OutgoingMessage, Sent};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::backend::event::{BackendEvent, StoredAccount};
use crate::backend::session::{Means, device_trouble};
use crate::backend::translate;
use crate::local_store::AccountKey;
use crate::model::failure::Failure;
use crate::model::message::Outgoing;
use crate::model::names::MessageId;
use crate::model::time::Timestamp;

/// How long one attempt searches for a node that takes the message.
const ATTEMPT: Duration = Duration::from_secs(4);
/// The pause after the first attempt that failed; it doubles with each further one…
const PAUSE_MIN: Duration = Duration::from_millis(200);
/// …up to this: a person who starts the servers again does not want to wait.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// The servers know for a day what they have deleted since. A message that may have been sent and is
/// older is not sent again unasked; the rest of the day is for clocks that differ.
const RETRY_AGE_MAX: Duration = Duration::from_secs(20 * 60 * 60);

/// What the delivery is asked for.
#[derive(Debug)]
pub(super) enum Order {
    /// Deliver a message that is on the disk.
    Deliver(Outgoing),
    /// Remember a message that the disk has not taken, until the person tries again.
    Park(Outgoing),
    /// Deliver one again that was refused.
    Requeue(MessageId),
    /// Give one up.
    Withdraw(MessageId),
    /// Do not wait any longer.
    TryNow,
}

/// The delivery of one account.
pub(super) struct Delivery {
    account: AccountKey,
    number: u64,
    means: Means,
    waiting: VecDeque<Waiting>,
    /// Refused, and kept for the person to decide; by id. The flag says whether it is on the disk.
    refused: HashMap<MessageId, (Outgoing, bool)>,
}

#[derive(Debug)]
struct Waiting {
    message: Outgoing,
    attempts: u32,
    /// Whether an attempt may have succeeded without our knowing.
    maybe_sent: bool,
}

/// What to do after an attempt.
enum Next {
    GoOn,
    Pause(Duration),
    SessionOver,
}

impl Delivery {
    /// Takes over what an earlier start has left.
    pub(super) fn new(number: u64, mut means: Means, stored: &StoredAccount) -> Self {
        means.client = means.client.with_deadline(ATTEMPT);
        let outbox = stored.outbox.iter().cloned();
        let (refused, waiting): (Vec<_>, Vec<_>) =
            outbox.partition(|message| message.refused.is_some());
        let waiting = waiting.into_iter().map(|message| Waiting {
            message,
            attempts: 0,
            // Nobody knows how far the last start got with it.
            maybe_sent: true,
        });
        let refused = refused.into_iter();
        Self {
            account: means.account.clone(),
            number,
            means,
            waiting: waiting.collect(),
            refused: refused
                .map(|message| (message.id, (message, true)))
                .collect(),
        }
    }

    /// Delivers until nobody can order anything any more, or the session is over.
    pub(super) async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        loop {
            if self.waiting.is_empty() {
                let Some(order) = orders.recv().await else {
                    return;
                };
                self.obey(order, None).await;
                continue;
            }
            let next = self.attempt(&mut orders).await;
            match next {
                Next::GoOn => {}
                Next::SessionOver => {
                    self.means.session_is_over(self.number).await;
                    return;
                }
                Next::Pause(pause) => {
                    if !self.pause(pause, &mut orders).await {
                        return;
                    }
                }
            }
        }
    }

    /// Waits, and obeys meanwhile. Says whether there is anybody to go on for.
    async fn pause(&mut self, pause: Duration, orders: &mut mpsc::Receiver<Order>) -> bool {
        let until = Instant::now() + pause;
        loop {
            tokio::select! {
                order = orders.recv() => match order {
                    None => return false,
                    Some(Order::TryNow) => return true,
                    Some(order) => {
                        self.obey(order, None).await;
                        if self.waiting.is_empty() {
                            return true;
                        }
                    }
                },
                () = sleep_until(until) => return true,
            }
        }
    }

    /// One attempt with the first message that waits; orders are obeyed meanwhile.
    async fn attempt(&mut self, orders: &mut mpsc::Receiver<Order>) -> Next {
        let Some(first) = self.waiting.front_mut() else {
            return Next::GoOn;
        };
        let id = first.message.id;
        if first.maybe_sent && age(first.message.written_at) > RETRY_AGE_MAX {
            self.refuse(id, Failure::TooOld).await;
            return Next::GoOn;
        }
        let attempt = first.attempts + 1;
        let message = OutgoingMessage {
            id: id.0,
            request_id: first.message.request_id.0,
            recipient: first.message.recipient.to_string(),
            body: first.message.body.to_string(),
        };
        let started = BackendEvent::SendStarted { id, attempt };
        self.means.outlet.tell(started).await;
        let (client, session) = (self.means.client.clone(), self.means.session.clone());
        let sending = async move { client.send_message(&session, &message).await };
        tokio::pin!(sending);
        let mut open = true;
        let outcome = loop {
            tokio::select! {
                outcome = &mut sending => break outcome,
                order = orders.recv(), if open => match order {
                    // What has begun is finished; then the loop outside notices.
                    None => open = false,
                    Some(order) => self.obey(order, Some(id)).await,
                },
            }
        };
        self.judge(id, attempt, outcome).await
    }

    async fn judge(
        &mut self,
        id: MessageId,
        attempt: u32,
        outcome: Result<Sent, ClientError>,
    ) -> Next {
        let error = match outcome {
            Ok(sent) => {
                self.acknowledged(id, &sent).await;
                return Next::GoOn;
            }
            Err(error) => error,
        };
        let why = translate::failure(&error, &self.means.addresses);
        match error {
            error if translate::is_session_over(&error) => return Next::SessionOver,
            ClientError::Application { .. } => {
                self.refuse(id, why).await;
                return Next::GoOn;
            }
            // What the servers call malformed stays so, unless they are of another version.
            ClientError::Status { .. } if !matches!(why, Failure::OtherVersion { .. }) => {
                self.refuse(id, why).await;
                return Next::GoOn;
            }
            _ => {}
        }
        if let Some(first) = self.waiting.front_mut() {
            first.maybe_sent |= !matches!(error, ClientError::Unavailable { .. });
            first.attempts = attempt;
        }
        let pause = PAUSE_MAX.min(PAUSE_MIN * 2_u32.pow((attempt - 1).min(8)));
        let delayed = BackendEvent::SendDelayed {
            id,
            why,
            next_try: pause,
        };
        self.means.outlet.tell(delayed).await;
        Next::Pause(pause)
    }

    async fn acknowledged(&mut self, id: MessageId, sent: &Sent) {
        let (at, commit) = (Timestamp(sent.timestamp), translate::commit(sent.commit));
        let kept = self
            .means
            .store
            .lock()
            .await
            .acknowledge(id, at, commit)
            .await;
        // It is sent again after the next start then, which changes nothing.
        self.means.outlet.tell_trouble(kept).await;
        self.waiting.retain(|waiting| waiting.message.id != id);
        let event = BackendEvent::SendAcknowledged { id, at, commit };
        self.means.outlet.tell(event).await;
    }

    async fn refuse(&mut self, id: MessageId, why: Failure) {
        let kept = self.means.store.lock().await.refuse(id, &why).await;
        self.means.outlet.tell_trouble(kept).await;
        let place = self
            .waiting
            .iter()
            .position(|waiting| waiting.message.id == id);
        if let Some(waiting) = place.and_then(|place| self.waiting.remove(place)) {
            self.refused.insert(id, (waiting.message, true));
        }
        self.means
            .outlet
            .tell(BackendEvent::SendRefused { id, why })
            .await;
    }

    /// Carries out an order while the message `under_way` is being sent.
    async fn obey(&mut self, order: Order, under_way: Option<MessageId>) {
        match order {
            Order::TryNow => {}
            Order::Deliver(message) => self.wait_for(message),
            Order::Park(message) => {
                self.refused.insert(message.id, (message, false));
            }
            Order::Requeue(id) => {
                let Some((message, is_kept)) = self.refused.remove(&id) else {
                    return;
                };
                if !is_kept {
                    self.enqueue(message).await;
                    return;
                }
                let kept = self.means.store.lock().await.requeue(id).await;
                self.means.outlet.tell_trouble(kept).await;
                self.wait_for(message);
            }
            Order::Withdraw(id) => self.withdraw(id, under_way).await,
        }
    }

    /// Another try for one that the disk has not taken: nothing is sent that a crash would make us
    /// forget.
    async fn enqueue(&mut self, message: Outgoing) {
        let kept = self
            .means
            .store
            .lock()
            .await
            .enqueue(&self.account, &message)
            .await;
        match kept {
            Ok(()) => self.wait_for(message),
            Err(error) => {
                let why = device_trouble(&error);
                let id = message.id;
                self.refused.insert(id, (message, false));
                self.means
                    .outlet
                    .tell(BackendEvent::SendRefused { id, why })
                    .await;
            }
        }
    }

    fn wait_for(&mut self, message: Outgoing) {
        self.waiting.push_back(Waiting {
            message,
            attempts: 0,
            maybe_sent: false,
        });
    }

    async fn withdraw(&mut self, id: MessageId, under_way: Option<MessageId>) {
        let place = self
            .waiting
            .iter()
            .position(|waiting| waiting.message.id == id);
        let certain = match place {
            Some(place) => !self.waiting[place].maybe_sent && under_way != Some(id),
            None => self.refused.contains_key(&id),
        };
        if !certain {
            self.means
                .outlet
                .tell(BackendEvent::WithdrawRefused(id))
                .await;
            return;
        }
        let withdrawn = self.means.store.lock().await.withdraw(id).await;
        if withdrawn.is_err() {
            self.means.outlet.tell_trouble(withdrawn).await;
            return;
        }
        self.waiting.retain(|waiting| waiting.message.id != id);
        self.refused.remove(&id);
        self.means.outlet.tell(BackendEvent::Withdrawn(id)).await;
    }
}

fn age(written_at: Timestamp) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let age = now.unwrap_or_default().as_secs_f64() - written_at.0;
    // A clock that was set back, or a number that is none.
    Duration::try_from_secs_f64(age).unwrap_or_default()
}
