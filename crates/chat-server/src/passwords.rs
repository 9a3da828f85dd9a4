//! Argon2id over the client's digest: off the runtime's threads, and never more at once than there
//! are cores.
//!
//! Each hash takes tens of milliseconds and tens of MiB, so what waits is bounded too: a flood of
//! logins is refused and messages still flow.

use std::num::NonZero;
use std::sync::Arc;
use std::thread;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::{Semaphore, TryAcquireError};

use crate::config;
use crate::request::Digest;

/// How many passwords wait for a core, for each core. At OWASP's minimum that is about half a
/// second, well within a client's patience.
const WAITING_PER_CORE_MAX: usize = 32;

/// Hashes and checks passwords.
#[derive(Clone, Debug)]
pub struct Passwords {
    shared: Arc<Shared>,
}

struct Shared {
    argon2: Argon2<'static>,
    cores: Arc<Semaphore>,
    /// Everyone who hashes or waits has a place.
    places: Arc<Semaphore>,
    /// The hash of nobody's password, checked when there is no account: an unknown name takes as
    /// long as a wrong password.
    nobody: String,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("places", &self.places)
            .finish_non_exhaustive()
    }
}

/// Why a password was neither hashed nor checked.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// Too many wait already.
    #[error("too many passwords wait to be hashed")]
    Overloaded,
    /// Argon2 refused, or a stored hash is none.
    #[error("a password cannot be hashed")]
    Hash(#[from] argon2::password_hash::Error),
}

impl Passwords {
    /// Prepares hashing at this price.
    ///
    /// # Errors
    ///
    /// The parameters are not Argon2's, which a checked configuration does not have.
    pub fn new(price: config::Passwords) -> Result<Self, PasswordError> {
        let params = Params::new(price.memory_kib, price.iterations, price.parallelism, None)
            .map_err(argon2::password_hash::Error::from)?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let nobody = argon2.hash_password(b"nobody's")?.to_string();
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        Ok(Self {
            shared: Arc::new(Shared {
                argon2,
                cores: Arc::new(Semaphore::new(cores)),
                places: Arc::new(Semaphore::new(cores * (1 + WAITING_PER_CORE_MAX))),
                nobody,
            }),
        })
    }

    /// The salted hash that is stored, in PHC string format.
    ///
    /// # Errors
    ///
    /// See [`PasswordError`].
    pub async fn hash(&self, digest: Digest) -> Result<String, PasswordError> {
        self.on_a_core(move |shared| {
            Ok(shared
                .argon2
                .hash_password(digest.0.as_bytes())?
                .to_string())
        })
        .await
    }

    /// Whether `digest` is what `stored` is the hash of; never for `None`, with the same work.
    ///
    /// # Errors
    ///
    /// See [`PasswordError`].
    pub async fn verify(
        &self,
        digest: Digest,
        stored: Option<String>,
    ) -> Result<bool, PasswordError> {
        self.on_a_core(move |shared| {
            let phc = PasswordHash::new(stored.as_deref().unwrap_or(&shared.nobody))
                .map_err(argon2::password_hash::Error::from)?;
            let fits = shared.argon2.verify_password(digest.0.as_bytes(), &phc);
            match fits {
                Ok(()) => Ok(stored.is_some()),
                Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
                Err(error) => Err(error.into()),
            }
        })
        .await
    }

    async fn on_a_core<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let place = Arc::clone(&self.shared.places).try_acquire_owned();
        let place = place.map_err(|full: TryAcquireError| match full {
            TryAcquireError::NoPermits => PasswordError::Overloaded,
            TryAcquireError::Closed => unreachable!("the semaphore is never closed"),
        })?;
        let core = Arc::clone(&self.shared.cores).acquire_owned().await;
        let core = core.expect("the semaphore is never closed");
        let shared = Arc::clone(&self.shared);
        // Whoever waits may go away; the thread keeps its core and place until it is done.
        let working = tokio::task::spawn_blocking(move || {
            let result = work(&shared);
            drop((core, place));
            result
        });
        working.await.expect("hashing does not panic")
    }
}

#[cfg(test)]
mod tests {
    use super::{PasswordError, Passwords};
    use crate::config;
    use crate::request::Digest;

    fn digest(text: &str) -> Digest {
        Digest(text.repeat(64))
    }

    #[tokio::test]
    async fn only_the_right_password_fits() {
        let passwords = Passwords::new(config::Passwords::MINIMUM).unwrap();
        let stored = passwords.hash(digest("a")).await.unwrap();
        assert!(
            stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{stored}"
        );
        assert_ne!(stored, passwords.hash(digest("a")).await.unwrap(), "salted");
        assert!(
            passwords
                .verify(digest("a"), Some(stored.clone()))
                .await
                .unwrap()
        );
        assert!(!passwords.verify(digest("b"), Some(stored)).await.unwrap());
        assert!(!passwords.verify(digest("a"), None).await.unwrap());
        assert!(
            passwords
                .verify(digest("a"), Some("garbage".to_owned()))
                .await
                .is_err()
        );
    }

    #[tokio::test]
    async fn what_waits_is_bounded() {
        let passwords = Passwords::new(config::Passwords::MINIMUM).unwrap();
        let places = passwords.shared.places.available_permits();
        let all = u32::try_from(places).unwrap();
        let taken = passwords.shared.places.try_acquire_many(all).unwrap();
        let refused = passwords.hash(digest("a")).await;
        assert!(
            matches!(refused, Err(PasswordError::Overloaded)),
            "{refused:?}"
        );
        drop(taken);
        assert!(passwords.hash(digest("a")).await.is_ok());
        assert_eq!(passwords.shared.places.available_permits(), places);
    }
}
