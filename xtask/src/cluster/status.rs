//! What the cluster says about itself: the program `chat` asks every node, we read its answer.

use std::io::{IsTerminal, stdout};
use std::process::{Command, ExitCode};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::layout::{Files, NodeId};
use super::state::ClusterState;
use crate::workspace;

/// Without a quorum, or not running at all.
const NO_QUORUM: u8 = 3;

const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// Clears the screen and goes to its first line.
const CLEAR: &str = "\x1b[H\x1b[2J";

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    Table,
    Json,
}

/// The part of `chat cluster status -o json` that we need.
#[derive(Debug, Deserialize)]
pub(super) struct Status {
    pub(super) health: Health,
    pub(super) summary: String,
    pub(super) leader: Option<NodeId>,
    #[serde(default)]
    pub(super) term: u64,
    pub(super) nodes: Vec<NodeStatus>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Health {
    Healthy,
    Degraded,
    NoQuorum,
}

#[derive(Debug, Deserialize)]
pub(super) struct NodeStatus {
    #[serde(default)]
    pub(super) id: u64,
    /// How many entries it lacks that the leader has.
    #[serde(default)]
    pub(super) trails: Option<u64>,
    pub(super) reachable: bool,
    pub(super) role: Option<String>,
    pub(super) voter: Option<bool>,
}

impl Status {
    /// Whether nothing better will come of waiting: a learner of this cluster stays one until the
    /// log takes it back, and that is decided elsewhere.
    pub(super) fn is_hard_state_durable(&self) -> bool {
        let settled = |node: &NodeStatus| {
            let is_learner = node.role.as_deref() == Some("learner");
            node.reachable && (node.voter == Some(true) || is_learner)
        };
        self.health == Health::Healthy || (self.leader.is_some() && self.nodes.iter().all(settled))
    }
}

/// Prints the table once, and returns what it says: 0 healthy, 1 degraded, 3 without quorum.
pub(super) fn print(files: &Files, format: Format) -> Result<ExitCode> {
    if ClusterState::read(files)?.is_none_or(|state| state.supervisor().is_none()) {
        print_absent(format);
        return Ok(ExitCode::from(NO_QUORUM));
    }
    let mut command = command(files);
    if format == Format::Json {
        command.args(["-o", "json"]);
    }
    let status = workspace::status(&mut command)?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(NO_QUORUM)))
}

/// Prints the table every second until the person has seen enough.
pub(super) fn watch(files: &Files, format: Format) -> Result<ExitCode> {
    loop {
        if stdout().is_terminal() {
            print!("{CLEAR}");
        }
        print(files, format)?;
        thread::sleep(WATCH_INTERVAL);
    }
}

/// Asks the nodes.
pub(super) fn ask(files: &Files) -> Result<Status> {
    let mut command = command(files);
    let output = command
        .args(["-o", "json"])
        .output()
        .with_context(|| format!("starting `{}`", workspace::describe(&command)))?;
    serde_json::from_slice(&output.stdout).with_context(|| {
        let errors = String::from_utf8_lossy(&output.stderr);
        format!(
            "understanding the status (the program said: {})",
            errors.trim()
        )
    })
}

/// The node that leads now.
pub(super) fn leader(files: &Files) -> Result<NodeId> {
    let status = ask(files)?;
    match status.leader {
        Some(leader) => Ok(leader),
        None => bail!("no node leads now: {}", status.summary),
    }
}

fn command(files: &Files) -> Command {
    let mut command = Command::new(files.program("chat"));
    command
        .args(["cluster", "status", "--config"])
        .arg(files.client_config());
    command
}

fn print_absent(format: Format) {
    match format {
        Format::Table => {
            println!("the cluster is not up; `cargo xtask cluster up` starts it");
        }
        Format::Json => {
            let status = serde_json::json!({
                "health": "no_quorum",
                "summary": "the cluster is not up",
                "leader": null,
                "term": 0,
                "nodes": [],
            });
            println!("{status}");
        }
    }
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
    fn a_healthy_cluster_is_settled() {
        let status = status(
            "healthy",
            "1",
            &[(true, "leader", true), (true, "follower", true)],
        );
        assert_eq!(status.health, Health::Healthy);
        assert_eq!(status.leader, Some("1".parse().unwrap()));
        assert!(status.is_hard_state_durable());
    }

    #[test]
    fn a_learner_is_settled_and_a_dead_node_is_not() {
        let learner = [(true, "leader", true), (true, "learner", false)];
        assert!(status("degraded", "1", &learner).is_hard_state_durable());
        assert!(!status("no_quorum", "null", &learner).is_hard_state_durable());
        let dead = [(true, "leader", true), (false, "", true)];
        assert!(!status("degraded", "1", &dead).is_hard_state_durable());
        let empty = [(true, "leader", true), (true, "uninitialized", false)];
        assert!(!status("degraded", "1", &empty).is_hard_state_durable());
    }
}
