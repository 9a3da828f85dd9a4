//! One watch: its position, and what comes next.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use chat_proto::chat::v1::watch_event::Event as Told;
use chat_proto::chat::v1::{
    CaughtUp, MessagesDeleted, MessagesRead, NewMessage, Resync, WatchEvent,
};
use chat_replication::Leadership;
use chat_store::{Change, Credential, Event, LogIndex, Message};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use super::change_buffer::{Ear, News};
use super::{ClusterMark, Cursor, Ending};

/// How long a quiet client keeps an old cursor: much less time than the ring reaches back, so that
/// whoever comes back from a fail-over is rarely told to fetch everything.
const NOTE_INTERVAL: Duration = Duration::from_secs(10);
/// How long a node without a leader keeps its watches: longer than an election, shorter than
/// somebody's patience.
const LEADERLESS_MAX: Duration = Duration::from_secs(3);

/// How often it is looked up whether the session still is valid. What ends one by a request is told
/// at once; this finds those that have lived too long, of which the shortest live for five minutes.
const LOOK_UP_INTERVAL: Duration = Duration::from_secs(60);

/// Looks up whether the session still is valid, as far as this node knows.
pub(super) type StillValid =
    Box<dyn Fn() -> Pin<Box<dyn Future<Output = bool> + Send>> + Send + Sync>;

/// Where a watch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Start {
    /// What is after this entry is told.
    from: LogIndex,
    /// Behind this entry the session was valid.
    validated: LogIndex,
    /// The client must fetch what was before.
    resync: bool,
}

/// What ends a watch from outside.
pub(super) struct Surroundings {
    pub(super) still_valid: StillValid,
    pub(super) leadership: watch::Receiver<Leadership>,
    pub(super) stopping: watch::Receiver<bool>,
    pub(super) until: Option<std::time::Instant>,
}

/// One watch.
#[derive(Debug)]
pub(super) struct Watcher {
    ear: Ear,
    credential: Credential,
    cluster: ClusterMark,
    validated: LogIndex,
    /// Everything up to here has been told, or does not concern this watch.
    told: LogIndex,
    /// What is told next, and how far everything has been told then.
    batch: VecDeque<Arc<Event>>,
    batch_through: LogIndex,
    /// What the client does not know yet.
    owes_resync: bool,
    owes_caught_up: bool,
    /// The cursor that the client has.
    noted: LogIndex,
    next_note: Instant,
    next_look_up: Instant,
    surroundings: Surroundings,
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings").finish_non_exhaustive()
    }
}

impl Start {
    /// `incarnation` is the commit of the account: what was before it is not its business, even if
    /// somebody else had its name. From `floor` on changes are kept.
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
        ear: Ear,
        credential: Credential,
        cluster: ClusterMark,
        start: Start,
        surroundings: Surroundings,
    ) -> Self {
        Self {
            ear,
            credential,
            cluster,
            validated: start.validated,
            told: start.from,
            batch: VecDeque::new(),
            batch_through: start.from,
            owes_resync: start.resync,
            owes_caught_up: true,
            noted: start.from,
            next_note: Instant::now() + NOTE_INTERVAL,
            next_look_up: Instant::now() + LOOK_UP_INTERVAL,
            surroundings,
        }
    }

    /// Where to go on after everything that was told.
    pub(super) fn cursor(&self) -> String {
        let cursor = Cursor {
            cluster: self.cluster,
            index: self.told,
        };
        cursor.text()
    }

    /// The next event, as soon as there is one. Dropping this future loses nothing.
    pub(super) async fn next(&mut self) -> Result<WatchEvent, Ending> {
        loop {
            self.check().await?;
            if std::mem::take(&mut self.owes_resync) {
                return Ok(self.event(Told::Resync(Resync {})));
            }
            if let Some(event) = self.batch.pop_front() {
                self.told = event.commit.index;
                if let Some(told) = self.concerns(&event)? {
                    return Ok(self.event(told));
                }
                continue;
            }
            self.told = self.told.max(self.batch_through);
            if self.owes_caught_up && self.told >= self.validated {
                self.owes_caught_up = false;
                return Ok(self.event(Told::CaughtUp(CaughtUp {})));
            }
            match self.ear.news(self.told) {
                News::Lost => return Err(Ending::TooSlow),
                News::Changes { changes, through } if changes.is_empty() => {
                    self.told = through;
                    self.batch_through = through;
                    if self.owes_caught_up {
                        // Readers saw an entry a moment before applying told of it.
                        tokio::task::yield_now().await;
                        continue;
                    }
                    if Instant::now() >= self.next_note {
                        self.next_note += NOTE_INTERVAL;
                        if self.told > self.noted {
                            return Ok(self.event(Told::CaughtUp(CaughtUp {})));
                        }
                    }
                    self.wait().await?;
                }
                News::Changes { changes, through } => {
                    self.batch = changes;
                    self.batch_through = through;
                }
            }
        }
    }

    /// What the client is told of a change; `None` if nothing.
    fn concerns(&self, event: &Event) -> Result<Option<Told>, Ending> {
        // What ended sessions before ours was checked did not end ours.
        let since_checked = event.commit.index > self.validated;
        Ok(match &event.change {
            Change::MessageStored(message) => Some(Told::Message(new_message(message))),
            Change::MessagesRead { message_ids, .. } => Some(Told::Read(MessagesRead {
                ids: message_ids.clone(),
            })),
            Change::MessagesDeleted { message_ids, .. } => Some(Told::Deleted(MessagesDeleted {
                ids: message_ids.clone(),
            })),
            Change::PasswordChanged { credential, .. }
                if since_checked && *credential != self.credential =>
            {
                return Err(Ending::SessionEnded);
            }
            Change::AccountDeleted { .. } if since_checked => return Err(Ending::SessionEnded),
            Change::PasswordChanged { .. }
            | Change::AccountDeleted { .. }
            | Change::SessionEnded { .. } => None,
        })
    }

    /// What ends the watch even if there is more to tell.
    async fn check(&mut self) -> Result<(), Ending> {
        let until = self.surroundings.until;
        let now = Instant::now();
        if now >= self.next_look_up {
            self.next_look_up = now + LOOK_UP_INTERVAL;
            if !(self.surroundings.still_valid)().await {
                return Err(Ending::SessionEnded);
            }
        }
        if self.ear.session_has_ended() {
            Err(Ending::SessionEnded)
        } else if *self.surroundings.stopping.borrow() {
            Err(Ending::Stopping)
        } else if until.is_some_and(|until| std::time::Instant::now() >= until) {
            Err(Ending::Late)
        } else {
            Ok(())
        }
    }

    /// Waits until there may be something to do.
    async fn wait(&mut self) -> Result<(), Ending> {
        let Surroundings {
            leadership,
            stopping,
            until,
            ..
        } = &mut self.surroundings;
        let wake = self.next_note.min(self.next_look_up);
        let wake = until.map_or(wake, |until| wake.min(until.into()));
        tokio::select! {
            () = self.ear.stirred() => Ok(()),
            () = sleep_until(wake) => Ok(()),
            // Whoever could say so is gone: that means stop too.
            _ = stopping.wait_for(|stopping| *stopping) => Err(Ending::Stopping),
            ending = leaderless(leadership) => Err(ending),
        }
    }

    fn event(&mut self, event: Told) -> WatchEvent {
        self.noted = self.told;
        self.next_note = Instant::now() + NOTE_INTERVAL;
        WatchEvent {
            cursor: self.cursor(),
            event: Some(event),
        }
    }
}

/// Completes when nobody has led for too long.
async fn leaderless(leadership: &mut watch::Receiver<Leadership>) -> Ending {
    loop {
        let lost = leadership.wait_for(|leadership| leadership.leader_id.is_none());
        if lost.await.is_err() {
            return Ending::Stopping;
        }
        let found = leadership.wait_for(|leadership| leadership.leader_id.is_some());
        if timeout(LEADERLESS_MAX, found).await.is_err() {
            return Ending::NoLeader;
        }
    }
}

fn new_message(message: &Message) -> NewMessage {
    NewMessage {
        id: message.id.clone(),
        sender: message.sender.clone(),
        recipient: message.recipient.clone(),
        body: message.body.clone(),
        timestamp: message.timestamp,
        commit_index: message.commit.index.0,
        commit_term: message.commit.term.0,
        sender_since: message.sender_since.0,
    }
}

#[cfg(test)]
mod tests;
