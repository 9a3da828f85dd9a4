//! One request from its JSON to its reply, on whichever node the client reached: checked here,
//! changed by the leader, read from this node's own tables.

use std::time::Instant;

use bytes::Bytes;
use chat_proto::{forwarded::v1 as forwarded, storage::v1 as storage};
use chat_replication::Handle;
use chat_store::{ChatReader, ReadTransaction, Session, StateError};
use prost::Message as _;
use tokio::time::timeout_at;

use crate::refusal::Refusal;
use crate::reply::{ApplicationError, Reply};
use crate::request::{ChatRequest, Credentials, InboxRequest, Outgoing, RequestId};
use crate::sessions::Sessions;
use crate::token::TokenHash;
use forwarded::Refusal as Refused;
use forwarded::answer::Result as Answer;
use forwarded::request::Operation;

/// Carries out requests.
#[derive(Debug)]
pub(crate) struct Executor {
    replica: Handle,
    reader: ChatReader,
    sessions: Sessions,
}

impl Executor {
    pub(crate) fn new(replica: Handle, reader: ChatReader) -> Self {
        Self {
            replica,
            reader,
            sessions: Sessions::default(),
        }
    }

    pub(crate) async fn execute(
        &self,
        request: ChatRequest,
        token: Option<TokenHash>,
        deadline: Instant,
    ) -> Result<Reply, Refusal> {
        match request {
            ChatRequest::CreateUser(user) => self.create_user(user, deadline).await,
            ChatRequest::Login(login) => self.login(login, deadline).await,
            ChatRequest::SendMessage(message) => {
                let token = token.ok_or(Refusal::Unauthenticated)?;
                self.send_message(message, token, deadline).await
            }
            ChatRequest::GetMessages(inbox) => {
                let token = token.ok_or(Refusal::Unauthenticated)?;
                let reading = self.get_messages(inbox, token, deadline);
                timeout_at(deadline.into(), reading)
                    .await
                    .map_err(|_late| Refusal::NoLeader)?
            }
        }
    }

    /// A retry of a request that was carried out proves its password again (R15).
    async fn create_user(&self, user: Credentials, deadline: Instant) -> Result<Reply, Refusal> {
        let operation = Operation::CreateUser(forwarded::CreateUser {
            username: user.username.0.clone(),
            digest: user.digest.0.clone(),
        });
        match self.propose(user.id, operation, deadline).await? {
            Answer::SessionOpened(session) => Ok(Reply::Created {
                token: session.token,
            }),
            Answer::Refused(refused)
                if refused == i32::from(Refused::AlreadyCreatedByThisRequest) =>
            {
                match self.login(user, deadline).await? {
                    Reply::LoggedIn { token, .. } => Ok(Reply::Created { token }),
                    // Somebody repeats the id with another password: not the same request.
                    Reply::Error(ApplicationError::InvalidCredentials) => {
                        Ok(Reply::Error(ApplicationError::UsernameTaken))
                    }
                    other => Ok(other),
                }
            }
            other => refused_reply(other),
        }
    }

    async fn login(&self, login: Credentials, deadline: Instant) -> Result<Reply, Refusal> {
        let operation = Operation::Login(forwarded::Login {
            username: login.username.0,
            digest: login.digest.0,
        });
        match self.propose(login.id, operation, deadline).await? {
            Answer::SessionOpened(session) => Ok(Reply::LoggedIn {
                token: session.token,
                unread: session.unread,
            }),
            other => refused_reply(other),
        }
    }

    async fn send_message(
        &self,
        message: Outgoing,
        token: TokenHash,
        deadline: Instant,
    ) -> Result<Reply, Refusal> {
        let session = self.session(token, deadline).await?;
        speaks_for(&session, &message.sender.0, "message.sender")?;
        let operation = Operation::SendMessage(forwarded::SendMessage {
            token_hash: token.0.to_vec(),
            credential: Some(storage::Credential {
                incarnation: session.credential.incarnation.0,
                version: session.credential.version.0,
            }),
            message_id: message.message_id.0,
            sender: message.sender.0,
            recipient: message.recipient.0,
            body: message.body.0,
        });
        match self.propose(message.id, operation, deadline).await? {
            Answer::Sent(sent) => Ok(Reply::Sent(sent)),
            other => {
                let reply = refused_reply(other);
                if reply == Err(Refusal::Unauthenticated) {
                    self.sessions.forget(&token);
                }
                reply
            }
        }
    }

    /// Everything is read in one snapshot, the session too (R14).
    async fn get_messages(
        &self,
        inbox: InboxRequest,
        token: TokenHash,
        deadline: Instant,
    ) -> Result<Reply, Refusal> {
        let mut snapshot = self.begin_read(deadline).await?;
        let session = snapshot.session(&token.0).await.map_err(unreadable)?;
        let session = session.ok_or(Refusal::Unauthenticated)?;
        speaks_for(&session, &inbox.username.0, "username")?;
        let page = snapshot
            .inbox(&session.username, inbox.query)
            .await
            .map_err(unreadable)?;
        let unread = snapshot
            .unread_count(&session.username)
            .await
            .map_err(unreadable)?;
        Ok(Reply::Messages { page, unread })
    }

    /// Whose token that is. Applying decides whether it still is valid.
    async fn session(&self, token: TokenHash, deadline: Instant) -> Result<Session, Refusal> {
        if let Some(session) = self.sessions.find(&token) {
            return Ok(session);
        }
        let reading = async {
            let mut snapshot = self.begin_read(deadline).await?;
            snapshot.session(&token.0).await.map_err(unreadable)
        };
        let session = timeout_at(deadline.into(), reading)
            .await
            .map_err(|_late| Refusal::NoLeader)?;
        let session = session?.ok_or(Refusal::Unauthenticated)?;
        self.sessions.remember(token, session.clone());
        Ok(session)
    }

    async fn begin_read(&self, deadline: Instant) -> Result<ReadTransaction, Refusal> {
        self.replica.read(deadline).await?;
        self.reader.begin().await.map_err(unreadable)
    }

    async fn propose(
        &self,
        id: RequestId,
        operation: Operation,
        deadline: Instant,
    ) -> Result<Answer, Refusal> {
        let request = forwarded::Request {
            request_id: id.0.as_bytes().to_vec(),
            operation: Some(operation),
        };
        let request = Bytes::from(request.encode_to_vec());
        let answer = self.replica.propose(request, deadline).await?;
        let answer = forwarded::Answer::decode(answer)
            .ok()
            .and_then(|answer| answer.result);
        answer.ok_or_else(|| {
            tracing::error!("the leader's answer is not understood");
            Refusal::OutcomeUnknown
        })
    }
}

fn speaks_for(session: &Session, username: &str, field: &'static str) -> Result<(), Refusal> {
    if session.username == username {
        Ok(())
    } else {
        Err(Refusal::PermissionDenied { field })
    }
}

/// What the client is told when the leader refused. An answer that fits another request is a fault.
fn refused_reply(answer: Answer) -> Result<Reply, Refusal> {
    let Answer::Refused(refused) = answer else {
        tracing::error!("the leader's answer belongs to another kind of request");
        return Err(Refusal::OutcomeUnknown);
    };
    match Refused::try_from(refused).unwrap_or(Refused::Unspecified) {
        Refused::UsernameTaken => Ok(Reply::Error(ApplicationError::UsernameTaken)),
        Refused::InvalidCredentials => Ok(Reply::Error(ApplicationError::InvalidCredentials)),
        Refused::RecipientNotFound => Ok(Reply::Error(ApplicationError::RecipientNotFound)),
        Refused::DuplicateMessage => Ok(Reply::Error(ApplicationError::DuplicateMessage)),
        Refused::Unauthenticated => Err(Refusal::Unauthenticated),
        Refused::Overloaded => Err(Refusal::Overloaded),
        Refused::NoLeader => Err(Refusal::NoLeader),
        Refused::Unspecified | Refused::AlreadyCreatedByThisRequest | Refused::Internal => {
            Err(Refusal::Internal)
        }
    }
}

fn unreadable(error: StateError) -> Refusal {
    tracing::error!(%error, source = ?std::error::Error::source(&error), "the state cannot be read");
    Refusal::Internal
}
