//! A watch: the events of an inbox in the order in which they are committed, from one node after the
//! other.

use std::fmt;
use std::time::{Duration, Instant};

use chat_proto::chat::v1 as wire;
use chat_proto::chat::v1::chat_client::ChatClient as Stub;
use serde::{Deserialize, Serialize};
use tokio::sync;
use tokio::time::{sleep, timeout};
use tonic::Streaming;
use uuid::Uuid;

use crate::client::ChatClient;
use crate::error::ClientError;
use crate::node_pool::FIRST_ATTEMPT;
use crate::node_selector::{Attempts, NodeSelector, jittered};
use crate::requests::{Commit, Direction, DirectionFilter, Message};
use crate::retry_decision::{AttemptFailure, RetryDecision};
use crate::session::Session;

/// A position in the events of an inbox, valid on every node. Opaque; keep it to resume a watch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(String);

/// A change of the inbox, or of the watch itself.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum WatchEvent {
    /// A message arrived, or was sent and copied.
    Message(Message),
    /// Unread messages were marked as read.
    Read(Vec<Uuid>),
    /// Messages or copies were deleted.
    Deleted(Vec<Uuid>),
    /// Every event that was acknowledged before the watch started or resumed has been delivered. Also
    /// delivered from time to time while nothing happens, with a newer cursor.
    CaughtUp,
    /// The cursor was older than the events that the nodes keep: fetch the inbox again, then continue.
    /// Later events may already be in the inbox: compare the ids.
    Resync,
}

/// An event, and the position after it.
#[derive(Clone, Debug, PartialEq)]
pub struct WatchUpdate {
    /// What happened.
    pub event: WatchEvent,
    /// Resumes a watch after this event, for example after a restart.
    pub cursor: Cursor,
}

/// A watch over a session's inbox. Made by [`ChatClient::watch`].
#[derive(Debug)]
pub struct Watch {
    client: ChatClient,
    session: Session,
    directions: DirectionFilter,
    cursor: Option<Cursor>,
    stream: Option<Streaming<wire::WatchEvent>>,
    /// The node that serves the stream, or is tried next.
    node: usize,
    attempts: Attempts,
    /// When the stream broke; `None` once an event has arrived since.
    broken_since: Option<Instant>,
    /// Whether any node has answered since then.
    answered: bool,
    state: sync::watch::Sender<WatchState>,
}

/// The connection of a watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchState {
    /// The watch looks for a node that serves it.
    Reconnecting {
        /// Why the last node does not serve it: its reply, or the connection's error; empty at first.
        why: String,
    },
    /// A node serves it.
    Connected {
        /// The address of the node.
        address: String,
    },
}

impl Cursor {
    /// The kept text of an earlier cursor.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text to keep.
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
    /// Watches the session's inbox: from now on, or from the cursor of an earlier watch, which any node
    /// may have served. Nothing is sent before [`Watch::next`] is called.
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
        self.watch_with(session, cursor, DirectionFilter::Received)
    }

    /// As [`Self::watch`], of received messages, of copies of sent ones, or of both. Keep to one filter for a
    /// cursor: another one shows nothing from before it. A server without copies shows received messages only.
    pub fn watch_with(
        &self,
        session: &Session,
        cursor: Option<Cursor>,
        directions: DirectionFilter,
    ) -> Watch {
        let (node, attempts) = self.pool().selector().begin();
        Watch {
            client: self.clone(),
            session: session.clone(),
            directions,
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
    /// The next event, without a gap and without a repetition, however often the connection breaks
    /// in between. Waits as long as nothing happens. Dropping the future loses no event.
    ///
    /// # Errors
    ///
    /// [`ClientError::Status`] when the session has ended or the cursor is invalid: another call fails
    /// in the same way. [`ClientError::Unavailable`] when no node served the watch within the client's
    /// deadline: another call continues where this one stopped. Never
    /// [`ClientError::OutcomeUnknown`].
    pub async fn next(&mut self) -> Result<WatchUpdate, ClientError> {
        loop {
            let received = match &mut self.stream {
                Some(stream) => stream.message().await,
                None => match self.open().await {
                    Ok(stream) => {
                        self.stream = Some(stream);
                        let address = self.client.pool().node(self.node).address.clone();
                        self.state.send_replace(WatchState::Connected { address });
                        continue;
                    }
                    Err(decision) => {
                        self.select_next_node(decision).await?;
                        continue;
                    }
                },
            };
            let decision = match received {
                Ok(Some(event)) => {
                    self.on_event();
                    let cursor = Cursor(event.cursor);
                    self.cursor = Some(cursor.clone());
                    match event.event.map(decode).transpose()? {
                        Some(event) => return Ok(WatchUpdate { event, cursor }),
                        // An event that only newer versions know.
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

    /// Where another watch would continue; `None` before the first event.
    pub fn cursor(&self) -> Option<&Cursor> {
        self.cursor.as_ref()
    }

    /// The state of the connection, to show it to a person. Changes only while [`Watch::next`] is
    /// awaited.
    pub fn state(&self) -> sync::watch::Receiver<WatchState> {
        self.state.subscribe()
    }

    async fn open(&self) -> Result<Streaming<wire::WatchEvent>, RetryDecision> {
        let time_limit = NodeSelector::attempt_timeout(FIRST_ATTEMPT, &self.attempts);
        let time_limit = time_limit.min(self.remaining());
        let cursor = self.cursor.as_ref().map(Cursor::to_string);
        let mut request = tonic::Request::new(wire::WatchRequest {
            cursor: cursor.unwrap_or_default(),
            direction: match self.directions {
                // What servers without copies know.
                DirectionFilter::Received => wire::Direction::Unspecified,
                DirectionFilter::Sent => wire::Direction::Sent,
                DirectionFilter::All => wire::Direction::All,
            }
            .into(),
        });
        let authorization = self.session.authorization();
        request
            .metadata_mut()
            .insert("authorization", authorization);
        let pool = self.client.pool();
        match timeout(
            time_limit,
            pool.confirm_cluster(self.node, Some(&self.session)),
        )
        .await
        {
            Ok(confirmed) => confirmed?,
            Err(_elapsed) => {
                return Err(RetryDecision::Retry(AttemptFailure::timed_out(time_limit)));
            }
        }
        let node = pool.node(self.node);
        let mut stub = Stub::new(node.channel.clone());
        // The time limit is not sent: a `grpc-timeout` would end the stream, too.
        match timeout(time_limit, stub.watch(request)).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(RetryDecision::from(&status)),
            Err(_elapsed) => Err(RetryDecision::Retry(AttemptFailure::timed_out(time_limit))),
        }
    }

    /// Selects the node for the next attempt, and waits if all have been tried.
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
        let node = self.client.pool().node(self.node);
        node.forget_cluster();
        let (address, what) = (&node.address, &failure.what);
        tracing::debug!(address, what, "continuing the watch on another node");
        let leader = failure.leader.as_deref();
        let pool = self.client.pool();
        let next = pool
            .selector()
            .on_failure(self.node, leader, &mut self.attempts, now);
        self.node = next.node;
        let pause = pool.budget().pause(next.pause.max(failure.delay));
        let pause = jittered(pause);
        if pause >= self.remaining() {
            self.broken_since = None;
            self.attempts = self.client.pool().selector().begin_at(self.node);
            return Err(ClientError::Unavailable {
                answered: std::mem::take(&mut self.answered),
                last: failure.what,
            });
        }
        sleep(pause).await;
        Ok(())
    }

    /// The stream works: the next failure starts a new search.
    fn on_event(&mut self) {
        self.answered = false;
        if self.broken_since.take().is_some() {
            self.attempts = self.client.pool().selector().begin_at(self.node);
        }
    }

    fn remaining(&self) -> Duration {
        let spent = self.broken_since.map(|since| since.elapsed());
        self.client
            .deadline()
            .saturating_sub(spent.unwrap_or_default())
    }
}

fn decode_message(message: wire::NewMessage) -> Result<Message, ClientError> {
    let is_sent = message.direction() == wire::Direction::Sent;
    let reply_to = Some(message.reply_to.as_str()).filter(|text| !text.is_empty());
    Ok(Message {
        id: id(&message.id)?,
        reply_to: reply_to.map(id).transpose()?,
        sender: message.sender,
        // Older servers do not send it.
        sender_since: (message.sender_since > 0).then_some(message.sender_since),
        recipient: message.recipient,
        recipient_since: (message.recipient_since > 0).then_some(message.recipient_since),
        direction: if is_sent {
            Direction::Sent
        } else {
            Direction::Received
        },
        body: message.body,
        written_at: Some(message.written_at).filter(|time| *time != 0.0),
        timestamp: message.timestamp,
        read: is_sent,
        commit: Commit {
            index: message.commit_index,
            term: message.commit_term,
        },
    })
}

fn decode(event: wire::watch_event::Event) -> Result<WatchEvent, ClientError> {
    use wire::watch_event::Event;
    Ok(match event {
        Event::Message(message) => WatchEvent::Message(decode_message(message)?),
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
        .map_err(|error| ClientError::Decode(format!("the id of a message: {error}")))
}

#[cfg(test)]
mod tests;
