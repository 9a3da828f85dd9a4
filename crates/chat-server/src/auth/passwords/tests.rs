//! Logins under load, wrong passwords, and hashes with other parameters.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use chat_app::host::{PasswordError, PasswordHasher as _, Requester, Verified};
use chat_app::origin::Origin;
use chat_app::request::Digest;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Passwords;
use crate::config;

/// Far above what any test here takes.
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
        deadline: Instant::now() + TEST_TIMEOUT,
    }
}

#[tokio::test]
async fn only_the_right_password_is_accepted() {
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

// 120 logins with unknown names over one connection, and one with a known name over another.
#[tokio::test]
async fn flood_of_logins_does_not_keep_others_out() {
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
                let bogus = requester("192.0.2.1:1", &format!("unknown {number}"));
                let verified = passwords.verify_for_login(&bogus, digest("b"), None).await;
                answered.fetch_add(1, Ordering::Relaxed);
                verified
            });
        }
        // They run until they are queued.
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
        // The test does not wait for the rest: it is slowed down, since all of it is wrong.
        flood.abort_all();
        while flood.join_next().await.is_some() {}
    }
}

#[tokio::test]
async fn queue_of_passwords_is_bounded() {
    let limits = config::Limits {
        passwords_waiting_max: 4,
        ..config::Limits::default()
    };
    let passwords = Passwords::new(config::Passwords::MINIMUM, limits).unwrap();
    let mut flood = JoinSet::new();
    for number in 0..60 {
        let passwords = passwords.clone();
        flood.spawn(async move {
            let bogus = requester("192.0.2.1:1", &format!("unknown {number}"));
            passwords.verify_for_login(&bogus, digest("b"), None).await
        });
    }
    let outcomes = flood.join_all().await;
    let rejected = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Err(PasswordError::Overloaded)));
    assert!(rejected.count() > 0, "{outcomes:?}");
    assert!(outcomes.iter().any(Result::is_ok), "{outcomes:?}");
}

#[tokio::test]
async fn guesses_are_rejected_after_a_few() {
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
    let rejected = loop {
        match verify(&thief, "b").await {
            Ok(verified) => assert_eq!(verified, Verified::Wrong),
            Err(rejected) => break rejected,
        }
        guesses += 1;
        assert!(guesses < 20, "a guess is rejected at last");
    };
    assert!(
        matches!(rejected, PasswordError::TooManyAttempts { after } if !after.is_zero()),
        "{rejected:?}"
    );
    let from_elsewhere = verify(&alice, "a").await.unwrap();
    assert_eq!(from_elsewhere, RIGHT);
}

#[tokio::test]
async fn password_stored_with_other_parameters_is_rehashed_at_login() {
    let old = passwords();
    let costlier = config::Passwords {
        iterations: 3,
        ..config::Passwords::MINIMUM
    };
    let new = Passwords::new(costlier, config::Limits::default()).unwrap();
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
async fn unknown_name_is_checked_with_the_most_common_parameters() {
    let passwords = passwords();
    let decoy_hash = || passwords.verifier.decoy_hash();
    passwords.set_params_of_unknown_names("$argon2id$v=19$m=19456,t=3,p=1");
    let with_params = decoy_hash();
    assert!(
        with_params.starts_with("$argon2id$v=19$m=19456,t=3,p=1$"),
        "{with_params}"
    );
    for wrong in ["", "garbage", "$argon2id$v=19$m=1,t=3,p=1"] {
        passwords.set_params_of_unknown_names(wrong);
        assert_eq!(decoy_hash(), with_params, "{wrong}");
    }
    let requester = requester("192.0.2.1:1", "unknown");
    let verified = passwords
        .verify_for_login(&requester, digest("a"), None)
        .await;
    assert_eq!(verified.unwrap(), Verified::Wrong);
}
