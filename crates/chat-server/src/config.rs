//! What a node is told before it starts: defaults, then a TOML file, then the environment, then
//! flags. Whatever is wrong is said in one sentence, and nothing has been changed by then.

mod addresses;
mod check;
mod diagnostics;
mod layers;
mod log_filter;
mod reference;
mod schema;
mod sections;
mod show;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use layers::Layers;

pub use log_filter::log_filter;
pub use reference::reference;
pub(crate) use schema::UNIX;
pub use sections::{
    Cluster, Connections, Limits, Listen, Node, Passwords, Runtime, Sessions, Storage, Timing,
};

/// Everything that can be configured. Every table refuses keys that it does not know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Which cluster the node belongs to.
    pub cluster: Cluster,
    /// Where the node keeps its data.
    pub storage: Storage,
    /// Where this node listens, if not at its own addresses in `nodes`.
    pub listen: Listen,
    /// How patient the node is.
    pub timing: Timing,
    /// What a password costs.
    pub passwords: Passwords,
    /// How long somebody stays signed in.
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

/// What flags say; each one replaces what file and environment say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `storage.directory`.
    pub directory: Option<PathBuf>,
    /// `listen.client`.
    pub listen_client: Option<String>,
    /// `listen.peer`.
    pub listen_peer: Option<String>,
}

/// A configuration that was read and checked, and where its values come from.
#[derive(Debug)]
pub struct Loaded {
    /// The values.
    pub config: Config,
    layers: Layers,
}

/// An address that a node listens on, and where it stands.
struct Listener<'a> {
    address: &'a str,
    /// Its key in `[listen]`.
    side: &'static str,
    /// Its key in `[[nodes]]`.
    key: &'static str,
    /// Whether it stands in `[listen]`.
    overridden: bool,
    /// The node's place in `[[nodes]]`.
    place: usize,
}

/// Why a configuration cannot be used. `origin` says where the value comes from.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file is not there, or is not readable.
    #[error("the configuration file {path} cannot be read: {reason}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        reason: String,
    },
    /// A key or a value that is not understood.
    #[error("{0}")]
    Malformed(String),
    /// A value that is not among those allowed.
    #[error("{key} is {value} ({origin}), and must be {allowed}")]
    NotAllowed {
        /// Its name in the file.
        key: String,
        /// What was found.
        value: String,
        /// Where.
        origin: String,
        /// What is allowed.
        allowed: String,
    },
    /// There is nothing in `[[nodes]]`, or too much.
    #[error("[[nodes]] lists {found} nodes ({origin}), and must list 1 to {most}")]
    NodeCount {
        /// How many there are.
        found: usize,
        /// Where.
        origin: String,
        /// How many there may be.
        most: usize,
    },
    /// Two nodes have one id, or one address.
    #[error("two nodes have the {what} {value} (the second: {origin})")]
    Duplicate {
        /// What must be different.
        what: &'static str,
        /// The value that occurs twice.
        value: String,
        /// Where the second one is.
        origin: String,
    },
    /// Two nodes have one address, written in two ways.
    #[error(
        "{first} and {second} are one address, and every node needs its own (the second: {origin})"
    )]
    SameAddress {
        /// As it is written first.
        first: String,
        /// As it is written then.
        second: String,
        /// Where the second one is.
        origin: String,
    },
    /// `RUST_LOG` is mistyped.
    #[error("the environment variable RUST_LOG is {value:?}, and {what}")]
    LogFilter {
        /// What it says.
        value: String,
        /// What is wrong with it, and what to write.
        what: String,
    },
    /// A listener that other machines may reach, and nobody said that this is wanted.
    #[error(
        "{key} is {address:?} ({origin}), which other machines may reach, and nothing there is \
         encrypted; listen.insecure = true allows it"
    )]
    Reachable {
        /// The address's name in the file.
        key: String,
        /// The address.
        address: String,
        /// Where it is.
        origin: String,
    },
    /// The node would take one address twice.
    #[error("node {id} would listen on {address} for clients and for the other nodes")]
    ListensTwice {
        /// The node.
        id: u64,
        /// The address.
        address: String,
    },
    /// `--id` names a node that is not listed.
    #[error("node {id} is not listed in [[nodes]] ({origin}); the listed ids are {listed}")]
    UnknownNode {
        /// What was asked for.
        id: u64,
        /// Where the list is.
        origin: String,
        /// What there is.
        listed: String,
    },
}

/// Reads and checks a configuration: for node `id`, or for whichever node if there is none. Its
/// directory is a path from the root on.
///
/// # Errors
///
/// See [`ConfigError`]; each is one sentence.
pub fn load(id: Option<u64>, file: &Path, overrides: &Overrides) -> Result<Loaded, ConfigError> {
    let layers = Layers::read(file, overrides)?;
    let mut config: Config = layers
        .figment
        .extract()
        .map_err(|error| ConfigError::Malformed(diagnostics::describe(&error, &layers)))?;
    check::check(&config, id, &layers)?;
    config.storage.directory =
        layers.absolute(&["storage", "directory"], &config.storage.directory);
    Ok(Loaded { config, layers })
}

impl Config {
    /// The entry of node `id`; `None` for one that [`load`] has not been asked about.
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
    fn listeners(&self, id: Option<u64>) -> impl Iterator<Item = Listener<'_>> {
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
