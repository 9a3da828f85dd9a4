//! Argon2id over the client's digest: on separate threads, in fair order, with a limit on guessing.
//!
//! Each hash takes tens of milliseconds and tens of MiB. Logins, sign-ups and changes of a password
//! have a bounded queue each (`fair_queue`), in which connections, sources and accounts take turns:
//! the requests of one client do not keep another one out. Wrong passwords slow down the source that
//! sends them (`attempts`). `docs/api.md` has the rules as users see them.

mod attempts;
mod fair_queue;
mod hashers;
mod verifier;

use std::io;
use std::sync::Arc;

use chat_app::host::{PasswordError, PasswordHasher, Requester, Verified};
use chat_app::origin::Origin;
use chat_app::request::Digest;
use tokio::sync::oneshot;

use crate::config;
use fair_queue::Lanes;
use hashers::{Hashers, Job, Kind};
use verifier::{Verifier, split_argon2_params};

/// Why passwords cannot be hashed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HashersError {
    /// The parameters are not Argon2's, which a checked configuration does not have.
    #[error("a password cannot be hashed")]
    Parameters(#[from] argon2::password_hash::Error),
    /// The threads cannot be started.
    #[error("the threads that hash passwords cannot be started")]
    Threads(#[source] io::Error),
}

/// Hashes and checks passwords.
#[derive(Clone)]
pub(crate) struct Passwords {
    verifier: Arc<Verifier>,
    hashers: Arc<Hashers>,
}

impl std::fmt::Debug for Passwords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Passwords").finish_non_exhaustive()
    }
}

impl Passwords {
    /// Prepares hashing with these parameters and within these limits.
    ///
    /// # Errors
    ///
    /// See [`HashersError`].
    pub(crate) fn new(
        argon2_params: config::Passwords,
        limits: config::Limits,
    ) -> Result<Self, HashersError> {
        let verifier = Arc::new(Verifier::new(
            argon2_params,
            limits.source_failures_per_minute,
        )?);
        let pacing = Arc::clone(&verifier);
        // Local sockets, and nodes that send no origin: not one source, so not slowed down as one.
        let unknown = verifier.key(&Origin::UNKNOWN.source);
        let paced =
            move |source, now| (source != unknown).then(|| pacing.attempts().paced(source, now))?;
        let hashers = Hashers::start(limits.passwords_waiting_max, paced);
        let hashers = hashers.map_err(HashersError::Threads)?;
        Ok(Self {
            verifier,
            hashers: Arc::new(hashers),
        })
    }

    /// From now on a login with an unknown name takes as long as one for a password that is stored
    /// with `argon2_params`, which is the part of such a PHC string before its salt. A text that is
    /// not such parameters changes nothing.
    pub(crate) fn set_params_of_unknown_names(&self, argon2_params: &str) {
        self.verifier.set_params_of_unknown_names(argon2_params);
    }

    async fn hash(
        &self,
        kind: Kind,
        requester: &Requester,
        digest: Digest,
    ) -> Result<String, PasswordError> {
        self.run_queued(kind, requester, move |verifier| verifier.hash(&digest))
            .await
    }

    async fn run_queued<T: Send + 'static>(
        &self,
        kind: Kind,
        requester: &Requester,
        work: impl FnOnce(&Verifier) -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let (sender, result) = oneshot::channel();
        let verifier = Arc::clone(&self.verifier);
        let lanes = Lanes {
            source: self.verifier.key(&requester.origin.source),
            connection: requester.origin.connection,
            account: self.verifier.key(&requester.username),
        };
        let job = Job {
            deadline: requester.deadline,
            work: Box::new(move || {
                if !sender.is_closed() {
                    // The request may be dropped meanwhile.
                    drop(sender.send(work(&verifier)));
                }
            }),
        };
        self.hashers.push(kind, lanes, job);
        // A job that is dropped was one too many, or too late.
        result.await.unwrap_or(Err(PasswordError::Overloaded))
    }
}

impl PasswordHasher for Passwords {
    async fn hash_for_account(
        &self,
        requester: &Requester,
        digest: Digest,
    ) -> Result<String, PasswordError> {
        self.hash(Kind::CreateUser, requester, digest).await
    }

    async fn hash_for_change(
        &self,
        requester: &Requester,
        digest: Digest,
    ) -> Result<String, PasswordError> {
        self.hash(Kind::ChangePassword, requester, digest).await
    }

    async fn verify_for_login(
        &self,
        requester: &Requester,
        digest: Digest,
        stored: Option<String>,
    ) -> Result<Verified, PasswordError> {
        let attempt = requester.clone();
        self.run_queued(Kind::Login, requester, move |verifier| {
            if !verifier.attempt(&attempt, &digest, stored.as_deref())? {
                return Ok(Verified::Wrong);
            }
            // Only a client that knows the password causes this work, and sees how long it takes.
            let rehashed = match stored.as_deref().and_then(split_argon2_params) {
                Some((params, _)) if params == verifier.argon2_params() => None,
                _ => Some(verifier.hash(&digest)?),
            };
            Ok(Verified::Right { rehashed })
        })
        .await
    }

    async fn verify_for_change(
        &self,
        requester: &Requester,
        digest: Digest,
        stored: Option<String>,
    ) -> Result<bool, PasswordError> {
        let attempt = requester.clone();
        self.run_queued(Kind::ChangePassword, requester, move |verifier| {
            verifier.attempt(&attempt, &digest, stored.as_deref())
        })
        .await
    }
}

#[cfg(test)]
mod tests;
