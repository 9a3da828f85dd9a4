//! The messages between replicas: the protocol's, and what a node that does not lead forwards to
//! the leader.

use bytes::Bytes;
use chat_consensus::{Envelope, LogIndex, NodeId, Reply, Request};

/// Every request between replicas. The variants of [`PeerReply`] answer it, in the same order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerRequest {
    /// The protocol's own.
    Consensus(Request),
    /// Prepare and append this request of a client, and answer when it is applied (R13).
    Propose {
        /// As the client made it.
        request: Bytes,
    },
    /// From which index on may a read begin that arrived before this was sent? (R14)
    ReadIndex,
}

/// Every reply to a [`PeerRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerReply {
    /// The protocol's own.
    Consensus(Reply),
    /// To [`PeerRequest::Propose`].
    Propose(ProposeOutcome),
    /// To [`PeerRequest::ReadIndex`]; `None` when the node could not confirm that it leads.
    ReadIndex(Option<LogIndex>),
}

/// How a proposal ended (R13).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProposeOutcome {
    /// Committed and applied.
    Applied {
        /// The entry's place in the log.
        index: LogIndex,
        /// What the state machine answered.
        answer: Bytes,
    },
    /// Never appended: a retry, anywhere and at any time, is a first try.
    NotAppended(Refusal),
    /// It may have taken effect, may yet, or may never.
    Unknown,
}

/// Why a proposal was not appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The asked node does not lead, or is transferring its leadership.
    NotLeading {
        /// Who leads, as far as it knows.
        leader: Option<NodeId>,
    },
    /// Too much is waiting to be committed.
    Overloaded,
    /// The command is larger than the log takes.
    TooLarge,
    /// The leader's preparation answered by itself; nothing had to be appended.
    Answered(Bytes),
}

/// A reply of the protocol as a reply between replicas.
pub(crate) fn consensus_reply(reply: Envelope<Reply>) -> Envelope<PeerReply> {
    reply.map(PeerReply::Consensus)
}
