//! `cluster.v1.Cluster`: how this node sees itself, and on the peer listener the operator's calls.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chat_proto::cluster::v1::cluster_server::{Cluster, ClusterServer};
use chat_proto::cluster::v1::{
    FollowerStatus, StatusRequest, StatusResponse, TransferLeadershipRequest,
    TransferLeadershipResponse,
};
use chat_replication::Handle;
use tokio::sync::Mutex;
use tonic::{Request, Response, Status};

/// How long a hand-over waits to learn who leads next.
const NEXT_LEADER_TIMEOUT: Duration = Duration::from_secs(2);

/// For how long clients get the same status, unless leadership changes: each one that is made costs
/// the replica a turn, and anybody may ask.
const STATUS_LIFETIME: Duration = Duration::from_millis(200);

/// Requests hold next to nothing.
const REQUEST_BYTES_MAX: usize = 4 * 1024;

/// Answers operators; what it lets them do depends on the listener.
#[derive(Clone, Debug)]
pub(crate) struct ClusterService {
    replica: Handle,
    node_id: u64,
    started: Instant,
    listener: Listener,
    /// What clients were told last. Held while a new one is made, so that one is made for all who
    /// wait.
    told: Arc<Mutex<Option<(Instant, StatusResponse)>>>,
}

/// Who can reach a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listener {
    /// Anybody: they may look.
    Client,
    /// Peers and operators: they may change.
    Peer,
}

impl ClusterService {
    pub(crate) fn new(replica: Handle, node_id: u64, started: Instant, listener: Listener) -> Self {
        Self {
            replica,
            node_id,
            started,
            listener,
            told: Arc::default(),
        }
    }

    async fn status_for_clients(&self) -> Result<StatusResponse, Status> {
        let mut told = self.told.lock().await;
        let leadership = self.replica.leadership();
        let fresh = |(at, status): &&(Instant, StatusResponse)| {
            at.elapsed() < STATUS_LIFETIME
                && status.term == leadership.term
                && status.leader_id == leadership.leader_id.unwrap_or(0)
        };
        if let Some((_, status)) = told.as_ref().filter(fresh) {
            return Ok(status.clone());
        }
        let status = self.replica.status().await.map_err(stopped)?;
        let status = StatusResponse {
            // It is nobody's business but the peers': their messages name it.
            storage_id: String::new(),
            ..self.response(status)
        };
        *told = Some((Instant::now(), status.clone()));
        Ok(status)
    }

    pub(crate) fn into_server(self) -> ClusterServer<Self> {
        ClusterServer::new(self).max_decoding_message_size(REQUEST_BYTES_MAX)
    }

    fn response(&self, status: chat_replication::Status) -> StatusResponse {
        let milliseconds =
            |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let follower = |follower: chat_replication::FollowerStatus| FollowerStatus {
            node_id: follower.node_id,
            voter: follower.voter,
            matched_index: follower.matched_index,
            last_contact_ms: follower.last_contact.map(milliseconds),
        };
        StatusResponse {
            node_id: self.node_id,
            role: status.role.to_owned(),
            term: status.term,
            leader_id: status.leader_id.unwrap_or(0),
            last_index: status.last_index,
            commit_index: status.commit_index,
            applied_index: status.applied_index,
            followers: status.followers.into_iter().map(follower).collect(),
            storage_state: storage_state(status.repair_through_index),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_ms: milliseconds(self.started.elapsed()),
            cluster_id: status
                .cluster_id
                .map(|id| format!("{id:032x}"))
                .unwrap_or_default(),
            storage_id: format!("{:032x}", status.storage_id),
            storage_bytes: status.storage_bytes,
            voter_ids: status.voter_ids,
            elections_won: status.elections_won,
            quorum: u32::try_from(status.quorum).unwrap_or(u32::MAX),
            bootstrap_awaits: status.bootstrap_awaits,
        }
    }
}

/// What is wrong with a node's storage although it runs. One that cannot write does not answer: it
/// has stopped.
fn storage_state(repair_through_index: u64) -> String {
    match repair_through_index {
        0 => "ok".to_owned(),
        index => format!(
            "this disk lost entries that it had acknowledged; it does not count until it holds \
             the log through {index} again"
        ),
    }
}

#[tonic::async_trait]
impl Cluster for ClusterService {
    async fn status(
        &self,
        _request: Request<StatusRequest>,
    ) -> Result<Response<StatusResponse>, Status> {
        let status = match self.listener {
            Listener::Client => self.status_for_clients().await?,
            Listener::Peer => self.response(self.replica.status().await.map_err(stopped)?),
        };
        Ok(Response::new(status))
    }

    async fn transfer_leadership(
        &self,
        _request: Request<TransferLeadershipRequest>,
    ) -> Result<Response<TransferLeadershipResponse>, Status> {
        if self.listener == Listener::Client {
            return Err(Status::unimplemented(
                "the operator's calls are on the peer listener",
            ));
        }
        let leadership = self.replica.leadership();
        if !leadership.leads {
            let leader = leadership
                .leader_id
                .map_or("unknown".to_owned(), |id| id.to_string());
            let problem = format!(
                "node {} does not lead; the leader is {leader}",
                self.node_id
            );
            return Err(Status::failed_precondition(problem));
        }
        self.replica.transfer_leadership().await.map_err(stopped)?;
        let mut watched = self.replica.watch_leadership();
        let next = watched.wait_for(|now| now.term > leadership.term && now.leader_id.is_some());
        let leader_id = match tokio::time::timeout(NEXT_LEADER_TIMEOUT, next).await {
            Ok(Ok(now)) => now.leader_id.unwrap_or(0),
            // Nobody yet, or the replica stopped meanwhile.
            Ok(Err(_)) | Err(_) => 0,
        };
        Ok(Response::new(TransferLeadershipResponse { leader_id }))
    }
}

fn stopped(reason: chat_replication::StopReason) -> Status {
    Status::unavailable(reason.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_forgot_is_named_until_it_is_whole() {
        assert_eq!(storage_state(0), "ok");
        let state = storage_state(7);
        assert!(state.contains("lost entries"), "{state}");
        assert!(state.contains("through 7"), "{state}");
    }
}
