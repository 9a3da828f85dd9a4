//! One watch: its position, and its next event.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use chat_proto::chat::v1::watch_event::Event as SentEvent;
use chat_proto::chat::v1::{
    CaughtUp, Direction as SentDirection, MessagesDeleted, MessagesRead, NewMessage, Resync,
    WatchEvent,
};
use chat_replication::Leadership;
use chat_store::{Change, Credential, Direction, DirectionFilter, Event, LogIndex, Message};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use super::change_buffer::{Batch, Subscription};
use super::cursor::{ClusterMark, Cursor};
use super::end_reason::EndReason;

/// How long a client without events keeps an old cursor: much less time than the change buffer reaches
/// back, so that after a fail-over a client rarely has to fetch everything.
const CURSOR_REFRESH_INTERVAL: Duration = Duration::from_secs(10);
/// How long a node without a leader keeps its watches: longer than an election, shorter than people
/// are willing to wait.
const LEADERLESS_MAX: Duration = Duration::from_secs(3);

/// How often a watch checks that its session is still valid. A session that a request ends is noticed
/// at once; this check finds expired ones, whose lifetime is at least five minutes.
const SESSION_RECHECK_INTERVAL: Duration = Duration::from_secs(60);

/// Checks whether the session is still valid, as far as this node knows.
pub(super) type SessionIsValid =
    Box<dyn Fn() -> Pin<Box<dyn Future<Output = bool> + Send>> + Send + Sync>;

/// Where a watch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Start {
    /// Changes after this entry are sent.
    from: LogIndex,
    /// The applied index at which the session was found valid.
    validated: LogIndex,
    /// The client must fetch everything before.
    resync: bool,
}

/// The outside conditions that end a watch.
pub(super) struct WatchContext {
    pub(super) session_is_valid: SessionIsValid,
    pub(super) leadership: watch::Receiver<Leadership>,
    pub(super) stopping: watch::Receiver<bool>,
    pub(super) until: Option<std::time::Instant>,
}

/// One watch.
#[derive(Debug)]
pub(super) struct Watcher {
    subscription: Subscription,
    credential: Credential,
    cluster: ClusterMark,
    /// Whether events about received messages, about copies, or about both are sent.
    directions: DirectionFilter,
    validated: LogIndex,
    /// Every change up to this entry has been sent, or does not concern this watch.
    last_sent: LogIndex,
    /// The changes to send next, and the entry up to which everything is sent after them.
    batch: VecDeque<Arc<Event>>,
    batch_through: LogIndex,
    /// Events that are due, but not sent yet.
    resync_pending: bool,
    caught_up_pending: bool,
    /// The last cursor that was sent to the client.
    cursor_sent: LogIndex,
    next_cursor_refresh: Instant,
    next_session_recheck: Instant,
    context: WatchContext,
}

impl fmt::Debug for WatchContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchContext").finish_non_exhaustive()
    }
}

impl Start {
    /// `incarnation` is the entry that created the account: changes before it belong to an earlier
    /// account of the same name. Changes after `floor` are kept.
    pub(super) fn new(
        cursor: Option<Cursor>,
        cluster: ClusterMark,
        validated: LogIndex,
        incarnation: LogIndex,
        floor: LogIndex,
    ) -> Self {
        let now = Self {
            from: validated,
            validated,
            resync: false,
        };
        let Some(cursor) = cursor else {
            return now;
        };
        let from = cursor.index.max(incarnation);
        if cursor.cluster == cluster && cursor.index <= validated && from >= floor {
            Self { from, ..now }
        } else {
            Self {
                resync: true,
                ..now
            }
        }
    }
}

impl Watcher {
    pub(super) fn new(
        subscription: Subscription,
        credential: Credential,
        cluster: ClusterMark,
        start: Start,
        context: WatchContext,
    ) -> Self {
        Self {
            subscription,
            credential,
            cluster,
            directions: DirectionFilter::Received,
            validated: start.validated,
            last_sent: start.from,
            batch: VecDeque::new(),
            batch_through: start.from,
            resync_pending: start.resync,
            caught_up_pending: true,
            cursor_sent: start.from,
            next_cursor_refresh: Instant::now() + CURSOR_REFRESH_INTERVAL,
            next_session_recheck: Instant::now() + SESSION_RECHECK_INTERVAL,
            context,
        }
    }

    /// Sends events about these messages.
    pub(super) fn with_directions(mut self, directions: DirectionFilter) -> Self {
        self.directions = directions;
        self
    }

    /// The cursor after everything that was sent.
    pub(super) fn cursor(&self) -> String {
        let cursor = Cursor {
            cluster: self.cluster,
            index: self.last_sent,
        };
        cursor.text()
    }

    /// The next event, as soon as there is one. Dropping this future loses no event.
    pub(super) async fn next(&mut self) -> Result<WatchEvent, EndReason> {
        loop {
            self.check().await?;
            if std::mem::take(&mut self.resync_pending) {
                return Ok(self.event(SentEvent::Resync(Resync {})));
            }
            if let Some(event) = self.batch.pop_front() {
                self.last_sent = event.commit.index;
                if let Some(sent) = self.event_for(&event)? {
                    return Ok(self.event(sent));
                }
                continue;
            }
            self.last_sent = self.last_sent.max(self.batch_through);
            if self.caught_up_pending && self.last_sent >= self.validated {
                self.caught_up_pending = false;
                return Ok(self.event(SentEvent::CaughtUp(CaughtUp {})));
            }
            match self.subscription.next_batch(self.last_sent) {
                Batch::Lost => return Err(EndReason::TooSlow),
                Batch::Changes { changes, through } if changes.is_empty() => {
                    self.last_sent = through;
                    self.batch_through = through;
                    if self.caught_up_pending {
                        // Readers can see an entry a moment before applying adds its changes here.
                        tokio::task::yield_now().await;
                        continue;
                    }
                    if Instant::now() >= self.next_cursor_refresh {
                        self.next_cursor_refresh += CURSOR_REFRESH_INTERVAL;
                        if self.last_sent > self.cursor_sent {
                            return Ok(self.event(SentEvent::CaughtUp(CaughtUp {})));
                        }
                    }
                    self.wait().await?;
                }
                Batch::Changes { changes, through } => {
                    self.batch = changes;
                    self.batch_through = through;
                }
            }
        }
    }

    /// The event for a change; `None` if the client gets none.
    fn event_for(&self, event: &Event) -> Result<Option<SentEvent>, EndReason> {
        // A change from before the session was checked did not end it.
        let since_checked = event.commit.index > self.validated;
        Ok(match &event.change {
            Change::MessageStored(message) => self.message_event(message),
            Change::MessageCopied {
                message,
                recipient_since,
            } => {
                if message.recipient == self.subscription.username() {
                    self.message_event(message)
                } else {
                    self.message_event(&message.to_copy(*recipient_since))
                }
            }
            Change::MessagesRead { message_ids, .. } => {
                let ids = message_ids.clone();
                (self.directions != DirectionFilter::Sent)
                    .then_some(SentEvent::Read(MessagesRead { ids }))
            }
            Change::MessagesDeleted {
                message_ids,
                copy_ids,
                ..
            } => {
                let ids = match self.directions {
                    DirectionFilter::Received => message_ids.clone(),
                    DirectionFilter::Sent => copy_ids.clone(),
                    DirectionFilter::All => [message_ids.as_slice(), copy_ids].concat(),
                };
                (!ids.is_empty()).then_some(SentEvent::Deleted(MessagesDeleted { ids }))
            }
            Change::PasswordChanged { credential, .. }
                if since_checked && *credential != self.credential =>
            {
                return Err(EndReason::SessionEnded);
            }
            Change::AccountDeleted { .. } if since_checked => return Err(EndReason::SessionEnded),
            Change::PasswordChanged { .. }
            | Change::AccountDeleted { .. }
            | Change::SessionEnded { .. } => None,
        })
    }

    /// The event for a message that is in the account's box now.
    fn message_event(&self, message: &Message) -> Option<SentEvent> {
        let is_sent = matches!(message.direction, Direction::Sent { .. });
        let is_left_out = match self.directions {
            DirectionFilter::Received => is_sent,
            DirectionFilter::Sent => !is_sent,
            DirectionFilter::All => false,
        };
        (!is_left_out).then(|| SentEvent::Message(new_message(message)))
    }

    /// Whether something ends the watch, even if there is more to send.
    async fn check(&mut self) -> Result<(), EndReason> {
        let until = self.context.until;
        let now = Instant::now();
        if now >= self.next_session_recheck {
            self.next_session_recheck = now + SESSION_RECHECK_INTERVAL;
            if !(self.context.session_is_valid)().await {
                return Err(EndReason::SessionEnded);
            }
        }
        if self.subscription.session_has_ended() {
            Err(EndReason::SessionEnded)
        } else if *self.context.stopping.borrow() {
            Err(EndReason::Stopping)
        } else if until.is_some_and(|until| std::time::Instant::now() >= until) {
            Err(EndReason::DeadlinePassed)
        } else {
            Ok(())
        }
    }

    /// Waits until there may be something to do.
    async fn wait(&mut self) -> Result<(), EndReason> {
        let WatchContext {
            leadership,
            stopping,
            until,
            ..
        } = &mut self.context;
        let wake = self.next_cursor_refresh.min(self.next_session_recheck);
        let wake = until.map_or(wake, |until| wake.min(until.into()));
        tokio::select! {
            () = self.subscription.changed() => Ok(()),
            () = sleep_until(wake) => Ok(()),
            // A dropped sender also means that the node shuts down.
            _ = stopping.wait_for(|stopping| *stopping) => Err(EndReason::Stopping),
            end_reason = leaderless(leadership) => Err(end_reason),
        }
    }

    fn event(&mut self, event: SentEvent) -> WatchEvent {
        self.cursor_sent = self.last_sent;
        self.next_cursor_refresh = Instant::now() + CURSOR_REFRESH_INTERVAL;
        WatchEvent {
            cursor: self.cursor(),
            event: Some(event),
        }
    }
}

/// Completes when there was no leader for too long.
async fn leaderless(leadership: &mut watch::Receiver<Leadership>) -> EndReason {
    loop {
        let lost = leadership.wait_for(|leadership| leadership.leader_id.is_none());
        if lost.await.is_err() {
            return EndReason::Stopping;
        }
        let found = leadership.wait_for(|leadership| leadership.leader_id.is_some());
        if timeout(LEADERLESS_MAX, found).await.is_err() {
            return EndReason::NoLeader;
        }
    }
}

fn new_message(message: &Message) -> NewMessage {
    let (direction, recipient_since) = match message.direction {
        Direction::Received => (SentDirection::Received, LogIndex::ZERO),
        Direction::Sent { recipient_since } => (SentDirection::Sent, recipient_since),
    };
    NewMessage {
        id: message.id.clone(),
        sender: message.sender.clone(),
        recipient: message.recipient.clone(),
        body: message.body.clone(),
        timestamp: message.timestamp,
        commit_index: message.commit.index.0,
        commit_term: message.commit.term.0,
        sender_since: message.sender_since.0,
        direction: direction.into(),
        recipient_since: recipient_since.0,
        reply_to: message.reply_to.clone().unwrap_or_default(),
        written_at: message.written_at.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests;
