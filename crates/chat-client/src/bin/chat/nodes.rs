//! Where the nodes are: told, or found in the files of a cluster on this machine.

use std::fs;
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Format, Toml};
use serde::Deserialize;

use crate::failure::Failure;

const ENVIRONMENT: &str = "CHAT_NODES";
const CLUSTER_FOLDER: &str = ".cluster";
const CLUSTER_FILE: &str = "cluster.json";
const DEFAULT: [&str; 3] = ["127.0.0.1:7401", "127.0.0.1:7402", "127.0.0.1:7403"];

/// The nodes of the cluster, in the order in which they were named.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Nodes(pub(crate) Vec<KnownNode>);

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
        let local = local_cluster(config);
        let environment = std::env::var(ENVIRONMENT).ok();
        let named = match (list, config, environment) {
            (Some(list), _, _) => from_list(list)?,
            (None, Some(config), _) => from_toml(config)?,
            (None, None, Some(list)) => from_list(&list)?,
            (None, None, None) => match &local {
                Some(local) => local.clone(),
                None => from_list(&DEFAULT.join(","))?,
            },
        };
        Ok(Self(completed(named, &local.unwrap_or_default())))
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

/// What stands in the `cluster.json` beside the configuration, or of this folder or one above.
fn local_cluster(config: Option<&Path>) -> Option<Vec<KnownNode>> {
    let beside = config.map(|config| config.with_file_name(CLUSTER_FILE));
    let here = std::env::current_dir().unwrap_or_default();
    let above = here
        .ancestors()
        .map(|folder| folder.join(CLUSTER_FOLDER).join(CLUSTER_FILE));
    let places: Vec<PathBuf> = match beside {
        Some(beside) => vec![beside],
        None => above.collect(),
    };
    let text = places
        .iter()
        .find_map(|place| fs::read_to_string(place).ok())?;
    let file: NodesFile = serde_json::from_str(&text).ok()?;
    (!file.nodes.is_empty()).then_some(file.nodes)
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
    use std::fs;

    use super::{KnownNode, Nodes};

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
            .0
            .iter()
            .map(|node| node.client_address.as_str())
            .collect();
        assert_eq!(addresses, ["a:1", "b:2"]);
        assert!(Nodes::find(Some(" ,"), None).is_err());
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
        assert_eq!(nodes.0, [expected]);
        fs::write(&config, "nodes = [").unwrap();
        let error = Nodes::find(None, Some(&config)).unwrap_err().to_string();
        assert!(!error.contains('\n'), "{error}");
    }
}
