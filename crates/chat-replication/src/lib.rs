//! An embeddable replicated log: write, sync, send, apply, reply, in that order.
//!
//! The protocol is `chat-consensus`; here is the replica that does what it decides, and the
//! runner that gives the replica tokio, a transport and a log.
//!
//! ```
//! # #[cfg(feature = "runner")]
//! # mod counter {
//! use std::time::{Duration, Instant};
//!
//! use chat_replication::*;
//!
//! /// Adds numbers; lives in memory, so a restart applies the whole log again.
//! struct Sum(u64);
//!
//! impl TypedStateMachine for Sum {
//!     type Command = u64;
//!     type Answer = u64;
//!
//!     fn applied(&self) -> Applied {
//!         Applied::default()
//!     }
//!
//!     async fn apply(&mut self, batch: Vec<TypedEntry<u64>>) -> Result<Vec<u64>, BoxError> {
//!         let add = |entry: TypedEntry<u64>| {
//!             self.0 += entry.command.unwrap_or(0);
//!             self.0
//!         };
//!         Ok(batch.into_iter().map(add).collect())
//!     }
//! }
//!
//! #[tokio::main]
//! pub async fn main() -> Result<(), BoxError> {
//!     let alone = Builder::with(1, MemoryLog::new(), InProcessNetwork::new());
//!     let replica = alone.nodes([(1, "alone")]).bootstrap(true);
//!     let replica = replica.start(Typed(Sum(0))).await?;
//!     let replica = TypedHandle::<Sum>::new(replica);
//!     let deadline = Instant::now() + Duration::from_secs(10);
//!     assert_eq!(replica.propose(&2, deadline).await?, 2);
//!     assert_eq!(replica.propose(&3, deadline).await?, 5);
//!     Ok(())
//! }
//! # }
//! # #[cfg(feature = "runner")]
//! # counter::main().unwrap();
//! ```
//!
//! # The contract of use
//!
//! 1. Write a [`StateMachine`], or a [`TypedStateMachine`] with [`Typed`] around it: apply committed
//!    entries in order, deterministically. A command that makes no sense is never an error, because an
//!    error stops the replica, on every node and at each start again: refuse it in [`Prepare`], or
//!    apply nothing and answer that.
//! 2. Call [`Builder::start`] on every node with the same list of nodes, each with a log of its own.
//!    The lowest node forms the cluster once every node has answered; from then on the log names
//!    the voters. A node whose disk was wiped comes back as a learner, and is a voter again some
//!    seconds after it has caught up (R20).
//! 3. `Handle::serve` on the listener that the list names for the node, or mount `Handle::service`
//!    there and set `TCP_NODELAY` on what it accepts; with a transport of your own deliver to
//!    [`Handle::receiver`]. Everything that reaches it is trusted: only peers may.
//! 4. [`Handle::propose`] on any node. `Ok` means: synced on a majority of disks, and applied here
//!    or on the leader that took it. [`ProposeError::Unknown`] is meant literally; make commands
//!    idempotent, then propose the same again. After every other error nothing was appended.
//! 5. [`Handle::ensure_linearizable`] on any node before reading the state: then the read is
//!    linearizable.
//! 6. When [`Handle::stopped`] completes by itself, the replica could not keep a promise and has
//!    stopped instead. Call [`Handle::shutdown`], which then waits at most 2 seconds for the disk, and
//!    end the process, not with success. Before ending it for reasons of your own call
//!    [`Handle::shutdown`] too. Dropping the last [`Handle`] stops the replica without waiting.
//!
//! The runtime is tokio's, with timers, and with sockets for gRPC (`enable_all`); one thread will do.
//!
//! `docs/embedding.md` says more, with the examples `map` and `lock`.
//!
//! # Features
//!
//! `grpc` and `segment-log`, both by default, add gRPC between the nodes and a log on disk; `runner`,
//! which both include, is what an embedder starts, with a log in memory and a transport within the
//! process. Without it the crate is the event-driven [`Replica`] alone, as the simulator drives it.

mod error;
mod event;
mod peer_message;
mod replica;
#[cfg(feature = "runner")]
mod runner;

pub use bytes::Bytes;
pub use chat_consensus::{
    BlockNumber, ChainValue, ClusterId, CommittedEntry, Digest, EditError, Entry, Envelope,
    HardState, LogBase, LogIndex, Membership, MembershipChange, MembershipEdit, MembershipRefusal,
    NodeAddresses, NodeId, PartialDownload, Payload, Position, Snapshot, SnapshotId, StorageId,
    Stored, Term, TermRun, Voter, Writes,
};
pub use error::{ChangeMembersError, ProposeError, ReadError};
pub use event::{
    DownloadProgress, Effect, Event, LogReadId, MakeReply, MembersTicket, PieceReadId,
    PreparationId, Prepared, ProposalTicket, Proposed, ReadTicket, ReplicaStatus,
};
pub use peer_message::{PeerReply, PeerRequest, ProposeOutcome, Refusal};
pub use replica::{Autopilot, Limits, Replica, Start};
#[cfg(feature = "runner")]
pub use runner::{
    Applied, BoxError, Builder, Codec, DownloadStatus, FollowerStatus, GroupName, Handle,
    InProcessLink, InProcessNetwork, InvalidGroupName, LeaderContext, Leadership, LogReader,
    LogStore, MESSAGE_BYTES_MAX, MemberStatus, MemoryLog, MemoryLogError, MemoryLogReader, NoReply,
    NotServed, Passthrough, PeerLink, PeerReceiver, Preparation, Prepare, ReadLimits, ReplyMaker,
    SnapshotPace, SnapshotSource, StartError, StateMachine, Status, StopReason, Timing, Transport,
    Typed, TypedEntry, TypedHandle, TypedProposeError, TypedStateMachine,
};
#[cfg(feature = "grpc")]
pub use runner::{DuplicateGroup, Grpc, GrpcLink, InvalidAddress, PeerService};
#[cfg(feature = "segment-log")]
pub use runner::{SegmentLog, SegmentLogReader};

/// The messages of the protocol, and what it decides about: for who writes a transport, or drives a
/// [`Replica`] himself.
pub mod protocol {
    pub use chat_consensus::{
        Candidacy, Config, ConfigError, Election, ElectionKind, ElectionReply, Fault,
        FollowerState, FollowerStatus, GetCommits, GetCommitsReply, GetSnapshot, GetSnapshotReply,
        Header, Heartbeat, HeartbeatReply, Node, Reply, Report, Request, RequestId, RoleName,
        RunId, SyncedBatch, Time, Timing, UnsyncedBatch,
    };
}
