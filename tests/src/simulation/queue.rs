//! The scheduled events, ordered by time and, at the same time, by when they were scheduled.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use bytes::Bytes;
use chat_consensus::{LogIndex, NodeId, RequestId};
use chat_replication::{LogReadId, PreparationId, ProposeError, Proposed};

use crate::message::PeerMessage;
use crate::simulation::service_api::Resumed;
use crate::simulation::snapshot_job::SnapshotWork;

/// One scheduled event. `run` names the process that it is for: an event for a process that has died
/// is dropped.
#[derive(Debug)]
pub(crate) enum SimEvent {
    /// A message arrives, if its connection is still open.
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
    /// Entries that were read from the log arrive.
    EntriesRead {
        node: usize,
        run: u64,
        id: LogReadId,
        after: LogIndex,
        last: LogIndex,
        entries_max: usize,
        bytes_max: usize,
    },
    /// The state machine has applied its batch.
    ApplyEnds { node: usize, run: u64 },
    /// What was applied is published.
    PublishEnds { node: usize, run: u64 },
    /// A request is prepared.
    PreparationEnds {
        node: usize,
        run: u64,
        id: PreparationId,
        request: Bytes,
    },
    /// A task of the service gets what it waited for.
    TaskResumes {
        node: usize,
        run: u64,
        task: u64,
        with: Resumed,
    },
    /// A part of the work with snapshots is over (R24).
    Snapshot {
        node: usize,
        run: u64,
        work: Box<SnapshotWork>,
    },
    /// The replica's deadline may have come.
    Deadline { node: usize, run: u64 },
    /// The effects of events that were gathered are executed.
    Flush { node: usize, run: u64 },
    /// A dead process is started again.
    Restart { node: usize, run: u64 },
    /// A paused process continues.
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
    /// A partition of a link ends.
    HealLink {
        from: usize,
        to: usize,
        partition: u64,
    },
}

/// What a client receives for an attempt.
#[derive(Debug)]
pub(crate) enum ClientReply {
    /// Of a proposal.
    Proposal(Result<Proposed, ProposeError>),
    /// Of a read: the index that the state machine had reached; `None` when it was refused.
    Read(Option<LogIndex>),
    /// Of a service, which has the reply; the node knows this leader.
    Service { leader: Option<NodeId> },
    /// The port is closed.
    Unreachable,
}

impl SimEvent {
    /// The process that it is for, if it is for one.
    pub(crate) fn process(&self) -> Option<usize> {
        match self {
            Self::Deliver { message, .. } => Some(node_number(message.header().to)),
            Self::CallFails { node, .. }
            | Self::Refused { node, .. }
            | Self::CallsDue { node, .. }
            | Self::SyncEnds { node, .. }
            | Self::EntriesRead { node, .. }
            | Self::ApplyEnds { node, .. }
            | Self::PublishEnds { node, .. }
            | Self::PreparationEnds { node, .. }
            | Self::TaskResumes { node, .. }
            | Self::Snapshot { node, .. }
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

    /// The run that it is for; `None` when it is for any process on that node.
    pub(crate) fn run(&self) -> Option<u64> {
        match self {
            Self::CallFails { run, .. }
            | Self::Refused { run, .. }
            | Self::CallsDue { run, .. }
            | Self::SyncEnds { run, .. }
            | Self::EntriesRead { run, .. }
            | Self::ApplyEnds { run, .. }
            | Self::PublishEnds { run, .. }
            | Self::PreparationEnds { run, .. }
            | Self::TaskResumes { run, .. }
            | Self::Snapshot { run, .. }
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
            Self::TaskResumes { .. } => 18,
            Self::PublishEnds { .. } => 19,
            Self::PreparationEnds { .. } => 20,
            Self::Snapshot { .. } => 21,
        }
    }
}

/// The place of a node in the world's lists.
pub(crate) fn node_number(node: NodeId) -> usize {
    usize::try_from(node.0 - 1).expect("simulated nodes are few")
}

/// The id of the node at that place.
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
    /// Schedules `what` for `at`, after everything that is scheduled for that time already.
    pub(crate) fn push(&mut self, at: u64, what: SimEvent) {
        self.scheduled += 1;
        self.heap.push(Reverse(Scheduled {
            at,
            sequence: self.scheduled,
            what,
        }));
    }

    /// The next event, if it is scheduled for `limit` or earlier.
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
