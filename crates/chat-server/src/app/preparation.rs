//! What only the leader does, before anything is appended: the clock, the random numbers and the
//! passwords (R16).
//!
//! The leader receives a `forwarded.v1.Request`, from its own API or from another node's, and makes a
//! `storage.v1.Command` of it. A command that the state machine cannot decode would stop every node
//! permanently, so everything that applying depends on is checked here once more.

mod error;
mod replies;

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use chat_proto::{forwarded::v1 as forwarded, storage::v1 as storage};
use chat_replication::{Finish, Handle, Prepare, Prepared, ReadError};
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
use error::PreparationError;
use forwarded::Refusal;
use forwarded::answer::Result as AnswerResult;
use forwarded::request::Operation;
use replies::{answer, error_reply, error_reply_after, ok_reply, sent_reply, session_reply};
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
    /// Set once the replica has started, which needs the preparation first.
    replica: Arc<OnceLock<Handle>>,
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
            replica: Arc::default(),
        }
    }

    /// Gives the replica, which confirms leadership before a password is checked.
    pub fn attach(&self, replica: Handle) {
        // A second call gives the same replica.
        drop(self.replica.set(replica));
    }

    async fn prepare_request(&self, request: Bytes) -> Result<Prepared, PreparationError> {
        let Ok(request) = forwarded::Request::decode(request) else {
            return Err(PreparationError::Malformed);
        };
        let id = request.request_id;
        let Ok(logged_id) = Uuid::from_slice(&id) else {
            return Err(PreparationError::Malformed);
        };
        // The node that the client reached logs the same id.
        tracing::debug!(request = %logged_id, "the leader prepares");
        let requester_of = |username: &str| requester(request.origin.clone(), username);
        let operation = request.operation.ok_or(PreparationError::Malformed)?;
        let admitted = match self.quotas.admit(&operation, Instant::now()) {
            Ok(()) => self.room_in_inbox(&operation).await?,
            exceeded => exceeded,
        };
        if let Err(exceeded) = admitted {
            return self.exceeded(&operation, exceeded).await;
        }
        match operation {
            Operation::SendMessage(message) => self.send_message(id, message),
            Operation::CreateUser(user) => {
                let requester = requester_of(&user.username);
                self.create_user(id, user, &requester).await
            }
            Operation::Login(login) => {
                let requester = requester_of(&login.username);
                self.login(id, login, &requester).await
            }
            Operation::ChangePassword(change) => {
                let session = change.session.as_ref();
                let requester = requester_of(session.map_or("", |session| &session.username));
                self.change_password(id, change, &requester).await
            }
            Operation::Logout(logout) => {
                require_session(logout.session.as_ref())?;
                Ok(self.append(id, Command::Logout(logout), make_reply(ok_reply)))
            }
            Operation::ReadMessages(read) => {
                require_session(read.session.as_ref())?;
                Ok(self.append(id, Command::ReadMessages(read), make_reply(ok_reply)))
            }
            Operation::DeleteMessages(delete) => {
                require_session(delete.session.as_ref())?;
                Ok(self.append(id, Command::DeleteMessages(delete), make_reply(ok_reply)))
            }
            Operation::DeleteUser(delete) => {
                require_session(delete.session.as_ref())?;
                Ok(self.append(id, Command::DeleteUser(delete), make_reply(ok_reply)))
            }
            Operation::RenewSession(renew) => {
                require_session(renew.session.as_ref())?;
                Ok(self.append(id, Command::RenewSession(renew), make_reply(ok_reply)))
            }
        }
    }

    /// Counts the recipient's inbox if the room that is known to be left is used up.
    async fn room_in_inbox(
        &self,
        operation: &Operation,
    ) -> Result<Result<(), Exceeded>, PreparationError> {
        let Operation::SendMessage(message) = operation else {
            return Ok(Ok(()));
        };
        let mut entry = self.inboxes.reserve(&message.recipient, Instant::now());
        if entry == Entry::Uncounted {
            let counts = self.reader.inbox_counts(&message.recipient).await?;
            let messages = counts.unwrap_or_default().messages;
            entry = self
                .inboxes
                .counted(&message.recipient, messages, Instant::now());
        }
        Ok(match entry {
            Entry::Full => Err(Exceeded::Inbox),
            Entry::Free | Entry::Uncounted => Ok(()),
        })
    }

    /// A request that a limit rejects may be the retry of one that was done: then it gets its answer. An
    /// earlier attempt may also be in the log and not yet applied, so the error is about this attempt
    /// only (R15).
    async fn exceeded(
        &self,
        operation: &Operation,
        exceeded: Exceeded,
    ) -> Result<Prepared, PreparationError> {
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
        if self.confirm().await.is_err() {
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
        Ok(Prepared::Answer(answer(AnswerResult::Sent(
            storage::Sent {
                id: message.message_id.clone(),
                timestamp,
                commit_index: commit.index.0,
                commit_term: commit.term.0,
            },
        ))))
    }

    async fn create_user(
        &self,
        id: Vec<u8>,
        user: forwarded::CreateUser,
        requester: &Requester,
    ) -> Result<Prepared, PreparationError> {
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
            Box::new(|index, outcome| {
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
    ) -> Result<Prepared, PreparationError> {
        let account = self.account(&login.username).await?;
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
    ) -> Result<Prepared, PreparationError> {
        let verifying =
            self.passwords
                .verify_for_login(requester, Digest(digest), stored(account.as_ref()));
        let (Verified::Right { rehashed }, Some(account)) = (verifying.await?, account) else {
            return Ok(Prepared::Answer(error_reply(Refusal::InvalidCredentials)));
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
            Box::new(move |index, outcome| {
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
    ) -> Result<Prepared, PreparationError> {
        let session = change.session.as_ref();
        let (session, checked) = validate_session(session).ok_or(PreparationError::Malformed)?;
        let account = self.account(&session.username).await?;
        let account =
            account.filter(|account| account.credential.incarnation.0 == checked.incarnation);
        let Some(account) = account else {
            return Ok(Prepared::Answer(error_reply(Refusal::Unauthenticated)));
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
            return Ok(Prepared::Answer(error_reply(Refusal::Unauthenticated)));
        }
        let stored = stored(Some(&account));
        let verifying = self
            .passwords
            .verify_for_change(requester, Digest(change.digest), stored);
        if !verifying.await? {
            return Ok(Prepared::Answer(error_reply(Refusal::InvalidCredentials)));
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
            Box::new(|index, outcome| {
                session_reply((index, outcome), token, Refusal::Unauthenticated)
            }),
        ))
    }

    /// The account as it is now, by a linearizable read (R14).
    async fn account(&self, username: &str) -> Result<Option<Account>, PreparationError> {
        self.confirm().await?;
        Ok(self.reader.account(username).await?)
    }

    /// After this the tables show everything that was acknowledged before (R14).
    async fn confirm(&self) -> Result<(), ReadError> {
        let replica = self.replica.get().ok_or(ReadError::NoLeader)?;
        replica
            .ensure_linearizable(Instant::now() + READ_TIMEOUT)
            .await
    }

    /// The hot path: no query and no wait, except for the room in the inbox.
    fn send_message(
        &self,
        id: Vec<u8>,
        message: forwarded::SendMessage,
    ) -> Result<Prepared, PreparationError> {
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

    fn append(&self, id: Vec<u8>, operation: Command, make_reply: Finish) -> Prepared {
        let command = storage::Command {
            request_id: id.into(),
            time: self.clock.propose(),
            operation: Some(operation),
        };
        Prepared::Append {
            command: command.encode_to_vec().into(),
            finish: make_reply,
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
    fn prepare(&self, request: Bytes) -> Pin<Box<dyn Future<Output = Prepared> + Send + '_>> {
        Box::pin(async {
            self.prepare_request(request).await.unwrap_or_else(|error| {
                let reply = error.refusal();
                if reply == Refusal::Internal {
                    let source = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::error!(source, "{error}");
                }
                Prepared::Answer(error_reply_after(reply, error.retry_after()))
            })
        })
    }
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

/// The parts of a session that applying needs; it checks them again, since the session may have ended
/// meanwhile.
fn validate_session(
    session: Option<&storage::Session>,
) -> Option<(&storage::Session, storage::Credential)> {
    let session = session.filter(|session| session.token_hash.len() == 32)?;
    Some((session, session.credential?))
}

fn require_session(session: Option<&storage::Session>) -> Result<(), PreparationError> {
    match validate_session(session) {
        Some(_) => Ok(()),
        None => Err(PreparationError::Malformed),
    }
}

fn token_hash(token: &Token) -> Bytes {
    Bytes::copy_from_slice(&token.hash().0)
}

/// For replies that do not depend on the index of the entry.
fn make_reply(reply: fn(Bytes) -> Bytes) -> Finish {
    Box::new(move |_index, outcome| reply(outcome))
}
