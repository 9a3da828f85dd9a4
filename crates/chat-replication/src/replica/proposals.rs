//! The proposals that a replica has not completed, and what each of them waits for (R13).

use bytes::Bytes;
use chat_consensus::{Header, LogIndex, NodeId, Position, ProposalId, RequestId, Term, Time};
use std::collections::BTreeMap;

use crate::event::{Effect, PreparationId, ProposalTicket};
use crate::replica::deadlines::Deadlines;
use crate::replica::leadership::Leadership;
use crate::replica::weights::Weights;

/// The proposals that are not completed.
#[derive(Debug)]
pub(super) struct Proposals<F> {
    pub(super) made: u64,
    /// Those of this node's clients.
    pub(super) clients: BTreeMap<ProposalTicket, ClientProposal>,
    /// When their clients give up.
    pub(super) deadlines: Deadlines<ProposalTicket>,
    /// When those are tried again that a known leader did not take.
    pub(super) retries: Deadlines<ProposalTicket>,
    /// How many wait for a leader, and their payload in bytes.
    pub(super) queued: usize,
    pub(super) queued_bytes: usize,
    /// To be begun.
    pub(super) preparations: Vec<Effect>,
    /// Begun and not ended.
    pub(super) preparing: BTreeMap<PreparationId, (Waiter, usize)>,
    pub(super) preparing_bytes: usize,
    /// Handed to the node, which reports in the same step what became of it.
    pub(super) offered: BTreeMap<ProposalId, Appending<F>>,
    /// Appended here; bound to the very entry, place and term.
    pub(super) waiting: BTreeMap<LogIndex, (Term, Waiter, F)>,
    /// The payload of those.
    pub(super) weights: Weights,
    /// Sent to the leader.
    pub(super) forwarded: BTreeMap<RequestId, Forwarded>,
    pub(super) forwarded_bytes: usize,
    /// When those are given up whose leader was replaced.
    pub(super) replaced: Deadlines<RequestId>,
}

/// Who waits for the outcome of a preparation or an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waiter {
    /// A client of this node.
    Client(ProposalTicket),
    /// Another replica, which forwarded it with this header.
    Peer(Header),
}

#[derive(Debug)]
pub(super) struct ClientProposal {
    pub(super) request: Bytes,
    pub(super) deadline: Time,
    pub(super) phase: Phase,
    /// Who leads, as the last node that did not take it answered.
    pub(super) hint: Option<NodeId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Until leadership differs from this, or until the pause is over.
    Queued { known: Leadership, retry_at: Time },
    /// This node leads and prepares it.
    Preparing,
    /// It may be appended, here or elsewhere.
    Sent,
}

#[derive(Debug)]
pub(super) struct Appending<F> {
    pub(super) waiter: Waiter,
    pub(super) bytes: usize,
    pub(super) make_reply: F,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Forwarded {
    pub(super) ticket: ProposalTicket,
    pub(super) bytes: usize,
    /// The term whose leader it was sent to.
    pub(super) term: Term,
    /// When it is given up; never, while no later leader is known.
    pub(super) give_up_at: Time,
}

impl<F> Default for Proposals<F> {
    fn default() -> Self {
        Self {
            made: 0,
            clients: BTreeMap::new(),
            deadlines: Deadlines::default(),
            retries: Deadlines::default(),
            queued: 0,
            queued_bytes: 0,
            preparations: Vec::new(),
            preparing: BTreeMap::new(),
            preparing_bytes: 0,
            offered: BTreeMap::new(),
            waiting: BTreeMap::new(),
            weights: Weights::default(),
            forwarded: BTreeMap::new(),
            forwarded_bytes: 0,
            replaced: Deadlines::default(),
        }
    }
}

impl<F> Proposals<F> {
    pub(super) fn record_appended(&mut self, id: ProposalId, position: Position) {
        let appending = self.take_offered(id);
        let waiting = (position.term, appending.waiter, appending.make_reply);
        self.waiting.insert(position.index, waiting);
        self.weights.add(position.index, appending.bytes);
    }

    /// Whether an entry that is not applied yet is awaited here.
    pub(super) fn has_pending(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(super) fn remove_weights_through(&mut self, applied: LogIndex) {
        self.weights.remove_through(applied);
    }

    pub(super) fn take_preparations(&mut self) -> Option<Vec<Effect>> {
        let some = !self.preparations.is_empty();
        some.then(|| std::mem::take(&mut self.preparations))
    }

    /// When something is due: a client gives up, or a proposal is tried again or given up.
    pub(super) fn next_deadline(&self) -> Time {
        let client = self.deadlines.next().min(self.retries.next());
        client.min(self.replaced.next())
    }

    pub(super) fn take_offered(&mut self, id: ProposalId) -> Appending<F> {
        let offered = self.offered.remove(&id);
        offered.expect("the node reports what it was offered")
    }
}
