//! Everything that reaches the event loop. Below all that send to it, so that they need not know it.

use std::time::Instant;

use bytes::Bytes;
use chat_consensus::{Envelope, LogIndex, MembershipEdit};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::error::{ChangeMembersError, ProposeError, ReadError};
use crate::event::{Event, Proposed, ReplicaStatus};
use crate::peer_message::{PeerReply, PeerRequest};
use crate::runner::reply_maker::ReplyMaker;
use crate::runner::stop_reason::StopReason;

/// See the file's first line.
#[derive(Debug)]
pub(super) enum LoopEvent {
    /// From a peer, which waits for the reply.
    Call {
        request: Envelope<PeerRequest>,
        responder: Responder,
        /// For a forwarded proposal.
        room: Option<Room>,
    },
    /// A client's proposal.
    Propose {
        request: Bytes,
        deadline: Instant,
        room: Room,
        client: oneshot::Sender<Result<Proposed, ProposeError>>,
    },
    /// A client's read.
    Read {
        deadline: Instant,
        client: oneshot::Sender<Result<LogIndex, ReadError>>,
    },
    /// An operator changes the members.
    ChangeMembers {
        edit: MembershipEdit,
        client: ChangeClient,
    },
    /// From the other tasks.
    Event(Event<ReplyMaker>),
    Status(oneshot::Sender<RunningStatus>),
    /// Stop once the answers that are certain are given, or after a moment.
    ShutDown,
    /// Stop at once: the replica cannot go on.
    Stop(StopReason),
}

/// What a replica reports, and what its event loop knows beside it.
#[derive(Debug)]
pub(super) struct RunningStatus {
    pub(super) replica: ReplicaStatus,
    pub(super) taking: Taking,
    /// Why the disk has a new storage id, until the node is a voter again (R18, R20).
    pub(super) amnesia: Option<String>,
}

/// Whether a snapshot is being taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Taking(pub(super) bool);

/// Waits for a change of the members.
pub(super) type ChangeClient = oneshot::Sender<Result<Option<LogIndex>, ChangeMembersError>>;

/// Sends a peer the reply to its call.
pub(super) type Responder = oneshot::Sender<Envelope<PeerReply>>;

/// A part of the bytes of proposals that may be on their way to the replica at once; given back when
/// it has them.
pub(super) type Room = OwnedSemaphorePermit;
