//! The configuration files of a local cluster's nodes and clients.

use std::fmt::Write as _;

use super::layout::{Files, Link, NodeId, PortOffset};

/// The file of one node: it reaches the others through the links of the supervisor.
pub(super) fn for_node(files: &Files, ports: PortOffset, count: u8, node: NodeId) -> String {
    let mut text = format!(
        "# Node {node}. Written by `cargo xtask cluster up`, and again with the next one.\n\n\
         [storage]\ndirectory = {}\n",
        quoted(&files.data(node).to_string_lossy())
    );
    for other in NodeId::all(count) {
        let peer_address = if other == node {
            ports.peer_address(node)
        } else {
            ports.link_address(Link {
                from: node,
                to: other,
            })
        };
        push_node(&mut text, ports, other, &peer_address.to_string());
    }
    text
}

/// The file of a client: every node at its own addresses.
pub(super) fn for_clients(ports: PortOffset, count: u8) -> String {
    let mut text =
        "# The nodes as a client finds them. Written by `cargo xtask cluster up`.\n".to_owned();
    for node in NodeId::all(count) {
        push_node(
            &mut text,
            ports,
            node,
            &ports.peer_address(node).to_string(),
        );
    }
    text
}

fn push_node(text: &mut String, ports: PortOffset, node: NodeId, peer_address: &str) {
    let client_address = ports.client_address(node);
    write!(
        text,
        "\n[[nodes]]\nid = {node}\nclient_address = \"{client_address}\"\npeer_address = \"{peer_address}\"\n"
    )
    .expect("writing to a string does not fail");
}

/// A TOML string; a path may contain quotes and backslashes.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::super::layout::{Files, NodeId, PortOffset};

    #[test]
    fn a_node_dials_the_others_through_their_links() {
        let node: NodeId = "2".parse().unwrap();
        let files = Files::new("/state \"x\"".into());
        let text = super::for_node(&files, PortOffset::default(), 2, node);
        let expected = r#"
[storage]
directory = "/state \"x\"/node-2"

[[nodes]]
id = 1
client_address = "127.0.0.1:7401"
peer_address = "127.0.0.1:7609"

[[nodes]]
id = 2
client_address = "127.0.0.1:7402"
peer_address = "127.0.0.1:7502"
"#;
        assert!(text.ends_with(expected), "{text}");
    }

    #[test]
    fn a_client_sees_the_nodes_themselves() {
        let text = super::for_clients(PortOffset::default(), 3);
        assert_eq!(text.matches("[[nodes]]").count(), 3);
        assert!(
            text.contains("client_address = \"127.0.0.1:7403\"\npeer_address = \"127.0.0.1:7503\"")
        );
    }
}
