//! Where the requests of peers enter a replica, whatever the transport.

use std::sync::Arc;
use std::time::Duration;

use chat_consensus::Envelope;
use tokio::sync::mpsc::error::SendError;
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::peer_message::{PeerReply, PeerRequest};
use crate::runner::group_name::GroupName;
use crate::runner::loop_event::{LoopEvent, Room};
use crate::runner::not_taken::not_taken;

/// Longer than any caller waits: what is not answered by then never will be.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(35);

/// Where a transport delivers the requests of peers. Cheap to clone; it does not keep the replica
/// running, as a [`Handle`](crate::Handle) does.
#[derive(Clone)]
pub struct PeerReceiver {
    pub(super) group: GroupName,
    pub(super) events: mpsc::Sender<LoopEvent>,
    pub(super) room: Arc<Semaphore>,
}

/// Why a peer's request has no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoReply {
    /// The replica has stopped.
    #[error("the replica has stopped")]
    Stopped,
    /// The replica did not reply within 35 seconds.
    #[error("the replica did not answer")]
    TimedOut,
}

impl std::fmt::Debug for PeerReceiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PeerReceiver")
            .field("group", &self.group)
            .finish_non_exhaustive()
    }
}

impl PeerReceiver {
    /// The group whose replica this is: nothing else may be delivered here.
    pub fn group(&self) -> &GroupName {
        &self.group
    }

    /// Whether the replica has stopped.
    pub fn is_stopped(&self) -> bool {
        self.events.is_closed()
    }

    /// Passes a request to the replica and waits for its reply.
    ///
    /// # Errors
    ///
    /// See [`NoReply`].
    pub async fn receive(
        &self,
        request: Envelope<PeerRequest>,
    ) -> Result<Envelope<PeerReply>, NoReply> {
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
        match self.events.send(call).await {
            Ok(()) => wait(answered).await,
            Err(SendError(LoopEvent::Call { request, .. })) if is_proposal(&request.message) => {
                Ok(not_taken(&request.header))
            }
            Err(_stopped) => Err(NoReply::Stopped),
        }
    }

    /// Completes when the replica has stopped.
    pub async fn stopped(&self) {
        self.events.closed().await;
    }

    /// Waits until the event loop has taken enough of what is on its way to it.
    async fn room_for(&self, bytes: usize) -> Result<Room, NoReply> {
        // What is larger than any message that is valid waits in vain, and times out at its caller.
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).acquire_many_owned(bytes).await;
        room.map_err(|_closed| NoReply::Stopped)
    }
}

fn is_proposal(request: &PeerRequest) -> bool {
    matches!(request, PeerRequest::Propose { .. })
}

async fn wait(
    answered: oneshot::Receiver<Envelope<PeerReply>>,
) -> Result<Envelope<PeerReply>, NoReply> {
    match tokio::time::timeout(ANSWER_TIMEOUT, answered).await {
        Ok(Ok(reply)) => Ok(reply),
        Ok(Err(_dropped)) => Err(NoReply::Stopped),
        Err(_late) => Err(NoReply::TimedOut),
    }
}
