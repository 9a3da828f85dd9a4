//! How many retries a client may make without a pause: when the cluster is in trouble, those who ask
//! it again and again must not be the trouble.
//!
//! Retries are never refused, only slowed down; what ends them is the request's deadline. Those that
//! pause anyway, longer each time, need no budget.

use std::time::Duration;

/// So many requests at once may each be retried at once, as after a fail-over.
const TOKENS_MAX: f64 = 100.0;
/// What each new request adds: in the long run one quick retry for five requests.
const TOKENS_PER_REQUEST: f64 = 0.2;
/// The shortest pause before a retry that the budget does not have.
const PAUSE_WITHOUT: Duration = Duration::from_millis(100);

/// The quick retries that are left, for all requests of a client together.
#[derive(Debug)]
pub(crate) struct RetryBudget {
    left: f64,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self { left: TOKENS_MAX }
    }
}

impl RetryBudget {
    /// A new request begins.
    pub(crate) fn refill(&mut self) {
        self.left = (self.left + TOKENS_PER_REQUEST).min(TOKENS_MAX);
    }

    /// Whether a quick retry is left, or a second node may be asked while the first still has it.
    pub(crate) fn has_token(&self) -> bool {
        self.left >= 1.0
    }

    /// Takes one that is left.
    pub(crate) fn take_token(&mut self) {
        self.left = (self.left - 1.0).max(0.0);
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
    fn quick_retries_run_out_and_are_earned_again() {
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
