//! What only the leader does, before anything is appended: the clock, the random numbers and the
//! passwords (R16).
//!
//! A request arrives as `forwarded.v1.Request`, from this node's own edge or from another's, and
//! leaves as a `storage.v1.Command`. A command that applying would not understand stops every node
//! for good, so what it depends on is checked here once more.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use chat_proto::{forwarded::v1 as forwarded, storage::v1 as storage};
use chat_replication::{Finish, Handle, Prepare, Prepared, ReadError};
use chat_store::{Account, ChatReader, LogIndex, StateError, StoredMessage};
use prost::Message as _;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::api::request::Digest;
use crate::app::log_clock::LogClock;
use crate::auth::passwords::{Asker, PasswordError, Passwords, Verified};
use crate::auth::token::Token;
use crate::config;
use crate::limits::inbox_room::{Entry, InboxRoom};
use crate::limits::log_throttle::Rarely;
use crate::limits::quotas::{Exceeded, Quotas};
use crate::net::origin::Origin;
use forwarded::Refusal;
use forwarded::answer::Result as AnswerResult;
use forwarded::request::Operation;
use storage::command::Operation as Command;

/// How long a login waits for the leader to confirm that it leads.
const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a password waits for its turn if the node that forwards it does not say how long its
/// client waits.
const PASSWORD_TIMEOUT: Duration = Duration::from_secs(5);
/// How many lookups of repeated messages run at once; more are refused without one. Readers are few,
/// and whoever exceeds a limit must not have them all.
const LOOKUPS_MAX: usize = 1;
/// The longest that a password waits, whatever is said.
const PASSWORD_TIMEOUT_MAX: Duration = Duration::from_secs(30);

/// The leader's part of every change.
#[derive(Clone, Debug)]
pub struct Preparation {
    reader: ChatReader,
    passwords: Passwords,
    sessions: config::Sessions,
    clock: Arc<LogClock>,
    quotas: Arc<Quotas>,
    inboxes: Arc<InboxRoom>,
    /// Lookups of messages whose repetition a limit refuses.
    lookups: Arc<Semaphore>,
    refusals: Arc<Rarely>,
    /// Set once the replica has started, which needs the preparation first.
    replica: Arc<OnceLock<Handle>>,
}

/// Why a request cannot be prepared.
#[derive(Debug, thiserror::Error)]
enum PreparationError {
    #[error("the forwarded request cannot be understood")]
    Malformed,
    #[error("leadership cannot be confirmed")]
    Read(#[from] ReadError),
    #[error("an account cannot be read")]
    State(#[from] StateError),
    #[error("a password cannot be checked")]
    Password(#[from] PasswordError),
    #[error(transparent)]
    Exceeded(#[from] Exceeded),
    #[error("the operating system has no randomness")]
    Randomness(#[from] getrandom::Error),
}

impl Preparation {
    /// Prepares requests against what `reader` sees; sessions that it opens last as long as
    /// `sessions` says.
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
            refusals: Arc::default(),
            replica: Arc::default(),
        }
    }

    /// Checking a password needs the replica to confirm that it leads.
    pub fn attach(&self, replica: Handle) {
        // Who attaches twice attaches the same.
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
        let asked = |username: &str| asker(request.origin.clone(), username);
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
                let asker = asked(&user.username);
                self.create_user(id, user, &asker).await
            }
            Operation::Login(login) => {
                let asker = asked(&login.username);
                self.login(id, login, &asker).await
            }
            Operation::ChangePassword(change) => {
                let session = change.session.as_ref();
                let asker = asked(session.map_or("", |session| &session.username));
                self.change_password(id, change, &asker).await
            }
            Operation::Logout(logout) => {
                check(logout.session.as_ref())?;
                Ok(self.append(id, Command::Logout(logout), finish(done)))
            }
            Operation::ReadMessages(read) => {
                check(read.session.as_ref())?;
                Ok(self.append(id, Command::ReadMessages(read), finish(done)))
            }
            Operation::DeleteMessages(delete) => {
                check(delete.session.as_ref())?;
                Ok(self.append(id, Command::DeleteMessages(delete), finish(done)))
            }
            Operation::DeleteUser(delete) => {
                check(delete.session.as_ref())?;
                Ok(self.append(id, Command::DeleteUser(delete), finish(done)))
            }
            Operation::RenewSession(renew) => {
                check(renew.session.as_ref())?;
                Ok(self.append(id, Command::RenewSession(renew), finish(done)))
            }
        }
    }

    /// Counts the inbox that a message is for, if the room that is known of is used up.
    async fn room_in_inbox(
        &self,
        operation: &Operation,
    ) -> Result<Result<(), Exceeded>, PreparationError> {
        let Operation::SendMessage(message) = operation else {
            return Ok(Ok(()));
        };
        let mut entry = self.inboxes.take(&message.recipient, Instant::now());
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

    /// What a limit refuses was perhaps done before: then this is a retry, which gets its answer. If it
    /// was not applied yet it may be, so the refusal says nothing about an earlier attempt (R15).
    async fn exceeded(
        &self,
        operation: &Operation,
        exceeded: Exceeded,
    ) -> Result<Prepared, PreparationError> {
        if let Some(times) = self.refusals.happened(Instant::now()) {
            tracing::warn!(%exceeded, times, "a request is refused");
        }
        let Operation::SendMessage(message) = operation else {
            // The others change nothing the second time, and need not be answered now.
            return Err(exceeded.into());
        };
        let (Ok(_lookup), Some(credential)) = (self.lookups.try_acquire(), message.credential)
        else {
            return Err(exceeded.into());
        };
        // What was acknowledged before is in what this reads.
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
        asker: &Asker,
    ) -> Result<Prepared, PreparationError> {
        let hashing = self.passwords.hash_for_account(asker, Digest(user.digest));
        let password_hash = hashing.await?;
        let token = Token::draw()?;
        let operation = Command::CreateUser(storage::CreateUser {
            username: user.username,
            password_hash,
            token_hash: token_hash(&token),
            lifetime: Some(self.lifetime()),
        });
        Ok(self.append(
            id,
            operation,
            Box::new(|index, outcome| opened((index, outcome), token, Refusal::InvalidCredentials)),
        ))
    }

    /// An account that was created an instant ago is found: the read is linearizable (R14).
    async fn login(
        &self,
        id: Vec<u8>,
        login: forwarded::Login,
        asker: &Asker,
    ) -> Result<Prepared, PreparationError> {
        let account = self.account(&login.username).await?;
        let proof = (asker, login.digest);
        self.open_session(id, account, proof, Refusal::InvalidCredentials)
            .await
    }

    /// Opens a session if the digest is the account's; with the same work if there is no account.
    async fn open_session(
        &self,
        id: Vec<u8>,
        account: Option<Account>,
        (asker, digest): (&Asker, String),
        changed_meanwhile: Refusal,
    ) -> Result<Prepared, PreparationError> {
        let verifying =
            self.passwords
                .verify_for_login(asker, Digest(digest), stored(account.as_ref()));
        let (Verified::Right { rehashed }, Some(account)) = (verifying.await?, account) else {
            return Ok(Prepared::Answer(refused(Refusal::InvalidCredentials)));
        };
        let token = Token::draw()?;
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
            Box::new(move |index, outcome| opened((index, outcome), token, changed_meanwhile)),
        ))
    }

    /// A request that has changed the password before comes without a valid session and, since the
    /// old password is gone, proves the new one (R15).
    async fn change_password(
        &self,
        id: Vec<u8>,
        change: forwarded::ChangePassword,
        asker: &Asker,
    ) -> Result<Prepared, PreparationError> {
        let session = change.session.as_ref();
        let (session, checked) = well_formed(session).ok_or(PreparationError::Malformed)?;
        let account = self.account(&session.username).await?;
        let account =
            account.filter(|account| account.credential.incarnation.0 == checked.incarnation);
        let Some(account) = account else {
            return Ok(Prepared::Answer(refused(Refusal::Unauthenticated)));
        };
        if account
            .password_request
            .is_some_and(|request| request == *id)
        {
            let proof = (asker, change.new_digest);
            return self
                .open_session(id, Some(account), proof, Refusal::Unauthenticated)
                .await;
        }
        if account.credential.version.0 != checked.version {
            return Ok(Prepared::Answer(refused(Refusal::Unauthenticated)));
        }
        let stored = stored(Some(&account));
        let verifying = self
            .passwords
            .verify_for_change(asker, Digest(change.digest), stored);
        if !verifying.await? {
            return Ok(Prepared::Answer(refused(Refusal::InvalidCredentials)));
        }
        let hashing = self
            .passwords
            .hash_for_change(asker, Digest(change.new_digest));
        let password_hash = hashing.await?;
        let token = Token::draw()?;
        let operation = Command::ChangePassword(storage::ChangePassword {
            session: change.session,
            password_hash,
            token_hash: token_hash(&token),
            lifetime: Some(self.lifetime()),
        });
        Ok(self.append(
            id,
            operation,
            Box::new(|index, outcome| opened((index, outcome), token, Refusal::Unauthenticated)),
        ))
    }

    /// What the account is now, with certainty (R14).
    async fn account(&self, username: &str) -> Result<Option<Account>, PreparationError> {
        self.confirm().await?;
        Ok(self.reader.account(username).await?)
    }

    /// From here on the tables show all that was acknowledged before (R14).
    async fn confirm(&self) -> Result<(), ReadError> {
        let replica = self.replica.get().ok_or(ReadError::NoLeader)?;
        replica
            .ensure_linearizable(Instant::now() + READ_TIMEOUT)
            .await
    }

    /// The hot path: no query, no wait, but for the inbox's room.
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
        Ok(self.append(id, operation, finish(sent)))
    }

    fn append(&self, id: Vec<u8>, operation: Command, finish: Finish) -> Prepared {
        let command = storage::Command {
            request_id: id.into(),
            time: self.clock.propose(),
            operation: Some(operation),
        };
        Prepared::Append {
            command: command.encode_to_vec().into(),
            finish,
        }
    }

    fn lifetime(&self) -> storage::SessionLifetime {
        storage::SessionLifetime {
            idle_seconds: self.sessions.idle_seconds,
            absolute_seconds: self.sessions.absolute_seconds,
        }
    }
}

impl Prepare for Preparation {
    fn prepare(&self, request: Bytes) -> Pin<Box<dyn Future<Output = Prepared> + Send + '_>> {
        Box::pin(async {
            self.prepare_request(request).await.unwrap_or_else(|error| {
                let refusal = error.refusal();
                if refusal == Refusal::Internal {
                    let source = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::error!(source, "{error}");
                }
                Prepared::Answer(refused_for(refusal, error.retry_after()))
            })
        })
    }
}

impl PreparationError {
    fn refusal(&self) -> Refusal {
        match self {
            Self::Password(PasswordError::Overloaded) | Self::Read(ReadError::Overloaded) => {
                Refusal::Overloaded
            }
            Self::Password(PasswordError::TooManyAttempts { .. }) => Refusal::TooManyAttempts,
            Self::Exceeded(Exceeded::Rate { .. }) => Refusal::TooManyRequests,
            Self::Exceeded(Exceeded::Storage) => Refusal::StorageFull,
            Self::Exceeded(Exceeded::Inbox) => Refusal::InboxFull,
            Self::Read(ReadError::NotApplied) => Refusal::Timeout,
            Self::Read(_) => Refusal::NoLeader,
            Self::Malformed | Self::State(_) | Self::Password(_) | Self::Randomness(_) => {
                Refusal::Internal
            }
        }
    }

    /// After how long another try makes sense, if that is known.
    fn retry_after(&self) -> Duration {
        match self {
            Self::Password(PasswordError::TooManyAttempts { after })
            | Self::Exceeded(Exceeded::Rate { after }) => *after,
            _ => Duration::ZERO,
        }
    }
}

/// Whose password it is, who asks, and until when.
fn asker(origin: Option<forwarded::Origin>, username: &str) -> Asker {
    let (origin, patience) = Origin::from_proto(origin);
    let patience = patience.unwrap_or(PASSWORD_TIMEOUT);
    Asker {
        origin,
        username: username.to_owned(),
        until: Instant::now() + patience.min(PASSWORD_TIMEOUT_MAX),
    }
}

fn stored(account: Option<&Account>) -> Option<String> {
    account.map(|account| account.password_hash.clone())
}

/// What applying needs of a session: what the leader knows of it may not be true any more.
fn well_formed(
    session: Option<&storage::Session>,
) -> Option<(&storage::Session, storage::Credential)> {
    let session = session.filter(|session| session.token_hash.len() == 32)?;
    Some((session, session.credential?))
}

fn check(session: Option<&storage::Session>) -> Result<(), PreparationError> {
    match well_formed(session) {
        Some(_) => Ok(()),
        None => Err(PreparationError::Malformed),
    }
}

fn token_hash(token: &Token) -> Bytes {
    Bytes::copy_from_slice(&token.hash().0)
}

/// What needs no index to make its reply.
fn finish(reply: fn(Bytes) -> Bytes) -> Finish {
    Box::new(move |_index, outcome| reply(outcome))
}

/// `index` is that of the entry, which has opened the session if the outcome says so.
fn opened((index, outcome): (u64, Bytes), token: Token, unauthenticated: Refusal) -> Bytes {
    let unread = match result(outcome) {
        Some(storage::outcome::Result::Created(_) | storage::outcome::Result::Done(_)) => 0,
        Some(storage::outcome::Result::SessionCreated(session)) => session.unread,
        other => return refused(refusal(other, unauthenticated)),
    };
    answer(AnswerResult::SessionOpened(forwarded::SessionOpened {
        token: token.into_text(LogIndex(index)),
        unread,
    }))
}

fn sent(outcome: Bytes) -> Bytes {
    match result(outcome) {
        Some(storage::outcome::Result::Sent(sent)) => answer(AnswerResult::Sent(sent)),
        other => refused(refusal(other, Refusal::Unauthenticated)),
    }
}

fn done(outcome: Bytes) -> Bytes {
    match result(outcome) {
        Some(storage::outcome::Result::Done(done)) => answer(AnswerResult::Done(done)),
        other => refused(refusal(other, Refusal::Unauthenticated)),
    }
}

fn result(outcome: Bytes) -> Option<storage::outcome::Result> {
    storage::Outcome::decode(outcome).ok()?.result
}

/// `unauthenticated` is what it means here that an account is no longer what the leader checked.
fn refusal(outcome: Option<storage::outcome::Result>, unauthenticated: Refusal) -> Refusal {
    let Some(storage::outcome::Result::Error(error)) = outcome else {
        return Refusal::Internal;
    };
    match error.code() {
        storage::ErrorCode::UsernameTaken => Refusal::UsernameTaken,
        storage::ErrorCode::AlreadyCreatedByThisRequest => Refusal::AlreadyCreatedByThisRequest,
        storage::ErrorCode::AlreadyChangedByThisRequest => Refusal::AlreadyChangedByThisRequest,
        storage::ErrorCode::RecipientNotFound => Refusal::RecipientNotFound,
        storage::ErrorCode::DuplicateMessage => Refusal::DuplicateMessage,
        storage::ErrorCode::Unauthenticated => unauthenticated,
        storage::ErrorCode::Unspecified => Refusal::Internal,
    }
}

fn refused(refusal: Refusal) -> Bytes {
    refused_for(refusal, Duration::ZERO)
}

fn refused_for(refusal: Refusal, retry_after: Duration) -> Bytes {
    let answer = forwarded::Answer {
        result: Some(AnswerResult::Refused(refusal.into())),
        // Rounded up: whoever comes back at that moment is not too early.
        retry_after_ms: u32::try_from(retry_after.as_micros().div_ceil(1_000)).unwrap_or(u32::MAX),
    };
    answer.encode_to_vec().into()
}

fn answer(result: AnswerResult) -> Bytes {
    let answer = forwarded::Answer {
        result: Some(result),
        retry_after_ms: 0,
    };
    answer.encode_to_vec().into()
}
