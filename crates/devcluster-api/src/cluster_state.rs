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
    /// The highest number that a node has or had; 0 in a file of an earlier version, where it is the
    /// highest of `nodes`. See [`ClusterState::next_node`].
    #[serde(default)]
    pub highest_node: u8,
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
    /// Whether it joined a cluster that existed already, and so must not form a new one.
    #[serde(default)]
    pub added: bool,
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

    /// The numbers of its nodes.
    pub fn ids(&self) -> impl Iterator<Item = NodeId> + Clone {
        self.nodes.iter().map(|node| node.id)
    }

    /// The number of the next node that is added; `None` when all are used up.
    ///
    /// A number is never used again: the others may still count the removed node as the one that
    /// has it.
    pub fn next_node(&self) -> Option<NodeId> {
        NodeId::try_from(u64::from(self.highest()) + 1).ok()
    }

    /// Adds a node, and remembers its number.
    pub fn insert(&mut self, node: NodeState) {
        self.nodes.push(node);
        self.highest_node = self.highest();
    }

    /// Removes a node, but not the memory of its number.
    pub fn remove(&mut self, node: NodeId) {
        self.highest_node = self.highest();
        self.nodes.retain(|other| other.id != node);
    }

    /// The highest number that a node has or had.
    fn highest(&self) -> u8 {
        let present = self.ids().map(NodeId::number).max();
        self.highest_node.max(present.unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::{ClusterState, NodeId};
    use crate::node_id::NODE_ID_MAX;

    /// A file as versions wrote it that could not add nodes.
    const EARLIER: &str = r#"{
        "profile": "debug", "port_offset": 0, "links": "proxied",
        "supervisor_pid": null, "supervisor_started": null,
        "control_socket": "/x/supervisor.sock", "client_config": "/x/cluster.toml",
        "nodes": [
            {"id": 1, "client_address": "127.0.0.1:7401", "peer_address": "unix:/x/node-1.sock",
             "condition": "down", "pid": null, "started": null,
             "data_directory": "/x/node-1", "log": "/x/logs/node-1.log"},
            {"id": 2, "client_address": "127.0.0.1:7402", "peer_address": "unix:/x/node-2.sock",
             "condition": "down", "pid": null, "started": null,
             "data_directory": "/x/node-2", "log": "/x/logs/node-2.log"}
        ]
    }"#;

    fn numbers(state: &ClusterState) -> Vec<u8> {
        state.ids().map(NodeId::number).collect()
    }

    #[test]
    fn file_of_an_earlier_version_is_read() {
        let state: ClusterState = serde_json::from_str(EARLIER).unwrap();
        assert_eq!(state.highest_node, 0);
        assert!(state.nodes.iter().all(|node| !node.added));
        assert_eq!(state.next_node(), Some("3".parse().unwrap()));
    }

    #[test]
    fn number_of_a_removed_node_is_not_used_again() {
        let mut state: ClusterState = serde_json::from_str(EARLIER).unwrap();
        state.remove("2".parse().unwrap());
        assert_eq!(numbers(&state), [1]);
        let mut third = state.nodes[0].clone();
        third.id = state.next_node().unwrap();
        state.insert(third);
        assert_eq!(numbers(&state), [1, 3]);
        state.remove("3".parse().unwrap());
        let text = serde_json::to_string(&state).unwrap();
        let mut read: ClusterState = serde_json::from_str(&text).unwrap();
        assert_eq!(read, state);
        assert_eq!(read.next_node(), Some("4".parse().unwrap()));
        read.highest_node = NODE_ID_MAX;
        assert_eq!(read.next_node(), None);
    }
}
