//! The replication RPCs as a tonic service: each call is handed to the replica and answered when
//! it answers. Mount it on a listener that only peers reach.

use std::sync::Arc;
use std::time::Duration;

use chat_consensus::{Envelope, Header, Reply, Request as ConsensusRequest, StorageId, Term};
use chat_proto::replication::v1 as wire;
use chat_proto::replication::v1::replication_server::{Replication, ReplicationServer};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tonic::{Request, Response, Status};

use crate::peer_message::{PeerReply, PeerRequest, ProposeOutcome, Refusal};
use crate::runner::event_loop::{Leadership, LoopEvent};
use crate::runner::handle::room_for;
use crate::runner::peer_transport::MESSAGE_BYTES_MAX;
use crate::runner::state_machine::{Prepare, Prepared};
use crate::runner::wire::WireMessage;

/// Longer than any caller waits: what is not answered by then never will be.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(35);

/// Answers peers. Made by [`Handle::service`](crate::Handle::service).
pub struct PeerService {
    pub(super) incoming: mpsc::Sender<LoopEvent>,
    pub(super) room: Arc<Semaphore>,
    pub(super) prepare: Arc<dyn Prepare>,
    pub(super) leadership: watch::Receiver<Leadership>,
    pub(super) storage: StorageId,
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

    /// Passes a request of the protocol to the replica and waits for its reply.
    async fn answer<Q: WireMessage, A: WireMessage>(
        &self,
        request: Request<Q>,
        into: impl FnOnce(Q::Message) -> PeerRequest,
        from: impl FnOnce(PeerReply) -> Option<A::Message>,
    ) -> Result<Response<A>, Status> {
        let request = request.into_inner().read()?.map(into);
        let (caller, answered) = oneshot::channel();
        self.enqueue(LoopEvent::Call(request, caller)).await?;
        let Envelope { header, message } = wait(answered).await?;
        let message =
            from(message).ok_or_else(|| Status::internal("the reply does not fit the call"))?;
        Ok(Response::new(A::write(Envelope { header, message })))
    }

    async fn enqueue(&self, incoming: LoopEvent) -> Result<(), Status> {
        self.incoming
            .send(incoming)
            .await
            .map_err(|_stopped| stopped())
    }

    /// Prepares a forwarded request here, on the leader, and has it appended (R13).
    async fn append(
        &self,
        header: Header,
        request: bytes::Bytes,
    ) -> Result<Envelope<ProposeOutcome>, Status> {
        let leadership = *self.leadership.borrow();
        if !leadership.leads {
            let leader = leadership.leader_id.map(chat_consensus::NodeId);
            return Ok(self.refuse(header, leadership, Refusal::NotLeading { leader }));
        }
        let Some(room) = room_for(&self.room, &request) else {
            return Ok(self.refuse(header, leadership, Refusal::Overloaded));
        };
        let (command, finish) = match self.prepare.prepare(request).await {
            Prepared::Append { command, finish } => (command, finish),
            Prepared::Answer(answer) => {
                return Ok(self.refuse(header, leadership, Refusal::Answered(answer)));
            }
        };
        let (caller, answered) = oneshot::channel();
        self.enqueue(LoopEvent::AppendForPeer(header, command, room, caller))
            .await?;
        let Envelope { header, message } = wait(answered).await?;
        let message = match message {
            PeerReply::Propose(ProposeOutcome::Applied { index, answer }) => {
                let answer = finish(index.0, answer);
                ProposeOutcome::Applied { index, answer }
            }
            PeerReply::Propose(outcome) => outcome,
            PeerReply::Consensus(_) | PeerReply::ReadIndex(_) => {
                return Err(Status::internal("the reply does not fit the call"));
            }
        };
        Ok(Envelope { header, message })
    }

    /// An answer that needs nothing of the replica.
    fn refuse(
        &self,
        header: Header,
        leadership: Leadership,
        refusal: Refusal,
    ) -> Envelope<ProposeOutcome> {
        Envelope {
            header: Header {
                term: Term(leadership.term),
                from: header.to,
                to: header.from,
                storage: self.storage,
                ..header
            },
            message: ProposeOutcome::NotAppended(refusal),
        }
    }
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
        let Envelope { header, message } = request.into_inner().read()?;
        let reply = self.append(header, message).await?;
        Ok(Response::new(wire::ProposeResponse::write(reply)))
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
