//! The requests and replies between nodes.
//!
//! The exercise's RPCs between nodes, and `Resign`. Forwarded proposals and reads are not part of
//! the protocol and travel beside these.

use alloc::boxed::Box;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::entry::{Entry, LogBase};
use crate::snapshot::{Snapshot, SnapshotId};
use crate::types::{
    BlockNumber, ClusterId, LogIndex, NodeId, Position, RequestId, StorageId, Term, Voter,
};

/// A message with what its receiver needs to decide whether to accept it (R4).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Envelope<M> {
    /// Sender, receiver, cluster, term, and the request's id.
    pub header: Header,
    /// The message.
    pub message: M,
}

/// On every request and every reply (R4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Header {
    /// The sender's cluster; `None` while it belongs to none.
    pub cluster: Option<ClusterId>,
    /// The sender's term.
    pub term: Term,
    /// The sender.
    pub from: NodeId,
    /// The receiver.
    pub to: NodeId,
    /// The sender's disk.
    pub storage: StorageId,
    /// On a request the receiver's disk, if the sender's newest members name it as a voter (R4); `None` on a
    /// reply.
    pub to_storage: Option<StorageId>,
    /// On a request its own id, on a reply that of the request.
    pub request: RequestId,
}

/// Every request between nodes. The variants of [`Reply`] answer it, in the same order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// A candidate requests a vote or a pre-vote, or the lowest node probes whether the receiver
    /// is uninitialized.
    Election(Election),
    /// Leader to a node that does not fetch: the sender leads this term, fetch from it (R9).
    Coordinator,
    /// Leader to all nodes, every interval.
    Heartbeat(Heartbeat),
    /// Follower to leader: fetch and acknowledgement in one.
    GetCommits(GetCommits),
    /// Follower to leader: a piece of a snapshot that the leader has offered (R24).
    GetSnapshot(GetSnapshot),
    /// The sender stops leading (R17).
    Resign {
        /// Starts an election at once, without a pre-vote.
        successor: Option<NodeId>,
    },
}

/// Every reply to a [`Request`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reply {
    /// To [`Request::Election`].
    Election(ElectionReply),
    /// To [`Request::Coordinator`]: received.
    Coordinator,
    /// To [`Request::Heartbeat`].
    Heartbeat(HeartbeatReply),
    /// To [`Request::GetCommits`].
    GetCommits(GetCommitsReply),
    /// To [`Request::GetSnapshot`].
    GetSnapshot(GetSnapshotReply),
    /// To [`Request::Resign`]: received.
    Resign,
}

/// The three kinds of [`Election`], as a reply echoes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ElectionKind {
    /// Probes whether the receiver is uninitialized (R12).
    Bootstrap,
    /// Requests a pre-vote (R7).
    PreVote,
    /// Requests a vote (R5).
    Vote,
}

/// What an election request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Election {
    /// Whether the receiver is uninitialized; sent by the lowest configured node (R12).
    Bootstrap,
    /// Whether the receiver would vote for the sender; changes nothing (R7).
    PreVote(Candidacy),
    /// The receiver's vote in the header's term (R5).
    Vote(Candidacy),
}

/// What a voter must know of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Candidacy {
    /// The end of the candidate's log.
    pub last: Position,
    /// The newest synced block of the candidate's disk (R18).
    pub synced_block: BlockNumber,
}

/// The reply to an [`Election`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ElectionReply {
    /// The request's kind, echoed (R7).
    pub kind: ElectionKind,
    /// Granted; to [`Election::Bootstrap`]: this node is uninitialized.
    pub granted: bool,
    /// Who leads the header's term, where that is known.
    pub leader: Option<NodeId>,
    /// The replying node remembers this higher number of an earlier run of the candidate's disk, which
    /// has forgotten (R18); otherwise [`BlockNumber::UNKNOWN`].
    pub remembered_block: BlockNumber,
    /// The candidate left the cluster, as the replying node knows for certain (R19).
    pub removed: bool,
}

/// The echo of a [`Heartbeat`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HeartbeatReply {
    /// The round of the heartbeat; 0 from a node that has left its term.
    pub round: u64,
    /// A batch is being written: the next fetch is sent after it (R10).
    pub writing: bool,
}

/// A leader's heartbeat.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Heartbeat {
    /// Everything up to here is committed.
    pub commit_index: LogIndex,
    /// The newest read round (R14).
    pub round: u64,
    /// The voters that the leader does not count, because their disks were replaced or
    /// rolled back. For people: no node decides by it (R12).
    pub uncounted: Vec<NodeId>,
    /// Where the leader is called, by its own configuration. For drivers: no node decides by it (R19).
    pub leader_address: Option<Box<str>>,
}

/// A follower's fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GetCommits {
    /// Whether the follower's disk has a base (R12).
    pub has_base: bool,
    /// Everything up to here is synced on the follower's disk (R1).
    pub synced: Position,
    /// The follower's commit index, so that the leader knows whether it has a new one.
    pub commit_index: LogIndex,
    /// How much payload the reply may have, in bytes; one entry is accepted in any case (R8).
    pub bytes_max: u32,
    /// The follower's [`HardState::repair_through`](crate::HardState) (R18).
    pub repair_through: LogIndex,
    /// Whether the follower has the state at its base or later (R24).
    pub state: FollowerState,
    /// Its log begins behind a hole with entries that it does not know to be committed (R24).
    pub behind_hole: bool,
    /// The newest synced block of the follower's disk (R18).
    pub synced_block: BlockNumber,
}

/// What a follower has of the state at the base of its log (R24).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FollowerState {
    /// All of it: the entries after the base are enough.
    #[default]
    Whole,
    /// It is lost: the follower needs a snapshot, although the leader may hold its log's end.
    Lost {
        /// The lowest index of a snapshot that would do.
        at_least: LogIndex,
    },
    /// It is lost, and a snapshot is being downloaded or installed: entries are enough for now.
    Restoring,
}

/// A request for a piece of a snapshot's file (R24).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GetSnapshot {
    /// The snapshot.
    pub id: SnapshotId,
    /// Where the piece begins: how many bytes the follower has.
    pub offset: u64,
    /// How many bytes it may have (R8).
    pub bytes_max: u32,
}

/// The reply to a [`GetSnapshot`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum GetSnapshotReply {
    /// A piece of the file.
    Piece {
        /// The request's offset.
        offset: u64,
        /// What the file has there; on the wire with a checksum of its own.
        bytes: Bytes,
        /// Whether the replying node leads the header's term: only then is it a sign of a leader (R8).
        leads: bool,
    },
    /// The replying node does not have that snapshot, or not any more.
    Gone,
}

/// The reply to a [`GetCommits`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum GetCommitsReply {
    /// The logs agree up to the fetch's position; these entries come after it.
    Entries {
        /// The fetch's index; the first entry's index is the next one.
        after: LogIndex,
        /// The leader's commit index.
        commit_index: LogIndex,
        /// None when only the commit index is new, or nothing at all.
        entries: Vec<Entry>,
    },
    /// The follower has no base: this is the leader's (R12).
    Base(LogBase),
    /// The follower's log ends before the leader's begins, or parts from it there, or its state is
    /// lost: it needs this snapshot (R24).
    Snapshot(Box<Snapshot>),
    /// The same, and the leader has no snapshot that would do yet: fetch again in a heartbeat interval.
    NoSnapshotYet,
    /// The logs differ at the fetch's position: the common part ends here or before (R11).
    Diverging(Position),
    /// The replying node does not lead that term.
    NotLeading {
        /// Who leads the header's term, where that is known.
        leader: Option<NodeId>,
    },
    /// The follower is no member of the cluster: it left, or has not joined yet (R19).
    NotMember,
    /// The follower's disk lost what it had acknowledged, or has it again (R18).
    RolledBack {
        /// It does not count until it holds the leader's log through this index; 0: it counts.
        repair_through: LogIndex,
        /// The greatest boot count that this disk has shown, if the fetch's is not greater; else 0.
        boot_count: u64,
    },
    /// The replying node, which need not lead, remembers a higher block number of an earlier run of the
    /// follower's disk, which has forgotten (R18).
    Amnesiac {
        /// That number.
        remembered_block: BlockNumber,
    },
}

impl Header {
    /// The sender with its disk.
    pub fn sender(&self) -> Voter {
        Voter {
            node: self.from,
            storage: self.storage,
        }
    }
}

impl Election {
    /// Which of the three it is.
    pub fn kind(&self) -> ElectionKind {
        match self {
            Self::Bootstrap => ElectionKind::Bootstrap,
            Self::PreVote(_) => ElectionKind::PreVote,
            Self::Vote(_) => ElectionKind::Vote,
        }
    }
}

impl<M> Envelope<M> {
    /// The same header with another message.
    pub fn map<N>(self, make: impl FnOnce(M) -> N) -> Envelope<N> {
        Envelope {
            header: self.header,
            message: make(self.message),
        }
    }
}

impl Request {
    /// Whether only a leader sends this (R4).
    pub(crate) fn claims_leadership(&self) -> bool {
        matches!(
            self,
            Self::Coordinator | Self::Heartbeat(_) | Self::Resign { .. }
        )
    }

    /// Whether only a candidate or a leader sends this: it knows the receiver's disk by the members that it
    /// counts (R4).
    pub(crate) fn comes_from_a_campaign(&self) -> bool {
        matches!(self, Self::Election(_)) || self.claims_leadership()
    }

    /// What a node that asks for something as a voter shows of its disk (R18).
    pub(crate) fn synced_block(&self) -> Option<BlockNumber> {
        match self {
            Self::GetCommits(fetch) => Some(fetch.synced_block),
            Self::Election(Election::PreVote(candidacy) | Election::Vote(candidacy)) => {
                Some(candidacy.synced_block)
            }
            Self::Election(Election::Bootstrap)
            | Self::Coordinator
            | Self::Heartbeat(_)
            | Self::GetSnapshot(_)
            | Self::Resign { .. } => None,
        }
    }

    /// Whether a node that belongs to no cluster has reason to send this to one that does (R4).
    pub(crate) fn may_come_from_empty_disk(&self) -> bool {
        match self {
            Self::GetCommits(_) | Self::GetSnapshot(_) | Self::Election(Election::Bootstrap) => {
                true
            }
            Self::Election(Election::PreVote(_) | Election::Vote(_))
            | Self::Coordinator
            | Self::Heartbeat(_)
            | Self::Resign { .. } => false,
        }
    }
}
