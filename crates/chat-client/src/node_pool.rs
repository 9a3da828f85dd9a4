//! The nodes of a client: a connection to each, what is known about them, and one attempt of one
//! request at one of them. Which node is tried when is decided in `search` and `watch`, which nodes
//! are added while the client runs in `members`.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use chat_proto::chat::v1::ExecuteRequest;
use chat_proto::chat::v1::chat_client::ChatClient as Stub;
use chat_proto::cluster::v1::StatusRequest;
use chat_proto::cluster::v1::cluster_client::ClusterClient;
use tokio::time::{Instant, timeout};
use tonic::Request as GrpcRequest;
use tonic::transport::Channel;

use crate::connection;
use crate::error::ClientError;
use crate::node_selector::NodeSelector;
use crate::node_status::NodeStatus;
use crate::retry_budget::RetryBudget;
use crate::retry_decision::{AttemptFailure, RetryDecision};
use crate::session::Session;

/// The time limit of the first attempt. It is well above a fail-over, which nodes wait for
/// themselves.
pub(crate) const FIRST_ATTEMPT: Duration = Duration::from_secs(1);
/// The longest reply that is read; the server's own limit.
const REPLY_BYTES_MAX: usize = 8 * 1024 * 1024;
/// The metadata in which a node that does not lead names the leader's address.
const LEADER_METADATA: &str = "chat-leader-address";

/// The nodes of a client and all of its clones.
#[derive(Debug)]
pub(crate) struct NodePool {
    /// Only grows, so that a place names the same node as long as the client exists.
    pub(crate) nodes: RwLock<Vec<Arc<Node>>>,
    /// Whether the members that the nodes name are used, too.
    pub(crate) finds_members: AtomicBool,
    /// The cluster that a node reported last that the caller named.
    pub(crate) named_cluster: Mutex<Option<String>>,
    selector: Mutex<NodeSelector>,
    budget: Mutex<RetryBudget>,
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) address: String,
    pub(crate) channel: Channel,
    /// The cluster that named it as a member; `None` for a node that the caller named. Nothing is
    /// sent to it while it reports another cluster.
    pub(crate) member_of: Option<String>,
    /// Its number, as it or another node reported it last.
    pub(crate) node_id: Mutex<Option<u64>>,
    cluster_id: Mutex<Option<String>>,
}

/// A request in the form in which it is sent to one node after the other.
#[derive(Clone, Copy)]
pub(crate) struct EncodedRequest<'a> {
    pub(crate) text: &'a str,
    pub(crate) session: Option<&'a Session>,
}

impl Node {
    /// Does not connect yet.
    pub(crate) fn new(address: String, member_of: Option<String>) -> Result<Self, ClientError> {
        let channel = connection::channel(&address)?;
        Ok(Self {
            address,
            channel,
            member_of,
            node_id: Mutex::new(None),
            cluster_id: Mutex::new(None),
        })
    }

    /// The cluster that it reported since its last failure.
    fn cluster_id(&self) -> MutexGuard<'_, Option<String>> {
        lock(&self.cluster_id)
    }

    /// Makes the next attempt confirm the cluster again before it sends a token: after a failure,
    /// another process may listen at this address.
    pub(crate) fn forget_cluster(&self) {
        *self.cluster_id() = None;
    }
}

impl NodePool {
    /// Connects to none of the nodes yet.
    pub(crate) fn new(addresses: Vec<String>) -> Result<Self, ClientError> {
        if addresses.is_empty() {
            return Err(ClientError::InvalidInput(
                "there is no node to connect to".to_owned(),
            ));
        }
        let nodes: Vec<Arc<Node>> = addresses
            .iter()
            .cloned()
            .map(|address| Node::new(address, None).map(Arc::new))
            .collect::<Result<_, ClientError>>()?;
        Ok(Self {
            nodes: RwLock::new(nodes),
            finds_members: AtomicBool::new(false),
            named_cluster: Mutex::new(None),
            selector: Mutex::new(NodeSelector::new(addresses)),
            budget: Mutex::new(RetryBudget::default()),
        })
    }

    /// All nodes known so far.
    pub(crate) fn nodes(&self) -> Vec<Arc<Node>> {
        self.nodes
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The node at a place that the selector has returned.
    pub(crate) fn node(&self, place: usize) -> Arc<Node> {
        let nodes = self.nodes.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&nodes[place])
    }

    pub(crate) fn selector(&self) -> MutexGuard<'_, NodeSelector> {
        lock(&self.selector)
    }

    pub(crate) fn budget(&self) -> MutexGuard<'_, RetryBudget> {
        lock(&self.budget)
    }

    /// Checks that the session's token may be sent to the node, then sends the request.
    pub(crate) async fn attempt(
        &self,
        node: usize,
        encoded: EncodedRequest<'_>,
        time_limit: Duration,
    ) -> Result<String, RetryDecision> {
        let begun = Instant::now();
        match timeout(time_limit, self.confirm_cluster(node, encoded.session)).await {
            Ok(confirmed) => confirmed?,
            Err(_elapsed) => {
                let failure = AttemptFailure::timed_out(time_limit);
                return Err(RetryDecision::Retry(failure).without_side_effect());
            }
        }
        let left = time_limit.saturating_sub(begun.elapsed());
        let outcome = match timeout(left, self.send_request(node, encoded, left)).await {
            Ok(outcome) => outcome,
            Err(_elapsed) => {
                let failure = AttemptFailure::timed_out(time_limit);
                Err(RetryDecision::Retry(failure))
            }
        };
        if let Err(RetryDecision::Retry(failure)) = &outcome
            && !failure.answered
        {
            self.node(node).forget_cluster();
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
        let channel = self.node(node).channel.clone();
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
        self.selector().on_success(node, leader, now);
        Ok(reply.into_inner().response)
    }

    /// Checks that the node belongs to the session's cluster, so that the token may be sent to it,
    /// and to the cluster that named it as a member. What the node reports is remembered until it
    /// fails: a connection that did not break leads to the process that answered.
    pub(crate) async fn confirm_cluster(
        &self,
        place: usize,
        session: Option<&Session>,
    ) -> Result<(), RetryDecision> {
        let node = self.node(place);
        if self.is_left_over(&node) {
            return Err(RetryDecision::Retry(foreign_node()));
        }
        let of_session = session.and_then(Session::cluster_id);
        let Some(expected) = of_session.or(node.member_of.as_deref()) else {
            return Ok(());
        };
        if node.cluster_id().as_deref() == Some(expected) {
            return Ok(());
        }
        let mut stub = ClusterClient::new(node.channel.clone());
        let status = stub.status(StatusRequest {}).await;
        let status = status.map_err(|status| RetryDecision::from(&status).without_side_effect())?;
        let status = NodeStatus::from(status.into_inner());
        let Some(found) = status.cluster_id.clone() else {
            let failure =
                AttemptFailure::without_side_effect("the node does not belong to a cluster yet");
            return Err(RetryDecision::Retry(failure));
        };
        if found != expected {
            // Another process has the address of a member by now; the members are elsewhere.
            if node.member_of.as_deref() == Some(expected) {
                return Err(RetryDecision::Retry(foreign_node()));
            }
            return Err(RetryDecision::Final(ClientError::OtherCluster {
                address: node.address.clone(),
                expected: expected.to_owned(),
                found,
            }));
        }
        self.learn_from(&node, &status);
        *node.cluster_id() = Some(found);
        Ok(())
    }
}

/// Nothing was sent to the node, which does not count as one of the cluster.
fn foreign_node() -> AttemptFailure {
    AttemptFailure {
        answered: false,
        ..AttemptFailure::without_side_effect("the node belongs to another cluster")
    }
}

/// No code panics while it holds one of these locks, and every state of the values is valid.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
