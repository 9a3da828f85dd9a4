//! `Watch`: what happens to an account's inbox, told as it is applied here, to be gone on with on
//! any other node.
//!
//! A watch begins as a linearizable read: everything acknowledged before it, and every entry that a
//! cursor from another node names, is applied here first. From then on it follows the change buffer that
//! applying fills; it holds nothing itself but its position and one batch, and is asked for the
//! next event only when the client has room for it.

mod change_buffer;
mod cursor;
mod end_reason;
mod watcher;

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use chat_proto::chat::v1::WatchEvent;
use chat_replication::Handle;
use chat_store::{ChatReader, LogIndex, Session, StateError};
use futures::Stream;
use tokio::sync::watch;
use tokio::time::timeout_at;

use crate::auth::session_lookup::{SessionLookup, TokenLookup};
use crate::auth::token::{PresentedToken, TokenHash};
use crate::error::RequestError;
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
    sessions: Arc<SessionLookup>,
    change_buffer: Arc<ChangeBuffer>,
    /// True ends every watch.
    stopping: watch::Sender<bool>,
    cluster: OnceLock<ClusterMark>,
}

/// What a client asks for.
#[derive(Debug)]
pub(crate) struct WatchCall<'a> {
    pub(crate) cursor: &'a str,
    pub(crate) token: Option<PresentedToken>,
    /// Where it comes from.
    pub(crate) source: Source,
    /// When it must have begun.
    pub(crate) begun_by: Instant,
    /// When the client wants no more, if it said so.
    pub(crate) until: Option<Instant>,
}

impl Watches {
    pub(crate) fn new(
        replica: Handle,
        reader: ChatReader,
        sessions: Arc<SessionLookup>,
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

    /// Ends every watch, each with its cursor.
    pub(crate) fn end_all(&self) {
        self.stopping.send_replace(true);
    }

    /// The events from the call's cursor on; the last item says why there are no more.
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
        // A slot is for a session that is known; of the others there may be some, as long as it
        // takes to find out.
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
        Ok(Watcher::new(
            subscription,
            session.credential,
            cluster,
            start,
            context,
        ))
    }

    /// Whose token that is, and the entry behind which that was so.
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
        // A leader has just been confirmed, and it leads a formed cluster.
        let id = status.cluster_id.ok_or(RequestError::NoLeader)?;
        Ok(*self.cluster.get_or_init(|| ClusterMark::of(id)))
    }
}

/// What is not valid here is not valid anywhere; the other way round a node may be behind.
async fn session_is_valid(reader: &ChatReader, token: TokenHash) -> bool {
    match reader.session(&token.0).await {
        Ok(session) => session.is_some(),
        // Nobody is signed out because a table cannot be read; it is looked up again.
        Err(error) => {
            drop(read_error(&error));
            true
        }
    }
}

fn read_error(error: &StateError) -> RequestError {
    RequestError::log_read_error(error)
}
