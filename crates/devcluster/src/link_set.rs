//! The links of a cluster: one proxy for each way from one node to another.

use std::collections::BTreeMap;
use std::os::unix::net::UnixListener;

use anyhow::{Context, Result};
use devcluster_api::{ClusterState, LinkShape, NodeId};

use crate::file_removal::remove_if_there;
use crate::layout::Link;
use crate::link_proxy::LinkProxy;
use crate::socket_folder::SocketFolder;

/// The proxies that run; none if the nodes dial each other directly.
#[derive(Debug, Default)]
pub(crate) struct LinkSet {
    proxies: BTreeMap<Link, LinkProxy>,
}

impl LinkSet {
    /// Starts the proxies of these links. Some of them may run after an error.
    pub(crate) fn start(
        &mut self,
        sockets: &SocketFolder,
        links: impl Iterator<Item = Link>,
    ) -> Result<()> {
        for link in links {
            let socket = sockets.link(link);
            // A supervisor that was killed has left it, and there is no other one.
            remove_if_there(&socket)?;
            let listener = UnixListener::bind(&socket)
                .with_context(|| format!("listening on {}", socket.display()))?;
            let target = sockets.node(link.to);
            self.proxies
                .insert(link, LinkProxy::start(listener, target)?);
        }
        Ok(())
    }

    /// Ends the proxies of a node's links. Their sockets stay.
    pub(crate) fn end(&mut self, node: NodeId) {
        self.proxies.retain(|link, _| !link.touches(node));
    }

    /// Disconnects the links of the nodes that are isolated, and connects the others.
    pub(crate) fn apply_isolation(&self, state: &ClusterState) {
        let is_down = |link: &Link| {
            let mut nodes = state.nodes.iter();
            nodes.any(|node| node.isolated && link.touches(node.id))
        };
        for (link, proxy) in &self.proxies {
            if is_down(link) {
                proxy.disconnect();
            } else {
                proxy.reconnect();
            }
        }
    }

    /// Slows a node's links down, or lets them be as fast as the machine.
    pub(crate) fn shape(&self, node: NodeId, shape: Option<LinkShape>) {
        for (link, proxy) in &self.proxies {
            if link.touches(node) {
                proxy.shape(shape);
            }
        }
    }
}
