//! The replication RPCs as a tonic service: each call is passed to the replica of its group and
//! answered when that answers. Serve it on a listener that only peers reach.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use chat_consensus::{Envelope, Reply, Request as ConsensusRequest};
use chat_replication_proto::v1 as wire;
use chat_replication_proto::v1::replication_server::{Replication, ReplicationServer};
use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::NamedService;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

use crate::peer_message::{PeerReply, PeerRequest};
use crate::runner::group_name::GroupName;
use crate::runner::grpc::wire::WireMessage;
use crate::runner::peer_receiver::{NoReply, PeerReceiver};
use crate::runner::state_machine::BoxError;
use crate::runner::transport::MESSAGE_BYTES_MAX;

/// Answers the peers of one replica, or of several groups' replicas on one listener.
///
/// A request is delivered to the replica of the group that its header names, and to no other; one for
/// another group is answered with `NOT_FOUND`.
#[derive(Clone, Debug)]
pub struct PeerService {
    router: Arc<Router>,
}

/// Two replicas of one group cannot share a listener.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("two replicas of group {0:?} are to be reached at one address")]
pub struct DuplicateGroup(String);

#[derive(Debug)]
struct Router {
    receivers: BTreeMap<String, PeerReceiver>,
}

impl PeerService {
    /// Answers for these replicas, each of another group.
    ///
    /// # Errors
    ///
    /// When two are of one group.
    pub fn new(receivers: impl IntoIterator<Item = PeerReceiver>) -> Result<Self, DuplicateGroup> {
        let mut by_group = BTreeMap::new();
        for receiver in receivers {
            let group = receiver.group().to_string();
            if by_group.insert(group.clone(), receiver).is_some() {
                return Err(DuplicateGroup(group));
            }
        }
        Ok(Self {
            router: Arc::new(Router {
                receivers: by_group,
            }),
        })
    }

    /// Serves the peers' calls on `listener` until all its replicas have stopped, with `TCP_NODELAY`:
    /// without it a delayed acknowledgement makes many an answer wait for 40 ms.
    ///
    /// # Errors
    ///
    /// When the listener cannot be served.
    pub async fn serve(self, listener: TcpListener) -> Result<(), BoxError> {
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let router = Arc::clone(&self.router);
        let server = Server::builder().add_service(self.into_tonic());
        let stopped = async move {
            for receiver in router.receivers.values() {
                receiver.stopped().await;
            }
        };
        Ok(server
            .serve_with_incoming_shutdown(incoming, stopped)
            .await?)
    }

    /// As a service of tonic 0.14, to be mounted beside others on a listener that accepts with
    /// `TCP_NODELAY`.
    pub fn into_tonic(
        self,
    ) -> impl Service<
        http::Request<Body>,
        Response = http::Response<Body>,
        Error = Infallible,
        Future = BoxFuture<http::Response<Body>, Infallible>,
    > + NamedService
    + Clone
    + Send
    + Sync
    + 'static {
        ReplicationServer::from_arc(self.router)
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
    }
}

impl Router {
    /// Passes a request to the replica of its group and waits for its reply.
    async fn answer<Q: WireMessage, A: WireMessage>(
        &self,
        request: Request<Q>,
        into: impl FnOnce(Q::Message) -> PeerRequest,
        from: impl FnOnce(PeerReply) -> Option<A::Message>,
    ) -> Result<Response<A>, Status> {
        let mut request = request.into_inner();
        let receiver = self.receiver(&mut request)?;
        let reply = receiver.receive(request.read()?.map(into)).await;
        let Envelope { header, message } = reply.map_err(no_reply)?;
        let message =
            from(message).ok_or_else(|| Status::internal("the reply does not fit the call"))?;
        Ok(Response::new(A::write(Envelope { header, message })))
    }

    /// The replica of the group that the header names; a request without a header is refused later.
    fn receiver<Q: WireMessage>(&self, request: &mut Q) -> Result<&PeerReceiver, Status> {
        let group = request.header_mut().map_or("", |header| &header.group);
        self.receivers
            .get(group)
            .ok_or_else(|| match group.parse::<GroupName>() {
                Ok(name) => {
                    Status::not_found(format!("no replica of group '{}' is here", name.as_str()))
                }
                Err(invalid) => Status::invalid_argument(invalid.to_string()),
            })
    }
}

fn no_reply(reason: NoReply) -> Status {
    match reason {
        NoReply::Stopped => Status::unavailable(reason.to_string()),
        NoReply::TimedOut => Status::deadline_exceeded(reason.to_string()),
    }
}

#[tonic::async_trait]
impl Replication for Router {
    async fn coordinator(
        &self,
        request: Request<wire::CoordinatorRequest>,
    ) -> Result<Response<wire::CoordinatorResponse>, Status> {
        self.answer(
            request,
            |()| PeerRequest::Consensus(ConsensusRequest::Coordinator),
            |reply| match reply {
                PeerReply::Consensus(Reply::Coordinator) => Some(()),
                _ => None,
            },
        )
        .await
    }

    async fn election(
        &self,
        request: Request<wire::ElectionRequest>,
    ) -> Result<Response<wire::ElectionResponse>, Status> {
        self.answer(
            request,
            |election| PeerRequest::Consensus(ConsensusRequest::Election(election)),
            |reply| match reply {
                PeerReply::Consensus(Reply::Election(reply)) => Some(reply),
                _ => None,
            },
        )
        .await
    }

    async fn get_commits(
        &self,
        request: Request<wire::GetCommitsRequest>,
    ) -> Result<Response<wire::GetCommitsResponse>, Status> {
        self.answer(
            request,
            |fetch| PeerRequest::Consensus(ConsensusRequest::GetCommits(fetch)),
            |reply| match reply {
                PeerReply::Consensus(Reply::GetCommits(reply)) => Some(reply),
                _ => None,
            },
        )
        .await
    }

    async fn get_snapshot(
        &self,
        request: Request<wire::GetSnapshotRequest>,
    ) -> Result<Response<wire::GetSnapshotResponse>, Status> {
        self.answer(
            request,
            |wanted| PeerRequest::Consensus(ConsensusRequest::GetSnapshot(wanted)),
            |reply| match reply {
                PeerReply::Consensus(Reply::GetSnapshot(reply)) => Some(reply),
                _ => None,
            },
        )
        .await
    }

    async fn heartbeat(
        &self,
        request: Request<wire::HeartbeatRequest>,
    ) -> Result<Response<wire::HeartbeatResponse>, Status> {
        self.answer(
            request,
            |heartbeat| PeerRequest::Consensus(ConsensusRequest::Heartbeat(heartbeat)),
            |reply| match reply {
                PeerReply::Consensus(Reply::Heartbeat(reply)) => Some(reply),
                _ => None,
            },
        )
        .await
    }

    async fn resign(
        &self,
        request: Request<wire::ResignRequest>,
    ) -> Result<Response<wire::ResignResponse>, Status> {
        self.answer(
            request,
            |successor| PeerRequest::Consensus(ConsensusRequest::Resign { successor }),
            |reply| match reply {
                PeerReply::Consensus(Reply::Resign) => Some(()),
                _ => None,
            },
        )
        .await
    }

    async fn propose(
        &self,
        request: Request<wire::ProposeRequest>,
    ) -> Result<Response<wire::ProposeResponse>, Status> {
        self.answer(
            request,
            |request| PeerRequest::Propose { request },
            |reply| match reply {
                PeerReply::Propose(outcome) => Some(outcome),
                PeerReply::Consensus(_) | PeerReply::ReadIndex(_) => None,
            },
        )
        .await
    }

    async fn read_index(
        &self,
        request: Request<wire::ReadIndexRequest>,
    ) -> Result<Response<wire::ReadIndexResponse>, Status> {
        self.answer(
            request,
            |()| PeerRequest::ReadIndex,
            |reply| match reply {
                PeerReply::ReadIndex(index) => Some(index),
                _ => None,
            },
        )
        .await
    }
}
