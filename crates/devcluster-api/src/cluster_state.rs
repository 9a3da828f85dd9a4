//! `cluster.json`: what other programs need to know about a local cluster without calling it.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::node_id::NodeId;
use crate::port_offset::PortOffset;

/// The content of `cluster.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterState {
    /// How the programs were built: `debug` or `release`.
    pub profile: String,
    /// Where its ports begin.
    pub port_offset: PortOffset,
    /// How its nodes reach each other.
    pub links: Links,
    /// `null` when the cluster is down.
    pub supervisor_pid: Option<u32>,
    /// When that process started, in clock ticks since the machine did.
    pub supervisor_started: Option<u64>,
    /// Where the supervisor takes requests.
    pub control_socket: PathBuf,
    /// Where the nodes reach each other; earlier clusters had ports for that.
    #[serde(default)]
    pub socket_folder: PathBuf,
    /// Addresses of all nodes, for the option `--config` of the programs.
    pub client_config: PathBuf,
    /// Every node.
    pub nodes: Vec<NodeState>,
}

/// One node of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeState {
    /// Its number.
    pub id: NodeId,
    /// Where it listens for clients.
    pub client_address: SocketAddr,
    /// Where the node itself listens, as a configuration names it; others reach it through a link.
    pub peer_address: String,
    /// What the supervisor knows about its process.
    pub condition: Condition,
    /// Whether its links carry nothing; a file of an earlier version does not have it.
    #[serde(default)]
    pub isolated: bool,
    /// The number of its process, while it runs.
    pub pid: Option<u32>,
    /// When that process started, in clock ticks since the machine did.
    pub started: Option<u64>,
    /// Where it stores everything.
    pub data_directory: PathBuf,
    /// What it printed.
    pub log: PathBuf,
}

/// How one node reaches another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Links {
    /// Through the supervisor, which can isolate a node.
    #[default]
    Proxied,
    /// As nodes on different machines do; for measurements.
    Direct,
}

/// What the supervisor knows about a node's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// It runs.
    Running,
    /// It is stopped by a signal and can be resumed.
    Paused,
    /// There is none.
    Down,
}

impl ClusterState {
    /// How many nodes it has.
    pub fn node_count(&self) -> u8 {
        u8::try_from(self.nodes.len()).unwrap_or(u8::MAX)
    }
}
