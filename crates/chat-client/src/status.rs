//! Reports of all nodes about themselves, and the cluster to which they belong.

use std::time::{Duration, Instant};

use chat_proto::cluster::v1::StatusRequest;
use chat_proto::cluster::v1::cluster_client::ClusterClient;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tonic::Code;

use crate::client::ChatClient;
use crate::error::ClientError;
use crate::node_pool::{FIRST_ATTEMPT, Node, NodePool, lock};
use crate::node_status::NodeStatus;
use crate::retry_decision;

/// What one node reports.
#[derive(Clone, Debug)]
pub struct NodeReport {
    /// The address of the node.
    pub address: String,
    /// The number of the node, once it or another node has reported it.
    pub node_id: Option<u64>,
    /// Its own view, or why there is none.
    pub status: Result<NodeStatus, String>,
    /// Whether something answers at the address that is not a node of this chat, or is of a version
    /// that is too different.
    pub is_foreign: bool,
    /// How long the answer took.
    pub round_trip: Duration,
}

/// The pause between two polls of nodes that do not belong to a cluster yet.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

impl ChatClient {
    /// The cluster to which the nodes belong. Polls all nodes until one of them reports it, or the
    /// client's deadline passes.
    ///
    /// # Errors
    ///
    /// [`ClientError::Unavailable`] when no node reports it, [`ClientError::InvalidInput`] when the
    /// nodes belong to different clusters.
    pub async fn cluster_id(&self) -> Result<String, ClientError> {
        let deadline = Instant::now() + self.deadline();
        loop {
            let reports = self.status(FIRST_ATTEMPT.min(self.deadline())).await;
            let cluster_id = |report: &NodeReport| report.status.as_ref().ok()?.cluster_id.clone();
            let mut ids: Vec<String> = reports.iter().filter_map(cluster_id).collect();
            ids.sort_unstable();
            ids.dedup();
            match ids.len() {
                0 if Instant::now() + POLL_INTERVAL < deadline => sleep(POLL_INTERVAL).await,
                0 => {
                    let answered = reports.iter().any(|report| report.status.is_ok());
                    let last = match reports.last().map(|report| &report.status) {
                        Some(Err(error)) => error.clone(),
                        _ => "the nodes do not belong to a cluster yet".to_owned(),
                    };
                    return Err(ClientError::Unavailable { answered, last });
                }
                1 => return Ok(ids.swap_remove(0)),
                _ => {
                    let ids = ids.join(", ");
                    let what = format!("these nodes belong to different clusters: {ids}");
                    return Err(ClientError::InvalidInput(what));
                }
            }
        }
    }

    /// Requests a report from every node, from all at once, and waits for each at most `time_limit`.
    /// The reports are in the order of the addresses: those that were named, then those of the
    /// members that were found. A node that has two addresses reports once.
    pub async fn status(&self, time_limit: Duration) -> Vec<NodeReport> {
        let mut calls = JoinSet::new();
        let nodes = self.pool().nodes();
        let used = nodes
            .into_iter()
            .filter(|node| !self.pool().is_left_over(node));
        for (place, node) in used.enumerate() {
            let pool = self.shared_pool();
            calls.spawn(async move { (place, report(&pool, &node, time_limit).await) });
        }
        let mut reports = calls.join_all().await;
        reports.sort_by_key(|(place, _)| *place);
        once_each(reports.into_iter().map(|(_, report)| report).collect())
    }
}

/// Without the reports of nodes that answer at another address, too.
fn once_each(reports: Vec<NodeReport>) -> Vec<NodeReport> {
    let identity = |report: &NodeReport| {
        let status = report.status.as_ref().ok()?;
        Some((status.cluster_id.clone()?, status.node_id))
    };
    let answered: Vec<(String, u64)> = reports.iter().filter_map(identity).collect();
    let mut seen = Vec::new();
    let mut is_first = |report: &NodeReport| match identity(report) {
        Some(node) if seen.contains(&node) => false,
        Some(node) => {
            seen.push(node);
            true
        }
        // An old address of a node that answers elsewhere, unless these nodes are of several
        // clusters.
        None => !answered.iter().any(|(cluster_id, id)| {
            Some(*id) == report.node_id
                && answered.iter().all(|(other, _)| other == cluster_id)
                && report.status.is_err()
        }),
    };
    reports
        .into_iter()
        .filter(|report| is_first(report))
        .collect()
}

async fn report(pool: &NodePool, node: &Node, time_limit: Duration) -> NodeReport {
    let started = Instant::now();
    let mut stub = ClusterClient::new(node.channel.clone());
    let mut is_foreign = false;
    let status = match timeout(time_limit, stub.status(StatusRequest {})).await {
        Ok(Ok(response)) => Ok(NodeStatus::from(response.into_inner())),
        Ok(Err(status)) => {
            is_foreign = status.code() == Code::Unimplemented;
            Err(retry_decision::innermost_message(&status))
        }
        Err(_elapsed) => Err(format!("no answer within {} ms", time_limit.as_millis())),
    };
    let is_of_another_cluster = |status: &NodeStatus| {
        let expected = node.member_of.as_ref();
        expected.is_some() && status.cluster_id.is_some() && status.cluster_id.as_ref() != expected
    };
    let status = match status {
        Ok(status) if is_of_another_cluster(&status) => {
            Err("a node of another cluster answers there".to_owned())
        }
        Ok(status) => {
            pool.learn_from(node, &status);
            Ok(status)
        }
        Err(why) => Err(why),
    };
    NodeReport {
        address: node.address.clone(),
        node_id: *lock(&node.node_id),
        status,
        is_foreign,
        round_trip: started.elapsed(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{NodeReport, NodeStatus, once_each};

    fn report(address: &str, id: u64, cluster: Option<&str>) -> NodeReport {
        let status = cluster.map(|cluster| NodeStatus {
            node_id: id,
            cluster_id: Some(cluster.to_owned()),
            ..NodeStatus::default()
        });
        NodeReport {
            address: address.to_owned(),
            node_id: Some(id),
            status: status.ok_or_else(|| "connection refused".to_owned()),
            is_foreign: false,
            round_trip: Duration::ZERO,
        }
    }

    #[test]
    fn node_with_two_addresses_reports_once() {
        let addresses = |reports: Vec<NodeReport>| -> Vec<String> {
            let reports = once_each(reports).into_iter();
            reports.map(|report| report.address).collect()
        };
        let x = Some("x");
        let twice = vec![report("a", 1, x), report("b", 2, x), report("c", 1, x)];
        assert_eq!(addresses(twice), ["a", "b"]);
        let moved = vec![report("a", 1, None), report("b", 2, x), report("c", 1, x)];
        assert_eq!(addresses(moved), ["b", "c"]);
        let down = vec![report("a", 1, None), report("b", 2, x)];
        assert_eq!(addresses(down), ["a", "b"]);
        // Node 1 of another cluster is another node.
        let mixed = vec![report("a", 1, x), report("b", 1, Some("y"))];
        assert_eq!(addresses(mixed), ["a", "b"]);
    }
}
