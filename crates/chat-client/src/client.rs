//! The client: typed requests, tried on one node after the other until one answers.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chat_proto::chat::v1::ExecuteRequest;
use chat_proto::chat::v1::chat_client::ChatClient as Stub;
use chat_proto::cluster::v1::cluster_client::ClusterClient;
use chat_proto::cluster::v1::{StatusRequest, StatusResponse};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tonic::Request as GrpcRequest;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::Channel;
use uuid::Uuid;

use crate::connection;
use crate::error::ClientError;
use crate::password;
use crate::picker::{Picker, jittered};
use crate::requests::{
    self, Created, InboxPage, InboxQuery, LoggedInJson, MessageJson, Request, Sent,
};
use crate::verdict::{self, CarriedOut, Failure, Verdict};

/// How long a request is tried unless [`ChatClient::with_deadline`] says otherwise.
const DEADLINE: Duration = Duration::from_secs(10);
/// The first try's share of it. Well above a fail-over, which nodes wait out themselves.
const FIRST_ATTEMPT: Duration = Duration::from_secs(1);
/// A try that is shorter than this would only make an unknown outcome of a known one: nodes say that
/// there is no leader shortly before a try's time is up.
const SHORTEST_ATTEMPT: Duration = Duration::from_millis(100);
/// The longest reply that is read; the server's own limit.
const REPLY_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Names the leader in replies of nodes that do not lead.
const LEADER_METADATA: &str = "chat-leader";

/// A client of the chat. Clones share its connections and what it knows of the nodes.
#[derive(Clone, Debug)]
pub struct ChatClient {
    shared: Arc<Shared>,
    deadline: Duration,
}

#[derive(Debug)]
struct Shared {
    nodes: Vec<Node>,
    picker: Mutex<Picker>,
}

#[derive(Debug)]
struct Node {
    address: String,
    channel: Channel,
}

/// Somebody who has proven who they are. Keep [`Session::token`] as safe as a password.
#[derive(Clone)]
pub struct Session {
    username: String,
    token: String,
    authorization: AsciiMetadataValue,
}

/// A new session of an existing account.
#[derive(Clone, Debug)]
pub struct LoggedIn {
    /// The session.
    pub session: Session,
    /// How many messages wait unread.
    pub unread: u64,
}

/// A message whose id its caller keeps, to repeat it when the outcome is unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutgoingMessage {
    /// The message's name for good; sending it again under this id changes nothing.
    pub id: Uuid,
    /// Whose inbox it goes to.
    pub recipient: String,
    /// What it says.
    pub body: String,
}

/// What one node says of itself.
#[derive(Clone, Debug)]
pub struct NodeReport {
    /// Where it was asked.
    pub address: String,
    /// Its own view, or why there is none.
    pub status: Result<StatusResponse, String>,
    /// How long it took to answer.
    pub round_trip: Duration,
}

impl Session {
    /// A session that was opened earlier.
    ///
    /// # Errors
    ///
    /// [`ClientError::Unusable`] when that can be no token.
    pub fn new(username: &str, token: &str) -> Result<Self, ClientError> {
        let mut authorization: AsciiMetadataValue = format!("Bearer {token}")
            .parse()
            .map_err(|_invalid| ClientError::Unusable("this is no session token".to_owned()))?;
        authorization.set_sensitive(true);
        Ok(Self {
            username: username.to_owned(),
            token: token.to_owned(),
            authorization,
        })
    }

    /// Whose it is.
    pub fn username(&self) -> &str {
        &self.username
    }

    /// What proves it.
    pub fn token(&self) -> &str {
        &self.token
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

impl OutgoingMessage {
    /// A message that was never sent.
    pub fn new(recipient: impl Into<String>, body: impl Into<String>) -> Self {
        Self {
            id: Uuid::now_v7(),
            recipient: recipient.into(),
            body: body.into(),
        }
    }
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
            }),
            deadline: DEADLINE,
        })
    }

    /// The same client, whose requests are tried for at most this long.
    #[must_use]
    pub fn with_deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// Creates an account.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] with `username_taken`; see the contract for the others.
    pub async fn sign_up(&self, username: &str, password: &str) -> Result<Session, ClientError> {
        let request = Request::CreateUser {
            id: Uuid::new_v4(),
            username,
            password: &password::digest(password),
        };
        let created: Created = self.execute(&request, None).await?;
        Session::new(username, &created.token)
    }

    /// Opens a session of an account.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] with `invalid_credentials`; see the contract for the others.
    pub async fn login(&self, username: &str, password: &str) -> Result<LoggedIn, ClientError> {
        let request = Request::Login {
            id: Uuid::new_v4(),
            username,
            password: &password::digest(password),
        };
        let reply: LoggedInJson = self.execute(&request, None).await?;
        Ok(LoggedIn {
            session: Session::new(username, &reply.token)?,
            unread: reply.unread,
        })
    }

    /// Sends a new message. Whoever wants to repeat it after an unknown outcome keeps an
    /// [`OutgoingMessage`] and uses [`Self::send_message`].
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] with `recipient_not_found`; see the contract for the others.
    pub async fn send(
        &self,
        session: &Session,
        recipient: &str,
        body: &str,
    ) -> Result<Sent, ClientError> {
        self.send_message(session, &OutgoingMessage::new(recipient, body))
            .await
    }

    /// Sends a message, once however often it is repeated.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] with `recipient_not_found` or, when the id was used for another
    /// message, `duplicate_message`; see the contract for the others.
    pub async fn send_message(
        &self,
        session: &Session,
        message: &OutgoingMessage,
    ) -> Result<Sent, ClientError> {
        let request = Request::SendMessage {
            id: Uuid::new_v4(),
            message: MessageJson {
                id: message.id,
                sender: &session.username,
                recipient: &message.recipient,
                body: &message.body,
            },
        };
        self.execute(&request, Some(session)).await
    }

    /// A page of the session's inbox, with everything that was acknowledged before the call.
    ///
    /// # Errors
    ///
    /// See the contract; never [`ClientError::OutcomeUnknown`].
    pub async fn inbox(
        &self,
        session: &Session,
        query: &InboxQuery,
    ) -> Result<InboxPage, ClientError> {
        let request = Request::GetMessages {
            id: Uuid::new_v4(),
            username: &session.username,
            query,
        };
        self.execute(&request, Some(session)).await
    }

    /// Asks every node how it sees itself and the cluster, all at once, each for at most
    /// `patience`. In the order of the addresses.
    pub async fn status(&self, patience: Duration) -> Vec<NodeReport> {
        let mut asking = JoinSet::new();
        for (place, node) in self.shared.nodes.iter().enumerate() {
            let (address, channel) = (node.address.clone(), node.channel.clone());
            asking.spawn(async move { (place, report(address, channel, patience).await) });
        }
        let mut reports = asking.join_all().await;
        reports.sort_by_key(|(place, _)| *place);
        reports.into_iter().map(|(_, report)| report).collect()
    }

    async fn execute<T: for<'a> serde::Deserialize<'a>>(
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
        let (mut node, mut tries) = self.picker().begin();
        let mut carried_out = CarriedOut::No;
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
                // An earlier try may have done what this one may not do any more.
                Verdict::Final(error) if carried_out == CarriedOut::Maybe => {
                    return Err(given_up(carried_out, error.to_string()));
                }
                Verdict::Final(error) => return Err(error),
                Verdict::Again(failure) => failure,
            };
            let (address, what) = (&self.shared.nodes[node].address, &failure.what);
            tracing::debug!(address, what, "trying another node");
            if failure.carried_out == CarriedOut::Maybe && !request.only_looks() {
                carried_out = CarriedOut::Maybe;
            }
            let leader = failure.leader.as_deref();
            let next = self
                .picker()
                .failed(node, leader, &mut tries, Instant::now());
            let pause = jittered(next.pause.max(failure.delay));
            if Instant::now() + pause + SHORTEST_ATTEMPT >= deadline {
                return Err(given_up(carried_out, failure.what));
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
                .insert("authorization", session.authorization.clone());
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

    fn picker(&self) -> MutexGuard<'_, Picker> {
        // Nothing panics while it is held, and every state of the picker is a good one.
        self.shared
            .picker
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn given_up(carried_out: CarriedOut, last: String) -> ClientError {
    match carried_out {
        CarriedOut::No => ClientError::Unavailable { last },
        CarriedOut::Maybe => ClientError::OutcomeUnknown { last },
    }
}

async fn report(address: String, channel: Channel, patience: Duration) -> NodeReport {
    let started = Instant::now();
    let mut stub = ClusterClient::new(channel);
    let status = match timeout(patience, stub.status(StatusRequest {})).await {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) => Err(verdict::explain(&status)),
        Err(_late) => Err(format!("no answer within {} ms", patience.as_millis())),
    };
    NodeReport {
        address,
        status,
        round_trip: started.elapsed(),
    }
}

#[cfg(test)]
mod tests;
