//! How the nodes see themselves and the cluster.

use std::time::{Duration, Instant};

use chat_proto::cluster::v1::cluster_client::ClusterClient;
use chat_proto::cluster::v1::{StatusRequest, StatusResponse};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tonic::Code;
use tonic::transport::Channel;

use crate::client::{ChatClient, FIRST_ATTEMPT};
use crate::error::ClientError;
use crate::retry_decision::{self, AttemptFailure, RetryDecision};
use crate::session::Session;

/// What one node says of itself.
#[derive(Clone, Debug)]
pub struct NodeReport {
    /// Where it was asked.
    pub address: String,
    /// Its own view, or why there is none.
    pub status: Result<StatusResponse, String>,
    /// Whether something answers there that is no node of this chat, or of a version that is too
    /// different.
    pub is_foreign: bool,
    /// How long it took to answer.
    pub round_trip: Duration,
}

/// A node that belongs to no cluster yet is asked again so soon.
const REPEAT: Duration = Duration::from_millis(100);

impl ChatClient {
    /// The cluster that the nodes are of. They are asked until one says it or the client's deadline
    /// is over.
    ///
    /// # Errors
    ///
    /// [`ClientError::Unavailable`] when none says it, [`ClientError::InvalidInput`] when they are of
    /// different ones.
    pub async fn cluster_id(&self) -> Result<String, ClientError> {
        let deadline = Instant::now() + self.deadline();
        loop {
            let reports = self.status(FIRST_ATTEMPT.min(self.deadline())).await;
            let named = |report: &NodeReport| {
                let id = report.status.as_ref().ok()?.cluster_id.clone();
                (!id.is_empty()).then_some(id)
            };
            let mut ids: Vec<String> = reports.iter().filter_map(named).collect();
            ids.sort_unstable();
            ids.dedup();
            match ids.len() {
                0 if Instant::now() + REPEAT < deadline => sleep(REPEAT).await,
                0 => {
                    let answered = reports.iter().any(|report| report.status.is_ok());
                    let last = match reports.last().map(|report| &report.status) {
                        Some(Err(error)) => error.clone(),
                        _ => "the nodes are no cluster yet".to_owned(),
                    };
                    return Err(ClientError::Unavailable { answered, last });
                }
                1 => return Ok(ids.swap_remove(0)),
                _ => {
                    let ids = ids.join(", ");
                    let what = format!("these nodes are of different clusters: {ids}");
                    return Err(ClientError::InvalidInput(what));
                }
            }
        }
    }

    /// Finds out whether a node may have the token of this session. What it said is remembered
    /// until it fails: a connection that did not break leads to the process that answered.
    pub(crate) async fn confirm(
        &self,
        node: usize,
        session: &Session,
    ) -> Result<(), RetryDecision> {
        let Some(expected) = session.cluster_id() else {
            return Ok(());
        };
        let node = &self.nodes()[node];
        if node.cluster_id().as_deref() == Some(expected) {
            return Ok(());
        }
        let mut stub = ClusterClient::new(node.channel.clone());
        let status = stub.status(StatusRequest {}).await;
        let status = status.map_err(|status| RetryDecision::from(&status).without_side_effect())?;
        let found = status.into_inner().cluster_id;
        if found.is_empty() {
            let what = "the node belongs to no cluster yet";
            return Err(RetryDecision::Retry(AttemptFailure::without_side_effect(
                what,
            )));
        }
        if found != expected {
            return Err(RetryDecision::Final(ClientError::OtherCluster {
                address: node.address.clone(),
                expected: expected.to_owned(),
                found,
            }));
        }
        *node.cluster_id() = Some(found);
        Ok(())
    }

    /// Asks every node how it sees itself and the cluster, all at once, each for at most
    /// `time_limit`. In the order of the addresses.
    pub async fn status(&self, time_limit: Duration) -> Vec<NodeReport> {
        let mut asking = JoinSet::new();
        for (place, node) in self.nodes().iter().enumerate() {
            let (address, channel) = (node.address.clone(), node.channel.clone());
            asking.spawn(async move { (place, report(address, channel, time_limit).await) });
        }
        let mut reports = asking.join_all().await;
        reports.sort_by_key(|(place, _)| *place);
        reports.into_iter().map(|(_, report)| report).collect()
    }
}

async fn report(address: String, channel: Channel, time_limit: Duration) -> NodeReport {
    let started = Instant::now();
    let mut stub = ClusterClient::new(channel);
    let mut is_foreign = false;
    let status = match timeout(time_limit, stub.status(StatusRequest {})).await {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) => {
            is_foreign = status.code() == Code::Unimplemented;
            Err(retry_decision::explain(&status))
        }
        Err(_late) => Err(format!("no answer within {} ms", time_limit.as_millis())),
    };
    NodeReport {
        address,
        status,
        is_foreign,
        round_trip: started.elapsed(),
    }
}
