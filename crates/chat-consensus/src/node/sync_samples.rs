//! How long the newest writes of one disk took, and their median (R10).

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;

use crate::types::Time;

/// So many of the newest durations are compared, at most and at least.
const SAMPLES_MAX: usize = 64;
const SAMPLES_MIN: usize = 16;
/// Older ones no longer describe the disk.
const SAMPLE_AGE_MAX: Duration = Duration::from_secs(10);

/// The newest durations of one disk, and when each of them ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Samples(VecDeque<(Time, Duration)>);

impl Samples {
    pub(super) fn add(&mut self, now: Time, took: Duration) {
        if self.0.len() == SAMPLES_MAX {
            self.0.pop_front();
        }
        self.0.push_back((now, took));
    }

    /// The median of the recent ones, if there are enough of them.
    pub(super) fn median(&self, now: Time) -> Option<Duration> {
        let recent = self
            .0
            .iter()
            .filter(|(ended, _)| now.since(*ended) <= SAMPLE_AGE_MAX);
        let mut recent: Vec<Duration> = recent.map(|(_, took)| *took).collect();
        if recent.len() < SAMPLES_MIN {
            return None;
        }
        recent.sort_unstable();
        Some(recent[recent.len() / 2])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The median at 20 s of durations that ended one after the other, a millisecond apart.
    fn median(first_ended_ms: u64, micros: impl Iterator<Item = u64>) -> Option<u64> {
        let mut samples = Samples::default();
        for (at, took) in (first_ended_ms..).zip(micros) {
            samples.add(Time(at * 1_000), Duration::from_micros(took));
        }
        let median = samples.median(Time(20_000_000));
        median.map(|median| u64::try_from(median.as_micros()).unwrap())
    }

    #[test]
    fn few_samples_have_no_median() {
        assert_eq!(median(19_000, 0..15), None);
        assert_eq!(median(19_000, 0..16), Some(8));
    }

    #[test]
    fn newest_samples_make_the_median() {
        assert_eq!(median(18_000, (0..1_000).chain(1..=64)), Some(33));
    }

    #[test]
    fn old_samples_have_no_median() {
        assert_eq!(median(9_000, 0..64), None);
    }
}
