//! A kind of request to a peer of which one at a time is under way: fetches, and requests for pieces of
//! a snapshot (R4, R8, R24).

use core::time::Duration;

use crate::message::Header;
use crate::node::context::NodeContext;
use crate::types::{NodeId, RequestId, Time};

/// What became of the last request of its kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum PeerCall {
    #[default]
    Idle,
    /// One is under way; only the reply to it is accepted.
    Waiting {
        to: NodeId,
        request: RequestId,
        sent: Time,
        deadline: Time,
    },
    /// The last one failed, or there was nothing to get.
    Pausing { until: Time },
}

impl PeerCall {
    /// A request was sent now.
    pub(super) fn sent(context: &NodeContext, to: NodeId, request: RequestId) -> Self {
        Self::Waiting {
            to,
            request,
            sent: context.now,
            deadline: context.now + context.config.timing.fetch_timeout(),
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        *self == Self::Idle
    }

    pub(super) fn pause(&mut self, now: Time, pause: Duration) {
        *self = Self::Pausing { until: now + pause };
    }

    /// When it is late, or may be sent again.
    pub(super) fn deadline(&self) -> Time {
        match *self {
            Self::Idle => Time::NEVER,
            Self::Waiting { deadline, .. } => deadline,
            Self::Pausing { until } => until,
        }
    }

    /// Ends a pause that is over, and gives up a request that is late: returns whether it did that.
    pub(super) fn time_out(&mut self, now: Time) -> bool {
        if now < self.deadline() {
            return false;
        }
        let late = matches!(self, Self::Waiting { .. });
        *self = Self::Idle;
        late
    }

    pub(super) fn end_pause(&mut self) {
        if matches!(self, Self::Pausing { .. }) {
            *self = Self::Idle;
        }
    }

    /// When the request was sent, if it is the one under way.
    pub(super) fn sent_at(&self, id: RequestId) -> Option<Time> {
        match *self {
            Self::Waiting { request, sent, .. } if request == id => Some(sent),
            Self::Idle | Self::Waiting { .. } | Self::Pausing { .. } => None,
        }
    }

    /// When the request was sent to which a message with `header` is the reply (R4).
    pub(super) fn answered_by(&self, header: &Header) -> Option<Time> {
        let sent = self.sent_at(header.request)?;
        self.is_to(header.from).then_some(sent)
    }

    /// Whether a request to this node is under way.
    pub(super) fn is_to(&self, node: NodeId) -> bool {
        matches!(*self, Self::Waiting { to, .. } if to == node)
    }

    pub(super) fn is_late(&self, now: Time) -> bool {
        matches!(*self, Self::Waiting { deadline, .. } if now >= deadline)
    }
}
