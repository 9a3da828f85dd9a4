//! What an embedder holds: propose, read, watch leadership, transfer it, stop.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use chat_consensus::{Envelope, LogIndex, MembershipEdit, StorageId};
#[cfg(feature = "grpc")]
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use crate::error::{ChangeMembersError, ProposeError, ReadError};
use crate::event::Event;
use crate::peer_message::{PeerReply, PeerRequest};
#[cfg(feature = "grpc")]
use crate::runner::grpc::PeerService;
use crate::runner::leadership::Leadership;
use crate::runner::loop_event::{LoopEvent, Room};
use crate::runner::member_status::MemberStatus;
use crate::runner::peer_receiver::{NoReply, PeerReceiver};
use crate::runner::prepare::ensure_linearizable;
#[cfg(feature = "grpc")]
use crate::runner::state_machine::BoxError;
use crate::runner::status::Status;
use crate::runner::stop_reason::StopReason;

/// A running replica, which runs until it is shut down, stops by itself, or the last clone of its
/// handle is dropped. That is a shutdown without waiting: call [`Self::shutdown`] to start another
/// replica with the same log.
#[derive(Clone, Debug)]
pub struct Handle {
    parts: Arc<Parts>,
}

pub(super) struct Parts {
    pub(super) receiver: PeerReceiver,
    pub(super) directory: Option<PathBuf>,
    pub(super) election_timeout: Duration,
    pub(super) command_bytes_max: usize,
    pub(super) storage: StorageId,
    pub(super) leadership: watch::Receiver<Leadership>,
    pub(super) members: watch::Receiver<Arc<Vec<MemberStatus>>>,
    pub(super) stopped: watch::Receiver<Option<StopReason>>,
    pub(super) closed: watch::Receiver<bool>,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts")
            .field("receiver", &self.receiver)
            .finish_non_exhaustive()
    }
}

impl Drop for Parts {
    /// As [`Handle::shutdown`], without waiting.
    fn drop(&mut self) {
        let transfer = LoopEvent::Event(Event::TransferLeadership);
        for event in [transfer, LoopEvent::ShutDown] {
            let events = self.receiver.events.clone();
            if let Err(mpsc::error::TrySendError::Full(event)) = events.try_send(event) {
                // Soon there is room, or the replica has stopped.
                std::thread::spawn(move || drop(events.blocking_send(event)));
            }
        }
    }
}

impl Handle {
    pub(super) fn new(parts: Parts) -> Self {
        Self {
            parts: Arc::new(parts),
        }
    }

    /// Has `request` prepared and appended by the leader, wherever that is, and returns the reply
    /// once it is committed and applied. While nothing is appended it is tried again until
    /// `deadline`; with one that has passed already nothing is tried.
    ///
    /// Dropping the future ends the attempts within a second. What was appended before may take
    /// effect all the same, as after [`ProposeError::Unknown`].
    ///
    /// # Errors
    ///
    /// See [`ProposeError`]. A request must not be larger than `command_bytes_max` either.
    pub async fn propose(&self, request: Bytes, deadline: Instant) -> Result<Bytes, ProposeError> {
        let bytes_max = self.parts.command_bytes_max;
        if request.len() > bytes_max {
            return Err(ProposeError::TooLarge { bytes_max });
        }
        let room = room_for(&self.parts.receiver.room, &request).ok_or(ProposeError::Overloaded)?;
        let (client, completed) = oneshot::channel();
        let propose = LoopEvent::Propose {
            request,
            deadline,
            room,
            client,
        };
        self.parts
            .receiver
            .events
            .try_send(propose)
            .map_err(|refused| match refused {
                mpsc::error::TrySendError::Full(_) => ProposeError::Overloaded,
                mpsc::error::TrySendError::Closed(_) => ProposeError::Stopped,
            })?;
        match completed.await {
            Ok(result) => result.map(|proposed| proposed.reply),
            // The replica stopped with it in hand.
            Err(_dropped) => Err(ProposeError::Unknown),
        }
    }

    /// Returns when a read may begin, and the index that it sees at least: everything acknowledged
    /// by any node before this call is then visible to readers of this node's state.
    ///
    /// # Errors
    ///
    /// See [`ReadError`].
    pub async fn ensure_linearizable(&self, deadline: Instant) -> Result<u64, ReadError> {
        ensure_linearizable(&self.parts.receiver.events, deadline).await
    }

    /// Who leads, as far as this node knows.
    pub fn leadership(&self) -> Leadership {
        *self.parts.leadership.borrow()
    }

    /// Who belongs to the cluster, as far as this node knows, in ascending order; empty before the cluster is
    /// formed.
    pub fn members(&self) -> Arc<Vec<MemberStatus>> {
        Arc::clone(&self.parts.members.borrow())
    }

    /// Every change of [`Handle::leadership`].
    pub fn watch_leadership(&self) -> watch::Receiver<Leadership> {
        self.parts.leadership.clone()
    }

    /// This replica's view of itself and its cluster.
    ///
    /// # Errors
    ///
    /// The replica has stopped.
    pub async fn status(&self) -> Result<Status, StopReason> {
        let (asker, answered) = oneshot::channel();
        if self
            .parts
            .receiver
            .events
            .send(LoopEvent::Status(asker))
            .await
            .is_err()
        {
            return Err(self.stopped().await);
        }
        match answered.await {
            Ok(status) => {
                let directory = self.parts.directory.as_deref();
                Ok(Status::new(status, self.parts.storage, directory))
            }
            Err(_dropped) => Err(self.stopped().await),
        }
    }

    /// Changes the members of the cluster, as its leader, and returns the index of the entry that does it once
    /// that is committed; `None` if they were so already. A change that was made already changes nothing, so it
    /// may be repeated (R19). Without an outcome by `deadline` the error is that of the last attempt.
    ///
    /// # Errors
    ///
    /// See [`ChangeMembersError`].
    pub async fn change_members(
        &self,
        edit: &MembershipEdit,
        deadline: Instant,
    ) -> Result<Option<u64>, ChangeMembersError> {
        let change = async {
            match self.request_change(edit.clone()).await {
                Ok(Some(index)) => return Ok(Some(index.0)),
                // A leader that was deposed may not know better: it is confirmed, and then looks again.
                Ok(None) | Err(ChangeMembersError::Impossible(_)) => {}
                Err(error) => return Err(error),
            }
            let confirmed = self.ensure_linearizable(deadline).await;
            confirmed.map_err(|_late| ChangeMembersError::NotConfirmed)?;
            let done = self.request_change(edit.clone()).await?;
            Ok(done.map(|index| index.0))
        };
        let changed = tokio::time::timeout_at(deadline.into(), change).await;
        changed.unwrap_or(Err(ChangeMembersError::Unknown))
    }

    async fn request_change(
        &self,
        edit: MembershipEdit,
    ) -> Result<Option<LogIndex>, ChangeMembersError> {
        let (client, completed) = oneshot::channel();
        let change = LoopEvent::ChangeMembers { edit, client };
        let sent = self.parts.receiver.events.send(change).await;
        sent.map_err(|_stopped| ChangeMembersError::Stopped)?;
        // The replica stopped with it in hand.
        completed.await.unwrap_or(Err(ChangeMembersError::Unknown))
    }

    /// Asks a leader to let the best successor lead. Returns when this node no longer leads, or
    /// after two election timeouts; a node that does not lead has nothing to do.
    ///
    /// # Errors
    ///
    /// The replica has stopped.
    pub async fn transfer_leadership(&self) -> Result<(), StopReason> {
        if self.members().len() > 1 {
            let event = LoopEvent::Event(Event::TransferLeadership);
            if self.parts.receiver.events.send(event).await.is_err() {
                return Err(self.stopped().await);
            }
            let mut leadership = self.parts.leadership.clone();
            let timeout = self.parts.election_timeout * 2;
            let transferred = leadership.wait_for(|leadership| !leadership.leads);
            // The leadership shows whether it was too late.
            drop(tokio::time::timeout(timeout, transferred).await);
        }
        Ok(())
    }

    /// Transfers leadership if it is this node's, then stops. Completes when the replica has stopped
    /// and its log and state machine are closed, or 2 seconds after it has stopped when one of them
    /// hangs. For a replica that has stopped by itself it does the waiting alone.
    pub async fn shutdown(&self) {
        // A replica that has stopped already needs nothing more.
        drop(self.transfer_leadership().await);
        drop(self.parts.receiver.events.send(LoopEvent::ShutDown).await);
        let mut closed = self.parts.closed.clone();
        // Gone means closed: the runtime has ended.
        drop(closed.wait_for(|closed| *closed).await);
    }

    /// Completes as soon as the replica has stopped, and returns why. The log may still be closing:
    /// [`Self::shutdown`] waits for that.
    pub async fn stopped(&self) -> StopReason {
        let mut stopped = self.parts.stopped.clone();
        match stopped.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or(StopReason::ShutDown),
            Err(_gone) => StopReason::ShutDown,
        }
    }

    /// Where a transport delivers the requests of peers. It does not keep the replica running.
    pub fn receiver(&self) -> PeerReceiver {
        self.parts.receiver.clone()
    }

    /// Passes a peer's request to the replica and waits for its reply.
    ///
    /// # Errors
    ///
    /// See [`NoReply`].
    pub async fn receive(
        &self,
        request: Envelope<PeerRequest>,
    ) -> Result<Envelope<PeerReply>, NoReply> {
        self.parts.receiver.receive(request).await
    }

    /// The replication RPCs of this replica alone. To answer for several groups on one listener, make a
    /// [`PeerService`] of their receivers.
    #[cfg(feature = "grpc")]
    pub fn service(&self) -> PeerService {
        PeerService::new([self.receiver()]).expect("one replica is of one group")
    }

    /// Serves the peers' calls on `listener` until the replica has stopped, as
    /// [`PeerService::serve`]; it does not keep the replica running.
    ///
    /// # Errors
    ///
    /// When the listener cannot be served.
    #[cfg(feature = "grpc")]
    pub fn serve(
        &self,
        listener: TcpListener,
    ) -> impl Future<Output = Result<(), BoxError>> + Send + use<> {
        self.service().serve(listener)
    }
}

/// `None` when too much is on its way to the replica.
fn room_for(room: &Arc<Semaphore>, request: &Bytes) -> Option<Room> {
    let bytes = u32::try_from(request.len()).ok()?;
    Arc::clone(room).try_acquire_many_owned(bytes).ok()
}

#[cfg(test)]
mod tests;
