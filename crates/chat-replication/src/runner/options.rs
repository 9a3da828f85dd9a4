//! Where and how a replica runs.

use std::path::PathBuf;
use std::time::Duration;

use crate::replica::Limits;

/// Where and how a replica runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// This node: one of `nodes`, never 0.
    pub node_id: u64,
    /// Every configured node, this one too. Addresses only; who counts is in the log.
    pub nodes: Vec<NodeAddress>,
    /// Where the commit log lives; made if missing. One replica at a time may use it.
    pub directory: PathBuf,
    /// How patient the node is.
    pub timing: Timing,
    /// How much it may hold at once.
    pub limits: Limits,
}

/// Where a node is dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeAddress {
    /// The node.
    pub id: u64,
    /// Of the listener on which its [`Handle::service`](crate::Handle::service) is mounted: `host:port`, or `unix:/path`
    /// for a socket in the file system, with an absolute path of at most 107 bytes.
    pub address: String,
}

/// How long a node waits for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// A leader sends every node a heartbeat this often.
    pub heartbeat_interval: Duration,
    /// The shortest time without a leader before a node campaigns, at least three heartbeat
    /// intervals and 30 ms; the longest is twice that.
    pub election_timeout: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        let timing = chat_consensus::Timing::default();
        Self {
            heartbeat_interval: timing.heartbeat_interval,
            election_timeout: timing.election_timeout,
        }
    }
}
