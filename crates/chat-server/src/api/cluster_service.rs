//! `cluster.v1.Cluster`: the status of this node, and on the peer listener the operator's calls.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chat_proto::cluster::v1::change_members_request::Change;
use chat_proto::cluster::v1::cluster_server::{Cluster, ClusterServer};
use chat_proto::cluster::v1::{
    ChangeMembersRequest, ChangeMembersResponse, FollowerStatus, Member, MemberKind,
    SnapshotDownload, SnapshotStatus, StatusRequest, StatusResponse, TransferLeadershipRequest,
    TransferLeadershipResponse,
};
use chat_replication::{
    ChangeMembersError, Handle, MemberStatus, MembershipEdit, NodeAddresses, NodeId,
};
use tokio::sync::Mutex;
use tonic::{Request, Response, Status};

use crate::config;

/// How long a leadership transfer waits for the next leader to be known.
const NEXT_LEADER_TIMEOUT: Duration = Duration::from_secs(2);

/// For how long clients get the same status, unless leadership changes: making one takes time of the
/// event loop, and every client may request it.
const STATUS_LIFETIME: Duration = Duration::from_millis(200);

/// How long a change of the members waits until it is committed.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(10);

/// Requests are nearly empty.
const REQUEST_BYTES_MAX: usize = 4 * 1024;

/// Serves operators; which calls it allows depends on the listener.
#[derive(Clone, Debug)]
pub(crate) struct ClusterService {
    replica: Handle,
    node_id: u64,
    /// The nodes of the configuration, which does not change while the node runs: where members are whose
    /// addresses are not in the log.
    configured: Arc<[Member]>,
    started: Instant,
    listener: Listener,
    /// The last status sent to clients. Locked while a new one is made, so that one serves all the
    /// calls that wait.
    cached: Arc<Mutex<Option<(Instant, StatusResponse)>>>,
}

/// Which listener a service is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listener {
    /// For everyone: reading only.
    Client,
    /// For peers and operators: they may change something.
    Peer,
}

impl ClusterService {
    pub(crate) fn new(
        replica: Handle,
        node_id: u64,
        nodes: &[config::Node],
        started: Instant,
        listener: Listener,
    ) -> Self {
        let member = |node: &config::Node| Member {
            node_id: node.id,
            client_address: node.client_address.clone(),
            kind: MemberKind::Unspecified.into(),
            peer_address: node.peer_address.clone(),
        };
        Self {
            replica,
            node_id,
            configured: nodes.iter().map(member).collect(),
            started,
            listener,
            cached: Arc::default(),
        }
    }

    async fn status_for_clients(&self) -> Result<StatusResponse, Status> {
        let mut cached = self.cached.lock().await;
        let leadership = self.replica.leadership();
        let fresh = |(at, status): &&(Instant, StatusResponse)| {
            at.elapsed() < STATUS_LIFETIME
                && status.term == leadership.term
                && status.leader_id == leadership.leader_id.unwrap_or(0)
        };
        if let Some((_, status)) = cached.as_ref().filter(fresh) {
            return Ok(status.clone());
        }
        let status = self.replica.status().await.map_err(stopped)?;
        let status = StatusResponse {
            // Only peers need it: their messages carry it.
            storage_id: String::new(),
            ..self.response(status)
        };
        *cached = Some((Instant::now(), status.clone()));
        Ok(status)
    }

    pub(crate) fn into_server(self) -> ClusterServer<Self> {
        ClusterServer::new(self).max_decoding_message_size(REQUEST_BYTES_MAX)
    }

    fn response(&self, status: chat_replication::Status) -> StatusResponse {
        let members = self.members(&status.members);
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
            storage_state: storage_state(
                status.repair_through_index,
                status
                    .download
                    .map(|download| (download.bytes, download.size)),
                status.state_lost,
                status.disk_forgot.as_deref(),
            ),
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
            snapshots: Some(SnapshotStatus {
                log_begins_index: status.log_begins_index,
                newest_index: status.snapshot_index.unwrap_or(0),
                taking: status.taking_snapshot,
                download: status.download.map(|download| SnapshotDownload {
                    index: download.index,
                    bytes: download.bytes,
                    size: download.size,
                }),
            }),
            members,
            failures_tolerated: status
                .failures_tolerated
                .map(|failures| u32::try_from(failures).unwrap_or(u32::MAX)),
            highest_member_id: status.highest_member_id,
        }
    }

    /// The members, or before they are known the nodes of the configuration.
    fn members(&self, known: &[MemberStatus]) -> Vec<Member> {
        let configured = |node: u64| self.configured.iter().find(|member| member.node_id == node);
        let member = |member: &MemberStatus| {
            let (client_address, peer_address) = match &member.addresses {
                Some(addresses) => (addresses.client.to_string(), addresses.peer.to_string()),
                None => configured(member.node_id).map_or_else(Default::default, |member| {
                    (member.client_address.clone(), member.peer_address.clone())
                }),
            };
            let kind = match member.voter {
                true => MemberKind::Voter,
                false => MemberKind::Learner,
            };
            Member {
                node_id: member.node_id,
                client_address,
                kind: kind.into(),
                peer_address,
            }
        };
        let mut members: Vec<Member> = match known {
            [] => self.configured.to_vec(),
            known => known.iter().map(member).collect(),
        };
        if self.listener == Listener::Client {
            for member in &mut members {
                member.peer_address.clear();
            }
        }
        members
    }

    /// Operators' calls are for the peer listener.
    fn check_listener(&self) -> Result<(), Status> {
        match self.listener {
            Listener::Peer => Ok(()),
            Listener::Client => Err(Status::unimplemented(
                "the operator's calls are on the peer listener",
            )),
        }
    }

    fn not_leading(&self, leader_id: Option<u64>) -> Status {
        let leader = leader_id.map_or("unknown".to_owned(), |id| id.to_string());
        Status::failed_precondition(format!(
            "node {} does not lead; the leader is {leader}",
            self.node_id
        ))
    }
}

/// The problem of a node's storage while it runs; `download` is how many bytes are there of how many. A
/// node that cannot write sends no status: it has stopped.
fn storage_state(
    repair_through_index: u64,
    download: Option<(u64, u64)>,
    state_lost: bool,
    disk_forgot: Option<&str>,
) -> String {
    if repair_through_index > 0 {
        return format!(
            "this disk lost entries that it had acknowledged; it does not count until it holds \
             the log through {repair_through_index} again"
        );
    }
    match download {
        Some((bytes, size)) => {
            format!("a snapshot is being downloaded: {bytes} of {size} bytes")
        }
        None if state_lost => "the tables are being restored from a snapshot".to_owned(),
        None => match disk_forgot {
            Some(why) => format!(
                "this disk lost what it had acknowledged, and has a new storage id; the node votes \
                 again by itself once it has caught up: {why}"
            ),
            None => "ok".to_owned(),
        },
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
        self.check_listener()?;
        let leadership = self.replica.leadership();
        if !leadership.leads {
            return Err(self.not_leading(leadership.leader_id));
        }
        self.replica.transfer_leadership().await.map_err(stopped)?;
        let mut watched = self.replica.watch_leadership();
        let next = watched.wait_for(|now| now.term > leadership.term && now.leader_id.is_some());
        let leader_id = match tokio::time::timeout(NEXT_LEADER_TIMEOUT, next).await {
            Ok(Ok(now)) => now.leader_id.unwrap_or(0),
            // There is none yet, or the replica stopped meanwhile.
            Ok(Err(_)) | Err(_) => 0,
        };
        Ok(Response::new(TransferLeadershipResponse { leader_id }))
    }

    async fn change_members(
        &self,
        request: Request<ChangeMembersRequest>,
    ) -> Result<Response<ChangeMembersResponse>, Status> {
        self.check_listener()?;
        let edit = edit_of(request.into_inner())?;
        tracing::info!(target: "audit", ?edit, "an operator changes the members");
        let deadline = Instant::now() + CHANGE_TIMEOUT;
        let changed = self.replica.change_members(&edit, deadline).await;
        let index = changed.map_err(|error| match error {
            ChangeMembersError::NotLeading { leader_id } => self.not_leading(leader_id),
            ChangeMembersError::NotNow(_) | ChangeMembersError::NotConfirmed => {
                Status::aborted(error.to_string())
            }
            ChangeMembersError::Impossible(_) => Status::invalid_argument(error.to_string()),
            ChangeMembersError::Stopped => Status::unavailable(error.to_string()),
            _ => Status::unknown(error.to_string()),
        })?;
        let index = index.unwrap_or(0);
        tracing::info!(target: "audit", ?edit, index, "the members are changed");
        Ok(Response::new(ChangeMembersResponse { index }))
    }
}

/// What an operator requests, if its addresses can be dialled.
fn edit_of(request: ChangeMembersRequest) -> Result<MembershipEdit, Status> {
    let absent = |what: &str| Status::invalid_argument(format!("{what} is missing"));
    match request.change.ok_or_else(|| absent("change"))? {
        Change::Add(member) => {
            let node = node_of(member.node_id)?;
            Ok(MembershipEdit::Add(node, addresses_of(member)?))
        }
        Change::Remove(node) => Ok(MembershipEdit::Remove(node_of(node)?)),
        Change::Update(update) => {
            let member = update.member.ok_or_else(|| absent("update.member"))?;
            let before = update.before.map(addresses_of).transpose()?;
            let node = node_of(member.node_id)?;
            Ok(MembershipEdit::Update(node, before, addresses_of(member)?))
        }
    }
}

fn node_of(id: u64) -> Result<NodeId, Status> {
    match id {
        0 => Err(Status::invalid_argument("node_id is 0")),
        id => Ok(NodeId(id)),
    }
}

fn addresses_of(member: Member) -> Result<NodeAddresses, Status> {
    config::check_peer_address(&member.peer_address)
        .map_err(|allowed| not_dialled("peer_address", &member.peer_address, &allowed))?;
    config::check_client_address(&member.client_address)
        .map_err(|allowed| not_dialled("client_address", &member.client_address, &allowed))?;
    Ok(NodeAddresses {
        peer: member.peer_address.into(),
        client: member.client_address.into(),
    })
}

fn not_dialled(field: &str, value: &str, allowed: &str) -> Status {
    Status::invalid_argument(format!("{field} is {value:?}; allowed: {allowed}"))
}

fn stopped(reason: chat_replication::StopReason) -> Status {
    Status::unavailable(reason.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disk_that_lost_entries_is_reported_until_it_is_repaired() {
        assert_eq!(storage_state(0, None, false, None), "ok");
        let state = storage_state(7, None, false, None);
        assert!(state.contains("lost entries"), "{state}");
        assert!(state.contains("through 7"), "{state}");
    }

    #[test]
    fn lost_tables_are_reported_with_the_download_that_restores_them() {
        assert!(storage_state(0, None, true, None).contains("being restored"));
        let state = storage_state(0, Some((10, 40)), true, None);
        assert!(state.contains("10 of 40 bytes"), "{state}");
    }

    #[test]
    fn disk_that_forgot_is_reported_with_the_reason() {
        let state = storage_state(0, None, false, Some("the file node is missing"));
        assert!(state.contains("new storage id"), "{state}");
        assert!(state.ends_with("the file node is missing"), "{state}");
    }
}
