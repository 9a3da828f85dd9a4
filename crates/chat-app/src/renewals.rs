//! How often this node renews a session that is only read with.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::limits::recent::Recent;
use crate::token::TokenHash;

/// For how many sessions the time of the last renewal is remembered: some MiB.
const RENEWALS_MAX: usize = 16_384;

/// How often one node renews a session within its idle time, at most. Twice as often as a renewal is
/// due (`chat_store`), so that no session expires because of this limit.
const RENEWALS_PER_IDLE_TIME: u32 = 32;

/// When this node last renewed each session that is only read with.
///
/// This node's clock decides when a renewal is due, and the log's time decides how long it lasts: with
/// a clock that is ahead, a renewal would always be due, and each read would wait for an entry of the
/// log. So after a renewal there is no other one for a 32nd of the idle time, whatever the clock shows.
/// As a result, in a chat where nothing else happens, a session can be read with for so much longer
/// than its absolute lifetime.
#[derive(Debug)]
pub(crate) struct Renewals {
    begun: Mutex<Recent<TokenHash, Instant>>,
}

impl Renewals {
    /// Nothing was renewed yet.
    pub(crate) fn new() -> Self {
        Self {
            begun: Mutex::new(Recent::new(RENEWALS_MAX)),
        }
    }

    /// Whether this node may renew the session now; if so, it counts as renewed.
    pub(crate) fn begin(&self, token: TokenHash, idle_seconds: i64, now: Instant) -> bool {
        let idle = Duration::from_secs(u64::try_from(idle_seconds).unwrap_or(0));
        let interval = idle / RENEWALS_PER_IDLE_TIME;
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = begun
            .get(&token)
            .is_some_and(|at| now.saturating_duration_since(*at) < interval);
        if !recent {
            *begun.entry(token, || now) = now;
        }
        !recent
    }

    /// The renewal failed.
    pub(crate) fn forget(&self, token: &TokenHash) {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        begun.remove(token);
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{RENEWALS_MAX, Renewals};
    use crate::token::TokenHash;

    fn token(number: usize) -> TokenHash {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        TokenHash(bytes)
    }

    // C9: a clock that is ahead makes a renewal due at each read.
    #[test]
    fn session_is_renewed_at_a_limited_rate_whatever_the_clock_shows() {
        let renewals = Renewals::new();
        let start = Instant::now();
        let (idle_seconds, mut renewed) = (3200, 0);
        for second in 0..1_000 {
            let now = start + Duration::from_secs(second);
            renewed += u32::from(renewals.begin(token(1), idle_seconds, now));
        }
        assert_eq!(renewed, 10);
        assert!(renewals.begin(token(2), idle_seconds, start), "another one");
        renewals.forget(&token(2));
        assert!(
            renewals.begin(token(2), idle_seconds, start),
            "it had failed"
        );
        for number in 3..3 * RENEWALS_MAX {
            renewals.begin(token(number), idle_seconds, start);
        }
        assert!(renewals.begun.lock().unwrap().len() <= RENEWALS_MAX);
    }
}
