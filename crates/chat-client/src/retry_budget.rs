//! How many retries a client may make without a pause, so that retries do not add to the load of a
//! cluster that is in trouble.
//!
//! A retry is never refused, only delayed; the deadline of its request ends the retries. Retries that
//! pause anyway, longer each time, need no budget.

use std::time::Duration;

/// After a fail-over, this many requests can each be retried at once.
const TOKENS_MAX: f64 = 100.0;
/// What each new request adds: in the long run one retry without a pause for five requests.
const TOKENS_PER_REQUEST: f64 = 0.2;
/// The pause before a retry for which the budget has no token.
const PAUSE_WITHOUT: Duration = Duration::from_millis(100);

/// The retries without a pause that are left, for all requests of a client together.
#[derive(Debug)]
pub(crate) struct RetryBudget {
    tokens: f64,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self { tokens: TOKENS_MAX }
    }
}

impl RetryBudget {
    /// Adds the share of a new request.
    pub(crate) fn refill(&mut self) {
        self.tokens = (self.tokens + TOKENS_PER_REQUEST).min(TOKENS_MAX);
    }

    /// Whether a retry without a pause, or a hedge, is left.
    pub(crate) fn has_token(&self) -> bool {
        self.tokens >= 1.0
    }

    /// Removes one token.
    pub(crate) fn take_token(&mut self) {
        self.tokens = (self.tokens - 1.0).max(0.0);
    }

    /// How long to wait before a retry for which `wanted` was intended.
    pub(crate) fn pause(&mut self, wanted: Duration) -> Duration {
        if !wanted.is_zero() {
            return wanted;
        }
        if !self.has_token() {
            return PAUSE_WITHOUT;
        }
        self.take_token();
        wanted
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{PAUSE_WITHOUT, RetryBudget};

    #[test]
    fn budget_runs_out_and_refills() {
        let mut budget = RetryBudget::default();
        for _ in 0..100 {
            assert_eq!(budget.pause(Duration::ZERO), Duration::ZERO);
        }
        assert_eq!(budget.pause(Duration::ZERO), PAUSE_WITHOUT);
        let short = PAUSE_WITHOUT / 10;
        assert_eq!(budget.pause(short), short);
        for _ in 0..5 {
            budget.refill();
        }
        assert_eq!(budget.pause(Duration::ZERO), Duration::ZERO);
        assert_eq!(budget.pause(Duration::ZERO), PAUSE_WITHOUT);
    }
}
