//! What only the leader does, before anything is appended: the clock, the random numbers and the
//! passwords (R16).
//!
//! The leader receives a `forwarded.v1.Request`, from its own API or from another node's, and makes a
//! `storage.v1.Command` of it. A command that the state machine cannot decode would stop every node
//! permanently, so everything that applying depends on is checked here once more.

mod admission;
mod error;
mod replies;
mod session_fields;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use chat_proto::{forwarded::v1 as forwarded, storage::v1 as storage};
use chat_replication::{LeaderContext, Preparation, Prepare, Prepared, ReadError, ReplyMaker};
use chat_store::{Account, ChatReader, LogIndex, StoredMessage};
use prost::Message as _;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::api::request::Digest;
use crate::app::log_clock::LogClock;
use crate::auth::passwords::{Passwords, Requester, Verified};
use crate::auth::token::Token;
use crate::config;
use crate::limits::inbox_room::{Entry, InboxRoom};
use crate::limits::log_throttle::LogThrottle;
use crate::limits::quotas::{Exceeded, Quotas};
use crate::net::origin::Origin;
use admission::{Admission, AdmittedRequest};
use error::PreparationError;
use forwarded::Refusal;
use forwarded::answer::Result as AnswerResult;
use forwarded::request::Operation;
use replies::{answer, error_reply, error_reply_after, ok_reply, sent_reply, session_reply};
use session_fields::{require_session, validate_session};
use storage::command::Operation as Command;

/// How long a login waits for the leader to confirm that it leads.
const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a password may be queued if the node that forwards it does not send how long its client
/// waits.
const PASSWORD_TIMEOUT: Duration = Duration::from_secs(5);
/// How many lookups of repeated messages run at once; further requests are rejected without one. There
/// are few readers, and accounts that exceed a limit must not occupy all of them.
const LOOKUPS_MAX: usize = 1;
/// The longest that a password is queued, whatever the other node sends.
const PASSWORD_TIMEOUT_MAX: Duration = Duration::from_secs(30);

/// The leader's part of every change.
#[derive(Clone, Debug)]
pub struct LeaderPreparation {
    reader: ChatReader,
    passwords: Passwords,
    sessions: config::Sessions,
    clock: Arc<LogClock>,
    quotas: Arc<Quotas>,
    inboxes: Arc<InboxRoom>,
    /// Lookups of messages that a limit rejects, and that may be repetitions.
    lookups: Arc<Semaphore>,
    exceeded_log: Arc<LogThrottle>,
}

impl LeaderPreparation {
    /// Prepares requests against what `reader` sees. Sessions that it opens have the lifetime in
    /// `sessions`.
    pub(crate) fn new(
        reader: ChatReader,
        passwords: Passwords,
        sessions: config::Sessions,
        clock: Arc<LogClock>,
        quotas: Arc<Quotas>,
        inbox_messages_max: u64,
    ) -> Self {
        Self {
            reader,
            passwords,
            sessions,
            clock,
            quotas,
            inboxes: Arc::new(InboxRoom::new(inbox_messages_max)),
            lookups: Arc::new(Semaphore::new(LOOKUPS_MAX)),
            exceeded_log: Arc::default(),
        }
    }

    /// Decodes a request and compares it with the limits.
    fn begin(&self, request: Bytes) -> Result<AdmittedRequest, PreparationError> {
        let Ok(request) = forwarded::Request::decode(request) else {
            return Err(PreparationError::Malformed);
        };
        let id = request.request_id;
        let Ok(logged_id) = Uuid::from_slice(&id) else {
            return Err(PreparationError::Malformed);
        };
        // The node that the client reached logs the same id.
        tracing::debug!(request = %logged_id, "the leader prepares");
        let operation = request.operation.ok_or(PreparationError::Malformed)?;
        let admission = self.admit(&operation);
        Ok(AdmittedRequest {
            id,
            operation,
            origin: request.origin,
            admission,
        })
    }

    fn admit(&self, operation: &Operation) -> Admission {
        if let Err(exceeded) = self.quotas.admit(operation, Instant::now()) {
            return Admission::Exceeded(exceeded);
        }
        let Operation::SendMessage(message) = operation else {
            return Admission::Admitted;
        };
        match self.inboxes.reserve(&message.recipient, Instant::now()) {
            Entry::Free => Admission::Admitted,
            Entry::Full => Admission::Exceeded(Exceeded::Inbox),
            Entry::Uncounted => Admission::InboxUncounted,
        }
    }

    /// What needs a read of the tables, or a password.
    async fn finish(
        &self,
        request: AdmittedRequest,
        leader: &LeaderContext,
    ) -> Result<Prepared<ReplyMaker>, PreparationError> {
        let AdmittedRequest {
            id,
            operation,
            origin,
            admission,
        } = request;
        let exceeded = match admission {
            Admission::Admitted => None,
            Admission::Exceeded(exceeded) => Some(exceeded),
            Admission::InboxUncounted => self.count_inbox(&operation).await?,
        };
        if let Some(exceeded) = exceeded {
            return self.exceeded(&operation, exceeded, leader).await;
        }
        match operation {
            Operation::CreateUser(user) => {
                let requester = requester(origin, &user.username);
                self.create_user(id, user, &requester).await
            }
            Operation::Login(login) => {
                let requester = requester(origin, &login.username);
                self.login(id, login, &requester, leader).await
            }
            Operation::ChangePassword(change) => {
                let session = change.session.as_ref();
                let username = session.map_or("", |session| &session.username);
                let requester = requester(origin, username);
                self.change_password(id, change, &requester, leader).await
            }
            operation => self.command(id, operation),
        }
    }

    /// A command that needs nothing but the clock.
    fn command(
        &self,
        id: Vec<u8>,
        operation: Operation,
    ) -> Result<Prepared<ReplyMaker>, PreparationError> {
        let (session, command) = match operation {
            Operation::SendMessage(message) => return self.send_message(id, message),
            Operation::Logout(logout) => (logout.session.clone(), Command::Logout(logout)),
            Operation::ReadMessages(read) => (read.session.clone(), Command::ReadMessages(read)),
            Operation::DeleteMessages(delete) => {
                (delete.session.clone(), Command::DeleteMessages(delete))
            }
            Operation::DeleteUser(delete) => (delete.session.clone(), Command::DeleteUser(delete)),
            Operation::RenewSession(renew) => (renew.session.clone(), Command::RenewSession(renew)),
            Operation::CreateUser(_) | Operation::Login(_) | Operation::ChangePassword(_) => {
                return Err(PreparationError::Malformed);
            }
        };
        require_session(session.as_ref())?;
        Ok(self.append(id, command, make_reply(ok_reply)))
    }

    /// Counts the recipient's inbox when the room that is known to be left is used up.
    async fn count_inbox(
        &self,
        operation: &Operation,
    ) -> Result<Option<Exceeded>, PreparationError> {
        let Operation::SendMessage(message) = operation else {
            return Ok(None);
        };
        let counts = self.reader.inbox_counts(&message.recipient).await?;
        let messages = counts.unwrap_or_default().messages;
        let entry = self
            .inboxes
            .counted(&message.recipient, messages, Instant::now());
        Ok(match entry {
            Entry::Full => Some(Exceeded::Inbox),
            Entry::Free | Entry::Uncounted => None,
        })
    }

    /// A request that a limit rejects may be the retry of one that was done: then it gets its answer. An
    /// earlier attempt may also be in the log and not yet applied, so the error is about this attempt
    /// only (R15).
    async fn exceeded(
        &self,
        operation: &Operation,
        exceeded: Exceeded,
        leader: &LeaderContext,
    ) -> Result<Prepared<ReplyMaker>, PreparationError> {
        if let Some(times) = self.exceeded_log.record(Instant::now()) {
            tracing::warn!(%exceeded, times, "a request is rejected");
        }
        let Operation::SendMessage(message) = operation else {
            // The others change nothing the second time, so their retries need no answer now.
            return Err(exceeded.into());
        };
        let (Ok(_lookup), Some(credential)) = (self.lookups.try_acquire(), message.credential)
        else {
            return Err(exceeded.into());
        };
        // Everything acknowledged before this is visible to the read below.
        if confirm(leader).await.is_err() {
            return Err(exceeded.into());
        }
        let stored = self.reader.stored_message(StoredMessage {
            id: &message.message_id,
            sender: &message.sender,
            sender_since: LogIndex(credential.incarnation),
            recipient: &message.recipient,
            body: &message.body,
        });
        let Some((timestamp, commit)) = stored.await? else {
            return Err(exceeded.into());
        };
        Ok(Prepared::Reply(answer(AnswerResult::Sent(storage::Sent {
            id: message.message_id.clone(),
            timestamp,
            commit_index: commit.index.0,
            commit_term: commit.term.0,
        }))))
    }

    async fn create_user(
        &self,
        id: Vec<u8>,
        user: forwarded::CreateUser,
        requester: &Requester,
    ) -> Result<Prepared<ReplyMaker>, PreparationError> {
        let hashing = self
            .passwords
            .hash_for_account(requester, Digest(user.digest));
        let password_hash = hashing.await?;
        let token = Token::generate()?;
        let operation = Command::CreateUser(storage::CreateUser {
            username: user.username,
            password_hash,
            token_hash: token_hash(&token),
            lifetime: Some(self.lifetime()),
        });
        Ok(self.append(
            id,
            operation,
            ReplyMaker::new(|index, outcome| {
                session_reply((index, outcome), token, Refusal::InvalidCredentials)
            }),
        ))
    }

    /// The read is linearizable (R14): it finds an account that was created a moment ago.
    async fn login(
        &self,
        id: Vec<u8>,
        login: forwarded::Login,
        requester: &Requester,
        leader: &LeaderContext,
    ) -> Result<Prepared<ReplyMaker>, PreparationError> {
        let account = self.account(&login.username, leader).await?;
        let proof = (requester, login.digest);
        self.open_session(id, account, proof, Refusal::InvalidCredentials)
            .await
    }

    /// Opens a session if the digest is that of the account; does the same work if there is no account.
    async fn open_session(
        &self,
        id: Vec<u8>,
        account: Option<Account>,
        (requester, digest): (&Requester, String),
        changed_meanwhile: Refusal,
    ) -> Result<Prepared<ReplyMaker>, PreparationError> {
        let verifying =
            self.passwords
                .verify_for_login(requester, Digest(digest), stored(account.as_ref()));
        let (Verified::Right { rehashed }, Some(account)) = (verifying.await?, account) else {
            return Ok(Prepared::Reply(error_reply(Refusal::InvalidCredentials)));
        };
        let token = Token::generate()?;
        let operation = Command::CreateSession(storage::CreateSession {
            username: account.username,
            credential: Some(storage::Credential {
                incarnation: account.credential.incarnation.0,
                version: account.credential.version.0,
            }),
            token_hash: token_hash(&token),
            lifetime: Some(self.lifetime()),
            password_hash: rehashed.unwrap_or_default(),
        });
        Ok(self.append(
            id,
            operation,
            ReplyMaker::new(move |index, outcome| {
                session_reply((index, outcome), token, changed_meanwhile)
            }),
        ))
    }

    /// The retry of a request that has changed the password comes without a valid session. Since the
    /// old password is replaced, it is checked against the new one (R15).
    async fn change_password(
        &self,
        id: Vec<u8>,
        change: forwarded::ChangePassword,
        requester: &Requester,
        leader: &LeaderContext,
    ) -> Result<Prepared<ReplyMaker>, PreparationError> {
        let session = change.session.as_ref();
        let (session, checked) = validate_session(session).ok_or(PreparationError::Malformed)?;
        let account = self.account(&session.username, leader).await?;
        let account =
            account.filter(|account| account.credential.incarnation.0 == checked.incarnation);
        let Some(account) = account else {
            return Ok(Prepared::Reply(error_reply(Refusal::Unauthenticated)));
        };
        if account
            .password_request
            .is_some_and(|request| request == *id)
        {
            let proof = (requester, change.new_digest);
            return self
                .open_session(id, Some(account), proof, Refusal::Unauthenticated)
                .await;
        }
        if account.credential.version.0 != checked.version {
            return Ok(Prepared::Reply(error_reply(Refusal::Unauthenticated)));
        }
        let stored = stored(Some(&account));
        let verifying = self
            .passwords
            .verify_for_change(requester, Digest(change.digest), stored);
        if !verifying.await? {
            return Ok(Prepared::Reply(error_reply(Refusal::InvalidCredentials)));
        }
        let hashing = self
            .passwords
            .hash_for_change(requester, Digest(change.new_digest));
        let password_hash = hashing.await?;
        let token = Token::generate()?;
        let operation = Command::ChangePassword(storage::ChangePassword {
            session: change.session,
            password_hash,
            token_hash: token_hash(&token),
            lifetime: Some(self.lifetime()),
        });
        Ok(self.append(
            id,
            operation,
            ReplyMaker::new(|index, outcome| {
                session_reply((index, outcome), token, Refusal::Unauthenticated)
            }),
        ))
    }

    /// The account as it is now, by a linearizable read (R14).
    async fn account(
        &self,
        username: &str,
        leader: &LeaderContext,
    ) -> Result<Option<Account>, PreparationError> {
        confirm(leader).await?;
        Ok(self.reader.account(username).await?)
    }

    /// The hot path: no query and no wait.
    fn send_message(
        &self,
        id: Vec<u8>,
        message: forwarded::SendMessage,
    ) -> Result<Prepared<ReplyMaker>, PreparationError> {
        if message.token_hash.len() != 32 || message.credential.is_none() {
            return Err(PreparationError::Malformed);
        }
        let operation = Command::SendMessage(storage::SendMessage {
            token_hash: message.token_hash.into(),
            credential: message.credential,
            message_id: message.message_id,
            sender: message.sender,
            recipient: message.recipient,
            body: message.body,
        });
        Ok(self.append(id, operation, make_reply(sent_reply)))
    }

    fn append(
        &self,
        id: Vec<u8>,
        operation: Command,
        make_reply: ReplyMaker,
    ) -> Prepared<ReplyMaker> {
        let command = storage::Command {
            request_id: id.into(),
            time: self.clock.propose(),
            operation: Some(operation),
        };
        Prepared::Append {
            command: command.encode_to_vec().into(),
            make_reply,
        }
    }

    fn lifetime(&self) -> storage::SessionLifetime {
        storage::SessionLifetime {
            idle_seconds: self.sessions.idle_seconds,
            absolute_seconds: self.sessions.absolute_seconds,
        }
    }
}

impl Prepare for LeaderPreparation {
    fn prepare(self: Arc<Self>, request: Bytes, leader: &LeaderContext) -> Preparation {
        let request = match self.begin(request) {
            Ok(request) => request,
            Err(error) => return Preparation::Ready(rejected(&error)),
        };
        if request.is_ready() {
            let prepared = self.command(request.id, request.operation);
            return Preparation::Ready(prepared.unwrap_or_else(|error| rejected(&error)));
        }
        let leader = leader.clone();
        Preparation::Later(Box::pin(async move {
            let prepared = self.finish(request, &leader).await;
            prepared.unwrap_or_else(|error| rejected(&error))
        }))
    }
}

/// The reply to a request that is not appended.
fn rejected(error: &PreparationError) -> Prepared<ReplyMaker> {
    let reply = error.refusal();
    if reply == Refusal::Internal {
        let source = std::error::Error::source(error).map(ToString::to_string);
        tracing::error!(source, "{error}");
    }
    Prepared::Reply(error_reply_after(reply, error.retry_after()))
}

/// After this the tables show everything that was acknowledged before (R14).
async fn confirm(leader: &LeaderContext) -> Result<(), ReadError> {
    let deadline = Instant::now() + READ_TIMEOUT;
    leader.ensure_linearizable(deadline).await.map(drop)
}

/// The requester of password work, from what the other node sent.
fn requester(origin: Option<forwarded::Origin>, username: &str) -> Requester {
    let (origin, timeout) = Origin::from_proto(origin);
    let timeout = timeout.unwrap_or(PASSWORD_TIMEOUT);
    Requester {
        origin,
        username: username.to_owned(),
        deadline: Instant::now() + timeout.min(PASSWORD_TIMEOUT_MAX),
    }
}

fn stored(account: Option<&Account>) -> Option<String> {
    account.map(|account| account.password_hash.clone())
}

fn token_hash(token: &Token) -> Bytes {
    Bytes::copy_from_slice(&token.hash().0)
}

/// For replies that do not depend on the index of the entry.
fn make_reply(reply: fn(Bytes) -> Bytes) -> ReplyMaker {
    ReplyMaker::new(move |_index, outcome| reply(outcome))
}
