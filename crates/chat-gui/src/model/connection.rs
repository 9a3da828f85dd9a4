//! The state of the connection between this window and the cluster, as the banner shows it.

use std::time::Duration;

use crate::model::failure::Failure;
use crate::model::names::{NodeId, Term};
use crate::model::time::Moment;

/// Interruptions that are shorter than this are not worth a banner that flickers.
pub const BANNER_DELAY: Duration = Duration::from_millis(300);

/// The state of the connection between this window and the cluster.
#[derive(Clone, Debug, PartialEq)]
pub enum Connection {
    /// No account is signed in, so nothing is connected.
    Idle,
    /// The first connection since signing in.
    Connecting {
        /// Since when.
        since: Moment,
    },
    /// All is well.
    Online {
        /// The node that sends us changes, if it is known which it is.
        node: Option<NodeId>,
        /// The term of the leader.
        term: Option<Term>,
    },
    /// The connection broke, or there is no leader; another node is tried now.
    Reconnecting {
        /// Since when.
        since: Moment,
        /// What happened.
        why: Failure,
    },
    /// No node answers; the next attempt comes later.
    Offline {
        /// Since when.
        since: Moment,
        /// What happened.
        why: Failure,
        /// When it is tried again.
        next_try: Moment,
    },
}

/// An interruption that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// How long sending was not possible.
    pub lasted: Duration,
    /// Messages that were still queued when it was over.
    pub waiting: u32,
    /// When it was over.
    pub at: Moment,
}

impl Connection {
    /// Whether messages can be sent right now, as far as we know.
    pub fn is_online(&self) -> bool {
        matches!(self, Self::Online { .. })
    }
}
