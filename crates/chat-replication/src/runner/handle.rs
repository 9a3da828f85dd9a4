//! What an embedder holds: propose, read, watch leadership, transfer it, stop.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use chat_consensus::{NodeId, StorageId};
use chat_replication_proto::v1::replication_server::ReplicationServer;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use crate::error::{ProposeError, ReadError};
use crate::event::{Event, ReplicaStatus};
use crate::runner::leadership::Leadership;
use crate::runner::loop_event::{LoopEvent, Room};
use crate::runner::options::Options;
use crate::runner::prepare::ensure_linearizable;
use crate::runner::service::PeerService;
use crate::runner::state_machine::BoxError;
use crate::runner::stop_reason::StopReason;

/// A running replica. Cheap to clone; the replica runs until it is shut down or stops by itself.
#[derive(Clone, Debug)]
pub struct Handle {
    parts: Arc<Parts>,
}

pub(super) struct Parts {
    /// How many bytes of proposals may be prepared or on their way to the replica.
    pub(super) room: Arc<Semaphore>,
    pub(super) options: Options,
    pub(super) storage: StorageId,
    pub(super) sender: mpsc::Sender<LoopEvent>,
    pub(super) leadership: watch::Receiver<Leadership>,
    pub(super) stopped: watch::Receiver<Option<StopReason>>,
    pub(super) closed: watch::Receiver<bool>,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// A replica's view of itself and its cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// "uninitialized", "learner", "follower", "pre-candidate", "candidate" or "leader".
    pub role: &'static str,
    /// The highest term seen.
    pub term: u64,
    /// Who leads it, as far as is known.
    pub leader_id: Option<u64>,
    /// The last entry accepted.
    pub last_index: u64,
    /// Everything up to here is committed.
    pub commit_index: u64,
    /// Everything up to here is applied.
    pub applied_index: u64,
    /// On a leader, one for every other configured node; empty elsewhere.
    pub followers: Vec<FollowerStatus>,
    /// The size of the directory's files, in bytes.
    pub storage_bytes: u64,
    /// The cluster's name, once it is formed.
    pub cluster_id: Option<u128>,
    /// The name of this disk.
    pub storage_id: u128,
    /// Who counts in quorums, as far as this node and its leader know: without those whose disk was
    /// replaced, or lost what it had acknowledged. Empty before the cluster is formed.
    pub voter_ids: Vec<u64>,
    /// How many of the voters must agree: a majority of all that the log names, those too that do not
    /// count at the moment. 0 before the cluster is formed.
    pub quorum: usize,
    /// While this node waits to form the cluster: the nodes that have not answered that they are empty
    /// and there. Only the node with the lowest id asks; empty everywhere else.
    pub bootstrap_awaits: Vec<u64>,
    /// Terms that this node began to lead since it started.
    pub elections_won: u64,
    /// Until this node holds the leader's log through here it does not count, because its disk lost
    /// what it had acknowledged (R18); 0 if nothing was lost.
    pub repair_through_index: u64,
}

/// What a leader knows of another node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowerStatus {
    /// The node.
    pub node_id: u64,
    /// Whether it counts in quorums.
    pub voter: bool,
    /// The highest index it is known to hold.
    pub matched_index: u64,
    /// Since its last valid fetch.
    pub last_contact: Option<Duration>,
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
        let bytes_max = self.parts.options.limits.command_bytes_max;
        if request.len() > bytes_max {
            return Err(ProposeError::TooLarge { bytes_max });
        }
        let room = room_for(&self.parts.room, &request).ok_or(ProposeError::Overloaded)?;
        let (client, completed) = oneshot::channel();
        let propose = LoopEvent::Propose {
            request,
            deadline,
            room,
            client,
        };
        self.parts
            .sender
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
        ensure_linearizable(&self.parts.sender, deadline).await
    }

    /// Who leads, as far as this node knows.
    pub fn leadership(&self) -> Leadership {
        *self.parts.leadership.borrow()
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
            .sender
            .send(LoopEvent::Status(asker))
            .await
            .is_err()
        {
            return Err(self.stopped().await);
        }
        match answered.await {
            Ok(status) => Ok(self.status_from(status)),
            Err(_dropped) => Err(self.stopped().await),
        }
    }

    /// Asks a leader to let the best successor lead. Returns when this node no longer leads, or
    /// after two election timeouts; a node that does not lead has nothing to do.
    ///
    /// # Errors
    ///
    /// The replica has stopped.
    pub async fn transfer_leadership(&self) -> Result<(), StopReason> {
        if self.parts.options.nodes.len() > 1 {
            let event = LoopEvent::Event(Event::TransferLeadership);
            if self.parts.sender.send(event).await.is_err() {
                return Err(self.stopped().await);
            }
            let mut leadership = self.parts.leadership.clone();
            let timeout = self.parts.options.timing.election_timeout * 2;
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
        drop(self.parts.sender.send(LoopEvent::ShutDown).await);
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

    /// The replication RPCs, to be mounted on the listener whose address the peers know.
    pub fn service(&self) -> ReplicationServer<PeerService> {
        let service = PeerService {
            events: self.parts.sender.clone(),
            room: Arc::clone(&self.parts.room),
        };
        service.into_server()
    }

    /// Serves the peers' calls on `listener` until the replica has stopped, with `TCP_NODELAY`: without
    /// it a delayed acknowledgement makes many an answer wait for 40 ms. To serve more on the same
    /// listener, mount [`Self::service`] there and set it yourself.
    ///
    /// # Errors
    ///
    /// When the listener cannot be served.
    pub async fn serve(&self, listener: TcpListener) -> Result<(), BoxError> {
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let server = Server::builder().add_service(self.service());
        let stopped = async { drop(self.stopped().await) };
        Ok(server
            .serve_with_incoming_shutdown(incoming, stopped)
            .await?)
    }

    fn status_from(&self, status: ReplicaStatus) -> Status {
        let followers = status.followers.unwrap_or_default().into_iter();
        let followers = followers.map(|follower| FollowerStatus {
            node_id: follower.node.0,
            voter: follower.voter,
            matched_index: follower.match_index.0,
            last_contact: follower.last_fetch.map(|at| status.at.since(at)),
        });
        let ids = |nodes: Vec<NodeId>| nodes.into_iter().map(|node| node.0).collect();
        let membership = status.membership;
        Status {
            role: status.role.name(),
            term: status.term.0,
            leader_id: status.leader.map(|leader| leader.0),
            last_index: status.last.0,
            commit_index: status.committed.0,
            applied_index: status.applied.0,
            followers: followers.collect(),
            storage_bytes: directory_bytes(&self.parts.options.directory),
            cluster_id: membership.as_ref().map(|membership| membership.cluster.0),
            storage_id: self.parts.storage.0,
            voter_ids: ids(status.counted_voters),
            quorum: status.quorum,
            bootstrap_awaits: status.bootstrap_awaits.map(ids).unwrap_or_default(),
            elections_won: status.elections_won,
            repair_through_index: status.repair_through.0,
        }
    }
}

/// `None` when too much is on its way to the replica.
fn room_for(room: &Arc<Semaphore>, request: &Bytes) -> Option<Room> {
    let bytes = u32::try_from(request.len()).ok()?;
    Arc::clone(room).try_acquire_many_owned(bytes).ok()
}

fn directory_bytes(directory: &std::path::Path) -> u64 {
    let Ok(files) = std::fs::read_dir(directory) else {
        return 0;
    };
    let sizes = files
        .filter_map(Result::ok)
        .filter_map(|file| file.metadata().ok());
    sizes
        .filter(std::fs::Metadata::is_file)
        .map(|file| file.len())
        .sum()
}

#[cfg(test)]
mod tests;
