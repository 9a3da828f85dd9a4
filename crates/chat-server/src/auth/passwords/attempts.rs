//! How often a password may be guessed. The rule is in `docs/api.md`, section "Passwords".
//!
//! Failures are counted for each pair of account and source, for each account, and for each source.
//! An account's count alone never rejects a source that has hardly failed for it: guessing a password
//! from elsewhere does not lock the owner of the account out. Failures for a name count whether or
//! not there is such an account. Nothing here reads a clock, and the memory is bounded; it is the
//! leader's memory, and another leader starts with an empty one.

use std::time::{Duration, Instant};

use chat_app::limits::recent::Recent;
use chat_app::limits::token_bucket::TokenBucket;

/// How many failures of a pair have no consequence: people mistype.
const PAIR_FAILURES_FREE: u32 = 5;
/// How long a pair waits after the first failure that is not free. Twice as long after each more…
const PAIR_DELAY: Duration = Duration::from_secs(1);
/// …and at most this long, which leaves 1,440 guesses a day.
const PAIR_DELAY_MAX: Duration = Duration::from_secs(60);
/// After so long without a failure, the count of a pair starts again at zero.
const PAIR_MEMORY: Duration = Duration::from_secs(60 * 60);

/// How many failures of an account, from everywhere, have no consequence.
const ACCOUNT_FAILURES_FREE: u32 = 100;
/// How often one more is allowed afterwards: 8,640 a day, by any number of sources.
const ACCOUNT_REFILL: Duration = Duration::from_secs(10);
/// A source that has failed for an account fewer times than this is not delayed by what others do.
const ACCOUNT_INNOCENT_FAILURES: u32 = 3;

/// How many failures of a source, for all accounts together, have no consequence: a whole office
/// behind one address logs in in the morning.
const SOURCE_FAILURES_FREE: u32 = 60;

/// How much of each kind is remembered: some MiB in all.
const REMEMBERED_MAX: usize = 32_768;

/// Failures, and the delays that follow from them.
#[derive(Debug)]
pub(super) struct Attempts {
    pairs: Recent<(u64, u64), Pair>,
    accounts: Recent<u64, TokenBucket>,
    sources: Recent<u64, TokenBucket>,
    source_refill: Duration,
}

/// Failures of one source for one account.
#[derive(Debug)]
struct Pair {
    failures: u32,
    last: Instant,
}

impl Attempts {
    /// A source beyond its free failures may fail `per_minute` times a minute.
    pub(super) fn new(per_minute: u32) -> Self {
        Self {
            pairs: Recent::new(REMEMBERED_MAX),
            accounts: Recent::new(REMEMBERED_MAX),
            sources: Recent::new(REMEMBERED_MAX),
            source_refill: Duration::from_secs(60) / per_minute.max(1),
        }
    }

    /// For how long attempts of `source` for `account` are rejected, if they are.
    pub(super) fn delay(&self, account: u64, source: u64, now: Instant) -> Option<Duration> {
        let pair = self.pairs.get(&(account, source));
        let pair = pair.filter(|pair| now.saturating_duration_since(pair.last) < PAIR_MEMORY);
        let failures = pair.map_or(0, |pair| pair.failures);
        let pair = pair.and_then(|pair| left(pair.last + pair_delay(pair.failures), now));
        let account = self
            .accounts
            .get(&account)
            .filter(|_| failures >= ACCOUNT_INNOCENT_FAILURES)
            .and_then(|bucket| bucket.wait(1, ACCOUNT_FAILURES_FREE, ACCOUNT_REFILL, now));
        pair.max(account)
    }

    /// When a hasher may serve `source` again, if not now.
    pub(super) fn paced(&self, source: u64, now: Instant) -> Option<Instant> {
        let bucket = self.sources.get(&source)?;
        let wait = bucket.wait(1, SOURCE_FAILURES_FREE, self.source_refill, now)?;
        Some(now + wait)
    }

    /// A wrong password, or a name without an account.
    pub(super) fn failed(&mut self, account: u64, source: u64, now: Instant) {
        let full = || TokenBucket::new(now);
        let pair = self.pairs.entry((account, source), || Pair {
            failures: 0,
            last: now,
        });
        if now.saturating_duration_since(pair.last) >= PAIR_MEMORY {
            pair.failures = 0;
        }
        pair.failures = pair.failures.saturating_add(1);
        pair.last = now;
        let bucket = self.accounts.entry(account, full);
        bucket.take(1, ACCOUNT_REFILL, now);
        let bucket = self.sources.entry(source, full);
        bucket.take(1, self.source_refill, now);
    }

    /// The right password: earlier failures were mistakes in typing.
    pub(super) fn succeeded(&mut self, account: u64, source: u64) {
        self.pairs.remove(&(account, source));
    }
}

fn pair_delay(failures: u32) -> Duration {
    let Some(beyond) = failures.checked_sub(PAIR_FAILURES_FREE) else {
        return Duration::ZERO;
    };
    PAIR_DELAY
        .saturating_mul(1 << beyond.min(16))
        .min(PAIR_DELAY_MAX)
}

fn left(until: Instant, now: Instant) -> Option<Duration> {
    let left = until.saturating_duration_since(now);
    (!left.is_zero()).then_some(left)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{
        ACCOUNT_FAILURES_FREE, ACCOUNT_INNOCENT_FAILURES, Attempts, PAIR_MEMORY, REMEMBERED_MAX,
    };

    const ALICE: u64 = 1;
    const SOURCE: u64 = 10;
    const OTHER: u64 = 11;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn delay_doubles_up_to_its_limit() {
        let mut attempts = Attempts::new(120);
        let mut now = Instant::now();
        let mut delays = Vec::new();
        for _ in 0..13 {
            attempts.failed(ALICE, SOURCE, now);
            let delay = attempts.delay(ALICE, SOURCE, now).unwrap_or_default();
            delays.push(delay.as_secs());
            now += delay;
            assert_eq!(attempts.delay(ALICE, SOURCE, now), None);
        }
        assert_eq!(delays, [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
        now += PAIR_MEMORY;
        attempts.failed(ALICE, SOURCE, now);
        assert_eq!(attempts.delay(ALICE, SOURCE, now), None, "begun anew");
    }

    #[test]
    fn right_password_ends_the_delay() {
        let mut attempts = Attempts::new(120);
        let now = Instant::now();
        for _ in 0..5 {
            attempts.failed(ALICE, SOURCE, now);
        }
        assert!(attempts.delay(ALICE, SOURCE, now).is_some());
        attempts.succeeded(ALICE, SOURCE);
        assert_eq!(attempts.delay(ALICE, SOURCE, now), None);
    }

    #[test]
    fn guessing_from_elsewhere_does_not_lock_the_owner_out() {
        let mut attempts = Attempts::new(120);
        let now = Instant::now();
        for guess in 0..1_000 {
            attempts.failed(ALICE, 1_000 + guess, now);
        }
        assert_eq!(attempts.delay(ALICE, SOURCE, now), None);
        for _ in 1..ACCOUNT_INNOCENT_FAILURES {
            attempts.failed(ALICE, SOURCE, now);
            assert_eq!(attempts.delay(ALICE, SOURCE, now), None, "mistyped");
        }
    }

    #[test]
    fn sources_share_the_guesses_of_an_account() {
        let mut attempts = Attempts::new(120);
        let start = Instant::now();
        let (mut guesses, mut now) = (0, start);
        while now < start + seconds(1_000) {
            for source in 0..200 {
                if attempts.delay(ALICE, source, now).is_none() {
                    attempts.failed(ALICE, source, now);
                    guesses += 1;
                }
            }
            now += seconds(10);
        }
        // Free for each, free for all, and one in ten seconds; a round may pass the last token.
        let expected = 200 * ACCOUNT_INNOCENT_FAILURES + ACCOUNT_FAILURES_FREE + 100;
        assert!(guesses <= expected, "{guesses}");
    }

    #[test]
    fn failing_source_is_slowed_down_and_others_are_not() {
        let mut attempts = Attempts::new(120);
        let start = Instant::now();
        let (mut guesses, mut now) = (0, start);
        while now < start + seconds(60) {
            match attempts.paced(SOURCE, now) {
                Some(at) => now = at,
                None => {
                    attempts.failed(guesses, SOURCE, now);
                    guesses += 1;
                }
            }
        }
        assert!(
            (175..=185).contains(&guesses),
            "60 at once, 2 a second: {guesses}"
        );
        assert_eq!(attempts.paced(OTHER, now), None);
    }

    #[test]
    fn memory_is_bounded() {
        let mut attempts = Attempts::new(120);
        let now = Instant::now();
        for number in 0..3 * u64::try_from(REMEMBERED_MAX).unwrap() {
            attempts.failed(number, number, now);
        }
        assert!(attempts.pairs.len() <= REMEMBERED_MAX);
        assert!(attempts.accounts.len() <= REMEMBERED_MAX);
        assert!(attempts.sources.len() <= REMEMBERED_MAX);
    }
}
