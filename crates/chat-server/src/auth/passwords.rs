//! Argon2id over the client's digest: on threads of its own, in turns, and with a limit on guessing.
//!
//! Each hash takes tens of milliseconds and tens of MiB. Logins, sign-ups and changes of a password
//! wait apart from each other, each in a bounded queue in which connections, sources and accounts take
//! turns, so that nobody is kept out by what somebody else asks for (`fair_queue`). Wrong passwords
//! slow down whoever gives them (`attempts`). The rules for people are in `docs/api.md`.

mod attempts;
mod fair_queue;
mod hashers;

use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::oneshot;

use crate::api::request::Digest;
use crate::config;
use crate::limits::log_throttle::LogThrottle;
use crate::net::origin::Origin;
use attempts::Attempts;
use fair_queue::Place;
use hashers::{Hashers, Job, Kind};

/// Hashes and checks passwords.
#[derive(Clone)]
pub struct Passwords {
    shared: Arc<Shared>,
    hashers: Arc<Hashers>,
}

impl std::fmt::Debug for Passwords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Passwords").finish_non_exhaustive()
    }
}

/// Who wants a password hashed or checked, and for how long.
#[derive(Clone, Debug)]
pub struct Requester {
    /// Where the request came from.
    pub origin: Origin,
    /// Whose password it is; there may be no such account.
    pub username: String,
    /// When nobody waits for it any more.
    pub until: Instant,
}

struct Shared {
    argon2: Argon2<'static>,
    /// The parameters of [`Self::argon2`] as a PHC string begins with them.
    argon2_params: String,
    /// The hash of nobody's password, checked when there is no account: an unknown name takes as
    /// long as a wrong password that is stored with the most common parameters.
    nobody: Mutex<String>,
    attempts: Mutex<Attempts>,
    failures: LogThrottle,
    /// Makes numbers of names and sources, which nobody outside can foresee.
    keys: RandomState,
}

/// What came of a guess at a login.
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
    /// Too many wait already, or it has waited too long.
    #[error("too many passwords wait to be hashed")]
    Overloaded,
    /// It was guessed too often.
    #[error("too many wrong passwords, wait for {after:?}")]
    TooManyAttempts {
        /// How long nothing is tried.
        after: Duration,
    },
    /// Argon2 refused, or a stored hash is none.
    #[error("a password cannot be hashed")]
    Hash(#[from] argon2::password_hash::Error),
    /// The threads cannot be started.
    #[error("the threads that hash passwords cannot be started")]
    Threads(#[source] io::Error),
}

impl Passwords {
    /// Prepares hashing with these parameters and within these limits.
    ///
    /// # Errors
    ///
    /// The parameters are not Argon2's, which a checked configuration does not have; or no thread can
    /// be started.
    pub fn new(
        argon2_params: config::Passwords,
        limits: config::Limits,
    ) -> Result<Self, PasswordError> {
        let params = Params::new(
            argon2_params.memory_kib,
            argon2_params.iterations,
            argon2_params.parallelism,
            None,
        )
        .map_err(argon2::password_hash::Error::from)?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let nobody = argon2.hash_password(b"nobody's")?.to_string();
        let (argon2_params, _) = split_argon2_params(&nobody).expect("the hash was made here");
        let shared = Arc::new(Shared {
            argon2,
            argon2_params: argon2_params.to_owned(),
            nobody: Mutex::new(nobody),
            attempts: Mutex::new(Attempts::new(limits.source_failures_per_minute)),
            failures: LogThrottle::default(),
            keys: RandomState::new(),
        });
        let pacing = Arc::clone(&shared);
        // Local sockets, and nodes that do not say: not one source, so not slowed down as one.
        let unknown = shared.key(&Origin::UNKNOWN.source);
        let paced =
            move |source, now| (source != unknown).then(|| pacing.attempts().paced(source, now))?;
        let hashers = Hashers::start(limits.passwords_waiting_max, paced);
        let hashers = hashers.map_err(PasswordError::Threads)?;
        Ok(Self {
            shared,
            hashers: Arc::new(hashers),
        })
    }

    /// The salted hash of a new account's password, in PHC string format.
    ///
    /// # Errors
    ///
    /// See [`PasswordError`].
    pub async fn hash_for_account(
        &self,
        requester: &Requester,
        digest: Digest,
    ) -> Result<String, PasswordError> {
        self.hash(Kind::CreateUser, requester, digest).await
    }

    /// The salted hash of an account's new password.
    ///
    /// # Errors
    ///
    /// See [`PasswordError`].
    pub async fn hash_for_change(
        &self,
        requester: &Requester,
        digest: Digest,
    ) -> Result<String, PasswordError> {
        self.hash(Kind::ChangePassword, requester, digest).await
    }

    /// Whether `digest` is what `stored` is the hash of; never for `None`, with the same work.
    ///
    /// # Errors
    ///
    /// See [`PasswordError`].
    pub async fn verify_for_login(
        &self,
        requester: &Requester,
        digest: Digest,
        stored: Option<String>,
    ) -> Result<Verified, PasswordError> {
        let guess = requester.clone();
        self.in_turn(Kind::Login, requester, move |shared| {
            if !shared.guess(&guess, &digest, stored.as_deref())? {
                return Ok(Verified::Wrong);
            }
            // Only whoever has the password makes this work, and sees how long it takes.
            let rehashed = match stored.as_deref().and_then(split_argon2_params) {
                Some((argon2_params, _)) if argon2_params == shared.argon2_params => None,
                _ => Some(shared.hash(&digest)?),
            };
            Ok(Verified::Right { rehashed })
        })
        .await
    }

    /// The same for whoever has a session and wants another password.
    ///
    /// # Errors
    ///
    /// See [`PasswordError`].
    pub async fn verify_for_change(
        &self,
        requester: &Requester,
        digest: Digest,
        stored: Option<String>,
    ) -> Result<bool, PasswordError> {
        let guess = requester.clone();
        self.in_turn(Kind::ChangePassword, requester, move |shared| {
            shared.guess(&guess, &digest, stored.as_deref())
        })
        .await
    }

    /// From now on an unknown name takes as long as a password that is stored with `argon2_params`, which is
    /// what stands before the salt of such a PHC string. A text that is not such parameters changes nothing.
    pub fn set_params_of_unknown_names(&self, argon2_params: &str) {
        let mut nobody = lock(&self.shared.nobody);
        let Some((_, salt_and_hash)) = split_argon2_params(&nobody) else {
            return;
        };
        let with_params = format!("{argon2_params}{salt_and_hash}");
        let good = PasswordHash::new(&with_params).is_ok_and(|phc| Params::try_from(&phc).is_ok());
        if good {
            *nobody = with_params;
        }
    }

    async fn hash(
        &self,
        kind: Kind,
        requester: &Requester,
        digest: Digest,
    ) -> Result<String, PasswordError> {
        self.in_turn(kind, requester, move |shared| shared.hash(&digest))
            .await
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        kind: Kind,
        requester: &Requester,
        work: impl FnOnce(&Shared) -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let (answer, answered) = oneshot::channel();
        let shared = Arc::clone(&self.shared);
        let place = Place {
            source: self.shared.key(&requester.origin.source),
            connection: requester.origin.connection,
            account: self.shared.key(&requester.username),
        };
        let job = Job {
            until: requester.until,
            work: Box::new(move || {
                if !answer.is_closed() {
                    // Whoever waits may go away meanwhile.
                    drop(answer.send(work(&shared)));
                }
            }),
        };
        self.hashers.push(kind, place, job);
        // A job that is dropped was too much, or too late.
        answered.await.unwrap_or(Err(PasswordError::Overloaded))
    }
}

impl Shared {
    /// One guess at a password, which counts.
    fn guess(
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
        let fits = self.verify(digest, stored)?;
        if fits {
            self.attempts().succeeded(account, source);
        } else {
            self.attempts().failed(account, source, Instant::now());
            self.log_failure(requester, stored.is_some());
        }
        Ok(fits)
    }

    fn hash(&self, digest: &Digest) -> Result<String, PasswordError> {
        let hash = self.argon2.hash_password(digest.0.as_bytes())?;
        Ok(hash.to_string())
    }

    /// A hash is checked with the parameters with which it was made.
    fn verify(&self, digest: &Digest, stored: Option<&str>) -> Result<bool, PasswordError> {
        let nobody = lock(&self.nobody).clone();
        let phc = PasswordHash::new(stored.unwrap_or(&nobody))
            .map_err(argon2::password_hash::Error::from)?;
        match self.argon2.verify_password(digest.0.as_bytes(), &phc) {
            Ok(()) => Ok(stored.is_some()),
            Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Without a name that is nobody's: people type their password there.
    fn log_failure(&self, requester: &Requester, exists: bool) {
        if let Some(times) = self.failures.record(Instant::now()) {
            let username = exists.then_some(requester.username.as_str());
            let source = &requester.origin.source;
            tracing::warn!(%source, username, times, "a wrong password was given");
        }
    }

    fn key(&self, what: &(impl std::hash::Hash + ?Sized)) -> u64 {
        self.keys.hash_one(what)
    }

    fn attempts(&self) -> MutexGuard<'_, Attempts> {
        lock(&self.attempts)
    }
}

/// Nothing panics while one of these is held, and every state of them is a good one.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What stands before the salt of a PHC string, and the rest: `$argon2id$v=19$m=19456,t=2,p=1`.
fn split_argon2_params(phc: &str) -> Option<(&str, &str)> {
    let (salt, _) = phc.match_indices('$').nth(3)?;
    Some(phc.split_at(salt))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::{Duration, Instant};

    use tokio::task::JoinSet;
    use tokio::time::timeout;

    use super::{PasswordError, Passwords, Requester, Verified};
    use crate::api::request::Digest;
    use crate::config;
    use crate::net::origin::Origin;

    /// Far above what anything here takes.
    const TEST_TIMEOUT: Duration = Duration::from_secs(60);

    /// Right, and stored with the configured parameters.
    const RIGHT: Verified = Verified::Right { rehashed: None };

    fn passwords() -> Passwords {
        Passwords::new(config::Passwords::MINIMUM, config::Limits::default()).unwrap()
    }

    fn digest(text: &str) -> Digest {
        Digest(text.repeat(64))
    }

    fn requester(peer: &str, username: &str) -> Requester {
        Requester {
            origin: Origin::of(Some(peer.parse().unwrap())),
            username: username.to_owned(),
            until: Instant::now() + TEST_TIMEOUT,
        }
    }

    #[tokio::test]
    async fn only_the_right_password_fits() {
        let passwords = passwords();
        let alice = requester("192.0.2.1:1", "alice");
        let hash = || passwords.hash_for_account(&alice, digest("a"));
        let stored = hash().await.unwrap();
        assert!(
            stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{stored}"
        );
        assert_ne!(stored, hash().await.unwrap(), "salted");
        let verify = |text, stored: Option<&str>| {
            passwords.verify_for_login(&alice, digest(text), stored.map(str::to_owned))
        };
        assert_eq!(verify("a", Some(&stored)).await.unwrap(), RIGHT);
        assert_eq!(verify("b", Some(&stored)).await.unwrap(), Verified::Wrong);
        assert_eq!(verify("a", None).await.unwrap(), Verified::Wrong);
        assert!(verify("a", Some("garbage")).await.is_err());
    }

    // 120 logins of nobody over one connection, and one of somebody over another.
    #[tokio::test]
    async fn a_flood_of_logins_keeps_nobody_out() {
        let passwords = passwords();
        let stored = passwords
            .hash_for_account(&requester("192.0.2.1:1", "alice"), digest("a"))
            .await
            .unwrap();
        for honest in ["192.0.2.1:2", "192.0.2.9:1"] {
            let answered = Arc::new(AtomicUsize::new(0));
            let mut flood = JoinSet::new();
            for number in 0..120 {
                let (passwords, answered) = (passwords.clone(), Arc::clone(&answered));
                flood.spawn(async move {
                    let bogus = requester("192.0.2.1:1", &format!("nobody {number}"));
                    let verified = passwords.verify_for_login(&bogus, digest("b"), None).await;
                    answered.fetch_add(1, Ordering::Relaxed);
                    verified
                });
            }
            // They run until they wait.
            tokio::task::yield_now().await;
            let before = answered.load(Ordering::Relaxed);
            let alice = requester(honest, "alice");
            let login = passwords.verify_for_login(&alice, digest("a"), Some(stored.clone()));
            assert_eq!(timeout(TEST_TIMEOUT, login).await.unwrap().unwrap(), RIGHT);
            let meanwhile = answered.load(Ordering::Relaxed) - before;
            let hashers = std::thread::available_parallelism().unwrap().get();
            assert!(
                meanwhile <= 3 * hashers,
                "{honest} has waited for {meanwhile}"
            );
            // The rest is not waited for: it is slowed down, since all of it is wrong.
            flood.abort_all();
            while flood.join_next().await.is_some() {}
        }
    }

    #[tokio::test]
    async fn what_waits_is_bounded() {
        let limits = config::Limits {
            passwords_waiting_max: 4,
            ..config::Limits::default()
        };
        let passwords = Passwords::new(config::Passwords::MINIMUM, limits).unwrap();
        let mut flood = JoinSet::new();
        for number in 0..60 {
            let passwords = passwords.clone();
            flood.spawn(async move {
                let bogus = requester("192.0.2.1:1", &format!("nobody {number}"));
                passwords.verify_for_login(&bogus, digest("b"), None).await
            });
        }
        let outcomes = flood.join_all().await;
        let refused = outcomes
            .iter()
            .filter(|outcome| matches!(outcome, Err(PasswordError::Overloaded)));
        assert!(refused.count() > 0, "{outcomes:?}");
        assert!(outcomes.iter().any(Result::is_ok), "{outcomes:?}");
    }

    #[tokio::test]
    async fn a_password_is_not_guessed_for_ever() {
        let passwords = passwords();
        let (thief, alice) = (
            requester("192.0.2.1:1", "alice"),
            requester("192.0.2.9:1", "alice"),
        );
        let stored = passwords
            .hash_for_account(&alice, digest("a"))
            .await
            .unwrap();
        let verify = |requester: &Requester, text: &str| {
            let (passwords, requester) = (passwords.clone(), requester.clone());
            let (digest, stored) = (digest(text), stored.clone());
            async move {
                passwords
                    .verify_for_login(&requester, digest, Some(stored))
                    .await
            }
        };
        let mut guesses = 0;
        let refused = loop {
            match verify(&thief, "b").await {
                Ok(verified) => assert_eq!(verified, Verified::Wrong),
                Err(refused) => break refused,
            }
            guesses += 1;
            assert!(guesses < 20, "a guess is refused at last");
        };
        assert!(
            matches!(refused, PasswordError::TooManyAttempts { after } if !after.is_zero()),
            "{refused:?}"
        );
        let from_elsewhere = verify(&alice, "a").await.unwrap();
        assert_eq!(from_elsewhere, RIGHT);
    }

    #[tokio::test]
    async fn a_password_at_an_old_price_is_hashed_again() {
        let old = passwords();
        let dearer = config::Passwords {
            iterations: 3,
            ..config::Passwords::MINIMUM
        };
        let new = Passwords::new(dearer, config::Limits::default()).unwrap();
        let alice = requester("192.0.2.1:1", "alice");
        let stored = old.hash_for_account(&alice, digest("a")).await.unwrap();
        let login = |text| new.verify_for_login(&alice, digest(text), Some(stored.clone()));
        assert_eq!(login("b").await.unwrap(), Verified::Wrong);
        let Verified::Right {
            rehashed: Some(rehashed),
        } = login("a").await.unwrap()
        else {
            panic!("the parameters have changed");
        };
        assert!(rehashed.contains("$m=19456,t=3,p=1$"), "{rehashed}");
        let again = new.verify_for_login(&alice, digest("a"), Some(rehashed));
        assert_eq!(again.await.unwrap(), RIGHT);
    }

    #[tokio::test]
    async fn an_unknown_name_costs_what_most_names_cost() {
        let passwords = passwords();
        let nobody = || super::lock(&passwords.shared.nobody).clone();
        passwords.set_params_of_unknown_names("$argon2id$v=19$m=19456,t=3,p=1");
        let with_params = nobody();
        assert!(
            with_params.starts_with("$argon2id$v=19$m=19456,t=3,p=1$"),
            "{with_params}"
        );
        for wrong in ["", "garbage", "$argon2id$v=19$m=1,t=3,p=1"] {
            passwords.set_params_of_unknown_names(wrong);
            assert_eq!(nobody(), with_params, "{wrong}");
        }
        let requester = requester("192.0.2.1:1", "nobody");
        let verified = passwords
            .verify_for_login(&requester, digest("a"), None)
            .await;
        assert_eq!(verified.unwrap(), Verified::Wrong);
    }
}
