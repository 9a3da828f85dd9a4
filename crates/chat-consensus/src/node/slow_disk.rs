//! Whether the cluster waits for this leader's own disk (R10).
//!
//! Compares durations; no floating point, and no clock but the node's time.

use alloc::vec::Vec;
use core::time::Duration;

use crate::input::Report;
use crate::node::context::{NodeContext, Syncing};
use crate::node::leader::{Leader, Resignation};
use crate::types::Time;

/// A median at or below this delays no client noticeably.
const UNNOTICED: Duration = Duration::from_millis(10);
/// A disk must be the slowest for so long without a break: one stall of a journal is shorter.
const SLOW_FOR: Duration = Duration::from_secs(5);

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
