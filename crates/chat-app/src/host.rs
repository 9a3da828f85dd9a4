//! What the chat's logic needs of the node that it runs on.

use std::time::{Duration, Instant};

use bytes::Bytes;
use chat_replication::{ProposeError, ReadError};

use crate::origin::Origin;
use crate::request::Digest;

/// Time and randomness.
pub trait Host: Send + Sync + 'static {
    /// A clock that never runs backwards.
    fn now(&self) -> Instant;

    /// Seconds since 1970, by a clock that may jump.
    fn unix_seconds(&self) -> i64;

    /// Runs `future` until `deadline`; `None` when that passes first.
    fn until<T: Send>(
        &self,
        deadline: Instant,
        future: impl Future<Output = T> + Send,
    ) -> impl Future<Output = Option<T>> + Send;

    /// Fills `bytes` with what cannot be predicted.
    ///
    /// # Errors
    ///
    /// There is no randomness to give.
    fn fill_random(&self, bytes: &mut [u8]) -> Result<(), RandomnessError>;
}

/// The system has no randomness to give.
#[derive(Debug, thiserror::Error)]
#[error("the operating system has no randomness: {0}")]
pub struct RandomnessError(pub String);

/// Confirms reads (R14).
pub trait ReadBarrier: Send + Sync {
    /// Completes when this node's tables show everything that was acknowledged before the call.
    ///
    /// # Errors
    ///
    /// See [`ReadError`].
    fn ensure_linearizable(
        &self,
        deadline: Instant,
    ) -> impl Future<Output = Result<(), ReadError>> + Send;
}

/// Has requests prepared, appended and applied.
pub trait Proposer: ReadBarrier {
    /// Returns the leader's reply to `request`, which is a `forwarded.v1.Request`.
    ///
    /// # Errors
    ///
    /// See [`ProposeError`].
    fn propose(
        &self,
        request: Bytes,
        deadline: Instant,
    ) -> impl Future<Output = Result<Bytes, ProposeError>> + Send;
}

/// Hashes and checks passwords, with limits for those who guess.
pub trait PasswordHasher: Send + Sync + 'static {
    /// The salted hash of a new account's password, in PHC string format.
    ///
    /// # Errors
    ///
    /// See [`PasswordError`].
    fn hash_for_account(
        &self,
        requester: &Requester,
        digest: Digest,
    ) -> impl Future<Output = Result<String, PasswordError>> + Send;

    /// The salted hash of an account's new password.
    ///
    /// # Errors
    ///
    /// See [`PasswordError`].
    fn hash_for_change(
        &self,
        requester: &Requester,
        digest: Digest,
    ) -> impl Future<Output = Result<String, PasswordError>> + Send;

    /// Whether `stored` is the hash of `digest`. For `None` the result is always [`Verified::Wrong`],
    /// after the same work.
    ///
    /// # Errors
    ///
    /// See [`PasswordError`].
    fn verify_for_login(
        &self,
        requester: &Requester,
        digest: Digest,
        stored: Option<String>,
    ) -> impl Future<Output = Result<Verified, PasswordError>> + Send;

    /// The same for a session whose owner changes the password.
    ///
    /// # Errors
    ///
    /// See [`PasswordError`].
    fn verify_for_change(
        &self,
        requester: &Requester,
        digest: Digest,
        stored: Option<String>,
    ) -> impl Future<Output = Result<bool, PasswordError>> + Send;
}

/// Which client needs a password hashed or checked, and until when.
#[derive(Clone, Debug)]
pub struct Requester {
    /// Where the request came from.
    pub origin: Origin,
    /// Whose password it is; there may be no such account.
    pub username: String,
    /// When the client no longer waits for the result.
    pub deadline: Instant,
}

/// The result of checking a password at a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verified {
    /// It is not the password, or there is no account.
    Wrong,
    /// It is the password.
    Right {
        /// Its hash with the configured parameters, if it is stored with others.
        rehashed: Option<String>,
    },
}

/// Why a password was neither hashed nor checked.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// Too many are queued already, or it has been queued too long.
    #[error("too many passwords wait to be hashed")]
    Overloaded,
    /// It was guessed too often.
    #[error("too many wrong passwords, wait for {after:?}")]
    TooManyAttempts {
        /// For how long attempts are rejected.
        after: Duration,
    },
    /// The hash function failed, or a stored hash is not a hash.
    #[error("a password cannot be hashed: {0}")]
    Hash(String),
}
