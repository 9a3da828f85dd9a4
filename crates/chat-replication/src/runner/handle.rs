//! What an embedder holds: propose, read, watch leadership, hand over, stop.

use std::future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use chat_consensus::{LogIndex, NodeId, RoleName, StorageId};
use chat_proto::replication::v1::replication_server::ReplicationServer;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::timeout_at;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use crate::event::{Event, ReplicaStatus};
use crate::peer_message::{ProposeOutcome, Refusal};
use crate::runner::apply_task::{PublishError, Publisher};
use crate::runner::event_loop::{Leadership, LoopEvent, ReadClient, Room};
use crate::runner::service::PeerService;
use crate::runner::state_machine::{BoxError, Prepare, Prepared};
use crate::runner::{Options, StopReason};

/// Between two tries when a leader was named that did not take the request.
const RETRY_PAUSE: Duration = Duration::from_millis(10);

/// How long a former leader may still answer what was forwarded to it once another one is known.
/// One that handed over answers within a round trip; one that is cut off never does (R13).
const OLD_LEADER_RESPONSE_TIMEOUT: Duration = Duration::from_millis(50);

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
    pub(super) prepare: Arc<dyn Prepare>,
    pub(super) publisher: Publisher,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// Why a proposal has no answer. Only after [`ProposeError::Unknown`] may it have taken effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProposeError {
    /// Nobody led until the deadline; nothing was appended.
    #[error("no leader is known")]
    NoLeader,
    /// The leader did not take it until the deadline; nothing was appended.
    #[error("the leader did not accept the proposal")]
    NotAppended {
        /// Who leads, as far as is known.
        leader_id: Option<u64>,
    },
    /// Too much is waiting; nothing was appended.
    #[error("too many proposals are waiting")]
    Overloaded,
    /// The command is too large for the log; nothing was appended.
    #[error("the command is larger than {bytes_max} bytes")]
    TooLarge {
        /// The limit, in bytes.
        bytes_max: usize,
    },
    /// It may have taken effect, may yet, or may never. Propose the same again only if that is
    /// harmless.
    #[error("the outcome is unknown")]
    Unknown,
    /// The replica has stopped; nothing was appended.
    #[error("the replica has stopped")]
    Stopped,
}

/// Why a linearizable read could not begin. Asking again is always safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// No leader could be confirmed until the deadline.
    #[error("no leader could be confirmed in time")]
    NoLeader,
    /// The read was confirmed; this node had not applied what it must see, or not made it visible,
    /// until the deadline.
    #[error("this node had not applied enough in time")]
    NotApplied,
    /// Too many reads are waiting.
    #[error("too many reads are waiting")]
    Overloaded,
    /// The replica has stopped.
    #[error("the replica has stopped")]
    Stopped,
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
    /// While this node waits to form the cluster: the nodes that have not said that they are empty
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
    /// once it is committed and applied. While nothing is appended it goes on trying until
    /// `deadline`; with one that has passed already nothing is tried.
    ///
    /// Dropping the future stops the trying and the waiting. What was handed to the replica before may
    /// be appended and take effect all the same, as after [`ProposeError::Unknown`].
    ///
    /// # Errors
    ///
    /// See [`ProposeError`]. A request must not be larger than `command_bytes_max` either.
    pub async fn propose(&self, request: Bytes, deadline: Instant) -> Result<Bytes, ProposeError> {
        let mut leadership = self.parts.leadership.clone();
        let bytes_max = self.parts.options.limits.command_bytes_max;
        if request.len() > bytes_max {
            return Err(ProposeError::TooLarge { bytes_max });
        }
        if Instant::now() >= deadline {
            let leader_id = leadership.borrow().leader_id;
            return Err(ProposeError::NotAppended { leader_id });
        }
        loop {
            let known = *leadership.borrow_and_update();
            let tried = match known {
                Leadership { leads: true, .. } => self.append(request.clone(), deadline).await?,
                Leadership {
                    leader_id: Some(_), ..
                } => self.forward(request.clone(), known, deadline).await?,
                Leadership { .. } => AttemptResult::Refused(Refusal::NotLeading { leader: None }),
            };
            let leader = match tried {
                // What another node applied, it has finished.
                AttemptResult::Applied(_, answer) | AttemptResult::Answered(answer) => {
                    return Ok(answer);
                }
                AttemptResult::Refused(Refusal::Answered(answer)) => return Ok(answer),
                AttemptResult::Refused(Refusal::Overloaded) => {
                    return Err(ProposeError::Overloaded);
                }
                AttemptResult::Refused(Refusal::TooLarge) => {
                    return Err(ProposeError::TooLarge { bytes_max });
                }
                AttemptResult::Refused(Refusal::NotLeading { leader }) => leader,
            };
            if self.parts.sender.is_closed() {
                return Err(ProposeError::Stopped);
            }
            if !wait_for_change(&mut leadership, known, deadline).await {
                let leader_id = leader.map(|leader| leader.0).or(known.leader_id);
                return Err(match leader_id {
                    Some(_) => ProposeError::NotAppended { leader_id },
                    None => ProposeError::NoLeader,
                });
            }
        }
    }

    /// Returns when a read may begin: everything acknowledged by any node before this call is then
    /// visible to readers of this node's state.
    ///
    /// # Errors
    ///
    /// See [`ReadError`].
    pub async fn ensure_linearizable(&self, deadline: Instant) -> Result<(), ReadError> {
        let mut leadership = self.parts.leadership.clone();
        loop {
            let known = *leadership.borrow_and_update();
            if known.leader_id.is_some() {
                let (begin, answered) = oneshot::channel();
                let confirmed = Arc::new(AtomicBool::new(false));
                let client = ReadClient {
                    begin,
                    confirmed: Arc::clone(&confirmed),
                };
                self.parts
                    .sender
                    .try_send(LoopEvent::Read(client))
                    .map_err(|refused| match refused {
                        mpsc::error::TrySendError::Full(_) => ReadError::Overloaded,
                        mpsc::error::TrySendError::Closed(_) => ReadError::Stopped,
                    })?;
                match timeout_at(deadline.into(), answered).await {
                    Ok(Ok(Some(index))) => return self.see(index, deadline).await,
                    Ok(Ok(None)) => {}
                    Ok(Err(_dropped)) => return Err(ReadError::Stopped),
                    Err(_late) if confirmed.load(Ordering::Relaxed) => {
                        return Err(ReadError::NotApplied);
                    }
                    Err(_late) => return Err(ReadError::NoLeader),
                }
            }
            if self.parts.sender.is_closed() {
                return Err(ReadError::Stopped);
            }
            if !wait_for_change(&mut leadership, known, deadline).await {
                return Err(ReadError::NoLeader);
            }
        }
    }

    async fn see(&self, index: LogIndex, deadline: Instant) -> Result<(), ReadError> {
        let published = self.parts.publisher.publish(index);
        match timeout_at(deadline.into(), published).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(PublishError::Overloaded)) => Err(ReadError::Overloaded),
            Ok(Err(PublishError::Closed)) => Err(ReadError::Stopped),
            Err(_late) => Err(ReadError::NotApplied),
        }
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
            let handed_over = leadership.wait_for(|leadership| !leadership.leads);
            // Late is told by the leadership itself.
            drop(tokio::time::timeout(timeout, handed_over).await);
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

    /// Completes as soon as the replica has stopped, and says why. The log may still be closing:
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
            incoming: self.parts.sender.clone(),
            room: Arc::clone(&self.parts.room),
            prepare: Arc::clone(&self.parts.prepare),
            leadership: self.parts.leadership.clone(),
            storage: self.parts.storage,
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

    async fn append(
        &self,
        request: Bytes,
        deadline: Instant,
    ) -> Result<AttemptResult, ProposeError> {
        let room = self.room_for(&request)?;
        let preparing = self.parts.prepare.prepare(request);
        let prepared = timeout_at(deadline.into(), preparing).await;
        let (command, finish) = match prepared {
            Ok(Prepared::Append { command, finish }) => (command, finish),
            Ok(Prepared::Answer(answer)) => return Ok(AttemptResult::Answered(answer)),
            Err(_late) => return Err(ProposeError::NotAppended { leader_id: None }),
        };
        let (client, answered) = oneshot::channel();
        self.offer(LoopEvent::Append(command, room, client))?;
        Ok(match outcome(answered, deadline).await? {
            AttemptResult::Applied(index, answer) => {
                AttemptResult::Answered(finish(index.0, answer))
            }
            other => other,
        })
    }

    async fn forward(
        &self,
        request: Bytes,
        known: Leadership,
        deadline: Instant,
    ) -> Result<AttemptResult, ProposeError> {
        let (client, answered) = oneshot::channel();
        let room = self.room_for(&request)?;
        self.offer(LoopEvent::Forward(request, room, client))?;
        tokio::select! {
            outcome = outcome(answered, deadline) => outcome,
            () = leader_changed(self.parts.leadership.clone(), known.term) => Err(ProposeError::Unknown),
        }
    }

    fn room_for(&self, request: &Bytes) -> Result<Room, ProposeError> {
        room_for(&self.parts.room, request).ok_or(ProposeError::Overloaded)
    }

    fn offer(&self, incoming: LoopEvent) -> Result<(), ProposeError> {
        self.parts
            .sender
            .try_send(incoming)
            .map_err(|refused| match refused {
                mpsc::error::TrySendError::Full(_) => ProposeError::Overloaded,
                mpsc::error::TrySendError::Closed(_) => ProposeError::Stopped,
            })
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
            role: role_name(status.role),
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
pub(super) fn room_for(room: &Arc<Semaphore>, request: &Bytes) -> Option<Room> {
    let bytes = u32::try_from(request.len()).ok()?;
    Arc::clone(room).try_acquire_many_owned(bytes).ok()
}

/// What one try came to. Nothing was appended when it was refused.
enum AttemptResult {
    /// By the state machine, to the entry at this place of the log.
    Applied(LogIndex, Bytes),
    /// As its client is answered.
    Answered(Bytes),
    Refused(Refusal),
}

async fn outcome(
    answered: oneshot::Receiver<ProposeOutcome>,
    deadline: Instant,
) -> Result<AttemptResult, ProposeError> {
    match timeout_at(deadline.into(), answered).await {
        Ok(Ok(ProposeOutcome::Applied { index, answer })) => {
            Ok(AttemptResult::Applied(index, answer))
        }
        Ok(Ok(ProposeOutcome::NotAppended(refusal))) => Ok(AttemptResult::Refused(refusal)),
        // Too late to know, or the replica stopped with it in hand.
        Ok(Ok(ProposeOutcome::Unknown) | Err(_)) | Err(_) => Err(ProposeError::Unknown),
    }
}

/// Completes when a leader of a term after `term` is known, and the former one has had its time to
/// answer. Never, when the replica stops before: whoever waits learns that otherwise.
async fn leader_changed(mut leadership: watch::Receiver<Leadership>, term: u64) {
    let newer = |known: &Leadership| known.term > term && known.leader_id.is_some();
    if leadership.wait_for(newer).await.is_err() {
        future::pending::<()>().await;
    }
    tokio::time::sleep(OLD_LEADER_RESPONSE_TIMEOUT).await;
}

/// Waits until leadership differs from `known`, or a little while when a leader was named that
/// may take the request yet. `false` when the deadline has passed.
async fn wait_for_change(
    leadership: &mut watch::Receiver<Leadership>,
    known: Leadership,
    deadline: Instant,
) -> bool {
    let now = Instant::now();
    if now >= deadline {
        return false;
    }
    let until = match known.leader_id {
        Some(_) => deadline.min(now + RETRY_PAUSE),
        None => deadline,
    };
    // Changed, gone or late: the next try finds out.
    drop(timeout_at(until.into(), leadership.changed()).await);
    Instant::now() < deadline
}

fn role_name(role: RoleName) -> &'static str {
    match role {
        RoleName::Uninitialized => "uninitialized",
        RoleName::Learner => "learner",
        RoleName::Follower => "follower",
        RoleName::PreCandidate => "pre-candidate",
        RoleName::Candidate => "candidate",
        RoleName::Leader => "leader",
    }
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
