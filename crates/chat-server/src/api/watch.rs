//! `Watch`: sends the changes of an account's messages as they are applied here. The client can continue
//! on any other node.
//!
//! A watch begins as a linearizable read: everything acknowledged before it, and every entry that a
//! cursor from another node names, is applied here first. From then on it reads the change buffer,
//! which applying fills. The watch itself keeps only its position and one batch, and makes the next
//! event only when the client has room for it.

mod change_buffer;
mod cursor;
mod end_reason;
mod watcher;

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use chat_app::error::RequestError;
use chat_app::request::InvalidRequest;
use chat_app::session_lookup::{SessionLookup, TokenLookup};
use chat_app::token::{PresentedToken, TokenHash};
use chat_proto::chat::v1::{Direction, WatchEvent};
use chat_replication::Handle;
use chat_store::{ChatReader, DirectionFilter, LogIndex, Session, StateError};
use futures::Stream;
use tokio::sync::watch;
use tokio::time::timeout_at;

use crate::app::host::Machine;
use crate::app::replication::RunningReplica;
use crate::net::connection_limit::Source;

pub(crate) use change_buffer::ChangeBuffer;
pub(crate) use cursor::{ClusterMark, Cursor};
pub(crate) use end_reason::{WatchEnd, WatchRejected};
use watcher::{Start, WatchContext, Watcher};

/// Begins watches on this node.
#[derive(Debug)]
pub(crate) struct Watches {
    replica: Handle,
    reader: ChatReader,
    sessions: Arc<SessionLookup<RunningReplica, Machine>>,
    change_buffer: Arc<ChangeBuffer>,
    /// True ends every watch.
    stopping: watch::Sender<bool>,
    cluster: OnceLock<ClusterMark>,
}

/// A client's call.
#[derive(Debug)]
pub(crate) struct WatchCall<'a> {
    pub(crate) cursor: &'a str,
    /// A `chat.v1.Direction`.
    pub(crate) direction: i32,
    pub(crate) token: Option<PresentedToken>,
    /// Where it comes from.
    pub(crate) source: Source,
    /// Until when the watch must begin.
    pub(crate) begun_by: Instant,
    /// When the watch ends, if the client sent a deadline.
    pub(crate) until: Option<Instant>,
}

impl Watches {
    pub(crate) fn new(
        replica: Handle,
        reader: ChatReader,
        sessions: Arc<SessionLookup<RunningReplica, Machine>>,
        change_buffer: Arc<ChangeBuffer>,
    ) -> Self {
        Self {
            replica,
            reader,
            sessions,
            change_buffer,
            stopping: watch::Sender::new(false),
            cluster: OnceLock::new(),
        }
    }

    /// Ends every watch; each end has a cursor.
    pub(crate) fn end_all(&self) {
        self.stopping.send_replace(true);
    }

    /// The events from the call's cursor on; the last item is the reason for the end.
    pub(crate) async fn begin(
        &self,
        call: WatchCall<'_>,
    ) -> Result<impl Stream<Item = Result<WatchEvent, WatchEnd>> + Send + use<>, WatchRejected>
    {
        let beginning = self.watcher(&call);
        let watcher = timeout_at(call.begun_by.into(), beginning)
            .await
            .map_err(|_late| RequestError::Timeout)??;
        tracing::debug!(from = watcher.cursor(), "a watch begins");
        Ok(futures::stream::unfold(Some(watcher), |watcher| async {
            let mut watcher = watcher?;
            match watcher.next().await {
                Ok(event) => Some((Ok(event), Some(watcher))),
                Err(end_reason) => {
                    let cursor = watcher.cursor();
                    tracing::debug!(cursor, ?end_reason, "a watch ends");
                    Some((Err(WatchEnd { end_reason, cursor }), None))
                }
            }
        }))
    }

    async fn watcher(&self, call: &WatchCall<'_>) -> Result<Watcher, WatchRejected> {
        let token = call.token.ok_or(RequestError::Unauthenticated)?;
        let cursor = Cursor::parse(call.cursor).map_err(RequestError::Invalid)?;
        let directions = directions(call.direction).map_err(RequestError::Invalid)?;
        // Sessions that are known here get a slot. Unproven ones have fewer slots, which they hold
        // until they are looked up.
        let slot = match self.sessions.known(token).await? {
            TokenLookup::Session(_) => {
                self.change_buffer.acquire_slot(token.hash.0, call.source)?
            }
            TokenLookup::Invalid => return Err(RequestError::Unauthenticated.into()),
            TokenLookup::Undecided => self
                .change_buffer
                .acquire_unproven_slot(token.hash.0, call.source)?,
        };
        let token = token.hash;
        self.replica
            .ensure_linearizable(call.begun_by)
            .await
            .map_err(RequestError::from)?;
        let (session, validated) = self.session(token).await?;
        let cluster = self.cluster().await?;
        let start = Start::new(
            cursor,
            cluster,
            validated,
            session.credential.incarnation,
            self.change_buffer.floor(),
        );
        let subscription = slot.subscribe(&session.username)?;
        let reader = self.reader.clone();
        let context = WatchContext {
            session_is_valid: Box::new(move || {
                let reader = reader.clone();
                Box::pin(async move { session_is_valid(&reader, token).await })
            }),
            leadership: self.replica.watch_leadership(),
            stopping: self.stopping.subscribe(),
            until: call.until,
        };
        let credential = session.credential;
        let watcher = Watcher::new(subscription, credential, cluster, start, context);
        Ok(watcher.with_directions(directions))
    }

    /// The session of the token, and the applied index at which it was read.
    async fn session(&self, token: TokenHash) -> Result<(Session, LogIndex), RequestError> {
        let reading = async {
            let mut snapshot = self.reader.begin().await?;
            let session = snapshot.session(&token.0).await?;
            Ok((session, snapshot.applied_index().await?))
        };
        match reading.await {
            Ok((Some(session), applied)) => Ok((session, applied)),
            Ok((None, _)) => {
                self.sessions.forget(&token);
                Err(RequestError::Unauthenticated)
            }
            Err(error) => Err(read_error(&error)),
        }
    }

    async fn cluster(&self) -> Result<ClusterMark, RequestError> {
        if let Some(cluster) = self.cluster.get() {
            return Ok(*cluster);
        }
        let status = self.replica.status().await;
        let status = status.map_err(|_stopped| RequestError::Stopping)?;
        // A leader has just been confirmed, and it leads a bootstrapped cluster.
        let id = status.cluster_id.ok_or(RequestError::NoLeader)?;
        Ok(*self.cluster.get_or_init(|| ClusterMark::of(id)))
    }
}

fn directions(direction: i32) -> Result<DirectionFilter, InvalidRequest> {
    match Direction::try_from(direction) {
        Ok(Direction::Unspecified | Direction::Received) => Ok(DirectionFilter::Received),
        Ok(Direction::Sent) => Ok(DirectionFilter::Sent),
        Ok(Direction::All) => Ok(DirectionFilter::All),
        Err(_unknown) => {
            let problem = "must be one of the values of `chat.v1.Direction`";
            Err(InvalidRequest::new("direction", problem))
        }
    }
}

/// A session that has ended here has ended everywhere. The opposite does not hold: this node may be
/// behind.
async fn session_is_valid(reader: &ChatReader, token: TokenHash) -> bool {
    match reader.session(&token.0).await {
        Ok(session) => session.is_some(),
        // A table that cannot be read ends no watch; the session is checked again later.
        Err(error) => {
            drop(read_error(&error));
            true
        }
    }
}

fn read_error(error: &StateError) -> RequestError {
    RequestError::log_read_error(error)
}
