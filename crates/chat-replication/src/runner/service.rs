//! The replication RPCs as a tonic service: each call is passed to the replica and answered when
//! it answers. Mount it on a listener that only peers reach.

use std::sync::Arc;
use std::time::Duration;

use chat_consensus::{Envelope, Reply, Request as ConsensusRequest};
use chat_replication_proto::v1 as wire;
use chat_replication_proto::v1::replication_server::{Replication, ReplicationServer};
use tokio::sync::mpsc::error::SendError;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tonic::{Request, Response, Status};

use crate::peer_message::{PeerReply, PeerRequest};
use crate::runner::loop_event::{LoopEvent, Room};
use crate::runner::not_taken::not_taken;
use crate::runner::peer_transport::MESSAGE_BYTES_MAX;
use crate::runner::wire::WireMessage;

/// Longer than any caller waits: what is not answered by then never will be.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(35);

/// Answers peers. Made by [`Handle::service`](crate::Handle::service).
pub struct PeerService {
    pub(super) events: mpsc::Sender<LoopEvent>,
    pub(super) room: Arc<Semaphore>,
}

impl std::fmt::Debug for PeerService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PeerService").finish_non_exhaustive()
    }
}

impl PeerService {
    pub(super) fn into_server(self) -> ReplicationServer<Self> {
        ReplicationServer::new(self)
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
    }

    /// Passes a request to the replica and waits for its reply.
    async fn answer<Q: WireMessage, A: WireMessage>(
        &self,
        request: Request<Q>,
        into: impl FnOnce(Q::Message) -> PeerRequest,
        from: impl FnOnce(PeerReply) -> Option<A::Message>,
    ) -> Result<Response<A>, Status> {
        let request = request.into_inner().read()?.map(into);
        let room = match &request.message {
            PeerRequest::Propose { request } => Some(self.room_for(request.len()).await?),
            PeerRequest::Consensus(_) | PeerRequest::ReadIndex => None,
        };
        let (responder, answered) = oneshot::channel();
        let call = LoopEvent::Call {
            request,
            responder,
            room,
        };
        let reply = match self.events.send(call).await {
            Ok(()) => wait(answered).await?,
            Err(SendError(LoopEvent::Call { request, .. })) if is_proposal(&request.message) => {
                not_taken(&request.header)
            }
            Err(_stopped) => return Err(stopped()),
        };
        let Envelope { header, message } = reply;
        let message =
            from(message).ok_or_else(|| Status::internal("the reply does not fit the call"))?;
        Ok(Response::new(A::write(Envelope { header, message })))
    }

    /// Waits until the event loop has taken enough of what is on its way to it.
    async fn room_for(&self, bytes: usize) -> Result<Room, Status> {
        let bytes =
            u32::try_from(bytes).map_err(|error| Status::out_of_range(error.to_string()))?;
        let room = Arc::clone(&self.room).acquire_many_owned(bytes).await;
        room.map_err(|_closed| stopped())
    }
}

fn is_proposal(request: &PeerRequest) -> bool {
    matches!(request, PeerRequest::Propose { .. })
}

async fn wait(
    answered: oneshot::Receiver<Envelope<PeerReply>>,
) -> Result<Envelope<PeerReply>, Status> {
    match tokio::time::timeout(ANSWER_TIMEOUT, answered).await {
        Ok(Ok(reply)) => Ok(reply),
        Ok(Err(_dropped)) => Err(stopped()),
        Err(_late) => Err(Status::deadline_exceeded("the replica did not answer")),
    }
}

fn stopped() -> Status {
    Status::unavailable("the replica has stopped")
}

#[tonic::async_trait]
impl Replication for PeerService {
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
