//! One request, from its values to its reply, on the node that the client reached: changes are
//! proposed to the leader, and reads come from this node's tables.

mod leader_call;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use chat_proto::{forwarded::v1 as forwarded, storage::v1 as storage};
use chat_store::{ChatReader, ReadTransaction, Session, StateError};

use crate::authorize::authorize;
use crate::error::RequestError;
use crate::host::{Host, Proposer};
use crate::limits::listings::Listings;
use crate::limits::password_slots::PasswordSlots;
use crate::origin::Origin;
use crate::renewals::Renewals;
use crate::reply::Reply;
use crate::request::{
    ChangePasswordRequest, ChangeRequest, ChatRequest, Credentials, GetMessagesRequest,
    ListUsersRequest, MessageId, ReadRequest, RequestId, SendMessageRequest, SignInRequest,
};
use crate::scope::AuthScope;
use crate::session_lookup::{ReadAdmission, SessionLookup};
use crate::token::{PresentedToken, TokenHash};
use forwarded::request::Operation as SecretOperation;
use leader_call::{LeaderCall, SessionAnswer};
use storage::ErrorCode;
use storage::command::Operation;

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

    /// A page of messages is read in the snapshot in which the session is found (R14).
    async fn read(
        &self,
        request: ReadRequest,
        token: Option<PresentedToken>,
        deadline: Instant,
    ) -> Result<Reply, RequestError> {
        let scope = AuthScope::from(&request);
        let (mut snapshot, owner) = self
            .begin_read_as(scope, token, request.id(), deadline)
            .await?;
        match request {
            ReadRequest::GetMessages(inbox) => messages(&mut snapshot, &inbox, &owner).await,
            ReadRequest::ListUsers(listing) => {
                drop(snapshot);
                self.list_users(&listing, &owner).await
            }
        }
    }

    /// Names are read on separate connections, one page of an account at a time. They come from a state
    /// that is at least as new as the snapshot in which the session was found.
    async fn list_users(
        &self,
        listing: &ListUsersRequest,
        owner: &Session,
    ) -> Result<Reply, RequestError> {
        let _guard = self
            .listings
            .begin(&owner.username)
            .ok_or(RequestError::Overloaded)?;
        let after = listing.after.as_ref().map(|after| after.0.as_str());
        let page = self
            .reader
            .usernames(&listing.pattern.0, listing.limit, after);
        Ok(Reply::Users(page.await.map_err(read_error)?))
    }

    /// Begins a read for the session of `token`. A session that may expire soon is renewed in the log
    /// first. So a session that only reads does not expire; and a session that has expired by the
    /// log's time is rejected even in a chat where nothing else happens.
    async fn begin_read_as(
        &self,
        scope: AuthScope<'_>,
        token: Option<PresentedToken>,
        id: RequestId,
        deadline: Instant,
    ) -> Result<(ReadTransaction, Session), RequestError> {
        let token = token.ok_or(RequestError::Unauthenticated)?;
        let admission = self.sessions.admit(token).await?;
        let token = token.hash;
        let mut snapshot = self.begin_read(deadline).await?;
        let mut session = snapshot.session(&token.0).await.map_err(read_error)?;
        let due = |session: &mut Session| {
            session.renew_from <= self.host.unix_seconds()
                && self
                    .renewals
                    .begin(token, session.idle_seconds, self.host.now())
        };
        if let Some(due) = session.take_if(due) {
            drop(snapshot);
            let operation = Operation::RenewSession(storage::RenewSession {
                session: Some(session_claim(&due, token)),
            });
            let renewed = self.leader.command(id, operation, deadline).await;
            if renewed.is_err() {
                self.renewals.forget(&token);
            }
            renewed?;
            snapshot = self.begin_read(deadline).await?;
            session = snapshot.session(&token.0).await.map_err(read_error)?;
        }
        if session.is_none() && matches!(admission, ReadAdmission::Known) {
            self.sessions.forget(&token);
        }
        Ok((snapshot, authorize(scope, session)?))
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
        let operation = SecretOperation::CreateUser(forwarded::CreateUser {
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
        let operation = SecretOperation::Login(forwarded::Login {
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
        let operation = SecretOperation::ChangePassword(forwarded::ChangePassword {
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

    async fn begin_read(&self, deadline: Instant) -> Result<ReadTransaction, RequestError> {
        self.leader.ensure_linearizable(deadline).await?;
        self.reader.begin().await.map_err(read_error)
    }

    /// Proposes a request that needs a password; each connection has a limited number of these in
    /// progress.
    async fn open_session(
        &self,
        id: RequestId,
        operation: SecretOperation,
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

async fn messages(
    snapshot: &mut ReadTransaction,
    inbox: &GetMessagesRequest,
    owner: &Session,
) -> Result<Reply, RequestError> {
    let page = snapshot
        .inbox(owner, inbox.query)
        .await
        .map_err(read_error)?;
    let unread = snapshot.unread_count(owner).await.map_err(read_error)?;
    Ok(Reply::Messages { page, unread })
}

fn read_error(error: StateError) -> RequestError {
    RequestError::log_read_error(&error)
}

/// A message, which has the parts of its session that are not in its own fields.
fn send_message(message: SendMessageRequest, session: storage::Session) -> Operation {
    Operation::SendMessage(storage::SendMessage {
        token_hash: session.token_hash,
        credential: session.credential,
        message_id: message.message_id.0,
        sender: message.sender.0,
        recipient: message.recipient.0,
        body: message.body.0,
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
