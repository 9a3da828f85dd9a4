//! `cluster.json`: what other programs need to know about a local cluster without calling it.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::layout::{Files, NodeId, PortOffset};
use crate::private_files;
use crate::process_identity::ProcessIdentity;
use crate::socket_folder::{SocketFolder, address};

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
    /// Where the nodes reach each other; clusters of before had ports for that.
    #[serde(default)]
    pub socket_folder: SocketFolder,
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
    /// A cluster that has not been started.
    pub fn new(
        files: &Files,
        ports: PortOffset,
        sockets: SocketFolder,
        count: u8,
        profile: &str,
    ) -> Self {
        let node = |id| NodeState {
            id,
            client_address: ports.client_address(id),
            peer_address: address(&sockets.node(id)),
            condition: Condition::Down,
            isolated: false,
            pid: None,
            started: None,
            data_directory: files.data(id),
            log: files.log(id),
        };
        let nodes = NodeId::all(count).map(node).collect();
        Self {
            profile: profile.to_owned(),
            port_offset: ports,
            links: Links::default(),
            supervisor_pid: None,
            supervisor_started: None,
            control_socket: files.control_socket(),
            client_config: files.client_config(),
            socket_folder: sockets,
            nodes,
        }
    }

    /// The state on disk; `None` when there is no cluster.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or decoded.
    pub fn read(files: &Files) -> Result<Option<Self>> {
        let path = files.state();
        if !path.exists() {
            return Ok(None);
        }
        let text = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        let state = serde_json::from_slice(&text).with_context(|| {
            format!(
                "{} is damaged; `cargo xtask cluster reset` starts afresh",
                path.display()
            )
        })?;
        Ok(Some(state))
    }

    /// Replaces the file as a whole: a reader sees the old or the new one.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn write(&self, files: &Files) -> Result<()> {
        let text = serde_json::to_vec_pretty(self).context("writing the state as JSON")?;
        let path = files.state();
        private_files::write(&path, &text)
    }

    /// How many nodes it has.
    pub fn node_count(&self) -> u8 {
        u8::try_from(self.nodes.len()).unwrap_or(u8::MAX)
    }

    /// The supervisor, if it is running.
    pub fn supervisor(&self) -> Option<ProcessIdentity> {
        let identity = ProcessIdentity {
            pid: self.supervisor_pid?,
            started: self.supervisor_started?,
        };
        identity.is_alive().then_some(identity)
    }

    /// Processes of nodes that are running.
    pub fn running_nodes(&self) -> Vec<ProcessIdentity> {
        self.nodes
            .iter()
            .filter_map(|node| {
                Some(ProcessIdentity {
                    pid: node.pid?,
                    started: node.started?,
                })
            })
            .filter(|identity| identity.is_alive())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::{env, fs, process};

    use super::{ClusterState, Condition};
    use crate::layout::{Files, PortOffset};
    use crate::socket_folder::SocketFolder;

    fn state(files: &Files) -> ClusterState {
        let sockets = SocketFolder::at("/run/x");
        ClusterState::new(files, PortOffset::default(), sockets, 3, "debug")
    }

    #[test]
    fn state_survives_the_disk() {
        let folder = env::temp_dir().join(format!("devcluster-state-{}", process::id()));
        fs::create_dir_all(&folder).unwrap();
        let files = Files::new(folder.clone());
        assert_eq!(ClusterState::read(&files).unwrap(), None);

        let mut state = state(&files);
        state.nodes[1].condition = Condition::Paused;
        state.nodes[1].pid = Some(7);
        state.write(&files).unwrap();
        assert_eq!(ClusterState::read(&files).unwrap(), Some(state));
        let text = fs::read_to_string(files.state()).unwrap();
        assert!(
            text.contains("\"client_address\": \"127.0.0.1:7402\""),
            "{text}"
        );
        assert!(text.contains("\"condition\": \"paused\""), "{text}");

        fs::write(files.state(), "{").unwrap();
        let error = ClusterState::read(&files).unwrap_err();
        assert!(error.to_string().contains("cluster reset"), "{error}");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn cluster_that_was_not_started_is_not_running() {
        let files = Files::new(env::temp_dir());
        let mut state = state(&files);
        assert!(state.supervisor().is_none() && state.running_nodes().is_empty());
        state.supervisor_pid = Some(process::id());
        state.supervisor_started = Some(1);
        assert!(
            state.supervisor().is_none(),
            "the number belongs to another process"
        );
    }
}
