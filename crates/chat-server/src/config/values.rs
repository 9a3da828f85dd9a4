//! The values of a configuration, and what follows from them: addresses and directory of a node.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::addresses;
use super::sections::{
    Autopilot, Cluster, Connections, Limits, Listen, Node, Passwords, Runtime, Sessions, Storage,
    Timing,
};

/// Everything that can be configured. Every table rejects unknown keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Which cluster the node belongs to.
    pub cluster: Cluster,
    /// Where the node keeps its data, and how much of the log it keeps.
    pub storage: Storage,
    /// Where this node listens, if not at its own addresses in `nodes`.
    pub listen: Listen,
    /// Intervals and timeouts between the nodes.
    pub timing: Timing,
    /// When a voter that is dead becomes a learner.
    pub autopilot: Autopilot,
    /// What a password costs.
    pub passwords: Passwords,
    /// How long a user stays signed in.
    pub sessions: Sessions,
    /// How many connections the node holds.
    pub connections: Connections,
    /// What one account, one source of requests or all together may use.
    pub limits: Limits,
    /// The threads that serve.
    pub runtime: Runtime,
    /// Every node of the cluster, this one too.
    pub nodes: Vec<Node>,
}

/// Values of flags; each replaces the value of file and environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `storage.directory`.
    pub directory: Option<PathBuf>,
    /// `listen.client`.
    pub listen_client: Option<String>,
    /// `listen.peer`.
    pub listen_peer: Option<String>,
}

/// An address that a node listens on, and the key that it comes from.
pub(super) struct Listener<'a> {
    pub(super) address: &'a str,
    /// Its key in `[listen]`.
    pub(super) side: &'static str,
    /// Its key in `[[nodes]]`.
    pub(super) key: &'static str,
    /// Whether it comes from `[listen]`.
    pub(super) overridden: bool,
    /// The node's place in `[[nodes]]`.
    pub(super) place: usize,
}

impl Config {
    /// The entry of node `id`; `None` for one that [`super::load`] was not called for.
    pub fn node(&self, id: u64) -> Option<&Node> {
        self.nodes.iter().find(|node| node.id == id)
    }

    /// Where a node listens for clients.
    pub fn client_listener<'a>(&'a self, own: &'a Node) -> &'a str {
        self.listen.client.as_ref().unwrap_or(&own.client_address)
    }

    /// Where a node listens for the others.
    pub fn peer_listener<'a>(&'a self, own: &'a Node) -> &'a str {
        self.listen.peer.as_ref().unwrap_or(&own.peer_address)
    }

    /// The addresses of node `id` that other machines may reach.
    pub(crate) fn reached_from_outside(&self, id: u64) -> Vec<&str> {
        self.listeners(Some(id))
            .map(|listener| listener.address)
            .filter(|address| addresses::is_reached_from_outside(address))
            .collect()
    }

    /// Where node `id` listens, or where all nodes do.
    pub(super) fn listeners(&self, id: Option<u64>) -> impl Iterator<Item = Listener<'_>> {
        let nodes = self.nodes.iter().enumerate();
        let own = nodes.filter(move |(_, node)| id.is_none_or(|id| id == node.id));
        own.flat_map(|(place, node)| {
            [
                Listener {
                    address: self.client_listener(node),
                    side: "client",
                    key: "client_address",
                    overridden: self.listen.client.is_some(),
                    place,
                },
                Listener {
                    address: self.peer_listener(node),
                    side: "peer",
                    key: "peer_address",
                    overridden: self.listen.peer.is_some(),
                    place,
                },
            ]
        })
    }

    /// The directory of node `id` alone.
    pub fn data_directory(&self, id: u64) -> PathBuf {
        let own = format!("node-{id}");
        if self
            .storage
            .directory
            .file_name()
            .is_some_and(|name| name == own.as_str())
        {
            self.storage.directory.clone()
        } else {
            self.storage.directory.join(own)
        }
    }
}
