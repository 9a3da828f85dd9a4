//! Reports of all nodes about themselves, and the cluster to which they belong.

use std::time::{Duration, Instant};

use chat_proto::cluster::v1::StatusRequest;
use chat_proto::cluster::v1::cluster_client::ClusterClient;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tonic::Code;
use tonic::transport::Channel;

use crate::client::ChatClient;
use crate::error::ClientError;
use crate::node_pool::FIRST_ATTEMPT;
use crate::node_status::NodeStatus;
use crate::retry_decision;

/// What one node reports.
#[derive(Clone, Debug)]
pub struct NodeReport {
    /// The address of the node.
    pub address: String,
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
    /// The reports are in the order of the addresses.
    pub async fn status(&self, time_limit: Duration) -> Vec<NodeReport> {
        let mut calls = JoinSet::new();
        for (place, node) in self.pool().nodes().iter().enumerate() {
            let (address, channel) = (node.address.clone(), node.channel.clone());
            calls.spawn(async move { (place, report(address, channel, time_limit).await) });
        }
        let mut reports = calls.join_all().await;
        reports.sort_by_key(|(place, _)| *place);
        reports.into_iter().map(|(_, report)| report).collect()
    }
}

async fn report(address: String, channel: Channel, time_limit: Duration) -> NodeReport {
    let started = Instant::now();
    let mut stub = ClusterClient::new(channel);
    let mut is_foreign = false;
    let status = match timeout(time_limit, stub.status(StatusRequest {})).await {
        Ok(Ok(response)) => Ok(response.into_inner().into()),
        Ok(Err(status)) => {
            is_foreign = status.code() == Code::Unimplemented;
            Err(retry_decision::innermost_message(&status))
        }
        Err(_elapsed) => Err(format!("no answer within {} ms", time_limit.as_millis())),
    };
    NodeReport {
        address,
        status,
        is_foreign,
        round_trip: started.elapsed(),
    }
}
