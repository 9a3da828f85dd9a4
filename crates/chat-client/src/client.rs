//! The client: one request, tried on one node after the other until one answers. What can be asked
//! is in `accounts`, `messages`, `watch` and `status`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chat_proto::chat::v1::ExecuteRequest;
use chat_proto::chat::v1::chat_client::ChatClient as Stub;
use tokio::time::{sleep, timeout};
use tonic::Request as GrpcRequest;
use tonic::transport::Channel;

use crate::connection;
use crate::error::ClientError;
use crate::picker::{Picker, jittered};
use crate::requests::{self, Request};
use crate::retry_budget::RetryBudget;
use crate::session::Session;
use crate::verdict::{CarriedOut, Failure, Verdict};

/// How long a request is tried unless [`ChatClient::with_deadline`] says otherwise.
const DEADLINE: Duration = Duration::from_secs(10);
/// The first try's share of it. Well above a fail-over, which nodes wait out themselves.
pub(crate) const FIRST_ATTEMPT: Duration = Duration::from_secs(1);
/// A try that is shorter than this would only make an unknown outcome of a known one: nodes say that
/// there is no leader shortly before a try's time is up.
const SHORTEST_ATTEMPT: Duration = Duration::from_millis(100);
/// The longest reply that is read; the server's own limit.
const REPLY_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Names the leader in replies of nodes that do not lead.
const LEADER_METADATA: &str = "chat-leader";

/// A reply that says nothing but that it was done.
const DONE: &str = r#"{"status":"OK"}"#;

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
    picker: Mutex<Picker>,
    budget: Mutex<RetryBudget>,
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) address: String,
    pub(crate) channel: Channel,
}

impl ChatClient {
    /// A client of the nodes at these client addresses, each a host and a port. Connects to none
    /// of them yet.
    ///
    /// # Errors
    ///
    /// [`ClientError::Unusable`] when there is no address, or one that is none.
    pub fn new<A: Into<String>>(
        addresses: impl IntoIterator<Item = A>,
    ) -> Result<Self, ClientError> {
        let nodes = addresses.into_iter().map(|address| {
            let address = address.into();
            let channel = connection::channel(&address)?;
            Ok(Node { address, channel })
        });
        let nodes: Vec<Node> = nodes.collect::<Result<_, ClientError>>()?;
        if nodes.is_empty() {
            return Err(ClientError::Unusable("there is no node to ask".to_owned()));
        }
        let addresses = nodes.iter().map(|node| node.address.clone()).collect();
        Ok(Self {
            shared: Arc::new(Shared {
                nodes,
                picker: Mutex::new(Picker::new(addresses)),
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
        let deadline = Instant::now() + self.deadline;
        self.budget().earn();
        let (mut node, mut tries) = self.picker().begin();
        let mut carried_out = CarriedOut::No;
        let mut answered = false;
        loop {
            let remaining = deadline.saturating_duration_since(Instant::now());
            let patience = Picker::attempt_timeout(FIRST_ATTEMPT, &tries).min(remaining);
            let attempt = self.attempt(node, &text, session, patience);
            let verdict = match timeout(patience, attempt).await {
                Ok(Ok(reply)) => return Ok(reply),
                Ok(Err(verdict)) => verdict,
                Err(_late) => Verdict::Again(Failure::late(patience)),
            };
            let failure = match verdict {
                Verdict::Final(error) if request.is_done_by(&error) => return Ok(DONE.to_owned()),
                // An earlier try may have done what this one may not do any more.
                Verdict::Final(error) if carried_out == CarriedOut::Maybe => {
                    return Err(given_up(carried_out, true, error.to_string()));
                }
                Verdict::Final(error) => return Err(error),
                Verdict::Again(failure) => failure,
            };
            let (address, what) = (&self.shared.nodes[node].address, &failure.what);
            tracing::debug!(request = %request.id(), address, what, "trying another node");
            answered |= failure.answered;
            if failure.carried_out == CarriedOut::Maybe && !request.only_looks() {
                carried_out = CarriedOut::Maybe;
            }
            let leader = failure.leader.as_deref();
            let next = self
                .picker()
                .failed(node, leader, &mut tries, Instant::now());
            let pause = self.budget().pause(next.pause.max(failure.delay));
            let pause = jittered(pause);
            if Instant::now() + pause + SHORTEST_ATTEMPT >= deadline {
                return Err(given_up(carried_out, answered, failure.what));
            }
            if !pause.is_zero() {
                sleep(pause).await;
            }
            node = next.node;
        }
    }

    async fn attempt(
        &self,
        node: usize,
        request: &str,
        session: Option<&Session>,
        patience: Duration,
    ) -> Result<String, Verdict> {
        let mut request = GrpcRequest::new(ExecuteRequest {
            request: request.to_owned(),
        });
        request.set_timeout(patience);
        if let Some(session) = session {
            request
                .metadata_mut()
                .insert("authorization", session.authorization());
        }
        let channel = self.shared.nodes[node].channel.clone();
        let mut stub = Stub::new(channel).max_decoding_message_size(REPLY_BYTES_MAX);
        let reply = stub
            .execute(request)
            .await
            .map_err(|status| Verdict::from(&status))?;
        let leader = reply
            .metadata()
            .get(LEADER_METADATA)
            .and_then(|value| value.to_str().ok());
        self.picker().succeeded(node, leader, Instant::now());
        Ok(reply.into_inner().response)
    }

    pub(crate) fn deadline(&self) -> Duration {
        self.deadline
    }

    pub(crate) fn nodes(&self) -> &[Node] {
        &self.shared.nodes
    }

    pub(crate) fn picker(&self) -> MutexGuard<'_, Picker> {
        lock(&self.shared.picker)
    }

    pub(crate) fn budget(&self) -> MutexGuard<'_, RetryBudget> {
        lock(&self.shared.budget)
    }
}

/// Nothing panics while one of these is held, and every state of them is a good one.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn given_up(carried_out: CarriedOut, answered: bool, last: String) -> ClientError {
    match carried_out {
        CarriedOut::No => ClientError::Unavailable { answered, last },
        CarriedOut::Maybe => ClientError::OutcomeUnknown { last },
    }
}

#[cfg(test)]
mod tests;
