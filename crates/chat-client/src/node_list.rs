//! Finds the nodes of a cluster: in a list, in a configuration file, in the environment, or in the
//! files of a cluster on this machine.

use std::fs;
use std::path::{Path, PathBuf};

use devcluster_api::{ClusterFile, NodeState, UntrustedClusterFile};
use figment::Figment;
use figment::providers::{Format, Toml};
use serde::Deserialize;

/// A list of client addresses, divided by commas.
const ENVIRONMENT: &str = "CHAT_NODES";
/// The addresses at which the nodes listen by default.
const DEFAULT: [&str; 3] = ["127.0.0.1:7401", "127.0.0.1:7402", "127.0.0.1:7403"];

/// The nodes of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeList {
    /// In the order in which they were named.
    pub nodes: Vec<KnownNode>,
    /// Where the nodes come from.
    pub origin: NodeListOrigin,
}

/// Where a list of nodes comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NodeListOrigin {
    /// A person named the nodes, or a file with them.
    Named,
    /// This file, which only this user or root can have written.
    ClusterFile(PathBuf),
    /// The default addresses. Any user of this machine may listen there.
    Default,
}

/// What is known about a node before it is contacted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct KnownNode {
    /// Its id.
    #[serde(default)]
    pub id: Option<u64>,
    /// Where it listens for clients.
    pub client_address: String,
    /// Where it listens for the other nodes.
    #[serde(default)]
    pub peer_address: Option<String>,
    /// Its process, if that runs on this machine.
    #[serde(default)]
    pub pid: Option<u32>,
}

impl From<NodeState> for KnownNode {
    fn from(node: NodeState) -> Self {
        Self {
            id: Some(u64::from(node.id.number())),
            client_address: node.client_address.to_string(),
            peer_address: Some(node.peer_address),
            pid: node.pid,
        }
    }
}

/// Why there is no list of nodes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NodeListError {
    /// The list of addresses has no address.
    #[error("the list of nodes is empty")]
    EmptyList,
    /// The configuration file does not name the nodes.
    #[error("cannot read the nodes from {}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, in one line.
        reason: String,
    },
    /// The nearest `.cluster` may have been written by another user.
    #[error(transparent)]
    Untrusted(#[from] UntrustedClusterFile),
}

/// The part of a configuration file that names the nodes.
#[derive(Deserialize)]
struct NodesFile {
    nodes: Vec<KnownNode>,
}

impl NodeList {
    /// The nodes that a person named, in a list, in a configuration file, or in `CHAT_NODES`; else
    /// those of the nearest `.cluster` in the current folder or above; else the default addresses.
    ///
    /// Ids, peer addresses and processes that the named nodes lack are taken from the `cluster.json`
    /// beside the configuration file, or from the nearest `.cluster`, if it names the same addresses.
    ///
    /// # Errors
    ///
    /// When the list or the file names no node, or when the nodes are not named and the nearest
    /// `.cluster` is not trusted.
    pub fn find(list: Option<&str>, config: Option<&Path>) -> Result<Self, NodeListError> {
        let named = Self::named(list, config)?;
        let local = match config {
            // A person named the folder.
            Some(config) => {
                let beside = ClusterFile::beside(config);
                Ok(beside.map_or(LocalCluster::Absent, LocalCluster::decode))
            }
            None => LocalCluster::nearest(&std::env::current_dir().unwrap_or_default()),
        };
        match (named, local) {
            // The local cluster only adds details; an untrusted file is ignored.
            (Some(named), local) => Ok(Self {
                nodes: completed(
                    named,
                    &local.map_or_else(|_| Vec::new(), LocalCluster::nodes),
                ),
                origin: NodeListOrigin::Named,
            }),
            (None, Ok(LocalCluster::Found { file, nodes })) => Ok(Self {
                nodes,
                origin: NodeListOrigin::ClusterFile(file),
            }),
            (None, Ok(LocalCluster::Absent)) => Ok(Self {
                nodes: from_list(&DEFAULT.join(","))?,
                origin: NodeListOrigin::Default,
            }),
            (None, Err(untrusted)) => Err(untrusted.into()),
        }
    }

    /// The nodes that a person named: in `list`, else in the file `config`, else in `CHAT_NODES`;
    /// `None` if they are named nowhere.
    ///
    /// # Errors
    ///
    /// When the list or the file names no node.
    pub fn named(
        list: Option<&str>,
        config: Option<&Path>,
    ) -> Result<Option<Vec<KnownNode>>, NodeListError> {
        let nodes = match (list, config, std::env::var(ENVIRONMENT)) {
            (Some(list), _, _) => from_list(list)?,
            (None, Some(config), _) => from_toml(config)?,
            (None, None, Ok(list)) => from_list(&list)?,
            (None, None, Err(_)) => return Ok(None),
        };
        Ok(Some(nodes))
    }
}

fn from_list(list: &str) -> Result<Vec<KnownNode>, NodeListError> {
    let node = |address: &str| KnownNode {
        client_address: address.to_owned(),
        ..KnownNode::default()
    };
    let addresses = list
        .split(',')
        .map(str::trim)
        .filter(|address| !address.is_empty());
    let nodes: Vec<KnownNode> = addresses.map(node).collect();
    if nodes.is_empty() {
        return Err(NodeListError::EmptyList);
    }
    Ok(nodes)
}

fn from_toml(path: &Path) -> Result<Vec<KnownNode>, NodeListError> {
    let failed = |reason: String| NodeListError::File {
        path: path.to_owned(),
        reason: reason.lines().next().unwrap_or_default().to_owned(),
    };
    fs::metadata(path).map_err(|error| failed(error.to_string()))?;
    let file = Figment::from(Toml::file_exact(path)).extract::<NodesFile>();
    let nodes = file.map_err(|error| failed(error.to_string()))?.nodes;
    if nodes.is_empty() {
        return Err(failed("[[nodes]] is empty".to_owned()));
    }
    Ok(nodes)
}

/// What the `cluster.json` of a cluster on this machine names.
enum LocalCluster {
    Absent,
    Found {
        file: PathBuf,
        nodes: Vec<KnownNode>,
    },
}

impl LocalCluster {
    /// The one in the nearest `.cluster`, in this folder or above. An error when another user may
    /// have written it.
    fn nearest(here: &Path) -> Result<Self, UntrustedClusterFile> {
        let found = ClusterFile::nearest(here)?;
        Ok(found.map_or(Self::Absent, Self::decode))
    }

    /// A file that cannot be decoded counts as absent.
    fn decode(found: ClusterFile) -> Self {
        let file = found.path().to_owned();
        match found.state() {
            Some(state) if !state.nodes.is_empty() => {
                let nodes = state.nodes.into_iter().map(KnownNode::from).collect();
                Self::Found { file, nodes }
            }
            _ => Self::Absent,
        }
    }

    fn nodes(self) -> Vec<KnownNode> {
        match self {
            Self::Absent => Vec::new(),
            Self::Found { nodes, .. } => nodes,
        }
    }
}

/// The named nodes, with the details that they lack from the local nodes at the same addresses.
fn completed(named: Vec<KnownNode>, local: &[KnownNode]) -> Vec<KnownNode> {
    let complete = |node: KnownNode| match local
        .iter()
        .find(|known| known.client_address == node.client_address)
    {
        Some(known) => KnownNode {
            id: node.id.or(known.id),
            peer_address: node.peer_address.or_else(|| known.peer_address.clone()),
            pid: node.pid.or(known.pid),
            client_address: node.client_address,
        },
        None => node,
    };
    named.into_iter().map(complete).collect()
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use devcluster_api::TrustProblem;
    use test_kit::{cluster_state, write_cluster_file};

    use super::{KnownNode, LocalCluster, NodeList, NodeListError};

    const FILE: &str = r#"
        [timing]
        heartbeat_ms = 100
        [[nodes]]
        client_address = "127.0.0.1:2"
        peer_address = "p:2"
    "#;

    #[test]
    fn list_is_split_at_commas() {
        let found = NodeList::find(Some("a:1, b:2,"), None).unwrap();
        let addresses: Vec<&str> = found
            .nodes
            .iter()
            .map(|node| node.client_address.as_str())
            .collect();
        assert_eq!(addresses, ["a:1", "b:2"]);
        assert!(NodeList::find(Some(" ,"), None).is_err());
    }

    /// S-C2: `devcluster-api` tests every reason.
    #[test]
    fn cluster_file_of_another_user_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join(".cluster");
        fs::create_dir(&folder).unwrap();
        let file = write_cluster_file(&folder, &cluster_state(&folder, &["127.0.0.1:1"]));
        let nearest = || LocalCluster::nearest(home.path());
        for (path, mode) in [(&folder, 0o700), (&file, 0o600)] {
            fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        }
        assert_eq!(nearest().unwrap().nodes().len(), 1);
        fs::set_permissions(&file, Permissions::from_mode(0o666)).unwrap();
        let refused = nearest().err().map(|untrusted| untrusted.why);
        assert_eq!(refused, Some(TrustProblem::WritableByOthers));
    }

    #[test]
    fn configuration_file_names_the_nodes() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("cluster.toml");
        let missing = NodeList::named(None, Some(&config)).unwrap_err();
        assert!(matches!(missing, NodeListError::File { .. }), "{missing:?}");
        fs::write(&config, FILE).unwrap();
        let mut state = cluster_state(folder.path(), &["127.0.0.1:1", "127.0.0.1:2"]);
        state.nodes[1].pid = Some(77);
        write_cluster_file(folder.path(), &state);
        let found = NodeList::find(None, Some(&config)).unwrap();
        let expected = KnownNode {
            id: Some(2),
            client_address: "127.0.0.1:2".to_owned(),
            peer_address: Some("p:2".to_owned()),
            pid: Some(77),
        };
        assert_eq!(found.nodes, [expected]);
        fs::write(&config, "nodes = [").unwrap();
        let error = NodeList::find(None, Some(&config)).unwrap_err().to_string();
        assert!(!error.contains('\n'), "{error}");
    }
}
