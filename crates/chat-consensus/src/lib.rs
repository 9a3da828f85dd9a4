//! The replication protocol of the chat: a pull-based Raft that decides and does nothing else.
//!
//! Deterministic: given the same seed and the same inputs at the same times, a [`Node`] decides the
//! same. It has no clock, file, socket, thread or `async`; time is an argument, randomness a seed.
//! The rules R1–R18 and R24 that comments cite are stated in `docs/replication.md`.
//!
//! # The caller's duties, in order
//!
//! 1. Build a [`Node`] from what the store found ([`Stored`]) and what the state machine has
//!    applied, and call [`Node::handle`] for everything that happens, with a time that never runs
//!    backwards. On a [`Fault`] stop, and have the store record it, so that it does not open again.
//! 2. After each call, take the batch ([`Node::take_batch`]) if there is one, write and sync it
//!    with [`UnsyncedBatch::persist_with`], and give the [`SyncedBatch`] back, with the number of the
//!    newest block if the log has blocks ([`SyncedBatch::with_synced_block`]). There is at most one
//!    at a time: while it syncs, the node collects the next. If the write fails, stop: never retry it.
//! 3. Send [`Node::take_outgoing`]. For [`Outgoing::Entries`] first put the entries in.
//!    Messages may be lost, doubled, delayed and reordered.
//! 4. Read [`Node::take_reports`]: complete the requests that they are about, and do what they ask for
//!    with snapshots (R24).
//! 5. Apply entries up to [`Node::apply_limit`], in order.
//! 6. Call again with [`Input::DeadlinePassed`] when [`Node::next_deadline`] has come.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod batch;
mod chain;
mod config;
mod entry;
mod input;
mod membership;
mod message;
mod node;
mod outgoing;
mod quorum;
mod random;
mod snapshot;
mod status;
mod term_index;
mod types;

pub use batch::{SyncedBatch, UnsyncedBatch, Writes};
pub use config::{Config, ConfigError, Timing};
pub use entry::{
    CommittedEntry, Entry, HardState, LogBase, MembershipChange, Payload, Stored, TermRun,
};
pub use input::{Fault, Input, MembershipRefusal, ProposalId, ReadId, Report};
pub use membership::{EditError, MEMBERS_MAX, Membership, MembershipEdit, NodeAddresses};
pub use message::{
    Candidacy, Election, ElectionKind, ElectionReply, Envelope, FollowerState, GetCommits,
    GetCommitsReply, GetSnapshot, GetSnapshotReply, Header, Heartbeat, HeartbeatReply, Reply,
    Request,
};
pub use node::Node;
pub use outgoing::{EntriesReply, Outgoing, PieceReply};
pub use snapshot::{Digest, PartialDownload, Snapshot, SnapshotId};
pub use status::{FollowerStatus, RoleName};
pub use term_index::TermIndex;
pub use types::{
    BLOCK_NUMBER_MAX, BOOT_COUNT_MAX, BlockNumber, ChainValue, ClusterId, LOG_INDEX_MAX, LogIndex,
    NodeId, Position, RequestId, RunId, StorageId, TERM_MAX, Term, Time, Voter,
};
