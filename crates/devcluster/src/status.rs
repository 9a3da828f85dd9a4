//! The status of a cluster, as the program `chat` reports it after it has called every node.

use std::process::Command;

use anyhow::{Context, Result, bail};
use devcluster_api::NodeId;
use serde::Deserialize;

use crate::layout::Files;

/// The part of `chat cluster status -o json` that we need.
#[derive(Debug, Deserialize)]
pub struct Status {
    /// How the cluster is as a whole.
    pub health: Health,
    /// The same as a sentence.
    pub summary: String,
    /// The node that leads.
    pub leader: Option<NodeId>,
    /// The highest term of any node.
    #[serde(default)]
    pub term: u64,
    /// Every configured node.
    pub nodes: Vec<NodeStatus>,
}

/// How a cluster is as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// Every node serves.
    Healthy,
    /// A majority serves.
    Degraded,
    /// No majority serves.
    NoQuorum,
}

/// How one node is.
#[derive(Debug, Deserialize)]
pub struct NodeStatus {
    /// Its number.
    #[serde(default)]
    pub id: u64,
    /// How many entries it lacks that the leader has.
    #[serde(default)]
    pub trails: Option<u64>,
    /// Whether it replied.
    pub reachable: bool,
    /// Its role, as it reports it.
    pub role: Option<String>,
    /// Whether the cluster counts it as a voter.
    pub voter: Option<bool>,
}

impl Status {
    /// Whether the cluster serves, and every node is there: a learner has what the others have, and votes
    /// by itself some seconds later, if a majority of the voters is there to admit it.
    pub fn is_settled(&self) -> bool {
        let settled = |node: &NodeStatus| {
            let is_learner = node.role.as_deref() == Some("learner");
            node.reachable && (node.voter == Some(true) || is_learner)
        };
        self.health == Health::Healthy || (self.leader.is_some() && self.nodes.iter().all(settled))
    }
}

/// Calls every node and returns what they reported.
///
/// # Errors
///
/// When the program `chat` of this cluster cannot be run, or prints no status.
pub fn query(files: &Files) -> Result<Status> {
    let output = command(files)
        .args(["-o", "json"])
        .output()
        .context("starting `chat cluster status`")?;
    serde_json::from_slice(&output.stdout).with_context(|| {
        let errors = String::from_utf8_lossy(&output.stderr);
        format!(
            "decoding the status (the program printed: {})",
            errors.trim()
        )
    })
}

/// The node that leads now.
///
/// # Errors
///
/// When there is none, or the status is unknown.
pub fn leader(files: &Files) -> Result<NodeId> {
    let status = query(files)?;
    match status.leader {
        Some(leader) => Ok(leader),
        None => bail!("no node leads now: {}", status.summary),
    }
}

/// The command that prints the status of this cluster's nodes.
pub fn command(files: &Files) -> Command {
    let mut command = Command::new(files.program("chat"));
    command
        .args(["cluster", "status", "--config"])
        .arg(files.client_config());
    command
}

#[cfg(test)]
mod tests {
    use super::{Health, Status};

    fn status(health: &str, leader: &str, nodes: &[(bool, &str, bool)]) -> Status {
        let node = |(number, (reachable, role, voter)): (usize, &(bool, &str, bool))| {
            let id = number + 1;
            format!(
                r#"{{"id":{id},"reachable":{reachable},"role":"{role}","voter":{voter},"x":1}}"#
            )
        };
        let nodes: Vec<String> = nodes.iter().enumerate().map(node).collect();
        let text = format!(
            r#"{{"health":"{health}","summary":"…","leader":{leader},"term":7,"nodes":[{}]}}"#,
            nodes.join(",")
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn healthy_cluster_is_settled() {
        let status = status(
            "healthy",
            "1",
            &[(true, "leader", true), (true, "follower", true)],
        );
        assert_eq!(status.health, Health::Healthy);
        assert_eq!(status.leader, Some("1".parse().unwrap()));
        assert!(status.is_settled());
    }

    #[test]
    fn learner_is_settled_and_dead_node_is_not() {
        let learner = [(true, "leader", true), (true, "learner", false)];
        assert!(status("degraded", "1", &learner).is_settled());
        assert!(!status("no_quorum", "null", &learner).is_settled());
        let dead = [(true, "leader", true), (false, "", true)];
        assert!(!status("degraded", "1", &dead).is_settled());
        let empty = [(true, "leader", true), (true, "empty", false)];
        assert!(!status("degraded", "1", &empty).is_settled());
    }
}
