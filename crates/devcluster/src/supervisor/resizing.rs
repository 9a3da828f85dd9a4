//! Nodes that are added to a cluster that runs, and removed from it.
//!
//! Deliberately absent: who votes. The caller makes a started node a member, and removes a node from
//! the members before its data are deleted; see [`crate::resize`].

use anyhow::{Context, Result, bail};
use devcluster_api::{Links, NODES_MAX, NodeId};

use super::{Supervisor, log_line};
use crate::file_removal::remove_if_there;
use crate::layout::Link;
use crate::socket_folder::SocketFolder;
use crate::{node_config, ports, state};

impl Supervisor {
    /// Starts one more node.
    pub(super) fn add(&mut self) -> Result<String> {
        let node = self.next_node()?;
        let mut entry = state::node(&self.files, &self.state, node);
        entry.added = true;
        self.state.insert(entry);
        if let Err(error) = self.start_added(node) {
            // The number stays used: the node may have run for a moment.
            if let Err(further) = self.delete_node(node) {
                log_line(&format!("removing node {node} again: {further:#}"));
            }
            return Err(error.context(format!("node {node} was not added")));
        }
        Ok(format!(
            "node {node} was started; it is not a member of the cluster yet"
        ))
    }

    /// Stops a node, and deletes everything that it has.
    pub(super) fn remove(&mut self, node: NodeId) -> Result<String> {
        self.check_exists(node)?;
        if self.state.nodes.len() == 1 {
            bail!("{}", state::last_node(node));
        }
        self.delete_node(node)?;
        Ok(format!(
            "node {node} and its data were removed; its number is not used again"
        ))
    }

    /// The number of the node that can be added now.
    fn next_node(&self) -> Result<NodeId> {
        let count = self.state.node_count();
        if count >= NODES_MAX {
            bail!("the cluster has {count} nodes, and a local cluster has at most {NODES_MAX}");
        }
        let node = self.state.next_node().context(
            "every number of a node was used, and none is used again; `cargo xtask cluster reset` \
             deletes the cluster with all its messages",
        )?;
        let address = self.state.port_offset.client_address(node);
        if ports::is_taken(address)? {
            bail!(
                "port {}, where node {node} would listen, is taken by another program; stop that \
                 program first",
                address.port()
            );
        }
        Ok(node)
    }

    /// Opens the links of a node that the state has already, writes what it and the others need,
    /// and starts its process.
    fn start_added(&mut self, node: NodeId) -> Result<()> {
        if self.state.links == Links::Proxied {
            let sockets = SocketFolder::at(&self.state.socket_folder);
            let of_node = Link::all(self.state.ids()).filter(|link| link.touches(node));
            self.links.start(&sockets, of_node)?;
            self.links.apply_isolation(&self.state);
        }
        node_config::write_all(&self.files, &self.state)?;
        // Before it writes anything: a supervisor that is killed now must know that the number is used.
        self.record()?;
        self.start_node(node)?;
        self.record()
    }

    /// Everything that a node has is deleted, except its log.
    fn delete_node(&mut self, node: NodeId) -> Result<()> {
        self.stop_all(&[node])?;
        if self.processes.contains_key(&node) {
            bail!("node {node} does not end, so its data are kept");
        }
        self.links.end(node);
        // Recorded first: a node of which only some files are left must not be started again.
        self.state.remove(node);
        self.record()?;
        node_config::write_all(&self.files, &self.state)?;
        SocketFolder::at(&self.state.socket_folder).remove_node(node)?;
        remove_if_there(&self.files.data(node))?;
        remove_if_there(&self.files.node_config(node))
    }
}
