//! The state of a cluster on disk, in its `cluster.json`, and which of its processes still run.

use std::fs;

use anyhow::{Context, Result};
use devcluster_api::{ClusterState, Condition, Links, NodeId, NodeState, PortOffset};

use crate::layout::Files;
use crate::private_files;
use crate::process_identity::ProcessIdentity;
use crate::socket_folder::{SocketFolder, address};

/// A cluster that has not been started.
pub fn initial(
    files: &Files,
    ports: PortOffset,
    sockets: SocketFolder,
    count: u8,
    profile: &str,
) -> ClusterState {
    let mut state = ClusterState {
        profile: profile.to_owned(),
        port_offset: ports,
        links: Links::default(),
        supervisor_pid: None,
        supervisor_started: None,
        control_socket: files.control_socket(),
        client_config: files.client_config(),
        socket_folder: sockets.into_path(),
        nodes: Vec::new(),
        highest_node: 0,
    };
    for id in NodeId::all(count) {
        let node = node(files, &state, id);
        state.insert(node);
    }
    state
}

/// A cluster that is started again, with all nodes that it has.
pub fn restarted(
    files: &Files,
    earlier: &ClusterState,
    sockets: SocketFolder,
    profile: &str,
) -> ClusterState {
    let mut state = initial(files, earlier.port_offset, sockets, 0, profile);
    state.highest_node = earlier.highest_node;
    for former in &earlier.nodes {
        let mut node = node(files, &state, former.id);
        node.added = former.added;
        state.insert(node);
    }
    state
}

/// A node of this cluster that has not been started.
pub fn node(files: &Files, state: &ClusterState, id: NodeId) -> NodeState {
    let sockets = SocketFolder::at(&state.socket_folder);
    NodeState {
        id,
        client_address: state.port_offset.client_address(id),
        peer_address: address(&sockets.node(id)),
        condition: Condition::Down,
        isolated: false,
        pid: None,
        started: None,
        data_directory: files.data(id),
        log: files.log(id),
        added: false,
    }
}

/// The sentence that a cluster has no such node.
pub fn no_such_node(state: &ClusterState, node: NodeId) -> String {
    let names: Vec<String> = state.ids().map(|id| id.to_string()).collect();
    format!(
        "there is no node {node}; the nodes are {}",
        names.join(", ")
    )
}

/// The sentence that the last node cannot be removed.
pub fn last_node(node: NodeId) -> String {
    format!("node {node} is the last one; `cargo xtask cluster reset` deletes the whole cluster")
}

/// The state on disk; `None` when there is no cluster.
///
/// # Errors
///
/// When the file cannot be read or decoded.
pub fn read(files: &Files) -> Result<Option<ClusterState>> {
    let path = files.state();
    if !path.exists() {
        return Ok(None);
    }
    let text = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
    let state = serde_json::from_slice(&text).with_context(|| {
        format!(
            "{} is damaged; `cargo xtask cluster reset` deletes the cluster",
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
pub fn write(state: &ClusterState, files: &Files) -> Result<()> {
    let text = serde_json::to_vec_pretty(state).context("writing the state as JSON")?;
    let path = files.state();
    private_files::write(&path, &text)
}

/// The supervisor, if it is running.
pub fn supervisor(state: &ClusterState) -> Option<ProcessIdentity> {
    let identity = ProcessIdentity {
        pid: state.supervisor_pid?,
        started: state.supervisor_started?,
    };
    identity.is_alive().then_some(identity)
}

/// Whether there is a cluster whose supervisor is running.
///
/// # Errors
///
/// When the state cannot be read or decoded.
pub fn is_up(files: &Files) -> Result<bool> {
    Ok(read(files)?.is_some_and(|state| supervisor(&state).is_some()))
}

/// Processes of nodes that are running.
pub fn running_nodes(state: &ClusterState) -> Vec<ProcessIdentity> {
    let identity = |node: &NodeState| {
        Some(ProcessIdentity {
            pid: node.pid?,
            started: node.started?,
        })
    };
    let known = state.nodes.iter().filter_map(identity);
    known.filter(|identity| identity.is_alive()).collect()
}

#[cfg(test)]
mod tests {
    use std::{fs, process};

    use devcluster_api::{ClusterState, Condition, PortOffset};

    use super::{initial, node, read, restarted, running_nodes, supervisor, write};
    use crate::layout::Files;
    use crate::socket_folder::SocketFolder;

    fn state(files: &Files) -> ClusterState {
        let sockets = SocketFolder::at("/run/x");
        initial(files, PortOffset::default(), sockets, 3, "debug")
    }

    #[test]
    fn state_survives_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::new(folder.path().to_owned());
        assert_eq!(read(&files).unwrap(), None);

        let mut state = state(&files);
        state.nodes[1].condition = Condition::Paused;
        state.nodes[1].pid = Some(7);
        write(&state, &files).unwrap();
        assert_eq!(read(&files).unwrap(), Some(state));
        let text = fs::read_to_string(files.state()).unwrap();
        assert!(
            text.contains("\"client_address\": \"127.0.0.1:7402\""),
            "{text}"
        );
        assert!(text.contains("\"condition\": \"paused\""), "{text}");

        fs::write(files.state(), "{").unwrap();
        let error = read(&files).unwrap_err();
        assert!(error.to_string().contains("cluster reset"), "{error}");
    }

    #[test]
    fn restarted_cluster_has_the_same_nodes() {
        let files = Files::new("/state".into());
        let mut earlier = state(&files);
        earlier.remove("2".parse().unwrap());
        for _ in 0..2 {
            let id = earlier.next_node().unwrap();
            let mut added = node(&files, &earlier, id);
            added.added = true;
            added.isolated = true;
            added.pid = Some(7);
            added.condition = Condition::Running;
            earlier.insert(added);
        }
        earlier.remove("5".parse().unwrap());

        let sockets = SocketFolder::at("/run/x");
        let again = restarted(&files, &earlier, sockets, "release");
        let nodes: Vec<_> = again
            .nodes
            .iter()
            .map(|node| (node.id.number(), node.added, node.client_address.port()))
            .collect();
        assert_eq!(nodes, [(1, false, 7401), (3, false, 7403), (4, true, 7404)]);
        assert_eq!(again.nodes[2].peer_address, "unix:/run/x/node-4.sock");
        assert_eq!(again.nodes[2].condition, Condition::Down);
        assert!(
            again
                .nodes
                .iter()
                .all(|node| node.pid.is_none() && !node.isolated)
        );
        assert_eq!(again.profile, "release");
        assert_eq!(again.next_node(), Some("6".parse().unwrap()));
    }

    #[test]
    fn cluster_that_was_not_started_is_not_running() {
        let files = Files::new("/state".into());
        let mut state = state(&files);
        assert!(supervisor(&state).is_none() && running_nodes(&state).is_empty());
        state.supervisor_pid = Some(process::id());
        state.supervisor_started = Some(1);
        assert!(
            supervisor(&state).is_none(),
            "the number belongs to another process"
        );
    }
}
