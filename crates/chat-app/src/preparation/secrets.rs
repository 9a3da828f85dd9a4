//! The requests that need a secret: a new account, a login, and a change of the password.

use std::time::Duration;

use bytes::Bytes;
use chat_proto::{forwarded::v1 as forwarded, storage::v1 as storage};
use chat_replication::Prepared;
use chat_store::Account;
use prost::Message as _;
use storage::command::Operation;
use uuid::Uuid;

use super::leader_preparation::LeaderPreparation;
use super::reply_builder::ReplyBuilder;
use crate::error::RequestError;
use crate::host::{Host, PasswordHasher, ReadBarrier, Requester, Verified};
use crate::origin::Origin;
use crate::request::Digest;
use crate::token::{TOKEN_BYTES, Token};

/// How long a preparation waits for the leader to confirm that it leads.
pub(super) const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a password may be queued if the node that forwards it does not send how long its client
/// waits.
const PASSWORD_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest that a password is queued, whatever the other node sends.
const PASSWORD_TIMEOUT_MAX: Duration = Duration::from_secs(30);

/// A request that needs a secret.
#[derive(Debug)]
pub(super) struct SecretRequest {
    pub(super) id: Uuid,
    pub(super) operation: SecretOperation,
    pub(super) origin: Origin,
    /// How long its client waits, if that is known.
    pub(super) timeout: Option<Duration>,
}

/// What it asks for. Digests are as good as passwords.
pub(super) enum SecretOperation {
    CreateUser(forwarded::CreateUser),
    Login(forwarded::Login),
    ChangePassword(forwarded::ChangePassword),
}

impl std::fmt::Debug for SecretOperation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::CreateUser(_) => "CreateUser(..)",
            Self::Login(_) => "Login(..)",
            Self::ChangePassword(_) => "ChangePassword(..)",
        })
    }
}

impl<P: PasswordHasher, H: Host> LeaderPreparation<P, H> {
    pub(super) async fn prepare_secret(
        &self,
        request: SecretRequest,
        leader: &impl ReadBarrier,
    ) -> Result<Prepared<ReplyBuilder>, RequestError> {
        let timeout = request.timeout.unwrap_or(PASSWORD_TIMEOUT);
        let requester = |username: &str| Requester {
            origin: request.origin.clone(),
            username: username.to_owned(),
            deadline: self.host.now() + timeout.min(PASSWORD_TIMEOUT_MAX),
        };
        let id = request.id;
        match request.operation {
            SecretOperation::CreateUser(user) => {
                let requester = requester(&user.username);
                self.create_user(id, user, &requester).await
            }
            SecretOperation::Login(login) => {
                let requester = requester(&login.username);
                // Linearizable (R14): it finds an account that was created a moment ago.
                let account = self.account(&login.username, leader).await?;
                let proof = (&requester, login.digest);
                self.open_session(id, account, proof, RequestError::InvalidCredentials)
                    .await
            }
            SecretOperation::ChangePassword(change) => {
                let session = change.session.as_ref();
                let requester = requester(session.map_or("", |session| &session.username));
                self.change_password(id, change, &requester, leader).await
            }
        }
    }

    async fn create_user(
        &self,
        id: Uuid,
        user: forwarded::CreateUser,
        requester: &Requester,
    ) -> Result<Prepared<ReplyBuilder>, RequestError> {
        let hashing = self
            .passwords
            .hash_for_account(requester, Digest(user.digest));
        let password_hash = hashing.await?;
        let token = self.token()?;
        let operation = Operation::CreateUser(storage::CreateUser {
            username: user.username,
            password_hash,
            token_hash: token_hash(&token),
            lifetime: Some(self.session_lifetime()),
        });
        Ok(self.append_session(id, operation, token, RequestError::InvalidCredentials))
    }

    /// Opens a session if the digest is that of the account; does the same work if there is no account.
    async fn open_session(
        &self,
        id: Uuid,
        account: Option<Account>,
        (requester, digest): (&Requester, String),
        changed: RequestError,
    ) -> Result<Prepared<ReplyBuilder>, RequestError> {
        let verifying =
            self.passwords
                .verify_for_login(requester, Digest(digest), stored(account.as_ref()));
        let (Verified::Right { rehashed }, Some(account)) = (verifying.await?, account) else {
            return Err(RequestError::InvalidCredentials);
        };
        let token = self.token()?;
        let operation = Operation::CreateSession(storage::CreateSession {
            username: account.username,
            credential: Some(storage::Credential {
                incarnation: account.credential.incarnation.0,
                version: account.credential.version.0,
            }),
            token_hash: token_hash(&token),
            lifetime: Some(self.session_lifetime()),
            password_hash: rehashed.unwrap_or_default(),
        });
        Ok(self.append_session(id, operation, token, changed))
    }

    /// The retry of a request that has changed the password comes without a valid session. Since the
    /// old password is replaced, it is checked against the new one (R15).
    async fn change_password(
        &self,
        id: Uuid,
        change: forwarded::ChangePassword,
        requester: &Requester,
        leader: &impl ReadBarrier,
    ) -> Result<Prepared<ReplyBuilder>, RequestError> {
        let session = change.session.as_ref();
        let checked = session
            .filter(|session| session.token_hash.len() == 32)
            .and_then(|session| Some((session, session.credential?)));
        let Some((session, checked)) = checked else {
            tracing::error!("a node sent a change of the password without its session");
            return Ok(Prepared::Failed);
        };
        let account = self.account(&session.username, leader).await?;
        let same = |account: &Account| account.credential.incarnation.0 == checked.incarnation;
        let account = account.filter(same).ok_or(RequestError::Unauthenticated)?;
        if account.password_request == Some(id.into_bytes()) {
            let proof = (requester, change.new_digest);
            return self
                .open_session(id, Some(account), proof, RequestError::Unauthenticated)
                .await;
        }
        if account.credential.version.0 != checked.version {
            return Err(RequestError::Unauthenticated);
        }
        let stored = stored(Some(&account));
        let verifying = self
            .passwords
            .verify_for_change(requester, Digest(change.digest), stored);
        if !verifying.await? {
            return Err(RequestError::InvalidCredentials);
        }
        let hashing = self
            .passwords
            .hash_for_change(requester, Digest(change.new_digest));
        let password_hash = hashing.await?;
        let token = self.token()?;
        let operation = Operation::ChangePassword(storage::ChangePassword {
            session: change.session,
            password_hash,
            token_hash: token_hash(&token),
            lifetime: Some(self.session_lifetime()),
        });
        Ok(self.append_session(id, operation, token, RequestError::Unauthenticated))
    }

    /// The account as it is now, by a linearizable read (R14).
    async fn account(
        &self,
        username: &str,
        leader: &impl ReadBarrier,
    ) -> Result<Option<Account>, RequestError> {
        let deadline = self.host.now() + READ_TIMEOUT;
        leader.ensure_linearizable(deadline).await?;
        let account = self.reader.account(username).await;
        account.map_err(|error| RequestError::log_read_error(&error))
    }

    fn append_session(
        &self,
        id: Uuid,
        operation: Operation,
        token: Token,
        changed: RequestError,
    ) -> Prepared<ReplyBuilder> {
        let command = storage::Command {
            request_id: Bytes::copy_from_slice(id.as_bytes()),
            time: self.clock.propose(),
            operation: Some(operation),
        };
        Prepared::Append {
            command: command.encode_to_vec().into(),
            make_reply: ReplyBuilder::Session { token, changed },
        }
    }

    fn token(&self) -> Result<Token, RequestError> {
        let mut random = [0; TOKEN_BYTES];
        self.host.fill_random(&mut random).map_err(|error| {
            tracing::error!(%error, "no token can be generated");
            RequestError::Internal
        })?;
        Ok(Token::of(random))
    }

    fn session_lifetime(&self) -> storage::SessionLifetime {
        storage::SessionLifetime {
            idle_seconds: self.lifetime.idle_seconds,
            absolute_seconds: self.lifetime.absolute_seconds,
        }
    }
}

fn stored(account: Option<&Account>) -> Option<String> {
    account.map(|account| account.password_hash.clone())
}

fn token_hash(token: &Token) -> Bytes {
    Bytes::copy_from_slice(&token.hash().0)
}
