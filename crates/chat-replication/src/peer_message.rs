//! What replicas say to each other: the protocol's messages, and what a node that does not lead
//! forwards to the leader.

use bytes::Bytes;
use chat_consensus::{Header, LogIndex, Message, NodeId};

/// A message between replicas with what its receiver needs to judge it (R4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerMessage {
    /// Who, of which cluster and term, and which request.
    pub header: Header,
    /// What is said.
    pub body: PeerBody,
}

/// What a [`PeerMessage`] says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerBody {
    /// The protocol's own.
    Consensus(Message),
    /// Prepare and append this request of a client, and answer when it is applied (R13).
    Propose {
        /// As the client made it.
        request: Bytes,
    },
    /// The answer to it.
    ProposeReply(ProposeOutcome),
    /// From which index on may a read begin that arrived before this was sent? (R14)
    ReadIndex,
    /// The answer to it; `None` when the asked node could not confirm that it leads.
    ReadIndexReply(Option<LogIndex>),
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
    /// The asked node does not lead, or is handing over.
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

impl PeerBody {
    /// Whether this answers a request.
    pub fn is_reply(&self) -> bool {
        match self {
            Self::Consensus(message) => message.is_reply(),
            Self::ProposeReply(_) | Self::ReadIndexReply(_) => true,
            Self::Propose { .. } | Self::ReadIndex => false,
        }
    }
}
