//! One request, from its values to its reply, on the node that the client reached: changes are
//! proposed to the leader, and reads come from this node's tables.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use chat_proto::{forwarded::v1 as forwarded, storage::v1 as storage};
use chat_replication::Handle;
use chat_store::{ChatReader, ReadTransaction, Session, StateError};
use prost::Message as _;
use tokio::time::timeout_at;

use crate::api::reply::{ApplicationError, Reply};
use crate::api::request::{
    ChangePasswordRequest, ChatRequest, Credentials, GetMessagesRequest, ListUsersRequest,
    MessageId, RequestId, SendMessageRequest,
};
use crate::auth::authorize::{Principal, authorize};
use crate::auth::renewals::Renewals;
use crate::auth::scope::AuthScope;
use crate::auth::session_lookup::{ReadAdmission, SessionLookup};
use crate::auth::token::{PresentedToken, TokenHash};
use crate::config;
use crate::error::RequestError;
use crate::limits::listings::Listings;
use crate::limits::password_slots::PasswordSlots;
use crate::net::origin::Origin;
use forwarded::Refusal as LeaderError;
use forwarded::answer::Result as Answer;
use forwarded::request::Operation;

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
pub(crate) struct Executor {
    replica: Handle,
    reader: ChatReader,
    sessions: Arc<SessionLookup>,
    listings: Listings,
    renewals: Renewals,
    password_slots: PasswordSlots,
}

impl Executor {
    pub(crate) fn new(
        replica: Handle,
        reader: ChatReader,
        sessions: Arc<SessionLookup>,
        limits: config::Limits,
    ) -> Self {
        Self {
            replica,
            reader,
            sessions,
            listings: Listings::default(),
            renewals: Renewals::new(),
            password_slots: PasswordSlots::new(limits.connection_passwords_max),
        }
    }

    pub(crate) async fn execute(
        &self,
        request: ChatRequest,
        token: Option<PresentedToken>,
        origin: &Origin,
        deadline: Instant,
    ) -> Result<Reply, RequestError> {
        match request {
            ChatRequest::GetMessages(_) | ChatRequest::ListUsers(_) => {
                let reading = self.read(request, token, deadline);
                timeout_at((deadline + READ_GRACE).into(), reading)
                    .await
                    .map_err(|_late| RequestError::Timeout)?
            }
            _ => self.change(request, token, origin, deadline).await,
        }
    }

    /// A page of messages is read in the snapshot in which the session is found (R14).
    async fn read(
        &self,
        request: ChatRequest,
        token: Option<PresentedToken>,
        deadline: Instant,
    ) -> Result<Reply, RequestError> {
        let (id, scope) = (request.id(), AuthScope::from(&request));
        let (mut snapshot, principal) = self.begin_read_as(scope, token, id, deadline).await?;
        match (request, principal) {
            (ChatRequest::GetMessages(inbox), Principal::Account(owner)) => {
                messages(&mut snapshot, &inbox, &owner).await
            }
            (ChatRequest::ListUsers(listing), Principal::Account(owner)) => {
                drop(snapshot);
                self.list_users(&listing, &owner).await
            }
            _ => Err(RequestError::Unauthenticated),
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
    pub(crate) async fn begin_read_as(
        &self,
        scope: AuthScope<'_>,
        token: Option<PresentedToken>,
        id: RequestId,
        deadline: Instant,
    ) -> Result<(ReadTransaction, Principal), RequestError> {
        let token = token.ok_or(RequestError::Unauthenticated)?;
        let admission = self.sessions.admit(token).await?;
        let token = token.hash;
        let mut snapshot = self.begin_read(deadline).await?;
        let mut session = snapshot.session(&token.0).await.map_err(read_error)?;
        let due = |session: &mut Session| {
            session.renew_from <= seconds_now()
                && self
                    .renewals
                    .begin(token, session.idle_seconds, Instant::now())
        };
        if let Some(due) = session.take_if(due) {
            drop(snapshot);
            let operation = Operation::RenewSession(storage::RenewSession {
                session: Some(to_session_claim(&due, token)),
            });
            let renewed = match self.propose(id, operation, deadline).await {
                Ok(answer) => ok_reply(answer),
                Err(error) => Err(error),
            };
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
        let principal = authorize(scope, session)?;
        Ok((snapshot, principal))
    }

    async fn change(
        &self,
        request: ChatRequest,
        token: Option<PresentedToken>,
        origin: &Origin,
        deadline: Instant,
    ) -> Result<Reply, RequestError> {
        let session = match (AuthScope::from(&request), token) {
            (AuthScope::Public, _) | (_, None) => None,
            (_, Some(token)) => {
                let ends = request.ends_its_session().then(|| request.id());
                self.sessions.find(token, ends, deadline).await?
            }
        };
        let token = token.map(|token| token.hash);
        let principal = authorize(AuthScope::from(&request), session)?;
        let call = CallContext { origin, deadline };
        let changing = self.change_as(request, principal, token, call).await;
        if let (Err(RequestError::Unauthenticated), Some(token)) = (&changing, token) {
            self.sessions.forget(&token);
        }
        changing
    }

    async fn change_as(
        &self,
        request: ChatRequest,
        principal: Principal,
        token: Option<TokenHash>,
        call: CallContext<'_>,
    ) -> Result<Reply, RequestError> {
        let id = request.id();
        let session = match (&principal, token) {
            (Principal::Account(owner), Some(token)) => Some(to_session_claim(owner, token)),
            (Principal::Anonymous, _) | (_, None) => None,
        };
        let operation = match request {
            ChatRequest::CreateUser(user) => return self.create_user(user, call).await,
            ChatRequest::Login(login) => return self.login(login, call).await,
            ChatRequest::ChangePassword(change) => {
                return self.change_password(change, session, call).await;
            }
            ChatRequest::SendMessage(message) => {
                let session = session.ok_or(RequestError::Unauthenticated)?;
                Operation::SendMessage(to_send_message(message, session))
            }
            ChatRequest::Logout(_) => Operation::Logout(storage::Logout { session }),
            ChatRequest::ReadMessages(read) => Operation::ReadMessages(storage::ReadMessages {
                session,
                message_ids: texts(read.message_ids),
            }),
            ChatRequest::DeleteMessages(delete) => {
                Operation::DeleteMessages(storage::DeleteMessages {
                    session,
                    message_ids: texts(delete.message_ids),
                })
            }
            ChatRequest::DeleteUser(_) => Operation::DeleteUser(storage::DeleteUser { session }),
            ChatRequest::GetMessages(_) | ChatRequest::ListUsers(_) => {
                unreachable!("requests that only read do not change anything")
            }
        };
        match self.propose(id, operation, call.deadline).await? {
            Answer::Sent(sent) => Ok(Reply::Sent(sent)),
            other => ok_reply(other),
        }
    }

    /// For the retry of a request that was carried out, the password is checked again (R15).
    async fn create_user(
        &self,
        user: Credentials,
        call: CallContext<'_>,
    ) -> Result<Reply, RequestError> {
        let operation = Operation::CreateUser(forwarded::CreateUser {
            username: user.username.0.clone(),
            digest: user.digest.0.clone(),
        });
        match self.propose_password(user.id, operation, call).await? {
            Answer::SessionOpened(session) => Ok(Reply::Created {
                token: session.token,
            }),
            other if is_leader_error(&other, LeaderError::AlreadyCreatedByThisRequest) => {
                match self.login(user, call).await? {
                    Reply::LoggedIn { token, .. } => Ok(Reply::Created { token }),
                    // The id was repeated with another password, so it is not the same request. Or the
                    // account was deleted since.
                    Reply::Error(ApplicationError::InvalidCredentials) => {
                        Ok(Reply::Error(ApplicationError::UsernameTaken))
                    }
                    other => Ok(other),
                }
            }
            other => error_reply(other),
        }
    }

    async fn login(
        &self,
        login: Credentials,
        call: CallContext<'_>,
    ) -> Result<Reply, RequestError> {
        let operation = Operation::Login(forwarded::Login {
            username: login.username.0,
            digest: login.digest.0,
        });
        match self.propose_password(login.id, operation, call).await? {
            Answer::SessionOpened(session) => Ok(Reply::LoggedIn {
                token: session.token,
                unread: session.unread,
            }),
            other => error_reply(other),
        }
    }

    /// For the retry of a request that was carried out, the new password is checked instead (R15). The
    /// leader distinguishes the two, except when both are in flight at once: then this node proposes
    /// the request again.
    async fn change_password(
        &self,
        change: ChangePasswordRequest,
        session: Option<storage::Session>,
        call: CallContext<'_>,
    ) -> Result<Reply, RequestError> {
        let operation = Operation::ChangePassword(forwarded::ChangePassword {
            session,
            digest: change.digest.0,
            new_digest: change.new_digest.0,
        });
        let first = self.propose_password(change.id, operation.clone(), call);
        let mut answer = first.await?;
        if is_leader_error(&answer, LeaderError::AlreadyChangedByThisRequest) {
            answer = self.propose_password(change.id, operation, call).await?;
        }
        match answer {
            Answer::SessionOpened(session) => Ok(Reply::PasswordChanged {
                token: session.token,
            }),
            other => error_reply(other),
        }
    }

    async fn begin_read(&self, deadline: Instant) -> Result<ReadTransaction, RequestError> {
        self.replica.ensure_linearizable(deadline).await?;
        self.reader.begin().await.map_err(read_error)
    }

    async fn propose(
        &self,
        id: RequestId,
        operation: Operation,
        deadline: Instant,
    ) -> Result<Answer, RequestError> {
        self.propose_from(id, operation, None, deadline).await
    }

    /// Proposes a request that needs a password; each connection has a limited number of these in
    /// progress.
    async fn propose_password(
        &self,
        id: RequestId,
        operation: Operation,
        call: CallContext<'_>,
    ) -> Result<Answer, RequestError> {
        let _slot = self
            .password_slots
            .acquire(call.origin)
            .ok_or(RequestError::Overloaded)?;
        let origin = call.origin.to_proto(call.deadline);
        self.propose_from(id, operation, Some(origin), call.deadline)
            .await
    }

    async fn propose_from(
        &self,
        id: RequestId,
        operation: Operation,
        origin: Option<forwarded::Origin>,
        deadline: Instant,
    ) -> Result<Answer, RequestError> {
        let request = forwarded::Request {
            request_id: id.0.as_bytes().to_vec(),
            operation: Some(operation),
            origin,
        };
        let request = Bytes::from(request.encode_to_vec());
        let answer = self.replica.propose(request, deadline).await?;
        let answer = forwarded::Answer::decode(answer).unwrap_or_default();
        let after = Duration::from_millis(answer.retry_after_ms.into());
        match answer.result {
            Some(result) if is_leader_error(&result, LeaderError::TooManyAttempts) => {
                Err(RequestError::TooManyAttempts { after })
            }
            Some(result) if is_leader_error(&result, LeaderError::TooManyRequests) => {
                Err(RequestError::TooManyRequests { after })
            }
            Some(result) => Ok(result),
            None => {
                tracing::error!("cannot decode the leader's response");
                Err(RequestError::OutcomeUnknown)
            }
        }
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

fn to_send_message(
    message: SendMessageRequest,
    session: storage::Session,
) -> forwarded::SendMessage {
    forwarded::SendMessage {
        token_hash: session.token_hash.into(),
        credential: session.credential,
        message_id: message.message_id.0,
        sender: message.sender.0,
        recipient: message.recipient.0,
        body: message.body.0,
    }
}

fn texts(ids: Vec<MessageId>) -> Vec<String> {
    ids.into_iter().map(|id| id.0).collect()
}

/// The session in the form that applying checks again.
fn to_session_claim(session: &Session, token: TokenHash) -> storage::Session {
    storage::Session {
        token_hash: Bytes::copy_from_slice(&token.0),
        username: session.username.clone(),
        credential: Some(storage::Credential {
            incarnation: session.credential.incarnation.0,
            version: session.credential.version.0,
        }),
    }
}

/// By this node's clock, which decides only when a session is renewed.
fn seconds_now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |since| since.as_secs().cast_signed())
}

fn is_leader_error(answer: &Answer, error: LeaderError) -> bool {
    matches!(answer, Answer::Refused(code) if *code == i32::from(error))
}

fn ok_reply(answer: Answer) -> Result<Reply, RequestError> {
    match answer {
        Answer::Done(storage::Done {}) => Ok(Reply::Done),
        other => error_reply(other),
    }
}

/// The reply to the client when the leader rejected the request. An answer that belongs to another
/// type of request is an internal error.
fn error_reply(answer: Answer) -> Result<Reply, RequestError> {
    let Answer::Refused(code) = answer else {
        tracing::error!("the leader's response belongs to another type of request");
        return Err(RequestError::OutcomeUnknown);
    };
    match LeaderError::try_from(code).unwrap_or(LeaderError::Unspecified) {
        LeaderError::UsernameTaken => Ok(Reply::Error(ApplicationError::UsernameTaken)),
        LeaderError::InvalidCredentials => Ok(Reply::Error(ApplicationError::InvalidCredentials)),
        LeaderError::RecipientNotFound => Ok(Reply::Error(ApplicationError::RecipientNotFound)),
        LeaderError::DuplicateMessage => Ok(Reply::Error(ApplicationError::DuplicateMessage)),
        LeaderError::Unauthenticated => Err(RequestError::Unauthenticated),
        LeaderError::Overloaded => Err(RequestError::Overloaded),
        LeaderError::StorageFull => Err(RequestError::StorageFull),
        LeaderError::InboxFull => Err(RequestError::InboxFull),
        LeaderError::Timeout => Err(RequestError::Timeout),
        LeaderError::NoLeader => Err(RequestError::NoLeader),
        LeaderError::Unspecified
        | LeaderError::AlreadyCreatedByThisRequest
        | LeaderError::AlreadyChangedByThisRequest
        // These carry a time to wait, and were handled before.
        | LeaderError::TooManyAttempts
        | LeaderError::TooManyRequests
        | LeaderError::Internal => Err(RequestError::Internal),
    }
}

fn read_error(error: StateError) -> RequestError {
    RequestError::log_read_error(&error)
}
