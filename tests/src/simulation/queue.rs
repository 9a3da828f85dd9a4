//! What is going to happen, in order of time and, within one moment, of being decided.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use chat_consensus::{LogIndex, NodeId, RequestId};
use chat_replication::{LogReadId, ProposeOutcome};

use crate::message::PeerMessage;

/// One thing that is going to happen. `run` names the process for which it is meant: what was
/// meant for a process that has died does not happen.
#[derive(Debug)]
pub(crate) enum SimEvent {
    /// A message arrives, if the connection it travels on still stands.
    Deliver {
        message: Box<PeerMessage>,
        connection: u32,
    },
    /// A call fails before its deadline.
    CallFails {
        node: usize,
        run: u64,
        request: RequestId,
    },
    /// A redial is answered with a refusal, if the peer is still dead then (R17).
    Refused { node: usize, run: u64, peer: usize },
    /// The oldest open call may have passed its deadline.
    CallsDue { node: usize, run: u64 },
    /// The batch under way reaches the disk.
    SyncEnds { node: usize, run: u64 },
    /// Entries asked of the log arrive.
    EntriesRead {
        node: usize,
        run: u64,
        id: LogReadId,
        after: LogIndex,
        last: LogIndex,
        entries_max: usize,
        bytes_max: usize,
    },
    /// The state machine has taken what it was given.
    ApplyEnds { node: usize, run: u64 },
    /// A read of the service's own is confirmed; `None` when it was refused.
    Confirmed {
        node: usize,
        run: u64,
        ticket: u64,
        index: Option<LogIndex>,
    },
    /// The replica's deadline may have come.
    Deadline { node: usize, run: u64 },
    /// What was handled together is carried out together.
    Flush { node: usize, run: u64 },
    /// A dead process is started again.
    Restart { node: usize, run: u64 },
    /// A paused process goes on.
    Resume { node: usize, run: u64 },
    /// A client begins or repeats its operation.
    ClientActs { client: usize },
    /// A client's request arrives at a node.
    ClientRequest {
        client: usize,
        attempt: u64,
        node: usize,
    },
    /// A node's answer arrives at the client.
    ClientReceives {
        client: usize,
        attempt: u64,
        reply: ClientReply,
    },
    /// The client has waited long enough for this attempt.
    ClientGivesUp { client: usize, attempt: u64 },
    /// The next fault is due.
    Fault,
    /// A cut heals.
    HealLink {
        from: usize,
        to: usize,
        partition: u64,
    },
}

/// What a client hears of an attempt.
#[derive(Debug)]
pub(crate) enum ClientReply {
    /// Of a proposal.
    Proposal(ProposeOutcome),
    /// Of a read: the index that the state machine had reached; `None` when it was refused.
    Read(Option<LogIndex>),
    /// Nobody listens at that address.
    Unreachable,
}

impl SimEvent {
    /// The process it is meant for, if it is meant for one.
    pub(crate) fn process(&self) -> Option<usize> {
        match self {
            Self::Deliver { message, .. } => Some(node_number(message.header().to)),
            Self::CallFails { node, .. }
            | Self::Refused { node, .. }
            | Self::CallsDue { node, .. }
            | Self::SyncEnds { node, .. }
            | Self::EntriesRead { node, .. }
            | Self::ApplyEnds { node, .. }
            | Self::Confirmed { node, .. }
            | Self::Deadline { node, .. }
            | Self::Flush { node, .. }
            | Self::ClientRequest { node, .. } => Some(*node),
            Self::Restart { .. }
            | Self::Resume { .. }
            | Self::ClientActs { .. }
            | Self::ClientReceives { .. }
            | Self::ClientGivesUp { .. }
            | Self::Fault
            | Self::HealLink { .. } => None,
        }
    }

    /// The run it is meant for; `None` when any process on that node will do.
    pub(crate) fn run(&self) -> Option<u64> {
        match self {
            Self::CallFails { run, .. }
            | Self::Refused { run, .. }
            | Self::CallsDue { run, .. }
            | Self::SyncEnds { run, .. }
            | Self::EntriesRead { run, .. }
            | Self::ApplyEnds { run, .. }
            | Self::Confirmed { run, .. }
            | Self::Deadline { run, .. }
            | Self::Flush { run, .. }
            | Self::Restart { run, .. }
            | Self::Resume { run, .. } => Some(*run),
            Self::Deliver { .. }
            | Self::ClientActs { .. }
            | Self::ClientRequest { .. }
            | Self::ClientReceives { .. }
            | Self::ClientGivesUp { .. }
            | Self::Fault
            | Self::HealLink { .. } => None,
        }
    }

    /// A small number for the trace hash.
    pub(crate) fn code(&self) -> u64 {
        match self {
            Self::Deliver { .. } => 1,
            Self::CallFails { .. } => 2,
            Self::Refused { .. } => 3,
            Self::CallsDue { .. } => 4,
            Self::SyncEnds { .. } => 5,
            Self::EntriesRead { .. } => 6,
            Self::ApplyEnds { .. } => 7,
            Self::Deadline { .. } => 8,
            Self::Flush { .. } => 9,
            Self::Restart { .. } => 10,
            Self::Resume { .. } => 11,
            Self::ClientActs { .. } => 12,
            Self::ClientRequest { .. } => 13,
            Self::ClientReceives { .. } => 14,
            Self::ClientGivesUp { .. } => 15,
            Self::Fault => 16,
            Self::HealLink { .. } => 17,
            Self::Confirmed { .. } => 18,
        }
    }
}

/// Where a node stands in the world's lists.
pub(crate) fn node_number(node: NodeId) -> usize {
    usize::try_from(node.0 - 1).expect("simulated nodes are few")
}

/// The name of the node that stands there.
pub(crate) fn node_id(number: usize) -> NodeId {
    NodeId(number as u64 + 1)
}

/// The queue of the virtual clock.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    heap: BinaryHeap<Reverse<Scheduled>>,
    scheduled: u64,
}

#[derive(Debug)]
struct Scheduled {
    at: u64,
    sequence: u64,
    what: SimEvent,
}

impl Queue {
    /// Lets `what` happen at `at`, after everything that was scheduled for that moment before.
    pub(crate) fn push(&mut self, at: u64, what: SimEvent) {
        self.scheduled += 1;
        self.heap.push(Reverse(Scheduled {
            at,
            sequence: self.scheduled,
            what,
        }));
    }

    /// The next thing, if it happens at `limit` or before.
    pub(crate) fn pop_until(&mut self, limit: u64) -> Option<(u64, SimEvent)> {
        if self.heap.peek()?.0.at > limit {
            return None;
        }
        self.heap.pop().map(|Reverse(next)| (next.at, next.what))
    }
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.sequence == other.sequence
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.sequence).cmp(&(other.at, other.sequence))
    }
}
