//! One request, from its values to its reply, on the node that the client reached: changes are
//! proposed to the leader, and reads come from this node's tables.

mod reading;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use chat_proto::{forwarded::v1 as forwarded, storage::v1 as storage};
use chat_replication::ReadError;
use chat_store::{ChatReader, Session};
use prost::Message as _;

use crate::authorize::authorize;
use crate::error::RequestError;
use crate::host::{Host, Proposer};
use crate::limits::listings::Listings;
use crate::limits::password_slots::PasswordSlots;
use crate::origin::Origin;
use crate::renewals::Renewals;
use crate::reply::Reply;
use crate::request::{
    ChangePasswordRequest, ChangeRequest, ChatRequest, Credentials, MessageId, RequestId,
    SendMessageRequest, SignInRequest,
};
use crate::scope::AuthScope;
use crate::session_lookup::SessionLookup;
use crate::token::{PresentedToken, TokenHash};
use forwarded::request::Operation as ForwardedOperation;
use forwarded::session_reply::Result as SessionResult;
use storage::ErrorCode;
use storage::command::Operation;
use storage::outcome::Result as Outcome;

/// How much longer than its deadline a read may take. At the deadline the replica reports why the
/// read could not begin, which is worth more than that it is late.
const READ_GRACE: Duration = Duration::from_millis(10);

/// Where a request comes from, and until when the client waits.
#[derive(Clone, Copy, Debug)]
struct CallContext<'a> {
    origin: &'a Origin,
    deadline: Instant,
}

/// Carries out requests.
#[derive(Debug)]
pub struct Edge<R, H> {
    host: Arc<H>,
    reader: ChatReader,
    sessions: Arc<SessionLookup<R, H>>,
    leader: LeaderCall<R>,
    listings: Listings,
    renewals: Renewals,
    password_slots: PasswordSlots,
}

impl<R: Proposer, H: Host> Edge<R, H> {
    /// Carries out requests with `replica` and the tables behind `reader`, and at most
    /// `connection_passwords_max` requests with passwords at once for a connection.
    pub fn new(
        replica: R,
        host: Arc<H>,
        reader: ChatReader,
        sessions: Arc<SessionLookup<R, H>>,
        connection_passwords_max: usize,
    ) -> Self {
        Self {
            host,
            reader,
            sessions,
            leader: LeaderCall::new(replica),
            listings: Listings::default(),
            renewals: Renewals::new(),
            password_slots: PasswordSlots::new(connection_passwords_max),
        }
    }

    /// Carries out one request.
    ///
    /// # Errors
    ///
    /// See [`RequestError`].
    pub async fn execute(
        &self,
        request: ChatRequest,
        token: Option<PresentedToken>,
        origin: &Origin,
        deadline: Instant,
    ) -> Result<Reply, RequestError> {
        let call = CallContext { origin, deadline };
        match request {
            ChatRequest::SignIn(SignInRequest::CreateUser(user)) => {
                self.create_user(user, call).await
            }
            ChatRequest::SignIn(SignInRequest::Login(login)) => self.login(login, call).await,
            ChatRequest::Read(request) => {
                let reading = self.read(request, token, deadline);
                self.host
                    .until(deadline + READ_GRACE, reading)
                    .await
                    .ok_or(RequestError::Timeout)?
            }
            ChatRequest::Change(request) => self.change(request, token, call).await,
        }
    }

    async fn change(
        &self,
        request: ChangeRequest,
        token: Option<PresentedToken>,
        call: CallContext<'_>,
    ) -> Result<Reply, RequestError> {
        let token = token.ok_or(RequestError::Unauthenticated)?;
        let ends = request.ends_its_session().then(|| request.id());
        let session = self.sessions.find(token, ends, call.deadline).await?;
        let session = authorize(AuthScope::from(&request), session)?;
        let changing = self.change_in(session_claim(&session, token.hash), request, call);
        let changed = changing.await;
        if let Err(RequestError::Unauthenticated) = &changed {
            self.sessions.forget(&token.hash);
        }
        changed
    }

    async fn change_in(
        &self,
        session: storage::Session,
        request: ChangeRequest,
        call: CallContext<'_>,
    ) -> Result<Reply, RequestError> {
        let id = request.id();
        let operation = match request {
            ChangeRequest::ChangePassword(change) => {
                return self.change_password(change, session, call).await;
            }
            ChangeRequest::SendMessage(message) => send_message(message, session),
            ChangeRequest::ReadMessages(read) => Operation::ReadMessages(storage::ReadMessages {
                session: Some(session),
                message_ids: texts(read.message_ids),
            }),
            ChangeRequest::DeleteMessages(delete) => {
                Operation::DeleteMessages(storage::DeleteMessages {
                    session: Some(session),
                    message_ids: texts(delete.message_ids),
                })
            }
            ChangeRequest::Logout(_) => Operation::Logout(storage::Logout {
                session: Some(session),
            }),
            ChangeRequest::DeleteUser(_) => Operation::DeleteUser(storage::DeleteUser {
                session: Some(session),
            }),
        };
        self.leader.command(id, operation, call.deadline).await
    }

    /// For the retry of a request that was carried out, the password is checked again (R15).
    async fn create_user(
        &self,
        user: Credentials,
        call: CallContext<'_>,
    ) -> Result<Reply, RequestError> {
        let operation = ForwardedOperation::CreateUser(forwarded::CreateUser {
            username: user.username.0.clone(),
            digest: user.digest.0.clone(),
        });
        match self.open_session(user.id, operation, call).await? {
            SessionAnswer::Opened(session) => Ok(Reply::Created {
                token: session.token,
            }),
            SessionAnswer::Rejected(ErrorCode::AlreadyCreatedByThisRequest, _) => {
                match self.login(user, call).await {
                    Ok(Reply::LoggedIn { token, .. }) => Ok(Reply::Created { token }),
                    // The id was repeated with another password, so it is not the same request. Or the
                    // account was deleted since.
                    Err(RequestError::InvalidCredentials) => Err(RequestError::UsernameTaken),
                    other => other,
                }
            }
            SessionAnswer::Rejected(_, error) => Err(error),
        }
    }

    async fn login(
        &self,
        login: Credentials,
        call: CallContext<'_>,
    ) -> Result<Reply, RequestError> {
        let operation = ForwardedOperation::Login(forwarded::Login {
            username: login.username.0,
            digest: login.digest.0,
        });
        match self.open_session(login.id, operation, call).await? {
            SessionAnswer::Opened(session) => Ok(Reply::LoggedIn {
                token: session.token,
                unread: session.unread,
            }),
            SessionAnswer::Rejected(_, error) => Err(error),
        }
    }

    /// For the retry of a request that was carried out, the new password is checked instead (R15). The
    /// leader distinguishes the two, except when both are in flight at once: then this node proposes
    /// the request again.
    async fn change_password(
        &self,
        change: ChangePasswordRequest,
        session: storage::Session,
        call: CallContext<'_>,
    ) -> Result<Reply, RequestError> {
        let operation = ForwardedOperation::ChangePassword(forwarded::ChangePassword {
            session: Some(session),
            digest: change.digest.0,
            new_digest: change.new_digest.0,
        });
        let mut answer = self
            .open_session(change.id, operation.clone(), call)
            .await?;
        if let SessionAnswer::Rejected(ErrorCode::AlreadyChangedByThisRequest, _) = answer {
            answer = self.open_session(change.id, operation, call).await?;
        }
        match answer {
            SessionAnswer::Opened(session) => Ok(Reply::PasswordChanged {
                token: session.token,
            }),
            SessionAnswer::Rejected(_, error) => Err(error),
        }
    }

    /// Proposes a request that needs a password; each connection has a limited number of these in
    /// progress.
    async fn open_session(
        &self,
        id: RequestId,
        operation: ForwardedOperation,
        call: CallContext<'_>,
    ) -> Result<SessionAnswer, RequestError> {
        let _slot = self
            .password_slots
            .acquire(call.origin)
            .ok_or(RequestError::Overloaded)?;
        let timeout = call.deadline.saturating_duration_since(self.host.now());
        let request = forwarded::Request {
            operation: Some(operation),
            request_id: Bytes::copy_from_slice(id.0.as_bytes()),
            origin: Some(call.origin.to_proto(timeout)),
        };
        self.leader.session(&request, call.deadline).await
    }
}

/// A message, which has the parts of its session that are not in its own fields. Without options it is the
/// operation that every version knows.
fn send_message(request: SendMessageRequest, session: storage::Session) -> Operation {
    let message = storage::SendMessage {
        token_hash: session.token_hash,
        credential: session.credential,
        message_id: request.message_id.0,
        sender: request.sender.0,
        recipient: request.recipient.0,
        body: request.body.0,
    };
    if !request.keep_copy && request.reply_to.is_none() && request.written_at.is_none() {
        return Operation::SendMessage(message);
    }
    Operation::SendWithOptions(storage::SendWithOptions {
        message: Some(message),
        keep_copy: request.keep_copy,
        reply_to: request.reply_to.map(|id| id.0).unwrap_or_default(),
        written_at: request.written_at.map_or(0.0, |time| time.0),
    })
}

fn texts(ids: Vec<MessageId>) -> Vec<String> {
    ids.into_iter().map(|id| id.0).collect()
}

/// The session in the form that applying checks again.
fn session_claim(session: &Session, token: TokenHash) -> storage::Session {
    storage::Session {
        token_hash: Bytes::copy_from_slice(&token.0),
        username: session.username.clone(),
        credential: Some(storage::Credential {
            incarnation: session.credential.incarnation.0,
            version: session.credential.version.0,
        }),
    }
}

/// Calls to the leader. A reply that is not the one expected means that the outcome is unknown.
#[derive(Debug)]
struct LeaderCall<R> {
    replica: R,
}

/// The leader's answer to a request that opens a session.
#[derive(Debug)]
enum SessionAnswer {
    Opened(forwarded::SessionOpened),
    /// With the code, because some have another meaning for the edge than for the client.
    Rejected(ErrorCode, RequestError),
}

impl<R: Proposer> LeaderCall<R> {
    fn new(replica: R) -> Self {
        Self { replica }
    }

    async fn ensure_linearizable(&self, deadline: Instant) -> Result<(), ReadError> {
        self.replica.ensure_linearizable(deadline).await
    }

    /// Proposes a command, which is encoded here and not again.
    async fn command(
        &self,
        id: RequestId,
        operation: Operation,
        deadline: Instant,
    ) -> Result<Reply, RequestError> {
        let sends = matches!(
            operation,
            Operation::SendMessage(_) | Operation::SendWithOptions(_)
        );
        let command = storage::Command {
            request_id: Bytes::copy_from_slice(id.0.as_bytes()),
            // The leader's.
            time: 0.0,
            operation: Some(operation),
        };
        let request = forwarded::Request {
            operation: Some(ForwardedOperation::Command(command.encode_to_vec().into())),
            request_id: Bytes::new(),
            origin: None,
        };
        let reply = self.replica.propose(encoded(&request), deadline).await?;
        let outcome = storage::Outcome::decode(reply).ok();
        match outcome.and_then(|outcome| outcome.result) {
            Some(Outcome::Sent(sent)) if sends => Ok(Reply::Sent(sent)),
            Some(Outcome::Done(storage::Done {})) if !sends => Ok(Reply::Done),
            Some(Outcome::Error(error)) => Err(RequestError::from_proto(error)),
            _ => Err(unexpected_reply()),
        }
    }

    /// Has a request for a session carried out.
    async fn session(
        &self,
        request: &forwarded::Request,
        deadline: Instant,
    ) -> Result<SessionAnswer, RequestError> {
        let reply = self.replica.propose(encoded(request), deadline).await?;
        let reply = forwarded::SessionReply::decode(reply).ok();
        match reply.and_then(|reply| reply.result) {
            Some(SessionResult::Opened(session)) => Ok(SessionAnswer::Opened(session)),
            Some(SessionResult::Error(error)) => Ok(SessionAnswer::Rejected(
                error.code(),
                RequestError::from_proto(error),
            )),
            None => Err(unexpected_reply()),
        }
    }
}

fn encoded(request: &forwarded::Request) -> Bytes {
    request.encode_to_vec().into()
}

fn unexpected_reply() -> RequestError {
    tracing::error!("the leader's reply cannot be read; is it of another version?");
    RequestError::OutcomeUnknown
}
