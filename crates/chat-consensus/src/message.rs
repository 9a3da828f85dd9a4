//! What one node says to another.
//!
//! The five conversations of the original exercise and the planned hand-over. Forwarded proposals
//! and reads are not the protocol's business and travel beside these.

use alloc::vec::Vec;

use crate::entry::{Entry, Membership};
use crate::types::{ClusterId, LogIndex, NodeId, Position, RequestId, StorageId, Term};

/// A message with what its receiver needs to judge it (R4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Who, of which cluster and term, and which request.
    pub header: Header,
    /// What is said.
    pub message: Message,
}

/// Stands on every request and every reply (R4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The sender's cluster; `None` while it belongs to none.
    pub cluster: Option<ClusterId>,
    /// The sender's term.
    pub term: Term,
    /// The sender.
    pub from: NodeId,
    /// For whom it is meant.
    pub to: NodeId,
    /// The sender's disk.
    pub storage: StorageId,
    /// On a request its own name, on a reply that of the request.
    pub request: RequestId,
}

/// Everything that nodes say. Each request is followed by its reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A candidate asks for a vote, or the lowest node whether the other is empty.
    Election(Election),
    /// The answer to it.
    ElectionReply(ElectionReply),
    /// A leader to a node that does not pull from it: the term is mine, pull from me (R9).
    Coordinator,
    /// Heard.
    CoordinatorReply,
    /// A leader to everybody, every interval.
    Heartbeat(Heartbeat),
    /// The echo of its round.
    HeartbeatReply {
        /// The round of the heartbeat that is answered.
        round: u64,
        /// A batch is being written: the next fetch waits for it (R10).
        writing: bool,
    },
    /// A follower to its leader: fetch and acknowledgement in one.
    GetCommits(GetCommits),
    /// What comes next.
    GetCommitsReply(GetCommitsReply),
    /// A leader stops leading (R17).
    Resign {
        /// Campaigns at once, without a trial.
        successor: Option<NodeId>,
    },
    /// Heard.
    ResignReply,
}

/// Which question an [`Election`] asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ElectionKind {
    /// Are you empty? (R12)
    Bootstrap,
    /// Would you vote for me? (R7)
    PreVote,
    /// Vote for me (R5).
    Vote,
}

/// A candidate's question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Election {
    /// Which question.
    pub kind: ElectionKind,
    /// The end of the asker's log.
    pub last: Position,
    /// The asker's first entry: an empty node that it names accepts it before it votes (R12).
    pub membership: Option<Membership>,
}

/// The answer to an [`Election`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ElectionReply {
    /// The question's kind, echoed (R7).
    pub kind: ElectionKind,
    /// Yes; for a birth inquiry: this node is empty.
    pub granted: bool,
    /// Who leads the header's term, where that is known.
    pub leader: Option<NodeId>,
}

/// A leader's sign of life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// Everything up to here is committed.
    pub commit_index: LogIndex,
    /// The newest read round (R14).
    pub round: u64,
    /// The voters that the leader does not count, because their disks were replaced or have
    /// forgotten. For people: nothing is decided by it (R12).
    pub uncounted: Vec<NodeId>,
}

/// A follower's pull.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GetCommits {
    /// Everything up to here is synced on the asker's disk (R1).
    pub synced: Position,
    /// The asker's commit index, so that the leader knows whether it has news.
    pub commit_index: LogIndex,
    /// How much payload the answer may have, in bytes; one entry is always welcome (R8).
    pub bytes_max: u32,
    /// The asker's [`HardState::repair_through`](crate::HardState) (R18).
    pub repair_through: LogIndex,
}

/// The answer to a [`GetCommits`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GetCommitsReply {
    /// The logs agree up to the asked position; this comes after it.
    Entries {
        /// The asked index; the first entry's index is the next one.
        after: LogIndex,
        /// The leader's commit index.
        commit_index: LogIndex,
        /// None when there is only the commit index to tell, or nothing at all.
        entries: Vec<Entry>,
    },
    /// The logs differ at the asked position: the common part ends here or before (R11).
    Diverging(Position),
    /// The asked node does not lead that term.
    NotLeading {
        /// Who leads the header's term, where that is known.
        leader: Option<NodeId>,
    },
    /// The asker's disk lost what it had acknowledged, or has it again (R18).
    RolledBack {
        /// It does not count until it holds the leader's log through this index; 0: it counts.
        repair_through: LogIndex,
        /// The greatest start counter that this disk has shown, if the asker's is not greater;
        /// else 0.
        boot_count: u64,
    },
}

impl Message {
    /// Whether only a leader sends this (R4).
    pub(crate) fn claims_leadership(&self) -> bool {
        matches!(
            self,
            Self::Coordinator | Self::Heartbeat(_) | Self::Resign { .. }
        )
    }

    /// Whether a node that belongs to no cluster has reason to ask this of one that does (R4).
    pub(crate) fn may_come_from_empty_disk(&self) -> bool {
        match self {
            Self::GetCommits(_) => true,
            Self::Election(election) => election.kind == ElectionKind::Bootstrap,
            _ => false,
        }
    }

    /// Whether this answers a request.
    pub fn is_reply(&self) -> bool {
        match self {
            Self::Election(_)
            | Self::Coordinator
            | Self::Heartbeat(_)
            | Self::GetCommits(_)
            | Self::Resign { .. } => false,
            Self::ElectionReply(_)
            | Self::CoordinatorReply
            | Self::HeartbeatReply { .. }
            | Self::GetCommitsReply(_)
            | Self::ResignReply => true,
        }
    }
}
