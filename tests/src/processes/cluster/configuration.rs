//! The configuration file of a cluster's nodes.

use std::net::SocketAddr;
use std::path::Path;

use chat_consensus::NodeId;
use devcluster::node_config;

/// One file for all nodes, as `config/cluster.toml` is; each with its addresses for clients and for
/// the others.
pub(crate) fn configuration(
    data: &Path,
    further: &str,
    nodes: impl Iterator<Item = (NodeId, SocketAddr, SocketAddr)>,
) -> String {
    // On separate hosts the nodes listen where the others reach them.
    let mut text = "[listen]\ninsecure = true\n\n".to_owned();
    node_config::push_bootstrap(&mut text);
    node_config::push_storage(&mut text, data);
    text.push_str(further);
    for (id, client_address, peer_address) in nodes {
        node_config::push_node(&mut text, id.0, client_address, &peer_address.to_string());
    }
    text
}
