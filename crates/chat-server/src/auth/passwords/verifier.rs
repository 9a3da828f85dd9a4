//! Hashes or checks one password, and counts failed attempts.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use chat_app::host::{PasswordError, Requester};
use chat_app::limits::log_throttle::LogThrottle;
use chat_app::request::Digest;

use super::attempts::Attempts;
use crate::config;

/// Hashes and checks passwords, on the thread of its caller.
pub(super) struct Verifier {
    argon2: Argon2<'static>,
    /// The parameters of [`Self::argon2`] as a PHC string begins with them.
    argon2_params: String,
    /// A hash that belongs to no account, checked when there is no account: a login with an unknown
    /// name takes as long as a wrong password that is stored with the most common parameters.
    decoy_hash: Mutex<String>,
    attempts: Mutex<Attempts>,
    failures: LogThrottle,
    /// Hashes names and sources to numbers that clients cannot predict.
    keys: RandomState,
}

impl Verifier {
    pub(super) fn new(
        params: config::Passwords,
        source_failures_per_minute: u32,
    ) -> Result<Self, argon2::password_hash::Error> {
        let params = Params::new(
            params.memory_kib,
            params.iterations,
            params.parallelism,
            None,
        )
        .map_err(argon2::password_hash::Error::from)?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let decoy_hash = argon2.hash_password(b"of no account")?.to_string();
        let (argon2_params, _) = split_argon2_params(&decoy_hash).expect("the hash was made here");
        Ok(Self {
            argon2,
            argon2_params: argon2_params.to_owned(),
            decoy_hash: Mutex::new(decoy_hash),
            attempts: Mutex::new(Attempts::new(source_failures_per_minute)),
            failures: LogThrottle::default(),
            keys: RandomState::new(),
        })
    }

    /// The configured parameters as a PHC string begins with them.
    pub(super) fn argon2_params(&self) -> &str {
        &self.argon2_params
    }

    /// Checks a password, and counts the attempt.
    pub(super) fn attempt(
        &self,
        requester: &Requester,
        digest: &Digest,
        stored: Option<&str>,
    ) -> Result<bool, PasswordError> {
        let account = self.key(&requester.username);
        let source = self.key(&requester.origin.source);
        if let Some(after) = self.attempts().delay(account, source, Instant::now()) {
            return Err(PasswordError::TooManyAttempts { after });
        }
        let matches = self.verify_password(digest, stored)?;
        if matches {
            self.attempts().succeeded(account, source);
        } else {
            self.attempts().failed(account, source, Instant::now());
            self.log_failure(requester, stored.is_some());
        }
        Ok(matches)
    }

    pub(super) fn hash(&self, digest: &Digest) -> Result<String, PasswordError> {
        let hash = self.argon2.hash_password(digest.0.as_bytes());
        let hash = hash.map_err(hash_error)?;
        Ok(hash.to_string())
    }

    /// See [`super::Passwords::set_params_of_unknown_names`].
    pub(super) fn set_params_of_unknown_names(&self, argon2_params: &str) {
        let mut decoy_hash = lock(&self.decoy_hash);
        let Some((_, salt_and_hash)) = split_argon2_params(&decoy_hash) else {
            return;
        };
        let with_params = format!("{argon2_params}{salt_and_hash}");
        let good = PasswordHash::new(&with_params).is_ok_and(|phc| Params::try_from(&phc).is_ok());
        if good {
            *decoy_hash = with_params;
        }
    }

    /// A hash is checked with the parameters with which it was made.
    fn verify_password(
        &self,
        digest: &Digest,
        stored: Option<&str>,
    ) -> Result<bool, PasswordError> {
        let decoy_hash = lock(&self.decoy_hash).clone();
        let phc = PasswordHash::new(stored.unwrap_or(&decoy_hash))
            .map_err(|error| hash_error(error.into()))?;
        match self.argon2.verify_password(digest.0.as_bytes(), &phc) {
            Ok(()) => Ok(stored.is_some()),
            Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
            Err(error) => Err(hash_error(error)),
        }
    }

    /// The line has no name if there is no account of that name: people type their password there.
    fn log_failure(&self, requester: &Requester, exists: bool) {
        if let Some(times) = self.failures.record(Instant::now()) {
            let username = exists.then_some(requester.username.as_str());
            let source = &requester.origin.source;
            tracing::warn!(%source, username, times, "a wrong password was given");
        }
    }

    pub(super) fn key(&self, what: &(impl std::hash::Hash + ?Sized)) -> u64 {
        self.keys.hash_one(what)
    }

    pub(super) fn attempts(&self) -> MutexGuard<'_, Attempts> {
        lock(&self.attempts)
    }

    #[cfg(test)]
    pub(super) fn decoy_hash(&self) -> String {
        lock(&self.decoy_hash).clone()
    }
}

fn hash_error(error: argon2::password_hash::Error) -> PasswordError {
    PasswordError::Hash(error.to_string())
}

/// Nothing panics while one of these is held, and every state of them is a good one.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The part of a PHC string before its salt, and the rest: `$argon2id$v=19$m=19456,t=2,p=1`.
pub(super) fn split_argon2_params(phc: &str) -> Option<(&str, &str)> {
    let (salt, _) = phc.match_indices('$').nth(3)?;
    Some(phc.split_at(salt))
}
