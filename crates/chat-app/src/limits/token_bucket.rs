//! A bucket of tokens that fills at an even rate; it reads no clock.

use std::time::{Duration, Instant};

/// How full a bucket is. Its size and the time to refill one token are arguments of its methods.
#[derive(Clone, Copy, Debug)]
pub struct TokenBucket {
    /// When it is full again.
    full: Instant,
}

impl TokenBucket {
    /// A full bucket.
    pub fn new(now: Instant) -> Self {
        Self { full: now }
    }

    /// How long it takes until there are `tokens`, if they are not available now. A bucket never has
    /// more than `size`; a full bucket gives more all the same.
    pub fn wait(&self, tokens: u32, size: u32, refill: Duration, now: Instant) -> Option<Duration> {
        // They are available from the moment when only the others are missing.
        let others = refill * size.saturating_sub(tokens);
        let missing = self.full.saturating_duration_since(now);
        let wait = missing.saturating_sub(others);
        (!wait.is_zero()).then_some(wait)
    }

    /// Takes tokens, whether or not they are available.
    pub fn take(&mut self, tokens: u32, refill: Duration, now: Instant) {
        self.full = self.full.max(now) + refill * tokens;
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::TokenBucket;

    #[test]
    fn burst_is_followed_by_an_even_rate() {
        let (size, refill) = (10, Duration::from_millis(100));
        let start = Instant::now();
        let mut bucket = TokenBucket::new(start);
        let (mut taken, mut now) = (0, start);
        while now < start + Duration::from_secs(2) {
            match bucket.wait(1, size, refill, now) {
                Some(wait) => now += wait,
                None => {
                    bucket.take(1, refill, now);
                    taken += 1;
                }
            }
        }
        assert_eq!(taken, 10 + 19);
        assert_eq!(bucket.wait(5, size, refill, now), Some(refill * 4));
    }
}
