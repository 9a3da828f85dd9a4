//! The client: its connections, and one request at one node. Which node is asked when is in `search`;
//! what can be asked is in `accounts`, `messages`, `watch` and `status`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chat_proto::chat::v1::ExecuteRequest;
use chat_proto::chat::v1::chat_client::ChatClient as Stub;
use tokio::time::{Instant, timeout};
use tonic::Request as GrpcRequest;
use tonic::transport::Channel;

use crate::connection;
use crate::error::ClientError;
use crate::node_selector::NodeSelector;
use crate::requests::{self, Request};
use crate::retry_budget::RetryBudget;
use crate::retry_decision::{AttemptFailure, RetryDecision};
use crate::search::Search;
use crate::session::Session;

/// How long a request is tried unless [`ChatClient::with_deadline`] says otherwise.
const DEADLINE: Duration = Duration::from_secs(10);
/// The first try's share of it. Well above a fail-over, which nodes wait out themselves.
pub(crate) const FIRST_ATTEMPT: Duration = Duration::from_secs(1);
/// The longest reply that is read; the server's own limit.
const REPLY_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Names the leader in replies of nodes that do not lead.
const LEADER_METADATA: &str = "chat-leader-address";

/// A client of the chat. Clones share its connections, what it knows of the nodes, and its budget of
/// retries.
#[derive(Clone, Debug)]
pub struct ChatClient {
    shared: Arc<Shared>,
    deadline: Duration,
}

#[derive(Debug)]
struct Shared {
    nodes: Vec<Node>,
    selector: Mutex<NodeSelector>,
    budget: Mutex<RetryBudget>,
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) address: String,
    pub(crate) channel: Channel,
    cluster_id: Mutex<Option<String>>,
}

impl Node {
    /// The cluster that it said it is of, since it last failed.
    pub(crate) fn cluster_id(&self) -> MutexGuard<'_, Option<String>> {
        lock(&self.cluster_id)
    }
}

/// A request as it is sent to one node after the other.
#[derive(Clone, Copy)]
pub(crate) struct EncodedRequest<'a> {
    text: &'a str,
    session: Option<&'a Session>,
}

impl ChatClient {
    /// A client of the nodes at these client addresses, each a host and a port. Connects to none
    /// of them yet.
    ///
    /// # Errors
    ///
    /// [`ClientError::InvalidInput`] when there is no address, or one that is none.
    pub fn new<A: Into<String>>(
        addresses: impl IntoIterator<Item = A>,
    ) -> Result<Self, ClientError> {
        let nodes = addresses.into_iter().map(|address| {
            let address = address.into();
            let channel = connection::channel(&address)?;
            Ok(Node {
                address,
                channel,
                cluster_id: Mutex::new(None),
            })
        });
        let nodes: Vec<Node> = nodes.collect::<Result<_, ClientError>>()?;
        if nodes.is_empty() {
            return Err(ClientError::InvalidInput(
                "there is no node to ask".to_owned(),
            ));
        }
        let addresses = nodes.iter().map(|node| node.address.clone()).collect();
        Ok(Self {
            shared: Arc::new(Shared {
                nodes,
                selector: Mutex::new(NodeSelector::new(addresses)),
                budget: Mutex::new(RetryBudget::default()),
            }),
            deadline: DEADLINE,
        })
    }

    /// The same client, whose requests are tried for at most this long.
    #[must_use]
    pub fn with_deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    pub(crate) async fn execute<T: for<'a> serde::Deserialize<'a>>(
        &self,
        request: &Request<'_>,
        session: Option<&Session>,
    ) -> Result<T, ClientError> {
        let reply = self.try_nodes(request, session).await?;
        requests::read(&reply)
    }

    /// One text under one request id, until somebody answers.
    async fn try_nodes(
        &self,
        request: &Request<'_>,
        session: Option<&Session>,
    ) -> Result<String, ClientError> {
        let text = request.to_json();
        let encoded = EncodedRequest {
            text: &text,
            session,
        };
        self.budget().refill();
        let (node, attempts) = self.selector().begin();
        Search::new(self, request, encoded, attempts)
            .run(node)
            .await
    }

    /// Finds out whether the node may have the token, and sends the request.
    pub(crate) async fn attempt(
        &self,
        node: usize,
        encoded: EncodedRequest<'_>,
        time_limit: Duration,
    ) -> Result<String, RetryDecision> {
        let begun = Instant::now();
        if let Some(session) = encoded.session {
            match timeout(time_limit, self.confirm(node, session)).await {
                Ok(confirmed) => confirmed?,
                Err(_late) => {
                    return Err(RetryDecision::Retry(AttemptFailure::timed_out(time_limit))
                        .without_side_effect());
                }
            }
        }
        let left = time_limit.saturating_sub(begun.elapsed());
        let outcome = match timeout(left, self.send_request(node, encoded, left)).await {
            Ok(outcome) => outcome,
            Err(_late) => Err(RetryDecision::Retry(AttemptFailure::timed_out(time_limit))),
        };
        if let Err(RetryDecision::Retry(failure)) = &outcome
            && !failure.answered
        {
            // The connection may have broken, and what comes to this address next be another one.
            *self.shared.nodes[node].cluster_id() = None;
        }
        outcome
    }

    async fn send_request(
        &self,
        node: usize,
        encoded: EncodedRequest<'_>,
        time_limit: Duration,
    ) -> Result<String, RetryDecision> {
        let mut request = GrpcRequest::new(ExecuteRequest {
            request: encoded.text.to_owned(),
        });
        request.set_timeout(time_limit);
        if let Some(session) = encoded.session {
            request
                .metadata_mut()
                .insert("authorization", session.authorization());
        }
        let channel = self.shared.nodes[node].channel.clone();
        let mut stub = Stub::new(channel).max_decoding_message_size(REPLY_BYTES_MAX);
        let reply = stub
            .execute(request)
            .await
            .map_err(|status| RetryDecision::from(&status))?;
        let leader = reply
            .metadata()
            .get(LEADER_METADATA)
            .and_then(|value| value.to_str().ok());
        let now = Instant::now().into_std();
        self.selector().succeeded(node, leader, now);
        Ok(reply.into_inner().response)
    }

    pub(crate) fn deadline(&self) -> Duration {
        self.deadline
    }

    pub(crate) fn nodes(&self) -> &[Node] {
        &self.shared.nodes
    }

    pub(crate) fn selector(&self) -> MutexGuard<'_, NodeSelector> {
        lock(&self.shared.selector)
    }

    pub(crate) fn budget(&self) -> MutexGuard<'_, RetryBudget> {
        lock(&self.shared.budget)
    }
}

/// Nothing panics while one of these is held, and every state of them is a good one.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
