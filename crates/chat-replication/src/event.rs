//! Everything that can happen to a replica, and everything it asks of whoever drives it.

use bytes::Bytes;
use chat_consensus::{
    Entry, Envelope, Header, LogIndex, NodeId, Report, RequestId, SyncedBatch, Time, UnsyncedBatch,
};

use crate::peer_message::{PeerReply, PeerRequest, ProposeOutcome};

/// Everything that can happen to a replica.
#[derive(Debug)]
pub enum Event {
    /// A peer's request arrived; not [`PeerRequest::Propose`], which is prepared first and then
    /// comes as [`Event::Append`].
    Request(Envelope<PeerRequest>),
    /// A peer's reply arrived.
    Reply(Envelope<PeerReply>),
    /// A request that we sent will not be answered: the call failed or its deadline passed.
    CallFailed(NodeId, RequestId),
    /// A request of ours was never sent: too many calls to that peer are under way.
    CallNotSent(NodeId, RequestId),
    /// The connection to a peer broke and an immediate redial was refused (R17).
    ConnectionRefused(NodeId),
    /// The batch of the last [`Effect::Persist`] is on the disk.
    Synced(SyncedBatch),
    /// The entries of an [`Effect::ReadEntries`]; none when they are gone meanwhile.
    EntriesRead(LogReadId, Vec<Entry>),
    /// The entries of the last [`Effect::Apply`] have taken effect; one answer for each of them.
    Applied(Vec<Bytes>),
    /// Append a prepared command. Prepare only while [`Replica::is_leading`](crate::Replica).
    Append(Origin, Bytes),
    /// Send a client's request to the leader (R13).
    Forward(ProposalTicket, Bytes),
    /// A client wants a linearizable read (R14).
    Read(ReadTicket),
    /// Somebody else should lead.
    TransferLeadership,
    /// The deadline last returned by `next_deadline` has passed.
    DeadlinePassed,
}

/// Everything a replica asks for, in the order in which it is to be begun.
#[derive(Debug)]
pub enum Effect {
    /// Write and sync, then answer with [`Event::Synced`]. At most one is under way.
    Persist(UnsyncedBatch),
    /// Send a request. It must in the end be answered, or reported by [`Event::CallFailed`].
    Call(Envelope<PeerRequest>),
    /// Send a reply to the caller that waits for it.
    Reply(Envelope<PeerReply>),
    /// Read synced entries of the log, those in `(after, last]`, as many of the first as fit.
    ReadEntries {
        /// Names the answer.
        id: LogReadId,
        /// The index before the first.
        after: LogIndex,
        /// The last that is wanted.
        last: LogIndex,
        /// How many are wanted at most.
        entries_max: usize,
        /// How much payload to stop after, in bytes; at least one entry is wanted.
        bytes_max: usize,
    },
    /// Apply committed entries, in order; answer with [`Event::Applied`]. At most one is under way.
    Apply(Vec<Entry>),
    /// Tell the client how its proposal ended.
    Complete(ProposalTicket, ProposeOutcome),
    /// The read is confirmed and its index not applied here yet: from now on it waits for this
    /// node's state machine alone.
    ReadConfirmed(ReadTicket),
    /// The read may begin: its index is applied.
    ReadReady(ReadTicket, LogIndex),
    /// The read could not be confirmed; asking again is safe.
    ReadRefused(ReadTicket),
    /// Tell the operator; nothing else depends on it.
    Warn(Report),
}

/// The driver's name for a client's proposal; unique within a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProposalTicket(pub u64);

/// The driver's name for a client's read; unique within a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReadTicket(pub u64);

/// The replica's name for a read of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogReadId(pub u64);

/// Who waits for a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A client of this node.
    Client(ProposalTicket),
    /// Another replica, which forwarded it with this header.
    Peer(Header),
}

/// What a replica knows of itself and its cluster, for people and for clients' routing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaStatus {
    /// Its role's name.
    pub role: chat_consensus::RoleName,
    /// Its term.
    pub term: chat_consensus::Term,
    /// Who leads that term, as far as it knows.
    pub leader: Option<NodeId>,
    /// The last entry accepted.
    pub last: LogIndex,
    /// Everything up to here is committed.
    pub committed: LogIndex,
    /// Everything up to here is applied.
    pub applied: LogIndex,
    /// Until this node holds the leader's log through here it does not count, because its disk lost
    /// what it had acknowledged (R18); 0 if nothing was lost.
    pub repair_through: LogIndex,
    /// While this node waits to form the cluster: the nodes that have not answered (R12).
    pub bootstrap_awaits: Option<Vec<NodeId>>,
    /// A leader's view of the others; `None` elsewhere.
    pub followers: Option<Vec<chat_consensus::FollowerStatus>>,
    /// The voters that count, as far as this node knows (R12, R18).
    pub counted_voters: Vec<NodeId>,
    /// How many voters must agree; 0 before the cluster is formed.
    pub quorum: usize,
    /// The cluster's birth, where known.
    pub membership: Option<chat_consensus::Membership>,
    /// Terms that this node began to lead since it started.
    pub elections_won: u64,
    /// The time of this status.
    pub at: Time,
}
