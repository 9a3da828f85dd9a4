//! Which links a local cluster has, and where its files are.

use std::path::{Path, PathBuf};

use devcluster_api::NodeId;

/// The way from one node to another; the opposite way is another link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Link {
    /// The node that dials.
    pub from: NodeId,
    /// The node that listens.
    pub to: NodeId,
}

impl Link {
    /// Every link between these nodes.
    pub fn all(nodes: impl Iterator<Item = NodeId> + Clone) -> impl Iterator<Item = Self> {
        let others = nodes.clone();
        nodes
            .flat_map(move |from| others.clone().map(move |to| Self { from, to }))
            .filter(|link| link.from != link.to)
    }

    /// Whether the link begins or ends at this node.
    pub fn touches(self, node: NodeId) -> bool {
        self.from == node || self.to == node
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

    /// Where the supervisor takes requests, see [`devcluster_api::Request`].
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
    use devcluster_api::NodeId;

    use super::Link;

    #[test]
    fn links_are_between_the_given_nodes() {
        let nodes = ["2", "5", "11"].map(|node| node.parse::<NodeId>().unwrap());
        let links: Vec<String> = Link::all(nodes.into_iter())
            .map(|Link { from, to }| format!("{from}-{to}"))
            .collect();
        assert_eq!(links, ["2-5", "2-11", "5-2", "5-11", "11-2", "11-5"]);
        let alone = Link::all(nodes.into_iter().take(1));
        assert_eq!(alone.count(), 0);
    }
}
