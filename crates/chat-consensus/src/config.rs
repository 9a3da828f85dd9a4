//! The timing of a node, valid by construction.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use crate::types::NodeId;

/// Which of the configured nodes this one is, and its timing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Config {
    /// This node.
    pub(crate) node: NodeId,
    /// All configured nodes, this one too, ascending. Addresses only: the voters are in the log.
    pub(crate) configured: Vec<NodeId>,
    pub(crate) timing: Timing,
    /// See [`Self::allow_bootstrap`].
    pub(crate) may_bootstrap: bool,
    /// See [`Self::advertise`].
    pub(crate) address: Option<Box<str>>,
}

/// The intervals from which all timers of a node are derived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Timing {
    /// A leader sends a heartbeat to every node this often.
    pub heartbeat_interval: Duration,
    /// The shortest time without a leader before a node campaigns; the longest is half as much
    /// again.
    pub election_timeout: Duration,
}

/// What is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The node must be among the configured ones.
    #[error("node {0} is not among the configured nodes")]
    NodeNotConfigured(NodeId),
    /// Two nodes have one id, or an id is 0.
    #[error("node id {0} is used twice or is 0")]
    BadNodeId(NodeId),
    /// Several heartbeats must reach a follower in an election timeout.
    #[error("the election timeout must be at least three heartbeat intervals and 30 ms")]
    ElectionTimeoutTooShort,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            heartbeat_interval: Duration::from_millis(100),
            election_timeout: Duration::from_millis(400),
        }
    }
}

impl Timing {
    /// How long a leader keeps a fetch pending for which it has nothing new: half the shortest
    /// election timeout (R8).
    pub fn long_poll_max(&self) -> Duration {
        self.election_timeout / 2
    }

    /// How long a follower waits for the response to a fetch. After it, heartbeats no longer
    /// refresh the election timer (R8). Twice the time for which a leader keeps a fetch pending:
    /// the other half is for the network.
    pub fn fetch_timeout(&self) -> Duration {
        self.election_timeout
    }

    /// The longest time without a leader before a node campaigns (R8). A difference of half an
    /// election timeout is enough: ties are broken by R7, not by waiting.
    pub fn election_timeout_max(&self) -> Duration {
        self.election_timeout * 3 / 2
    }

    /// A leader resigns when a majority has made no progress for this long (R10). The clients of
    /// an isolated leader wait for as long, so it is as short as the slowest election timer.
    pub fn check_quorum_interval(&self) -> Duration {
        self.election_timeout * 3 / 2
    }

    /// A leader with one write under way for this long resigns (R10), and a follower with
    /// one counts as making progress for this long.
    pub fn write_limit(&self) -> Duration {
        self.election_timeout * 2
    }

    /// How long a write under way counts as progress, after the last valid fetch (R10).
    pub(crate) fn write_grace(&self) -> Duration {
        self.write_limit() - self.check_quorum_interval()
    }

    /// A voter whose last contact is longer ago does not become the successor (R17): it may have
    /// died after it sent the fetch that is pending.
    pub fn successor_progress_age_max(&self) -> Duration {
        self.heartbeat_interval + self.election_timeout / 2
    }
}

impl Config {
    /// The configuration of `node` among `configured` (itself included, in any order).
    ///
    /// # Errors
    ///
    /// What is wrong; see [`ConfigError`].
    pub fn new(node: NodeId, configured: &[NodeId], timing: Timing) -> Result<Self, ConfigError> {
        let mut configured = configured.to_vec();
        configured.sort_unstable();
        let doubled = configured.windows(2).find(|pair| pair[0] == pair[1]);
        if let Some(bad) = doubled.map(|pair| pair[0]) {
            return Err(ConfigError::BadNodeId(bad));
        }
        if configured.first() == Some(&NodeId(0)) {
            return Err(ConfigError::BadNodeId(NodeId(0)));
        }
        if !configured.contains(&node) {
            return Err(ConfigError::NodeNotConfigured(node));
        }
        let shortest = (timing.heartbeat_interval * 3).max(Duration::from_millis(30));
        if timing.election_timeout < shortest {
            return Err(ConfigError::ElectionTimeoutTooShort);
        }
        Ok(Self {
            node,
            configured,
            timing,
            may_bootstrap: false,
            address: None,
        })
    }

    /// Lets this node form a new cluster while its disk is empty, with the others if they may, too
    /// (R12). Otherwise an empty disk waits for the leader of a cluster that exists: a node whose disk
    /// was lost must not found a second one.
    ///
    /// Without a call it may not.
    #[must_use]
    pub fn allow_bootstrap(mut self, may: bool) -> Self {
        self.may_bootstrap = may;
        self
    }

    /// Has each heartbeat of this node say where it is called: what the others have may be old.
    #[must_use]
    pub fn advertise(mut self, address: &str) -> Self {
        self.address = Some(address.into());
        self
    }

    /// See [`Self::allow_bootstrap`].
    pub fn may_bootstrap(&self) -> bool {
        self.may_bootstrap
    }
}
