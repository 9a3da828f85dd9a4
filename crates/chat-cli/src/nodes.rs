//! Where the nodes are: told, or found in the files of a cluster on this machine.

use std::fs;
use std::path::{Path, PathBuf};

use chat_client::{ClusterFile, UntrustedClusterFile};
use figment::Figment;
use figment::providers::{Format, Toml};
use serde::Deserialize;

use crate::failure::Failure;

const ENVIRONMENT: &str = "CHAT_NODES";
const DEFAULT: [&str; 3] = ["127.0.0.1:7401", "127.0.0.1:7402", "127.0.0.1:7403"];

/// The nodes of the cluster.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Nodes {
    /// In the order in which they were named.
    pub(crate) list: Vec<KnownNode>,
    pub(crate) origin: Origin,
}

/// How the nodes were found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Somebody named them.
    Named,
    /// In this file, which only this user or root can have written.
    Found(PathBuf),
    /// Nowhere: at the usual addresses whoever listens answers.
    Default,
}

/// What is known of a node without asking it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct KnownNode {
    #[serde(default)]
    pub(crate) id: Option<u64>,
    pub(crate) client_address: String,
    #[serde(default)]
    pub(crate) peer_address: Option<String>,
    /// Of its process, if that runs on this machine.
    #[serde(default)]
    pub(crate) pid: Option<u32>,
}

#[derive(Deserialize)]
struct NodesFile {
    nodes: Vec<KnownNode>,
}

impl Nodes {
    /// As the help says: the flags, the environment, `.cluster`, the default.
    pub(crate) fn find(list: Option<&str>, config: Option<&Path>) -> Result<Self, Failure> {
        let environment = std::env::var(ENVIRONMENT).ok();
        let named = match (list, config, environment) {
            (Some(list), _, _) => Some(from_list(list)?),
            (None, Some(config), _) => Some(from_toml(config)?),
            (None, None, Some(list)) => Some(from_list(&list)?),
            (None, None, None) => None,
        };
        let local = match config {
            // Somebody has named the folder.
            Some(config) => {
                let beside = ClusterFile::beside(config);
                Ok(beside.map_or(Local::Absent, Local::understand))
            }
            None => Local::look_for(&std::env::current_dir().unwrap_or_default()),
        };
        match (named, local) {
            // Ids and processes are a help only; without them it goes on.
            (Some(named), local) => Ok(Self {
                list: completed(named, &local.map_or_else(|_unfit| Vec::new(), Local::nodes)),
                origin: Origin::Named,
            }),
            (None, Ok(Local::Cluster { file, nodes })) => Ok(Self {
                list: nodes,
                origin: Origin::Found(file),
            }),
            (None, Ok(Local::Absent)) => Ok(Self {
                list: from_list(&DEFAULT.join(","))?,
                origin: Origin::Default,
            }),
            (None, Err(unfit)) => Err(unfit),
        }
    }
}

fn from_list(list: &str) -> Result<Vec<KnownNode>, Failure> {
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
        return Err(Failure::Usage("the list of nodes is empty".to_owned()));
    }
    Ok(nodes)
}

fn from_toml(path: &Path) -> Result<Vec<KnownNode>, Failure> {
    let unusable = |reason: String| {
        let reason = reason.lines().next().unwrap_or_default().to_owned();
        Failure::Usage(format!("{} cannot be used: {reason}", path.display()))
    };
    fs::metadata(path).map_err(|error| unusable(error.to_string()))?;
    let file = Figment::from(Toml::file_exact(path)).extract::<NodesFile>();
    let nodes = file.map_err(|error| unusable(error.to_string()))?.nodes;
    if nodes.is_empty() {
        return Err(unusable("[[nodes]] is empty".to_owned()));
    }
    Ok(nodes)
}

/// What a cluster on this machine says of itself.
enum Local {
    Absent,
    Cluster {
        file: PathBuf,
        nodes: Vec<KnownNode>,
    },
}

impl Local {
    /// In the nearest `.cluster`, here or above. An error when somebody else may have put it there.
    fn look_for(here: &Path) -> Result<Self, Failure> {
        let unfit = |untrusted: UntrustedClusterFile| {
            Failure::Usage(format!(
                "{untrusted} and is not used; name the nodes with --nodes or --config"
            ))
        };
        let found = ClusterFile::nearest(here).map_err(unfit)?;
        Ok(found.map_or(Self::Absent, Self::understand))
    }

    fn understand(found: ClusterFile) -> Self {
        let file = found.path().to_owned();
        let text = found.read().ok();
        match text.and_then(|text| serde_json::from_str(&text).ok()) {
            Some(NodesFile { nodes }) if !nodes.is_empty() => Self::Cluster { file, nodes },
            _ => Self::Absent,
        }
    }

    fn nodes(self) -> Vec<KnownNode> {
        match self {
            Self::Absent => Vec::new(),
            Self::Cluster { nodes, .. } => nodes,
        }
    }
}

/// What the named nodes lack, from the local cluster's nodes at the same addresses.
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

    use super::{KnownNode, Local, Nodes};

    const FILE: &str = r#"
        [timing]
        heartbeat_ms = 100
        [[nodes]]
        id = 2
        client_address = "h:2"
        peer_address = "p:2"
    "#;

    #[test]
    fn a_list_is_split() {
        let nodes = Nodes::find(Some("a:1, b:2,"), None).unwrap();
        let addresses: Vec<&str> = nodes
            .list
            .iter()
            .map(|node| node.client_address.as_str())
            .collect();
        assert_eq!(addresses, ["a:1", "b:2"]);
        assert!(Nodes::find(Some(" ,"), None).is_err());
    }

    /// S-C2: what is wrong with it is tested where it is checked.
    #[test]
    fn a_cluster_that_others_may_have_planted_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join(".cluster");
        let file = folder.join("cluster.json");
        fs::create_dir(&folder).unwrap();
        fs::write(&file, r#"{"nodes":[{"id":1,"client_address":"h:1"}]}"#).unwrap();
        let look = || Local::look_for(home.path()).map(|local| local.nodes().len());
        for (path, mode) in [(&folder, 0o700), (&file, 0o600)] {
            fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        }
        assert_eq!(look().ok(), Some(1));
        fs::set_permissions(&file, Permissions::from_mode(0o666)).unwrap();
        let refused = look().unwrap_err().to_string();
        assert!(
            refused.contains("can be written by other users and is not used; name the nodes"),
            "{refused}"
        );
    }

    #[test]
    fn a_servers_file_names_the_nodes() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("cluster.toml");
        assert!(Nodes::find(None, Some(&config)).is_err());
        fs::write(&config, FILE).unwrap();
        fs::write(
            folder.path().join("cluster.json"),
            r#"{"profile":"debug","nodes":[{"id":2,"client_address":"h:2","pid":77,"cut":false}]}"#,
        )
        .unwrap();
        let nodes = Nodes::find(None, Some(&config)).unwrap();
        let expected = KnownNode {
            id: Some(2),
            client_address: "h:2".to_owned(),
            peer_address: Some("p:2".to_owned()),
            pid: Some(77),
        };
        assert_eq!(nodes.list, [expected]);
        fs::write(&config, "nodes = [").unwrap();
        let error = Nodes::find(None, Some(&config)).unwrap_err().to_string();
        assert!(!error.contains('\n'), "{error}");
    }
}
