//! When a voter without a leader campaigns, and what makes it do so sooner or later (R7, R8, R17).

use alloc::collections::BTreeSet;
use core::time::Duration;

use crate::node::context::NodeContext;
use crate::types::{NodeId, Time};

/// What decides when this node campaigns next. It has no meaning on a leader.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ElectionTimer {
    pub(super) deadline: Time,
    /// How many more failed campaigns are repeated quickly, after a leader's end was noticed (R17).
    pub(super) fast_retries_left: u32,
    /// The nodes for which this node gave up its own pre-vote since it last finished a campaign (R7).
    pub(super) backed_off_for: BTreeSet<NodeId>,
}

impl ElectionTimer {
    pub(super) fn new() -> Self {
        Self {
            deadline: Time::NEVER,
            fast_retries_left: 0,
            backed_off_for: BTreeSet::new(),
        }
    }

    /// Draws the deadline anew: 1 to 1.5 election timeouts from now (R8).
    pub(super) fn reset(&mut self, context: &mut NodeContext) {
        let timing = context.config.timing;
        let timeout =
            context.random_between(timing.election_timeout, timing.election_timeout_max());
        self.deadline = context.now + timeout;
    }

    /// Draws the deadline anew, from `least` to `most` from now.
    pub(super) fn reset_between(
        &mut self,
        context: &mut NodeContext,
        least: Duration,
        most: Duration,
    ) {
        let pause = context.random_between(least, most);
        self.deadline = context.now + pause;
    }

    /// When this node campaigns: never while it does not count, and later when it was named no member (R19).
    pub(super) fn campaign_deadline(&self, context: &NodeContext) -> Time {
        if context.may_campaign() {
            self.deadline
                .max(context.excluded_until.unwrap_or_default())
        } else {
            Time::NEVER
        }
    }
}
