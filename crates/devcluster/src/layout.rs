//! Which addresses a local cluster listens on, and where its files are.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

/// More nodes only make a majority slower.
pub const NODES_MAX: u8 = 7;

const FIRST_CLIENT_PORT: u16 = 7401;

/// The system gives the ports above to outgoing connections.
const PORT_MAX: u16 = 32_767;

/// The number of a node, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(u8);

impl NodeId {
    /// All nodes of a cluster of this size.
    pub fn all(count: u8) -> impl Iterator<Item = Self> + Clone {
        (1..=count).map(Self)
    }

    /// The number itself.
    pub fn number(self) -> u8 {
        self.0
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl FromStr for NodeId {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.parse() {
            Ok(number) if (1..=NODES_MAX).contains(&number) => Ok(Self(number)),
            _ => bail!("a node is a number from 1 to {NODES_MAX}"),
        }
    }
}

/// The way from one node to another; the opposite way is another link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Link {
    /// The node that dials.
    pub from: NodeId,
    /// The node that listens.
    pub to: NodeId,
}

impl Link {
    /// Every link of a cluster of this size.
    pub fn all(count: u8) -> impl Iterator<Item = Self> {
        NodeId::all(count)
            .flat_map(move |from| NodeId::all(count).map(move |to| Self { from, to }))
            .filter(|link| link.from != link.to)
    }

    /// Whether the link begins or ends at this node.
    pub fn touches(self, node: NodeId) -> bool {
        self.from == node || self.to == node
    }
}

/// Added to every port, so that a second cluster can run beside the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PortOffset(u16);

impl FromStr for PortOffset {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let limit = PORT_MAX - FIRST_CLIENT_PORT - u16::from(NODES_MAX);
        match text.parse() {
            Ok(offset) if offset <= limit => Ok(Self(offset)),
            _ => bail!("a port offset is a number from 0 to {limit}"),
        }
    }
}

impl PortOffset {
    /// Where a node listens for clients.
    pub fn client_address(self, node: NodeId) -> SocketAddr {
        let port = FIRST_CLIENT_PORT + u16::from(node.0) - 1;
        (Ipv4Addr::LOCALHOST, port + self.0).into()
    }
}

/// The files of one cluster, all in one folder.
#[derive(Clone, Debug)]
pub struct Files {
    folder: PathBuf,
}

impl Files {
    /// The folder must be an absolute path: several processes with different folders use it.
    ///
    /// # Panics
    ///
    /// When it is not.
    pub fn new(folder: PathBuf) -> Self {
        assert!(folder.is_absolute(), "{} is not absolute", folder.display());
        Self { folder }
    }

    /// The folder itself.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What the cluster is now, see [`crate::state`].
    pub fn state(&self) -> PathBuf {
        self.folder.join("cluster.json")
    }

    /// The addresses as a client sees them.
    pub fn client_config(&self) -> PathBuf {
        self.folder.join("cluster.toml")
    }

    /// Where the supervisor takes requests, see [`crate::protocol`].
    pub fn control_socket(&self) -> PathBuf {
        self.folder.join("supervisor.sock")
    }

    /// What the supervisor printed.
    pub fn supervisor_log(&self) -> PathBuf {
        self.folder.join("supervisor.log")
    }

    /// Held by a command that starts or removes the cluster.
    pub fn lock(&self) -> PathBuf {
        self.folder.join("lock")
    }

    /// Copies of our programs, so that a build does not change what is running.
    pub fn programs(&self) -> PathBuf {
        self.folder.join("bin")
    }

    /// The copy of one program.
    pub fn program(&self, name: &str) -> PathBuf {
        self.programs().join(name)
    }

    /// The folder of the nodes' logs.
    pub fn logs(&self) -> PathBuf {
        self.folder.join("logs")
    }

    /// What a node printed.
    pub fn log(&self, node: NodeId) -> PathBuf {
        self.logs().join(format!("node-{node}.log"))
    }

    /// The configuration of a node.
    pub fn node_config(&self, node: NodeId) -> PathBuf {
        self.folder.join(format!("node-{node}.toml"))
    }

    /// Where a node stores everything.
    pub fn data(&self, node: NodeId) -> PathBuf {
        self.folder.join(format!("node-{node}"))
    }
}

#[cfg(test)]
mod tests {
    use super::{NodeId, PortOffset};

    #[test]
    fn ports_are_the_documented_ones() {
        let (ports, moved) = (PortOffset::default(), PortOffset(1000));
        let three = NodeId(3);
        assert_eq!(ports.client_address(three).to_string(), "127.0.0.1:7403");
        assert_eq!(moved.client_address(three).to_string(), "127.0.0.1:8403");
    }

    #[test]
    fn number_out_of_range_is_refused() {
        for text in ["0", "8", "-1", "one", ""] {
            assert!(text.parse::<NodeId>().is_err(), "{text}");
        }
        assert!("7".parse::<NodeId>().is_ok());
        assert!("1000".parse::<PortOffset>().is_ok());
        assert!("25360".parse::<PortOffset>().is_err());
    }
}
