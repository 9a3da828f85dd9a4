//! An embeddable replicated log: write, sync, send, apply, reply, in that order.
//!
//! The protocol is `chat-consensus`; here is the replica that does what it decides, and the
//! runner that gives the replica tokio, gRPC and a disk.
//!
//! # The contract of use
//!
//! 1. Write a [`StateMachine`]: apply committed entries in order, deterministically. A command that
//!    makes no sense is never an error, because an error stops the replica, on every node and at each
//!    start again: refuse it in [`Prepare`], or apply nothing and answer that.
//! 2. Call [`start`] on every node with the same list of nodes, each with a directory of its own.
//!    The lowest node forms the cluster once every node has answered; from then on the log names
//!    the voters. A node whose directory was wiped comes back as a learner that holds a copy and does
//!    not vote.
//! 3. [`Handle::serve`] on the listener that the list names for the node, or mount
//!    [`Handle::service`] there and set `TCP_NODELAY` on what it accepts. Every process that reaches
//!    it is trusted: only peers may.
//! 4. [`Handle::propose`] on any node. `Ok` means: synced on a majority of disks, and applied here
//!    or on the leader that took it. [`ProposeError::Unknown`] is meant literally; make commands
//!    idempotent, then propose the same again. After every other error nothing was appended.
//! 5. [`Handle::ensure_linearizable`] on any node before reading the state: then the read is
//!    linearizable.
//! 6. When [`Handle::stopped`] completes by itself, the replica could not keep a promise and has
//!    stopped instead. Call [`Handle::shutdown`], which then waits at most 2 seconds for the disk, and
//!    end the process, not with success. Before ending it for reasons of your own call
//!    [`Handle::shutdown`] too.
//!
//! [`start`] needs a tokio runtime with timers and sockets (`enable_all`); one thread will do.
//!
//! `examples/map.rs` is a replicated map of three nodes in one process. Snapshots and changes of
//! membership are not here yet: the log only grows.
//!
//! Without the default feature `runner` the crate is the event-driven [`Replica`] alone, as the
//! simulator drives it.

mod error;
mod event;
mod peer_message;
mod replica;
#[cfg(feature = "runner")]
mod runner;

pub use bytes::Bytes;
pub use chat_consensus::{
    ClusterId, Entry, Envelope, HardState, LogIndex, Membership, NodeId, Payload, Position,
    StorageId, Stored, Term, TermRun, Voter, Writes,
};
pub use error::{ProposeError, ReadError};
pub use event::{
    Effect, Event, LogReadId, MakeReply, PreparationId, Prepared, ProposalTicket, Proposed,
    ReadTicket, ReplicaStatus,
};
pub use peer_message::{PeerReply, PeerRequest, ProposeOutcome, Refusal};
pub use replica::{Limits, Replica, Start};
#[cfg(feature = "runner")]
pub use runner::{
    Applied, Base, BoxError, Builder, Codec, Committed, FollowerStatus, GroupName, Handle,
    InProcessLink, InProcessNetwork, InvalidGroupName, LeaderContext, Leadership, Loaded,
    LogReader, LogStore, MESSAGE_BYTES_MAX, MemoryLog, MemoryLogError, MemoryLogReader, NoReply,
    NobodyThere, Passthrough, PeerLink, PeerReceiver, Preparation, Prepare, ReadLimits, ReplyMaker,
    StartError, StateMachine, Status, StopReason, Timing, Transport, Typed, TypedEntry,
    TypedHandle, TypedProposeError, TypedStateMachine,
};
#[cfg(feature = "grpc")]
pub use runner::{DuplicateGroup, Grpc, GrpcLink, InvalidAddress, PeerService};
#[cfg(feature = "sqlite-log")]
pub use runner::{SqliteLog, SqliteLogReader};

/// The messages of the protocol, and what it decides about: for who writes a transport, or drives a
/// [`Replica`] himself.
pub mod protocol {
    pub use chat_consensus::{
        Candidacy, Config, ConfigError, Election, ElectionKind, ElectionReply, Fault,
        FollowerStatus, GetCommits, GetCommitsReply, Header, Heartbeat, HeartbeatReply, Node,
        Reply, Report, Request, RequestId, RoleName, RunId, SyncedBatch, Time, Timing,
        UnsyncedBatch,
    };
}
