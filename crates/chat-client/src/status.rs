//! How the nodes see themselves and the cluster.

use std::time::{Duration, Instant};

use chat_proto::cluster::v1::cluster_client::ClusterClient;
use chat_proto::cluster::v1::{StatusRequest, StatusResponse};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tonic::Code;
use tonic::transport::Channel;

use crate::client::ChatClient;
use crate::verdict;

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

impl ChatClient {
    /// Asks every node how it sees itself and the cluster, all at once, each for at most
    /// `patience`. In the order of the addresses.
    pub async fn status(&self, patience: Duration) -> Vec<NodeReport> {
        let mut asking = JoinSet::new();
        for (place, node) in self.nodes().iter().enumerate() {
            let (address, channel) = (node.address.clone(), node.channel.clone());
            asking.spawn(async move { (place, report(address, channel, patience).await) });
        }
        let mut reports = asking.join_all().await;
        reports.sort_by_key(|(place, _)| *place);
        reports.into_iter().map(|(_, report)| report).collect()
    }
}

async fn report(address: String, channel: Channel, patience: Duration) -> NodeReport {
    let started = Instant::now();
    let mut stub = ClusterClient::new(channel);
    let mut is_foreign = false;
    let status = match timeout(patience, stub.status(StatusRequest {})).await {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) => {
            is_foreign = status.code() == Code::Unimplemented;
            Err(verdict::explain(&status))
        }
        Err(_late) => Err(format!("no answer within {} ms", patience.as_millis())),
    };
    NodeReport {
        address,
        status,
        is_foreign,
        round_trip: started.elapsed(),
    }
}
