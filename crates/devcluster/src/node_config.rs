//! The configuration files of a local cluster's nodes and clients.

use std::fmt::{Display, Write as _};
use std::net::SocketAddr;
use std::path::Path;

use devcluster_api::{ClusterState, Links, NodeId};

use crate::layout::{Files, Link};
use crate::socket_folder::{SocketFolder, address};

/// The file of one node: it reaches the others through the supervisor's links, or directly.
pub fn for_node(files: &Files, state: &ClusterState, node: NodeId) -> String {
    let mut text = format!(
        "# Node {node}. Written by `cargo xtask cluster up`, and again with the next one.\n\n"
    );
    push_bootstrap(&mut text);
    push_storage(&mut text, &files.data(node));
    let sockets = SocketFolder::at(&state.socket_folder);
    for other in &state.nodes {
        let link = Link {
            from: node,
            to: other.id,
        };
        let peer_address = match state.links {
            Links::Proxied if other.id != node => address(&sockets.link(link)),
            Links::Proxied | Links::Direct => other.peer_address.clone(),
        };
        push_node(&mut text, other.id, other.client_address, &peer_address);
    }
    text
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

[[nodes]]
id = 1
client_address = "127.0.0.1:7401"
peer_address = "unix:/run/x/link-2-1.sock"

[[nodes]]
id = 2
client_address = "127.0.0.1:7402"
peer_address = "unix:/run/x/node-2.sock"
"#;
        assert!(text.ends_with(expected), "{text}");
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
