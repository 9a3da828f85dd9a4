//! A follower: its fetch, how much it requests, and its last contact with the leader (R1, R4, R8).

use core::time::Duration;

use crate::entry::Entry;
use crate::message::{GetCommits, Header, Request};
use crate::node::context::NodeContext;
use crate::types::{RequestId, Time};

/// After a failed fetch the next one waits this long, so that a dead leader is not called in a
/// tight loop.
const FETCH_PAUSE: Duration = Duration::from_millis(20);

/// How much a fetch requests at first, and at most (R8): what a link of 42 Mbit/s carries in 400 ms.
const FETCH_BYTES_MAX: u32 = 2 << 20;
/// ... and at least. One entry is sent in any case.
const FETCH_BYTES_MIN: u32 = 4 << 10;
/// A reply with so many entries was as full as one with half of the bytes: leaders limit both.
const FULL_ENTRIES: usize = 1_024;

/// What only a follower has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Follower {
    /// When the leader last answered a fetch, or sent a heartbeat while fetches worked (R8).
    pub(super) leader_contact_at: Option<Time>,
    fetch: Fetch,
    /// The last fetch failed or passed its deadline: heartbeats no longer refresh the election
    /// timer (R8).
    fetch_failed: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
enum Fetch {
    #[default]
    Idle,
    /// One fetch is under way; only the reply to it is accepted.
    Waiting {
        request: RequestId,
        sent: Time,
        deadline: Time,
    },
    /// The last one failed.
    Pausing { until: Time },
}

/// How much the next fetch requests, in bytes (R8). Kept across roles: it describes the link.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct FetchSize(u32);

impl Default for FetchSize {
    fn default() -> Self {
        Self(FETCH_BYTES_MAX)
    }
}

impl FetchSize {
    /// Requests more after a reply that was full and arrived soon.
    pub(super) fn grow(&mut self, entries: &[Entry], took: Duration, limit: Duration) {
        let bytes: usize = entries.iter().map(Entry::size).sum();
        let half = usize::try_from(self.0 / 2).unwrap_or(usize::MAX);
        let full = bytes >= half || entries.len() >= FULL_ENTRIES;
        let took = took * 3;
        let more = match () {
            () if full && took < limit => self.0,
            () if full && took < limit * 2 => self.0 / 4,
            () => 0,
        };
        self.0 = (self.0 + more).min(FETCH_BYTES_MAX);
    }

    /// A reply did not arrive in time: perhaps it was too large for the link.
    fn shrink(&mut self) {
        self.0 = (self.0 / 2).max(FETCH_BYTES_MIN);
    }
}

impl Follower {
    /// When something is due with the fetch: it is late, or may be sent again.
    pub(super) fn fetch_deadline(&self) -> Time {
        match self.fetch {
            Fetch::Idle => Time::NEVER,
            Fetch::Waiting { deadline, .. } => deadline,
            Fetch::Pausing { until } => until,
        }
    }

    /// A fetch that is late has failed; the next one is sent at once.
    pub(super) fn time_out_fetch(&mut self, now: Time, size: &mut FetchSize) {
        match self.fetch {
            Fetch::Waiting { deadline, .. } if now >= deadline => {
                self.fetch_failed = true;
                self.fetch = Fetch::Idle;
                size.shrink();
            }
            Fetch::Pausing { until } if now >= until => self.fetch = Fetch::Idle,
            Fetch::Idle | Fetch::Waiting { .. } | Fetch::Pausing { .. } => {}
        }
    }

    /// Sends the next fetch once everything accepted is synced: it acknowledges that (R1).
    pub(super) fn fetch_if_due(&mut self, context: &mut NodeContext, size: &FetchSize) {
        let Some(leader) = context.leader.id else {
            return;
        };
        if self.fetch != Fetch::Idle || !context.is_log_synced() {
            return;
        }
        let fetch = GetCommits {
            has_base: context.base.is_some(),
            synced: context.synced.last,
            commit_index: context.commit_index,
            bytes_max: size.0,
            repair_through: context.hard_state.repair_through,
        };
        let sent = context.now;
        let request = context.request(leader, Request::GetCommits(fetch));
        self.fetch = Fetch::Waiting {
            request,
            sent,
            deadline: sent + context.config.timing.fetch_timeout(),
        };
    }

    /// A new leader, or a repeated announcement, is reason to fetch without a pause.
    pub(super) fn end_fetch_pause(&mut self) {
        if matches!(self.fetch, Fetch::Pausing { .. }) {
            self.fetch = Fetch::Idle;
        }
    }

    /// A call failed; if it was the fetch, the next one waits a moment.
    pub(super) fn fail_call(
        &mut self,
        context: &NodeContext,
        failed: RequestId,
        size: &mut FetchSize,
    ) {
        if let Fetch::Waiting { request, sent, .. } = self.fetch
            && request == failed
        {
            self.reject_fetch_response(context.now);
            // A call that failed at once does not show how much the link carries.
            if context.now.since(sent) >= context.config.timing.fetch_timeout() / 2 {
                size.shrink();
            }
        }
    }

    /// The fetch has its reply: the next one may be sent.
    pub(super) fn finish_fetch(&mut self) {
        self.fetch = Fetch::Idle;
        self.fetch_failed = false;
    }

    /// A reply that cannot be right came from a faulty peer: it counts as a failed fetch.
    pub(super) fn reject_fetch_response(&mut self, now: Time) {
        self.fetch_failed = true;
        self.fetch = Fetch::Pausing {
            until: now + FETCH_PAUSE,
        };
    }

    /// When the fetch was sent to which a message with `header` is the reply; `None` if no such
    /// fetch is under way (R4).
    pub(super) fn fetch_sent_at(&self, context: &NodeContext, header: &Header) -> Option<Time> {
        match self.fetch {
            Fetch::Waiting { request, sent, .. }
                if context.leader.id == Some(header.from) && request == header.request =>
            {
                Some(sent)
            }
            Fetch::Idle | Fetch::Waiting { .. } | Fetch::Pausing { .. } => None,
        }
    }

    /// Whether heartbeats may refresh the election timer (R8).
    pub(super) fn are_fetches_answered(&self, now: Time) -> bool {
        let late = matches!(self.fetch, Fetch::Waiting { deadline, .. } if now >= deadline);
        !self.fetch_failed && !late
    }

    /// Whether this node itself had contact to the leader within the last election timeout.
    pub(super) fn has_recent_leader_contact(&self, context: &NodeContext) -> bool {
        let timeout = context.config.timing.election_timeout;
        let recent = |at: Time| context.now.since(at) < timeout;
        context.leader.id.is_some() && self.leader_contact_at.is_some_and(recent)
    }
}
