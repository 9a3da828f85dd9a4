//! Whether this leader's own disk is what the cluster waits for (R10).
//!
//! Compares durations; no floating point, and no clock but the node's time.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;

use crate::input::Report;
use crate::node::context::NodeContext;
use crate::node::durability::Syncing;
use crate::node::leader::{Leader, Resignation};
use crate::types::Time;

/// So many of the newest durations are compared, at most and at least.
const SAMPLES_MAX: usize = 64;
const SAMPLES_MIN: usize = 16;
/// Older ones tell nothing about the disk as it is now.
const SAMPLE_AGE_MAX: Duration = Duration::from_secs(10);
/// A median at or below this delays no client noticeably.
const UNNOTICED: Duration = Duration::from_millis(10);
/// A disk must be the slowest for so long without a break: one stall of a journal is shorter.
const SLOW_FOR: Duration = Duration::from_secs(5);

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

impl Leader {
    /// A batch of this node was written.
    pub(super) fn record_own_sync(&mut self, now: Time, syncing: Syncing) {
        if syncing.has_entries {
            self.own_syncs.add(now, now.since(syncing.since));
        }
    }

    /// Transfers leadership when this disk has been the slowest for long, and a majority is faster
    /// without it.
    pub(super) fn transfer_if_disk_is_slow(
        &mut self,
        context: &mut NodeContext,
    ) -> Option<Resignation> {
        let now = context.now;
        let Some((own, others)) = self.slowness(context) else {
            self.slow_since = None;
            return None;
        };
        let since = *self.slow_since.get_or_insert(now);
        if now.since(since) < SLOW_FOR || self.transfer_deadline.is_some() {
            return None;
        }
        self.successor_syncs_below = Some(own / 2);
        context.report(Report::DiskIsSlow { own, others });
        self.start_transfer(context)
    }

    /// The own median and that of a majority without this node, if the own one is too great.
    fn slowness(&self, context: &NodeContext) -> Option<(Duration, Duration)> {
        let own = self.own_syncs.median(context.now)?;
        let counted = self.followers.values().filter(|p| p.counts());
        let medians = counted.filter_map(|p| p.syncs.median(context.now));
        let mut medians: Vec<Duration> = medians.collect();
        medians.sort_unstable();
        let others = *medians.get(context.majority().checked_sub(1)?)?;
        (own > UNNOTICED && own > others * 2).then_some((own, others))
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
    fn few_samples_say_nothing() {
        assert_eq!(median(19_000, 0..15), None);
        assert_eq!(median(19_000, 0..16), Some(8));
    }

    #[test]
    fn newest_samples_make_the_median() {
        assert_eq!(median(18_000, (0..1_000).chain(1..=64)), Some(33));
    }

    #[test]
    fn old_samples_say_nothing() {
        assert_eq!(median(9_000, 0..64), None);
    }
}
