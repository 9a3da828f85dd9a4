//! What `chat-app` gets of a simulated node: virtual time, seeded randomness, passwords in place of
//! their hashes, and a replica that answers through the task that asks it.

use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use chat_app::host::{
    Host, PasswordError, PasswordHasher, Proposer, RandomnessError, ReadBarrier, Requester,
    Verified,
};
use chat_app::log_clock::Reading;
use chat_app::request::Digest;
use chat_consensus::Time;
use chat_replication::{ProposeError, ReadError};
use fastrand::Rng;

use crate::simulation::service_api::Resumed;

/// One password in so many is not hashed, as if too many were waiting.
const OVERLOADED_ONE_IN: u32 = 40;

/// The clock and the randomness of a node.
#[derive(Debug)]
pub(super) struct SimulatedHost {
    /// What [`Instant`] 0 microseconds are.
    base: Instant,
    micros: AtomicU64,
    random: Mutex<Rng>,
}

impl SimulatedHost {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            base: Instant::now(),
            micros: AtomicU64::new(0),
            random: Mutex::new(Rng::with_seed(seed)),
        }
    }

    /// It is `now` on this node.
    pub(super) fn set(&self, now: Time) {
        self.micros.store(now.0, Ordering::Relaxed);
    }

    /// The moment `time` as the logic sees it.
    pub(super) fn instant(&self, time: Time) -> Instant {
        self.base + Duration::from_micros(time.0)
    }

    /// The moment `instant` as the world sees it.
    pub(super) fn time(&self, instant: Instant) -> Time {
        let micros = instant.saturating_duration_since(self.base).as_micros();
        Time(u64::try_from(micros).expect("runs are short"))
    }

    /// Both clocks of the machine show the virtual time.
    pub(super) fn reading(&self) -> Reading {
        let seconds = self.micros.load(Ordering::Relaxed) as f64 / 1e6;
        Reading {
            wall: seconds,
            running: seconds,
        }
    }

    /// A random number below `limit`.
    fn below(&self, limit: u32) -> u32 {
        self.random
            .lock()
            .expect("nothing panics with it")
            .u32(0..limit)
    }
}

impl Host for SimulatedHost {
    fn now(&self) -> Instant {
        self.instant(Time(self.micros.load(Ordering::Relaxed)))
    }

    fn unix_seconds(&self) -> i64 {
        (self.micros.load(Ordering::Relaxed) / 1_000_000).cast_signed()
    }

    /// Everything that waits has a deadline of its own here.
    async fn until<T: Send>(
        &self,
        _deadline: Instant,
        future: impl Future<Output = T> + Send,
    ) -> Option<T> {
        Some(future.await)
    }

    fn fill_random(&self, bytes: &mut [u8]) -> Result<(), RandomnessError> {
        self.random
            .lock()
            .expect("nothing panics with it")
            .fill(bytes);
        Ok(())
    }
}

/// A password in place of its hash.
#[derive(Debug)]
pub(super) struct PlainPasswords(pub(super) Arc<SimulatedHost>);

impl PlainPasswords {
    fn wait(&self) -> Result<(), PasswordError> {
        if self.0.below(OVERLOADED_ONE_IN) == 0 {
            return Err(PasswordError::Overloaded);
        }
        Ok(())
    }
}

impl PasswordHasher for PlainPasswords {
    async fn hash_for_account(
        &self,
        _requester: &Requester,
        digest: Digest,
    ) -> Result<String, PasswordError> {
        self.wait().map(|()| digest.0)
    }

    async fn hash_for_change(
        &self,
        _requester: &Requester,
        digest: Digest,
    ) -> Result<String, PasswordError> {
        self.wait().map(|()| digest.0)
    }

    async fn verify_for_login(
        &self,
        _requester: &Requester,
        digest: Digest,
        stored: Option<String>,
    ) -> Result<Verified, PasswordError> {
        self.wait()?;
        Ok(if stored == Some(digest.0) {
            Verified::Right { rehashed: None }
        } else {
            Verified::Wrong
        })
    }

    async fn verify_for_change(
        &self,
        _requester: &Requester,
        digest: Digest,
        stored: Option<String>,
    ) -> Result<bool, PasswordError> {
        self.wait()?;
        Ok(stored == Some(digest.0))
    }
}

/// What a task asks of the replica.
#[derive(Debug)]
pub(super) enum Ask {
    Confirm { deadline: Instant },
    Propose { request: Bytes, deadline: Instant },
}

/// Between a task and the world.
#[derive(Debug, Default)]
pub(super) enum Slot {
    #[default]
    Empty,
    Asked(Ask),
    Answered(Resumed),
}

pub(super) type Mailbox = Arc<Mutex<Slot>>;

/// The replica of a node, as its tasks see it.
#[derive(Clone, Debug, Default)]
pub(super) struct SimulatedReplica {
    /// Of the task that runs.
    current: Arc<Mutex<Option<Mailbox>>>,
}

impl SimulatedReplica {
    /// The task with this mailbox runs now.
    pub(super) fn set_current(&self, mailbox: &Mailbox) {
        *self.current.lock().expect("nothing panics with it") = Some(Arc::clone(mailbox));
    }

    /// Asks the world, and waits until it answers.
    async fn ask(&self, ask: Ask) -> Resumed {
        let mailbox = self.current.lock().expect("nothing panics with it").clone();
        let mailbox = mailbox.expect("a task runs");
        *mailbox.lock().expect("nothing panics with it") = Slot::Asked(ask);
        poll_fn(|_| {
            let mut slot = mailbox.lock().expect("nothing panics with it");
            match std::mem::take(&mut *slot) {
                Slot::Answered(with) => Poll::Ready(with),
                other => {
                    *slot = other;
                    Poll::Pending
                }
            }
        })
        .await
    }
}

impl ReadBarrier for SimulatedReplica {
    async fn ensure_linearizable(&self, deadline: Instant) -> Result<(), ReadError> {
        match self.ask(Ask::Confirm { deadline }).await {
            Resumed::Confirmed(result) => result,
            Resumed::Proposed(_) => unreachable!("it asked for a confirmation"),
        }
    }
}

impl Proposer for SimulatedReplica {
    async fn propose(&self, request: Bytes, deadline: Instant) -> Result<Bytes, ProposeError> {
        match self.ask(Ask::Propose { request, deadline }).await {
            Resumed::Proposed(result) => result,
            Resumed::Confirmed(_) => unreachable!("it asked for a proposal"),
        }
    }
}
