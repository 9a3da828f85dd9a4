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

use chat_proto::forwarded::v1::request::Operation;

use crate::config;
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
pub(crate) struct Quotas {
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

/// Why a request is not appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Exceeded {
    #[error("the account makes too many requests at once")]
    Rate {
        /// When there is room for this request.
        after: Duration,
    },
    #[error("the leader's disk is nearly full")]
    Storage,
    #[error("the recipient's inbox is full")]
    Inbox,
}

impl Quotas {
    /// The disk counts as empty until the first [`Self::set_free_bytes`].
    pub(crate) fn new(limits: config::Limits) -> Self {
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
    pub(crate) fn set_free_bytes(&self, free: u64) -> Option<bool> {
        let before = self.free_bytes.swap(free, Ordering::Relaxed);
        let [was_full, is_full] = [before, free].map(|free| free < self.free_bytes_min);
        (was_full != is_full).then_some(is_full)
    }

    /// Uses what `operation` needs, unless there is not enough.
    pub(crate) fn admit(&self, operation: &Operation, now: Instant) -> Result<(), Exceeded> {
        let free = self.free_bytes.load(Ordering::Relaxed);
        let least = if grows(operation) {
            self.free_bytes_min
        } else {
            self.free_bytes_min / RESERVE
        };
        if free < least {
            return Err(Exceeded::Storage);
        }
        let Some((account, count)) = count(operation) else {
            return Ok(());
        };
        let account = self.keys.hash_one(account);
        // Nothing panics while it is held, and every state of it is a good one.
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = accounts.entry(account, || TokenBucket::new(now));
        if let Some(after) = bucket.wait(count, self.burst, self.refill, now) {
            return Err(Exceeded::Rate { after });
        }
        bucket.take(count, self.refill, now);
        Ok(())
    }
}

/// Whether the tables are larger after it. Renewing a session only changes a row, and without it users
/// could not read the messages that they might delete while the disk is nearly full.
fn grows(operation: &Operation) -> bool {
    match operation {
        Operation::CreateUser(_)
        | Operation::Login(_)
        | Operation::SendMessage(_)
        | Operation::ChangePassword(_)
        | Operation::ReadMessages(_) => true,
        Operation::Logout(_)
        | Operation::DeleteMessages(_)
        | Operation::DeleteUser(_)
        | Operation::RenewSession(_) => false,
    }
}

/// The account of a request, and for how many requests it counts; `None` for one that is limited
/// otherwise (by the cost of its password, or because it can be done only once).
fn count(operation: &Operation) -> Option<(&str, u32)> {
    let (account, more) = match operation {
        Operation::SendMessage(message) => (&message.sender, message.body.len() / BYTES_PER_COUNT),
        Operation::ReadMessages(read) => (
            &read.session.as_ref()?.username,
            read.message_ids.len() / IDS_PER_COUNT,
        ),
        Operation::DeleteMessages(delete) => (
            &delete.session.as_ref()?.username,
            delete.message_ids.len() / IDS_PER_COUNT,
        ),
        Operation::CreateUser(_)
        | Operation::Login(_)
        | Operation::ChangePassword(_)
        | Operation::Logout(_)
        | Operation::DeleteUser(_)
        | Operation::RenewSession(_) => return None,
    };
    let more = u32::try_from(more).unwrap_or(u32::MAX);
    Some((account, more.saturating_add(1)))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use chat_proto::forwarded::v1 as forwarded;
    use chat_proto::storage::v1 as storage;

    use super::{Exceeded, Operation, Quotas};
    use crate::config::Limits;

    fn quotas() -> Quotas {
        Quotas::new(Limits {
            account_requests_per_second: 10,
            account_requests_burst: 300,
            free_bytes_min: 4_000,
            ..Limits::default()
        })
    }

    fn send(sender: &str, bytes: usize) -> Operation {
        Operation::SendMessage(forwarded::SendMessage {
            sender: sender.to_owned(),
            body: "x".repeat(bytes),
            ..forwarded::SendMessage::default()
        })
    }

    fn session() -> Option<storage::Session> {
        Some(storage::Session {
            username: "alice".to_owned(),
            ..storage::Session::default()
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
            assert_eq!(quotas.admit(&send("alice", 5), now), Ok(()));
        }
        let after = Duration::from_millis(100);
        let rejected = quotas.admit(&send("alice", 5), now);
        assert_eq!(rejected, Err(Exceeded::Rate { after }));
        assert_eq!(quotas.admit(&send("bob", 5), now), Ok(()));
        assert_eq!(quotas.admit(&logout(), now), Ok(()), "always");
        assert_eq!(quotas.admit(&send("alice", 5), now + after), Ok(()));
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
            let admitted = (0..1_000).take_while(|_| quotas.admit(&operation, now).is_ok());
            assert_eq!(admitted.count(), times, "{operation:?}");
        }
    }

    #[test]
    fn nearly_full_disk_accepts_only_requests_that_do_not_grow() {
        let quotas = quotas();
        let now = Instant::now();
        assert_eq!(quotas.set_free_bytes(4_000), None);
        assert_eq!(quotas.admit(&send("alice", 5), now), Ok(()));
        assert_eq!(quotas.set_free_bytes(3_999), Some(true));
        for operation in [send("alice", 5), read(1)] {
            assert_eq!(quotas.admit(&operation, now), Err(Exceeded::Storage));
        }
        for operation in [delete(1), logout()] {
            assert_eq!(quotas.admit(&operation, now), Ok(()));
        }
        assert_eq!(quotas.set_free_bytes(999), None);
        assert_eq!(quotas.admit(&delete(1), now), Err(Exceeded::Storage));
        assert_eq!(quotas.set_free_bytes(4_000), Some(false));
        assert_eq!(quotas.admit(&send("alice", 5), now), Ok(()));
    }

    // `chat bench --clients 256` and its 8 accounts, at three times today's rate.
    #[test]
    fn benchmark_is_not_limited() {
        let quotas = Quotas::new(Limits::default());
        let start = Instant::now();
        for number in 0..120_000 {
            let now = start + Duration::from_secs(30) * number / 120_000;
            assert_eq!(quotas.admit(&send("alice", 100), now), Ok(()));
        }
    }
}
