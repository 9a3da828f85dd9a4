//! `chat.v1.Chat`: metadata and text in, text or a status out.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use chat_app::edge::Edge;
use chat_app::error::RequestError;
use chat_app::origin::Origin;
use chat_app::request::ChatRequest;
use chat_app::token::PresentedToken;
use chat_proto::chat::v1::chat_server::{Chat, ChatServer};
use chat_proto::chat::v1::{ExecuteRequest, ExecuteResponse, WatchEvent, WatchRequest};
use chat_replication::Handle;
use futures::{Stream, StreamExt};
use tokio::time::timeout_at;
use tonic::metadata::{AsciiMetadataValue, MetadataMap};
use tonic::{Request, Response, Status};
use tracing::Instrument;

use crate::api::deadline;
use crate::api::watch::{WatchCall, WatchRejected, Watches};
use crate::app::host::Machine;
use crate::app::replication::RunningReplica;
use crate::config::Node;
use crate::limits::read_permits::{ReadPermit, SessionReadPermits};
use crate::net::admission::REQUEST_MESSAGE_BYTES_MAX;
use crate::net::connection_limit::{Connection, Source};
use crate::status::{LeaderHint, into_status};

/// The longest reply: a page of 1 MiB of text, which JSON may make six times as long.
const REPLY_MESSAGE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Names the leader's client address in replies of other nodes, so that the next request can save
/// a hop.
const LEADER_METADATA: &str = "chat-leader-address";

/// Answers clients.
#[derive(Clone, Debug)]
pub(crate) struct ChatService {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    edge: Edge<RunningReplica, Machine>,
    watches: Watches,
    read_permits: SessionReadPermits,
    replica: Handle,
    leaders: BTreeMap<u64, KnownLeader>,
    stopping: AtomicBool,
}

#[derive(Clone, Debug)]
struct KnownLeader {
    hint: LeaderHint,
    metadata: Option<AsciiMetadataValue>,
}

impl KnownLeader {
    fn new(id: u64, address: &str) -> Self {
        Self {
            hint: LeaderHint {
                id,
                address: address.to_owned(),
            },
            metadata: address.parse().ok(),
        }
    }
}

impl ChatService {
    pub(crate) fn new(
        edge: Edge<RunningReplica, Machine>,
        watches: Watches,
        replica: Handle,
        nodes: &[Node],
    ) -> Self {
        let known = |node: &Node| (node.id, KnownLeader::new(node.id, &node.client_address));
        Self {
            shared: Arc::new(Shared {
                edge,
                watches,
                read_permits: SessionReadPermits::new(),
                replica,
                leaders: nodes.iter().map(known).collect(),
                stopping: AtomicBool::new(false),
            }),
        }
    }

    /// Ends every watch with its cursor, so that clients continue on another node.
    pub(crate) fn end_watches(&self) {
        self.shared.watches.end_all();
    }

    /// From now on new requests are rejected; those in progress continue.
    pub(crate) fn reject_new(&self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
    }

    pub(crate) fn into_server(self) -> ChatServer<Self> {
        ChatServer::new(self)
            .max_decoding_message_size(REQUEST_MESSAGE_BYTES_MAX)
            .max_encoding_message_size(REPLY_MESSAGE_BYTES_MAX)
    }

    /// The reply's text; with a page also the permit to read it, which is held until the connection has
    /// taken the page.
    async fn answer(
        &self,
        metadata: &MetadataMap,
        connection: Option<&Arc<Connection>>,
        origin: &Origin,
        text: &str,
    ) -> Result<(String, Option<ReadPermit>), RequestError> {
        if self.shared.stopping.load(Ordering::Relaxed) {
            return Err(RequestError::Stopping);
        }
        let started = Instant::now();
        let deadline = deadline::of(metadata, started);
        let request = ChatRequest::parse(text)?;
        let token = bearer_token(metadata);
        let permit = match connection.filter(|_| matches!(request, ChatRequest::Read(_))) {
            Some(connection) => {
                let hash = token.map(|token| token.hash);
                let permit = self.shared.read_permits.acquire(connection, hash);
                let permit = timeout_at(deadline.into(), permit).await;
                Some(permit.map_err(|_late| RequestError::Overloaded)?)
            }
            None => None,
        };
        // The client and the leader log the same id.
        let span = tracing::debug_span!("execute", request = %request.id(), kind = request.name());
        let executing = async {
            let edge = &self.shared.edge;
            let result = edge.execute(request, token, origin, deadline).await;
            let took = started.elapsed();
            match &result {
                Ok(_) => tracing::debug!(?took, "answered"),
                Err(error) => tracing::debug!(?took, %error, "rejected"),
            }
            result
        };
        let text = match executing.instrument(span).await {
            Ok(reply) => reply.to_json(),
            // Some errors are replies.
            Err(error) => error.to_json().ok_or(error)?,
        };
        Ok((text, permit))
    }
}

impl Shared {
    /// The leader, unless that is this node.
    fn other_leader(&self) -> Option<KnownLeader> {
        let leadership = self.replica.leadership();
        self.known(leadership.leader_id.filter(|_| !leadership.leads)?)
    }

    /// Where clients find a node: the members say so if it joined later or has moved, otherwise the
    /// configuration.
    fn known(&self, id: u64) -> Option<KnownLeader> {
        let members = self.replica.members();
        let member = members.iter().find(|member| member.node_id == id);
        let addresses = member.and_then(|member| member.addresses.as_ref());
        match addresses.filter(|addresses| !addresses.client.is_empty()) {
            Some(addresses) => Some(KnownLeader::new(id, &addresses.client)),
            None => self.leaders.get(&id).cloned(),
        }
    }

    /// The leader, even if that is this node: it may have become the leader after it forwarded the
    /// request to another one.
    fn hint(&self) -> Option<LeaderHint> {
        Some(self.known(self.replica.leadership().leader_id?)?.hint)
    }
}

#[tonic::async_trait]
impl Chat for ChatService {
    async fn execute(
        &self,
        request: Request<ExecuteRequest>,
    ) -> Result<Response<ExecuteResponse>, Status> {
        let origin = Origin::of(request.remote_addr());
        let (metadata, extensions, request) = request.into_parts();
        let connection = extensions.get::<Arc<Connection>>();
        let text = &request.request;
        match self.answer(&metadata, connection, &origin, text).await {
            Ok((response, permit)) => {
                let mut response = Response::new(ExecuteResponse { response });
                if let Some(permit) = permit {
                    response.extensions_mut().insert(Arc::new(permit));
                }
                let leader = self.shared.other_leader();
                if let Some(address) = leader.and_then(|leader| leader.metadata) {
                    response.metadata_mut().insert(LEADER_METADATA, address);
                }
                Ok(response)
            }
            Err(error) => Err(into_status(error, self.shared.hint())),
        }
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<WatchEvent, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let (metadata, extensions, request) = request.into_parts();
        let connection = extensions.get::<Arc<Connection>>();
        let now = Instant::now();
        let call = WatchCall {
            cursor: &request.cursor,
            direction: request.direction,
            token: bearer_token(&metadata),
            source: connection.map_or(Source::Local, |connection| connection.source()),
            begun_by: deadline::of(&metadata, now),
            until: deadline::requested_timeout(&metadata).map(|timeout| now + timeout),
        };
        let begun = if self.shared.stopping.load(Ordering::Relaxed) {
            Err(WatchRejected::Request(RequestError::Stopping))
        } else {
            self.shared.watches.begin(call).await
        };
        let events = begun.map_err(|rejected| {
            tracing::debug!(?rejected, "a watch is rejected");
            rejected.into_status(self.shared.hint())
        })?;
        let shared = Arc::clone(&self.shared);
        let events =
            events.map(move |event| event.map_err(|ended| ended.into_status(shared.hint())));
        Ok(Response::new(Box::pin(events)))
    }
}

fn bearer_token(metadata: &MetadataMap) -> Option<PresentedToken> {
    PresentedToken::from_authorization(metadata.get("authorization")?.to_str().ok()?)
}
