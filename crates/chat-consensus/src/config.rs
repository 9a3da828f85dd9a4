//! The timing of a node, valid by construction.

use alloc::vec::Vec;
use core::time::Duration;

use crate::types::NodeId;

/// Who and where a node is among the configured ones, and how patient.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Config {
    /// This node.
    pub(crate) node: NodeId,
    /// All configured nodes, this one too, ascending. Addresses only: who counts is in the log.
    pub(crate) configured: Vec<NodeId>,
    pub(crate) timing: Timing,
}

/// How long a node waits for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Timing {
    /// A leader lets everybody hear from it this often.
    pub heartbeat_interval: Duration,
    /// The shortest time without a leader before a node stands; the longest is half as much again.
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
    /// A follower must hear several heartbeats in an election timeout.
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
    /// How long a leader keeps a fetch that it has no news for: half the shortest election
    /// timeout (R8).
    pub fn long_poll_max(&self) -> Duration {
        self.election_timeout / 2
    }

    /// How long a follower waits for the answer to a fetch. Passing it stops heartbeats from
    /// refreshing the election timer (R8). Leaves the leader its parking time and the network
    /// as much again.
    pub fn fetch_timeout(&self) -> Duration {
        self.election_timeout
    }

    /// The longest time without a leader before a node stands (R8). Half an election timeout
    /// apart is enough: ties are broken by R7, not by waiting.
    pub fn election_timeout_max(&self) -> Duration {
        self.election_timeout * 3 / 2
    }

    /// A leader that a majority has not kept up with for this long resigns (R10). Its clients wait
    /// it out when the leader is cut off, so it is as short as the slowest election timer.
    pub fn check_quorum_interval(&self) -> Duration {
        self.election_timeout * 3 / 2
    }

    /// A leader with one write under way for this long resigns (R10), and a follower that is
    /// inside a write keeps up for this long.
    pub fn write_limit(&self) -> Duration {
        self.election_timeout * 2
    }

    /// How long a write under way stands for progress, after the last valid fetch (R10).
    pub(crate) fn write_grace(&self) -> Duration {
        self.write_limit() - self.check_quorum_interval()
    }

    /// A voter whose last contact is longer ago is no successor (R17): it may be dead since its
    /// fetch was parked.
    pub fn successor_progress_age_max(&self) -> Duration {
        self.heartbeat_interval + self.election_timeout / 2
    }
}

impl Config {
    /// The configuration of `node` among `configured` (itself included, in any order).
    ///
    /// # Errors
    ///
    /// Says what is wrong; see [`ConfigError`].
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
        })
    }
}
