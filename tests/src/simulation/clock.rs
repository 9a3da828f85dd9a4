//! The clock of a node: with an offset, and a little fast or slow. It never runs backwards.

use chat_consensus::Time;

/// How a node reads the world's time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    offset: u64,
    /// Local microseconds for every 1,024 of the world.
    rate: u64,
}

/// The rate of a perfect clock.
pub(crate) const EVEN_RATE: u64 = 1_024;

impl Clock {
    pub(crate) fn new(offset: u64, rate: u64) -> Self {
        Self { offset, rate }
    }

    /// What the clock shows when the world's time is `now`.
    pub(crate) fn read(self, now: u64) -> Time {
        Time(self.offset + now * self.rate / EVEN_RATE)
    }

    /// The first moment of the world at which the clock shows `local`.
    pub(crate) fn moment(self, local: Time) -> u64 {
        if local == Time::NEVER {
            return u64::MAX;
        }
        let since = local.0.saturating_sub(self.offset);
        since.saturating_mul(EVEN_RATE).div_ceil(self.rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadline_has_passed_at_its_moment() {
        for rate in [980, 1_024, 1_070] {
            let clock = Clock::new(77, rate);
            for local in [77, 78, 1_000, 123_456_789] {
                let moment = clock.moment(Time(local));
                assert!(clock.read(moment) >= Time(local));
            }
        }
    }
}
