//! Everything that can happen to a node, and everything it reports.

use alloc::boxed::Box;

use bytes::Bytes;

use crate::batch::SyncedBatch;
use crate::entry::LogBase;
use crate::membership::Membership;
use crate::message::{Envelope, Reply, Request};
use crate::snapshot::{Snapshot, SnapshotId};
use crate::types::{BlockNumber, LogIndex, NodeId, Position, RequestId, Term};

/// Everything that can happen to a node.
#[derive(Debug)]
pub enum Input {
    /// A peer's request arrived.
    Request(Envelope<Request>),
    /// A peer's reply arrived.
    Reply(Envelope<Reply>),
    /// A request of this node will not be answered: the call failed or its deadline passed.
    CallFailed(NodeId, RequestId),
    /// The connection to a peer broke, and an immediate redial was refused (R17).
    ConnectionRefused(NodeId),
    /// The batch last taken is on the disk.
    Synced(SyncedBatch),
    /// A client requests that a command is appended; refused unless this node leads.
    Proposed(ProposalId, Bytes),
    /// A client requests a linearizable read; refused unless this node leads (R14).
    ReadRequested(ReadId),
    /// The operator, or a shutdown, requests that leadership is transferred to another node.
    TransferRequested,
    /// An operator, or a policy, requests these members. Answered by [`Report::MembershipAppended`] or
    /// [`Report::MembershipRefused`] (R19).
    MembershipRequested(Box<Membership>),
    /// The newest complete snapshot that this node has is this one now, or there is none (R24).
    SnapshotChanged(Option<Box<Snapshot>>),
    /// The log begins here now: earlier entries were removed. What was applied and is durable, and in
    /// a snapshot; ignored if the log begins later already.
    Compacted(Box<LogBase>),
    /// What a [`Report::StorePiece`] has stored: so many bytes of that snapshot are there, from the
    /// beginning. `None`: it could not be stored, and is wanted again later.
    PieceStored(SnapshotId, Option<u64>),
    /// The outcome of a [`Report::FinishDownload`]: the file is that of the snapshot, and is complete
    /// and durable under its name; or it is not, and was deleted.
    DownloadFinished(Box<Snapshot>, bool),
    /// The state of the last [`Report::StateWanted`] is installed: this position is applied (`true`); or
    /// the snapshot of that position was damaged, and nothing has changed.
    StateInstalled(Position, bool),
    /// The deadline last returned by `next_deadline` has passed.
    DeadlinePassed,
}

/// The caller's id of a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProposalId(pub u64);

/// The caller's id of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReadId(pub u64);

/// Why members are not changed as requested (R19). Each of these may pass by itself, but for the last two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum MembershipRefusal {
    /// Only a leader changes the members.
    #[error("this node does not lead")]
    NotLeading,
    /// This leader has committed nothing yet, an earlier change is not committed, or leadership is being
    /// transferred.
    #[error("an election, another change or a transfer is under way")]
    NotNow,
    /// The node that joins is not level, or lacks something.
    #[error("the node that joins does not keep up")]
    JoinerNotReady,
    /// What was appended could not be committed.
    #[error("too few voters keep up")]
    TooFewKeepUp,
    /// Nothing new, another cluster, voters out of order, a node twice, a used id, or too many members.
    #[error("the members are not valid")]
    Invalid,
    /// More than one voter more or fewer.
    #[error("more than one voter differs")]
    SeveralVoters,
}

/// What a node reports to its caller. Progress of the log is read from the node itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Report {
    /// The proposal is in the log here; whether it will be committed is not known yet (R13).
    Appended(ProposalId, Position),
    /// The proposal was not appended and never will be by this node (R13).
    ProposalRefused(ProposalId),
    /// A majority confirmed this leader after the read arrived: it may begin once this index is
    /// applied.
    ReadConfirmed(ReadId, LogIndex),
    /// The read could not be confirmed: this node does not lead, or stopped leading.
    ReadRefused(ReadId),
    /// This node leads this term from here on.
    BecameLeader(Term),
    /// This node no longer leads this term: the outcome of what is appended and not committed is
    /// unknown (R13).
    SteppedDown(Term),
    /// A follower's disk lost what it had acknowledged up to this index; until it holds that
    /// again it is not counted (R18).
    FollowerRolledBack(NodeId, LogIndex),
    /// The leader has found that this node's own disk lost what it had acknowledged (R18).
    RolledBack {
        /// Until the log is held through here this node does not count.
        repair_through: LogIndex,
    },
    /// The disk of a voter names a lower block number than this node remembers of an earlier run: it
    /// has forgotten (R18). This and the next two are reported at most once in an election timeout.
    PeerForgot {
        /// The node with that disk.
        node: NodeId,
        /// What is remembered.
        remembered: BlockNumber,
    },
    /// A message claimed leadership for a disk that the log does not admit; it changed nothing
    /// (R5).
    LeaderClaimRefused(NodeId),
    /// A message showed a term so far ahead that it was dropped (R4).
    TermTooFarAhead(NodeId, Term),
    /// The requests of this node id come alternately from two disks: two machines have it (R12).
    DisksAlternate(NodeId),
    /// Another node has answered that this one is no member: it left the cluster, or has not joined it
    /// (R19).
    NotMember,
    /// This leader has appended a change of the members; it holds from here on (R19).
    MembershipAppended(LogIndex, Membership),
    /// The requested members are not appended, and why.
    MembershipRefused(MembershipRefusal),
    /// This leader's own disk is slower than a majority of the others': it transfers
    /// leadership (R10).
    DiskIsSlow {
        /// Its median time of a sync.
        own: core::time::Duration,
        /// What a majority without it needs.
        others: core::time::Duration,
    },
    /// A follower needs a snapshot of at least this index, and this leader has none (R24). Repeated
    /// with each of its fetches.
    SnapshotWanted(NodeId, LogIndex),
    /// A download begins, or continues after this many bytes.
    DownloadBegun {
        /// Who offered the snapshot.
        from: NodeId,
        /// The snapshot.
        id: SnapshotId,
        /// How long its file is, in bytes.
        size: u64,
        /// How many of them are there.
        bytes: u64,
    },
    /// Store this piece at this offset of the snapshot's file, in place of what is there from the offset
    /// on; at 0 the file is new. Answered by [`Input::PieceStored`].
    StorePiece {
        /// The snapshot.
        id: SnapshotId,
        /// Where the piece belongs: the end of what is stored.
        offset: u64,
        /// The piece.
        bytes: Bytes,
    },
    /// All pieces are stored: verify size and digest, sync the file, give it its name. Answered by
    /// [`Input::DownloadFinished`].
    FinishDownload(Box<Snapshot>),
    /// The download of this snapshot is of no use any more: its file may be deleted.
    DownloadDropped(SnapshotId),
    /// The log begins at this snapshot, or contains its position, and that is synced: install its state
    /// as soon as the state machine is idle, before anything else is applied. Answered by
    /// [`Input::StateInstalled`].
    StateWanted(Box<Snapshot>),
}

/// Why a node cannot continue. The caller must stop it and report that to the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Two nodes claim one term (R5).
    #[error("nodes {first} and {second} both lead term {term}")]
    TwoLeaders {
        /// The term.
        term: Term,
        /// The leader known before.
        first: NodeId,
        /// The one that claims it too.
        second: NodeId,
    },
    /// The common part with the leader's log ends below what this node knows to be committed (R11).
    #[error("leader requested truncation to {common:?}, below commit index {commit_index}")]
    CommittedEntryLost {
        /// Where the common part ends.
        common: Position,
        /// This node's commit index.
        commit_index: LogIndex,
    },
    /// The common part with the leader's log ends where this node's log has a hole: what it must keep of
    /// it is not known (R24). Its disk has forgotten (R18).
    #[error("leader requested truncation to {common:?}, where the log is damaged")]
    TruncationInHole {
        /// Where the common part ends.
        common: Position,
    },
    /// This node's own disk lost blocks that it had synced in an earlier run: another node remembers
    /// their numbers. It has forgotten (R18).
    #[error(
        "node {peer} remembers block {remembered} of this disk, whose newest one at this start was {found}"
    )]
    DiskForgot {
        /// Who remembers.
        peer: NodeId,
        /// The number that it remembers.
        remembered: BlockNumber,
        /// The number that the start found.
        found: BlockNumber,
    },
}
