//! The file `cluster.json` of a local cluster that does not exist.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use devcluster_api::{ClusterState, Condition, Links, NodeId, NodeState, PortOffset};

/// A cluster in this folder with a node at each of these addresses, numbered from 1. None of its
/// processes runs.
///
/// # Panics
///
/// When an address is not an IP address with a port.
pub fn cluster_state(folder: &Path, client_addresses: &[&str]) -> ClusterState {
    let node = |(id, address): (NodeId, &&str)| NodeState {
        id,
        client_address: address
            .parse::<SocketAddr>()
            .expect("a test gives an IP address with a port"),
        peer_address: format!("unix:{}", folder.join(format!("node-{id}.sock")).display()),
        condition: Condition::Down,
        isolated: false,
        pid: None,
        started: None,
        data_directory: folder.join(format!("node-{id}")),
        log: folder.join(format!("node-{id}.log")),
        added: false,
    };
    let ids = NodeId::all(u8::MAX);
    ClusterState {
        profile: "debug".to_owned(),
        port_offset: PortOffset::default(),
        links: Links::default(),
        supervisor_pid: None,
        supervisor_started: None,
        control_socket: folder.join("supervisor.sock"),
        socket_folder: folder.to_owned(),
        highest_node: 0,
        client_config: folder.join("cluster.toml"),
        nodes: ids.zip(client_addresses).map(node).collect(),
    }
}

/// Writes the state as `cluster.json` into this folder, and returns the path of the file.
///
/// # Panics
///
/// When the file cannot be written.
pub fn write_cluster_file(folder: &Path, state: &ClusterState) -> PathBuf {
    let file = folder.join("cluster.json");
    let text = serde_json::to_string_pretty(state).expect("a state has only texts and numbers");
    fs::write(&file, text).expect("the folder of a test can be written");
    file
}
