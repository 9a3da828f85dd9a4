//! Calls to a peer over three connections.

use std::time::Duration;

use chat_consensus::{Envelope, Header, Reply, Request};
use chat_replication_proto::v1;
use chat_replication_proto::v1::replication_client::ReplicationClient;
use tonic::transport::{Channel, Endpoint};
use tonic::{Response, Status};

use crate::peer_message::{PeerReply, PeerRequest};
use crate::runner::group_name::GroupName;
use crate::runner::grpc::liveness_probe;
use crate::runner::grpc::peer_address::PeerAddress;
use crate::runner::grpc::wire::WireMessage;
use crate::runner::state_machine::BoxError;
use crate::runner::transport::{MESSAGE_BYTES_MAX, PeerLink, Transport};

/// A peer that does not accept a connection within this time is not reached by this call.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(250);
/// An idle connection is proved alive this often, and given up after as long without an answer.
const KEEP_ALIVE: Duration = Duration::from_secs(2);

/// gRPC, to addresses that are `host:port`, or `unix:/path` for a socket in the file system, with an
/// absolute path of at most 107 bytes. Nothing is encrypted or authenticated.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Grpc;

/// An address that cannot be dialled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("neither `host:port` nor `unix:/path`: {0:?}")]
pub struct InvalidAddress(String);

/// The way to one node, by gRPC.
#[derive(Debug)]
pub struct GrpcLink {
    address: PeerAddress,
    group: GroupName,
    protocol: ReplicationClient<Channel>,
    /// A connection of their own: a fetch must never queue behind the proposals that wait for it.
    forwarded: ReplicationClient<Channel>,
    /// Another one: nor behind the pieces of a snapshot.
    snapshots: ReplicationClient<Channel>,
}

impl Grpc {
    /// The only kind there is.
    pub fn new() -> Self {
        Self
    }
}

impl Transport for Grpc {
    type Link = GrpcLink;

    fn connect(&self, address: &str, group: &GroupName) -> Result<GrpcLink, BoxError> {
        let address =
            PeerAddress::parse(address).ok_or_else(|| InvalidAddress(address.to_owned()))?;
        let endpoint = address
            .endpoint()
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
            .keep_alive_while_idle(true);
        Ok(GrpcLink {
            address,
            group: group.clone(),
            protocol: client(&endpoint),
            forwarded: client(&endpoint),
            snapshots: client(&endpoint),
        })
    }
}

fn client(endpoint: &Endpoint) -> ReplicationClient<Channel> {
    ReplicationClient::new(endpoint.connect_lazy())
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX)
}

impl PeerLink for GrpcLink {
    async fn call(&self, request: Envelope<PeerRequest>) -> Result<Envelope<PeerReply>, BoxError> {
        Ok(self.exchange(request).await?)
    }

    async fn is_refused(&self) -> bool {
        liveness_probe::is_refused(&self.address).await
    }
}

impl GrpcLink {
    async fn exchange(
        &self,
        request: Envelope<PeerRequest>,
    ) -> Result<Envelope<PeerReply>, Status> {
        let Envelope { header, message } = request;
        let mut client = match message {
            PeerRequest::Consensus(Request::GetSnapshot(_)) => self.snapshots.clone(),
            PeerRequest::Consensus(_) => self.protocol.clone(),
            PeerRequest::Propose { .. } | PeerRequest::ReadIndex => self.forwarded.clone(),
        };
        let reply = match message {
            PeerRequest::Consensus(Request::Election(election)) => {
                let request = self.write::<v1::ElectionRequest>(header, election);
                read(client.election(request).await)?.map(Reply::Election)
            }
            PeerRequest::Consensus(Request::Coordinator) => {
                let request = self.write::<v1::CoordinatorRequest>(header, ());
                read(client.coordinator(request).await)?.map(|()| Reply::Coordinator)
            }
            PeerRequest::Consensus(Request::Heartbeat(heartbeat)) => {
                let request = self.write::<v1::HeartbeatRequest>(header, heartbeat);
                read(client.heartbeat(request).await)?.map(Reply::Heartbeat)
            }
            PeerRequest::Consensus(Request::GetCommits(fetch)) => {
                let request = self.write::<v1::GetCommitsRequest>(header, fetch);
                read(client.get_commits(request).await)?.map(Reply::GetCommits)
            }
            PeerRequest::Consensus(Request::GetSnapshot(wanted)) => {
                let request = self.write::<v1::GetSnapshotRequest>(header, wanted);
                read(client.get_snapshot(request).await)?.map(Reply::GetSnapshot)
            }
            PeerRequest::Consensus(Request::Resign { successor }) => {
                let request = self.write::<v1::ResignRequest>(header, successor);
                read(client.resign(request).await)?.map(|()| Reply::Resign)
            }
            PeerRequest::Propose { request } => {
                let request = self.write::<v1::ProposeRequest>(header, request);
                return Ok(read(client.propose(request).await)?.map(PeerReply::Propose));
            }
            PeerRequest::ReadIndex => {
                let request = self.write::<v1::ReadIndexRequest>(header, ());
                return Ok(read(client.read_index(request).await)?.map(PeerReply::ReadIndex));
            }
        };
        Ok(reply.map(PeerReply::Consensus))
    }

    /// The request, to the replica of this group.
    fn write<W: WireMessage>(&self, header: Header, message: W::Message) -> W {
        let mut request = W::write(Envelope { header, message });
        if let Some(header) = request.header_mut() {
            self.group.as_str().clone_into(&mut header.group);
        }
        request
    }
}

fn read<W: WireMessage>(
    answered: Result<Response<W>, Status>,
) -> Result<Envelope<W::Message>, Status> {
    answered?.into_inner().read()
}
