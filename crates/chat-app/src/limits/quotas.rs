//! What the leader rejects before it appends anything: requests of an account beyond its rate, and
//! growth while its disk is nearly full.
//!
//! The decision uses only what the leader knows without other nodes; applying enforces none of it
//! (R16). The rate is counted in the leader's memory and starts anew with another leader. Free space is
//! that of the leader's disk; the followers' is not known here.
//!
//! Requests that change nothing when they are applied (a message to an unknown name, a name that is
//! taken) are appended all the same, and only the rate bounds them. Answering them from the tables
//! would be wrong for a retry: its first attempt may be in the log, not yet applied, and may succeed
//! there after the retry got an error. Only an entry after the first attempt can decide it.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use chat_store::{ProposedCommand, ProposedOperation};

use crate::error::RequestError;
use crate::limits::recent::Recent;
use crate::limits::token_bucket::TokenBucket;

/// For how many accounts the rate is remembered: some MiB. One that is dropped gets a full bucket.
const ACCOUNTS_MAX: usize = 65_536;
/// A message counts once more for each of so many bytes: about what an entry costs besides its text.
const BYTES_PER_COUNT: usize = 1024;
/// A list of ids counts once more for each of so many.
const IDS_PER_COUNT: usize = 10;
/// Below this part of the watermark nothing at all is appended: deleting needs entries too, and a node
/// whose disk is full cannot start again.
const RESERVE: u64 = 4;

/// The limits, and how much of them is used.
#[derive(Debug)]
pub struct Quotas {
    /// How long an account waits for one more request…
    refill: Duration,
    /// …after so many at once.
    burst: u32,
    accounts: Mutex<Recent<u64, TokenBucket>>,
    /// Hashes names to numbers that clients cannot predict.
    keys: RandomState,
    free_bytes_min: u64,
    free_bytes: AtomicU64,
}

/// How large the limits are.
#[derive(Clone, Copy, Debug)]
pub struct QuotaLimits {
    /// What one account may change in a second, on the average.
    pub account_requests_per_second: u32,
    /// What one account may change at once.
    pub account_requests_burst: u32,
    /// While the leader's disk has fewer free bytes, growth is rejected.
    pub free_bytes_min: u64,
}

/// What a request uses of the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage<'a> {
    /// The account, and for how many requests it counts; `None` for one that is limited otherwise (by
    /// the cost of its password, or because it can be done only once).
    counted: Option<(&'a str, u32)>,
    /// Whether the tables are larger after it.
    grows: bool,
}

impl Usage<'_> {
    /// Of a request that needs a secret.
    pub const OF_A_SECRET: Self = Self {
        counted: None,
        grows: true,
    };
}

impl<'a> From<&'a ProposedCommand> for Usage<'a> {
    /// Renewing a session only changes a row, and without it users could not read the messages that
    /// they might delete while the disk is nearly full.
    fn from(command: &'a ProposedCommand) -> Self {
        let (more, grows) = match command.operation() {
            ProposedOperation::SendMessage(message) => {
                // A copy has the text once more.
                let texts = 1 + usize::from(command.keeps_copy());
                (Some(texts * message.body.len() / BYTES_PER_COUNT), true)
            }
            ProposedOperation::ReadMessages(ids) => (Some(ids.len() / IDS_PER_COUNT), true),
            ProposedOperation::DeleteMessages(ids) => (Some(ids.len() / IDS_PER_COUNT), false),
            ProposedOperation::Logout
            | ProposedOperation::DeleteUser
            | ProposedOperation::RenewSession => (None, false),
        };
        let counted = more.map(|more| {
            let more = u32::try_from(more).unwrap_or(u32::MAX);
            (command.account(), more.saturating_add(1))
        });
        Self { counted, grows }
    }
}

impl Quotas {
    /// The disk counts as empty until the first [`Self::set_free_bytes`].
    pub fn new(limits: QuotaLimits) -> Self {
        Self {
            refill: Duration::from_secs(1) / limits.account_requests_per_second.max(1),
            burst: limits.account_requests_burst,
            accounts: Mutex::new(Recent::new(ACCOUNTS_MAX)),
            keys: RandomState::new(),
            free_bytes_min: limits.free_bytes_min,
            free_bytes: AtomicU64::new(u64::MAX),
        }
    }

    /// Sets how much free space the disk has. If that changes whether growth is rejected, returns whether
    /// it is from now on.
    pub fn set_free_bytes(&self, free: u64) -> Option<bool> {
        let before = self.free_bytes.swap(free, Ordering::Relaxed);
        let [was_full, is_full] = [before, free].map(|free| free < self.free_bytes_min);
        (was_full != is_full).then_some(is_full)
    }

    /// Takes what a request uses, unless there is not enough.
    ///
    /// # Errors
    ///
    /// [`RequestError::StorageFull`] or [`RequestError::TooManyRequests`].
    pub fn admit(&self, usage: &Usage<'_>, now: Instant) -> Result<(), RequestError> {
        let free = self.free_bytes.load(Ordering::Relaxed);
        let least = if usage.grows {
            self.free_bytes_min
        } else {
            self.free_bytes_min / RESERVE
        };
        if free < least {
            return Err(RequestError::StorageFull);
        }
        let Some((account, count)) = usage.counted else {
            return Ok(());
        };
        let account = self.keys.hash_one(account);
        // Nothing panics while it is held, and every state of it is a good one.
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = accounts.entry(account, || TokenBucket::new(now));
        if let Some(after) = bucket.wait(count, self.burst, self.refill, now) {
            return Err(RequestError::TooManyRequests { after });
        }
        bucket.take(count, self.refill, now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use chat_proto::storage::v1 as storage;
    use chat_store::ProposedCommand;
    use prost::Message as _;
    use storage::command::Operation;

    use super::{QuotaLimits, Quotas, Usage};
    use crate::error::RequestError;

    const LIMITS: QuotaLimits = QuotaLimits {
        account_requests_per_second: 10,
        account_requests_burst: 300,
        free_bytes_min: 4_000,
    };

    fn quotas() -> Quotas {
        Quotas::new(LIMITS)
    }

    fn admit(quotas: &Quotas, operation: &Operation, now: Instant) -> Result<(), RequestError> {
        let command = storage::Command {
            request_id: vec![7; 16].into(),
            time: 0.0,
            operation: Some(operation.clone()),
        };
        let command = ProposedCommand::decode(command.encode_to_vec().into()).unwrap();
        quotas.admit(&Usage::from(&command), now)
    }

    fn send(sender: &str, bytes: usize) -> Operation {
        Operation::SendMessage(storage::SendMessage {
            token_hash: vec![1; 32].into(),
            credential: Some(storage::Credential::default()),
            sender: sender.to_owned(),
            body: "x".repeat(bytes),
            ..storage::SendMessage::default()
        })
    }

    fn session() -> Option<storage::Session> {
        Some(storage::Session {
            token_hash: vec![1; 32].into(),
            username: "alice".to_owned(),
            credential: Some(storage::Credential::default()),
        })
    }

    fn delete(ids: usize) -> Operation {
        Operation::DeleteMessages(storage::DeleteMessages {
            session: session(),
            message_ids: vec![String::new(); ids],
        })
    }

    fn read(ids: usize) -> Operation {
        Operation::ReadMessages(storage::ReadMessages {
            session: session(),
            message_ids: vec![String::new(); ids],
        })
    }

    fn logout() -> Operation {
        Operation::Logout(storage::Logout { session: session() })
    }

    #[test]
    fn each_account_has_its_rate() {
        let quotas = quotas();
        let now = Instant::now();
        for _ in 0..300 {
            assert_eq!(admit(&quotas, &send("alice", 5), now), Ok(()));
        }
        let after = Duration::from_millis(100);
        let rejected = admit(&quotas, &send("alice", 5), now);
        assert_eq!(rejected, Err(RequestError::TooManyRequests { after }));
        assert_eq!(admit(&quotas, &send("bob", 5), now), Ok(()));
        assert_eq!(admit(&quotas, &logout(), now), Ok(()), "always");
        assert_eq!(admit(&quotas, &send("alice", 5), now + after), Ok(()));
    }

    #[test]
    fn larger_request_counts_for_several() {
        let now = Instant::now();
        for (operation, times) in [
            (send("alice", 1_023), 300),
            (send("alice", 16_384), 300 / 17),
            (read(1_000), 2),
            (delete(1_000), 2),
            (delete(1), 300),
        ] {
            let quotas = quotas();
            let admitted = (0..1_000).take_while(|_| admit(&quotas, &operation, now).is_ok());
            assert_eq!(admitted.count(), times, "{operation:?}");
        }
    }

    #[test]
    fn nearly_full_disk_accepts_only_requests_that_do_not_grow() {
        let quotas = quotas();
        let now = Instant::now();
        assert_eq!(quotas.set_free_bytes(4_000), None);
        assert_eq!(admit(&quotas, &send("alice", 5), now), Ok(()));
        assert_eq!(quotas.set_free_bytes(3_999), Some(true));
        for operation in [send("alice", 5), read(1)] {
            assert_eq!(
                admit(&quotas, &operation, now),
                Err(RequestError::StorageFull)
            );
        }
        for operation in [delete(1), logout()] {
            assert_eq!(admit(&quotas, &operation, now), Ok(()));
        }
        assert_eq!(quotas.set_free_bytes(999), None);
        assert_eq!(
            admit(&quotas, &delete(1), now),
            Err(RequestError::StorageFull)
        );
        assert_eq!(quotas.set_free_bytes(4_000), Some(false));
        assert_eq!(admit(&quotas, &send("alice", 5), now), Ok(()));
    }

    // `chat bench --clients 256` and its 8 accounts, at three times today's rate.
    #[test]
    fn benchmark_is_not_limited() {
        // The defaults of the configuration.
        let quotas = Quotas::new(QuotaLimits {
            account_requests_per_second: 5_000,
            account_requests_burst: 10_000,
            ..LIMITS
        });
        let start = Instant::now();
        for number in 0..120_000 {
            let now = start + Duration::from_secs(30) * number / 120_000;
            assert_eq!(admit(&quotas, &send("alice", 100), now), Ok(()));
        }
    }
}
