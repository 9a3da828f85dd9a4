//! Following one's inbox: events as they are committed, from one node after the other.

use std::fmt;
use std::time::{Duration, Instant};

use chat_proto::chat::v1 as wire;
use chat_proto::chat::v1::chat_client::ChatClient as Stub;
use serde::{Deserialize, Serialize};
use tokio::sync;
use tokio::time::{sleep, timeout};
use tonic::Streaming;
use uuid::Uuid;

use crate::client::{ChatClient, FIRST_ATTEMPT};
use crate::error::ClientError;
use crate::node_selector::{Attempts, NodeSelector, jittered};
use crate::requests::{Commit, Message};
use crate::retry_decision::{AttemptFailure, RetryDecision};
use crate::session::Session;

/// Where to go on, on any node: opaque, and worth keeping.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(String);

/// Something that happened to the inbox.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum WatchEvent {
    /// A message arrived.
    Message(Message),
    /// Messages that were unread are read now.
    Read(Vec<Uuid>),
    /// Messages are gone.
    Deleted(Vec<Uuid>),
    /// Everything that was acknowledged before the watch began, or began again, has been told. Also
    /// told now and then while nothing happens, with a younger cursor.
    CaughtUp,
    /// The cursor was too old for what the nodes keep: fetch the inbox again, then go on. What is
    /// told from here on may be in the inbox already: compare the ids.
    Resync,
}

/// An event, and where to go on after it.
#[derive(Clone, Debug, PartialEq)]
pub struct WatchUpdate {
    /// What happened.
    pub event: WatchEvent,
    /// Kept by whoever wants to go on here after a restart.
    pub cursor: Cursor,
}

/// A watch over a session's inbox. Made by [`ChatClient::watch`].
#[derive(Debug)]
pub struct Watch {
    client: ChatClient,
    session: Session,
    cursor: Option<Cursor>,
    stream: Option<Streaming<wire::WatchEvent>>,
    /// The node that serves the stream, or is asked next.
    node: usize,
    attempts: Attempts,
    /// Since when nothing has arrived that was asked for again; `None` while all is well.
    broken_since: Option<Instant>,
    /// Whether a node has answered since then.
    answered: bool,
    state: sync::watch::Sender<WatchState>,
}

/// How a watch is doing, beside what it tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchState {
    /// A node is looked for that serves it.
    Reconnecting {
        /// Why the last one does not, in its own words or the connection's; empty at first.
        why: String,
    },
    /// A node serves it.
    Connected {
        /// Where that node is.
        address: String,
    },
}

impl Cursor {
    /// What was kept of an earlier watch.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// What to keep.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl ChatClient {
    /// Follows the session's inbox: from now on, or from the cursor of an earlier watch, whichever
    /// node that was served by. Asks nobody before [`Watch::next`] is called.
    ///
    /// ```no_run
    /// # async fn example(client: chat_client::ChatClient, session: chat_client::Session)
    /// # -> Result<(), chat_client::ClientError> {
    /// use chat_client::WatchEvent;
    ///
    /// let mut watch = client.watch(&session, None);
    /// loop {
    ///     let update = watch.next().await?;
    ///     if let WatchEvent::Message(message) = update.event {
    ///         println!("{}: {}", message.sender, message.body);
    ///     }
    /// }
    /// # }
    /// ```
    pub fn watch(&self, session: &Session, cursor: Option<Cursor>) -> Watch {
        let (node, attempts) = self.selector().begin();
        Watch {
            client: self.clone(),
            session: session.clone(),
            cursor,
            stream: None,
            node,
            attempts,
            broken_since: None,
            answered: false,
            state: sync::watch::Sender::new(WatchState::Reconnecting { why: String::new() }),
        }
    }
}

impl Watch {
    /// The next event, without a gap and without a repetition, however often the connection broke
    /// in between. Waits as long as nothing happens. Dropping the future loses nothing.
    ///
    /// # Errors
    ///
    /// [`ClientError::Status`] when the session has ended or the cursor is none: another call
    /// fails the same. [`ClientError::Unavailable`] when no node served the watch for as long as the
    /// client's deadline: another call goes on where this one stopped. Never
    /// [`ClientError::OutcomeUnknown`].
    pub async fn next(&mut self) -> Result<WatchUpdate, ClientError> {
        loop {
            let arrived = match &mut self.stream {
                Some(stream) => stream.message().await,
                None => match self.open().await {
                    Ok(stream) => {
                        self.stream = Some(stream);
                        let address = self.client.nodes()[self.node].address.clone();
                        self.state.send_replace(WatchState::Connected { address });
                        continue;
                    }
                    Err(decision) => {
                        self.select_next_node(decision).await?;
                        continue;
                    }
                },
            };
            let decision = match arrived {
                Ok(Some(event)) => {
                    self.arrived();
                    let cursor = Cursor(event.cursor);
                    self.cursor = Some(cursor.clone());
                    match event.event.map(decode).transpose()? {
                        Some(event) => return Ok(WatchUpdate { event, cursor }),
                        // From a newer server, and of no importance to this version.
                        None => continue,
                    }
                }
                Ok(None) => RetryDecision::Retry(AttemptFailure::without_side_effect(
                    "the node ended the watch",
                )),
                Err(status) => RetryDecision::from(&status),
            };
            self.stream = None;
            self.select_next_node(decision).await?;
        }
    }

    /// Where another watch would go on; `None` before the first event.
    pub fn cursor(&self) -> Option<&Cursor> {
        self.cursor.as_ref()
    }

    /// How it is doing, for whoever wants to tell a person. Changes only while [`Watch::next`] is
    /// being waited for.
    pub fn state(&self) -> sync::watch::Receiver<WatchState> {
        self.state.subscribe()
    }

    async fn open(&self) -> Result<Streaming<wire::WatchEvent>, RetryDecision> {
        let time_limit = NodeSelector::attempt_timeout(FIRST_ATTEMPT, &self.attempts);
        let time_limit = time_limit.min(self.remaining());
        let cursor = self.cursor.as_ref().map(Cursor::to_string);
        let mut request = tonic::Request::new(wire::WatchRequest {
            cursor: cursor.unwrap_or_default(),
        });
        let authorization = self.session.authorization();
        request
            .metadata_mut()
            .insert("authorization", authorization);
        match timeout(time_limit, self.client.confirm(self.node, &self.session)).await {
            Ok(confirmed) => confirmed?,
            Err(_late) => return Err(RetryDecision::Retry(AttemptFailure::timed_out(time_limit))),
        }
        let node = &self.client.nodes()[self.node];
        let mut stub = Stub::new(node.channel.clone());
        // The deadline is ours alone: a `grpc-timeout` would end the stream too.
        match timeout(time_limit, stub.watch(request)).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(RetryDecision::from(&status)),
            Err(_late) => Err(RetryDecision::Retry(AttemptFailure::timed_out(time_limit))),
        }
    }

    /// Chooses the node to ask next, and waits if all have been tried.
    async fn select_next_node(&mut self, decision: RetryDecision) -> Result<(), ClientError> {
        let failure = match decision {
            RetryDecision::Final(error) => return Err(error),
            RetryDecision::Retry(failure) => failure,
        };
        let now = Instant::now();
        self.broken_since.get_or_insert(now);
        self.answered |= failure.answered;
        self.state.send_replace(WatchState::Reconnecting {
            why: failure.what.clone(),
        });
        let node = &self.client.nodes()[self.node];
        *node.cluster_id() = None;
        let (address, what) = (&node.address, &failure.what);
        tracing::debug!(address, what, "watching on another node");
        let leader = failure.leader.as_deref();
        let next = self
            .client
            .selector()
            .failed(self.node, leader, &mut self.attempts, now);
        self.node = next.node;
        let pause = self.client.budget().pause(next.pause.max(failure.delay));
        let pause = jittered(pause);
        if pause >= self.remaining() {
            self.broken_since = None;
            self.attempts = self.client.selector().begin_at(self.node);
            return Err(ClientError::Unavailable {
                answered: std::mem::take(&mut self.answered),
                last: failure.what,
            });
        }
        sleep(pause).await;
        Ok(())
    }

    /// All is well: the next failure begins a new search.
    fn arrived(&mut self) {
        self.answered = false;
        if self.broken_since.take().is_some() {
            self.attempts = self.client.selector().begin_at(self.node);
        }
    }

    fn remaining(&self) -> Duration {
        let spent = self.broken_since.map(|since| since.elapsed());
        self.client
            .deadline()
            .saturating_sub(spent.unwrap_or_default())
    }
}

fn decode(event: wire::watch_event::Event) -> Result<WatchEvent, ClientError> {
    use wire::watch_event::Event;
    Ok(match event {
        Event::Message(message) => WatchEvent::Message(Message {
            id: id(&message.id)?,
            sender: message.sender,
            // Older servers do not say.
            sender_since: (message.sender_since > 0).then_some(message.sender_since),
            recipient: message.recipient,
            body: message.body,
            timestamp: message.timestamp,
            read: false,
            commit: Commit {
                index: message.commit_index,
                term: message.commit_term,
            },
        }),
        Event::Read(read) => WatchEvent::Read(ids(&read.ids)?),
        Event::Deleted(deleted) => WatchEvent::Deleted(ids(&deleted.ids)?),
        Event::CaughtUp(wire::CaughtUp {}) => WatchEvent::CaughtUp,
        Event::Resync(wire::Resync {}) => WatchEvent::Resync,
    })
}

fn ids(texts: &[String]) -> Result<Vec<Uuid>, ClientError> {
    texts.iter().map(|text| id(text)).collect()
}

fn id(text: &str) -> Result<Uuid, ClientError> {
    text.parse()
        .map_err(|error| ClientError::Decode(format!("a message's id: {error}")))
}

#[cfg(test)]
mod tests;
