//! The configuration files of a local cluster's nodes and clients.
//!
//! A program reads its file when it starts. So a file that is written again, because the cluster has
//! other nodes now, changes nothing in a program that runs.

use std::fmt::{Display, Write as _};
use std::net::SocketAddr;
use std::path::Path;

use anyhow::Result;
use devcluster_api::{ClusterState, Links, NodeId, NodeState};

use crate::layout::Files;
use crate::private_files;
use crate::socket_folder::{SocketFolder, address};

/// A failure is seen here, not in five minutes.
const AUTOPILOT: &str = "\n[autopilot]\ndead_after_seconds = 30\n";

/// Writes the files of all nodes and of the clients.
///
/// # Errors
///
/// The system's.
pub fn write_all(files: &Files, state: &ClusterState) -> Result<()> {
    for node in state.ids() {
        let text = for_node(files, state, node);
        private_files::write(&files.node_config(node), text.as_bytes())?;
    }
    private_files::write(&files.client_config(), for_clients(state).as_bytes())
}

/// The file of one node: it reaches the others through the supervisor's links, or directly.
///
/// A node that was added waits for the others to accept it. The rest may form a new cluster while
/// all of them are empty.
pub fn for_node(files: &Files, state: &ClusterState, node: NodeId) -> String {
    let mut text = format!(
        "# Node {node}. Written by `cargo xtask cluster up`, and again with the next one.\n\n"
    );
    let own = state.nodes.iter().find(|own| own.id == node);
    if own.is_some_and(|own| !own.added) {
        push_bootstrap(&mut text);
    }
    push_storage(&mut text, &files.data(node));
    if let Some(own) = own {
        let peer = quoted(&own.peer_address);
        write!(text, "\n[listen]\npeer = {peer}\n").expect("writing to a string does not fail");
    }
    text.push_str(AUTOPILOT);
    for other in &state.nodes {
        let peer_address = dialled_address(state, other);
        push_node(&mut text, other.id, other.client_address, &peer_address);
    }
    text
}

/// Where the nodes dial a node: each through a link of its own, or directly.
pub fn dialled_address(state: &ClusterState, node: &NodeState) -> String {
    match state.links {
        Links::Proxied => address(&SocketFolder::at(&state.socket_folder).links_to(node.id)),
        Links::Direct => node.peer_address.clone(),
    }
}

/// The file of a client: every node at its own addresses.
pub fn for_clients(state: &ClusterState) -> String {
    let mut text =
        "# The nodes as a client finds them. Written by `cargo xtask cluster up`.\n".to_owned();
    for node in &state.nodes {
        push_node(&mut text, node.id, node.client_address, &node.peer_address);
    }
    text
}

/// Adds the section that lets empty nodes form a new cluster.
pub fn push_bootstrap(text: &mut String) {
    text.push_str("[cluster]\nbootstrap = true\n\n");
}

/// Adds the section that names the folder of a node's data.
pub fn push_storage(text: &mut String, directory: &Path) {
    let directory = quoted(&directory.to_string_lossy());
    writeln!(text, "[storage]\ndirectory = {directory}")
        .expect("writing to a string does not fail");
}

/// Adds one node with its addresses.
pub fn push_node(text: &mut String, node: impl Display, client: SocketAddr, peer: &str) {
    let peer = quoted(peer);
    write!(
        text,
        "\n[[nodes]]\nid = {node}\nclient_address = \"{client}\"\npeer_address = {peer}\n"
    )
    .expect("writing to a string does not fail");
}

/// A TOML string; a path may contain quotes and backslashes.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use devcluster_api::{ClusterState, Links, NodeId, PortOffset};

    use crate::layout::Files;
    use crate::socket_folder::SocketFolder;
    use crate::state;

    fn setup(count: u8, links: Links) -> (Files, ClusterState) {
        let files = Files::new("/state \"x\"".into());
        let sockets = SocketFolder::at("/run/x");
        let mut state = state::initial(&files, PortOffset::default(), sockets, count, "debug");
        state.links = links;
        (files, state)
    }

    #[test]
    fn node_dials_the_others_through_links() {
        let node: NodeId = "2".parse().unwrap();
        let (files, state) = setup(2, Links::Proxied);
        let text = super::for_node(&files, &state, node);
        let expected = r#"
[cluster]
bootstrap = true

[storage]
directory = "/state \"x\"/node-2"

[listen]
peer = "unix:/run/x/node-2.sock"

[autopilot]
dead_after_seconds = 30

[[nodes]]
id = 1
client_address = "127.0.0.1:7401"
peer_address = "unix:/run/x/link-{from}-1.sock"

[[nodes]]
id = 2
client_address = "127.0.0.1:7402"
peer_address = "unix:/run/x/link-{from}-2.sock"
"#;
        assert!(text.ends_with(expected), "{text}");
    }

    /// Nodes 1, 3 and 4, of which 4 was added.
    fn resized() -> (Files, ClusterState) {
        let (files, mut state) = setup(3, Links::Proxied);
        let mut added = state::node(&files, &state, state.next_node().unwrap());
        added.added = true;
        state.insert(added);
        state.remove("2".parse().unwrap());
        (files, state)
    }

    #[test]
    fn added_node_does_not_form_a_cluster() {
        let (files, state) = resized();
        for (node, forms) in [("1", true), ("3", true), ("4", false)] {
            let text = super::for_node(&files, &state, node.parse().unwrap());
            assert_eq!(text.contains("bootstrap = true"), forms, "{text}");
            assert_eq!(text.contains("[cluster]"), forms, "{text}");
            let own = format!("\n[listen]\npeer = \"unix:/run/x/node-{node}.sock\"\n");
            assert!(text.contains(&own), "{text}");
        }
    }

    #[test]
    fn every_file_lists_the_nodes_that_there_are() {
        let (files, state) = resized();
        for node in state.ids() {
            let text = super::for_node(&files, &state, node);
            check_listed(&text, "link-{from}-");
        }
        check_listed(&super::for_clients(&state), "node-");
    }

    /// Checks that a text lists the nodes 1, 3 and 4 with sockets of this kind.
    fn check_listed(text: &str, socket: &str) {
        assert_eq!(text.matches("[[nodes]]").count(), 3, "{text}");
        for node in [1, 3, 4] {
            let entry = format!(
                "[[nodes]]\nid = {node}\nclient_address = \"127.0.0.1:740{node}\"\n\
                 peer_address = \"unix:/run/x/{socket}{node}.sock\"\n"
            );
            assert!(text.contains(&entry), "{text}");
        }
    }

    #[test]
    fn files_of_all_nodes_are_written() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::new(folder.path().to_owned());
        let (_, state) = resized();
        super::write_all(&files, &state).unwrap();
        for node in state.ids() {
            let text = fs::read_to_string(files.node_config(node)).unwrap();
            assert_eq!(text, super::for_node(&files, &state, node));
        }
        let text = fs::read_to_string(files.client_config()).unwrap();
        assert_eq!(text, super::for_clients(&state));
    }

    #[test]
    fn node_without_proxies_dials_the_others_directly() {
        let (files, state) = setup(2, Links::Direct);
        let text = super::for_node(&files, &state, "2".parse().unwrap());
        let first = "peer_address = \"unix:/run/x/node-1.sock\"";
        assert!(text.contains(first), "{text}");
    }

    #[test]
    fn client_dials_the_nodes_directly() {
        let (_, state) = setup(3, Links::Proxied);
        let text = super::for_clients(&state);
        assert_eq!(text.matches("[[nodes]]").count(), 3);
        let third =
            "client_address = \"127.0.0.1:7403\"\npeer_address = \"unix:/run/x/node-3.sock\"";
        assert!(text.contains(third), "{text}");
    }
}
