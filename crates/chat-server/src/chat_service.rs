//! `chat.v1.Chat`: metadata and text in, text or a status out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use chat_proto::chat::v1::chat_server::{Chat, ChatServer};
use chat_proto::chat::v1::{ExecuteRequest, ExecuteResponse};
use chat_replication::Handle;
use tokio::sync::Semaphore;
use tonic::metadata::{AsciiMetadataValue, MetadataMap};
use tonic::{Request, Response, Status};
use tracing::Instrument;

use crate::config::Node;
use crate::deadline;
use crate::execute::Executor;
use crate::refusal::{LeaderHint, Refusal};
use crate::request::ChatRequest;
use crate::token::TokenHash;

/// The longest message that is read: the longest request, escaped and wrapped.
const REQUEST_MESSAGE_BYTES_MAX: usize = 256 * 1024;
/// The longest that is written: a page of 1 MiB of text, of which JSON may make six times as much.
const REPLY_MESSAGE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// How many requests are under way at once, over all connections.
const IN_FLIGHT_MAX: usize = 8_192;

/// Names the leader's client address in replies of other nodes, so that the next request can save
/// a hop.
const LEADER_METADATA: &str = "chat-leader";

/// Answers clients.
#[derive(Clone, Debug)]
pub(crate) struct ChatService {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    executor: Executor,
    replica: Handle,
    leaders: BTreeMap<u64, KnownLeader>,
    in_flight: Semaphore,
    stopping: AtomicBool,
}

#[derive(Debug)]
struct KnownLeader {
    hint: LeaderHint,
    metadata: Option<AsciiMetadataValue>,
}

impl ChatService {
    pub(crate) fn new(executor: Executor, replica: Handle, nodes: &[Node]) -> Self {
        let known = |node: &Node| {
            let leader = KnownLeader {
                hint: LeaderHint {
                    id: node.id,
                    address: node.client_address.clone(),
                },
                metadata: node.client_address.parse().ok(),
            };
            (node.id, leader)
        };
        Self {
            shared: Arc::new(Shared {
                executor,
                replica,
                leaders: nodes.iter().map(known).collect(),
                in_flight: Semaphore::new(IN_FLIGHT_MAX),
                stopping: AtomicBool::new(false),
            }),
        }
    }

    /// From now on requests are refused; those under way go on.
    pub(crate) fn refuse_new(&self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
    }

    pub(crate) fn into_server(self) -> ChatServer<Self> {
        ChatServer::new(self)
            .max_decoding_message_size(REQUEST_MESSAGE_BYTES_MAX)
            .max_encoding_message_size(REPLY_MESSAGE_BYTES_MAX)
    }

    async fn answer(&self, metadata: &MetadataMap, text: &str) -> Result<String, Refusal> {
        if self.shared.stopping.load(Ordering::Relaxed) {
            return Err(Refusal::Stopping);
        }
        let _in_flight = self
            .shared
            .in_flight
            .try_acquire()
            .map_err(|_full| Refusal::Overloaded)?;
        let deadline = deadline::of(metadata, Instant::now());
        let request = ChatRequest::parse(text)?;
        let span = tracing::debug_span!("execute", request = %request.id(), kind = request.name());
        let executing = self
            .shared
            .executor
            .execute(request, bearer(metadata), deadline);
        let reply = executing.instrument(span).await?;
        Ok(reply.to_json())
    }
}

impl Shared {
    /// Who leads, unless that is this node.
    fn other_leader(&self) -> Option<&KnownLeader> {
        let leadership = self.replica.leadership();
        let leader_id = leadership.leader_id.filter(|_| !leadership.leads)?;
        self.leaders.get(&leader_id)
    }
}

#[tonic::async_trait]
impl Chat for ChatService {
    async fn execute(
        &self,
        request: Request<ExecuteRequest>,
    ) -> Result<Response<ExecuteResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        match self.answer(&metadata, &request.request).await {
            Ok(response) => {
                let mut response = Response::new(ExecuteResponse { response });
                let leader = self.shared.other_leader();
                if let Some(address) = leader.and_then(|leader| leader.metadata.clone()) {
                    response.metadata_mut().insert(LEADER_METADATA, address);
                }
                Ok(response)
            }
            Err(refusal) => {
                tracing::debug!(%refusal, "refused");
                let leader = self.shared.other_leader().map(|leader| leader.hint.clone());
                Err(refusal.into_status(leader))
            }
        }
    }
}

fn bearer(metadata: &MetadataMap) -> Option<TokenHash> {
    TokenHash::from_authorization(metadata.get("authorization")?.to_str().ok()?)
}
