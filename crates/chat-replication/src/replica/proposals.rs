//! Who waits for which entry, and what becomes of them when leadership ends (R13).

use std::collections::BTreeMap;

use bytes::Bytes;
use chat_consensus::{Envelope, Fault, Input, LogIndex, Position, ProposalId, RequestId, Term};

use crate::event::{Effect, Origin, ProposalTicket};
use crate::peer_message::{PeerReply, PeerRequest, ProposeOutcome, Refusal};
use crate::replica::Replica;

/// The proposals that somebody waits for.
#[derive(Debug, Default)]
pub(super) struct Proposals {
    made: u64,
    /// Handed to the node, which says in the same turn what became of it.
    offered: BTreeMap<ProposalId, (Origin, usize)>,
    /// Appended here; bound to the very entry, place and term.
    waiting: BTreeMap<LogIndex, (Term, Origin)>,
    /// What they weigh.
    pub(super) weights: Weights,
    /// Sent to the leader, with the bytes of each.
    forwarded: BTreeMap<RequestId, (ProposalTicket, usize)>,
    forwarded_bytes: usize,
}

/// The payload of the proposals that wait, by place in the log, in bytes.
#[derive(Debug, Default)]
pub(super) struct Weights {
    each: BTreeMap<LogIndex, usize>,
    sum: usize,
}

impl Weights {
    fn add(&mut self, index: LogIndex, bytes: usize) {
        self.sum += bytes;
        self.sum -= self.each.insert(index, bytes).unwrap_or(0);
    }

    pub(super) fn remove_through(&mut self, index: LogIndex) {
        while let Some(first) = self.each.first_entry()
            && *first.key() <= index
        {
            self.sum -= first.remove();
        }
    }

    pub(super) fn remove_after(&mut self, index: LogIndex) {
        let removed = self.each.split_off(&index.next());
        self.sum -= removed.into_values().sum::<usize>();
    }
}

impl Proposals {
    pub(super) fn note_appended(&mut self, id: ProposalId, position: Position) {
        let (origin, bytes) = self
            .offered
            .remove(&id)
            .expect("the node reports what it was offered");
        self.waiting.insert(position.index, (position.term, origin));
        self.weights.add(position.index, bytes);
    }

    /// Whether somebody waits for an entry to be applied here.
    pub(super) fn has_pending(&self) -> bool {
        !self.waiting.is_empty()
    }
}

impl Replica {
    pub(super) fn handle_append(&mut self, origin: Origin, command: Bytes) -> Result<(), Fault> {
        let stranger = matches!(&origin, Origin::Peer(header) if !self.is_from_own_cluster(header));
        let refusal = if stranger {
            Some(Refusal::NotLeading { leader: None })
        } else if command.len() > self.limits.command_bytes_max {
            Some(Refusal::TooLarge)
        } else if self.proposals.waiting.len() >= self.limits.waiting_proposals_max
            || self.proposals.weights.sum + command.len() > self.limits.waiting_bytes_max
        {
            Some(Refusal::Overloaded)
        } else {
            None
        };
        if let Some(refusal) = refusal {
            self.answer(origin, ProposeOutcome::NotAppended(refusal));
            return Ok(());
        }
        self.proposals.made += 1;
        let id = ProposalId(self.proposals.made);
        self.proposals.offered.insert(id, (origin, command.len()));
        self.step(Input::Proposed(id, command))
    }

    /// One hop: the leader appends or refuses, and never passes it on (R13).
    pub(super) fn handle_forward(&mut self, ticket: ProposalTicket, request: Bytes) {
        let leader = self
            .node
            .leader()
            .filter(|leader| *leader != self.node.id());
        let bytes = request.len();
        let full = self.proposals.forwarded.len() >= self.limits.waiting_requests_max
            || self.proposals.forwarded_bytes + bytes > self.limits.waiting_bytes_max;
        let (Some(leader), true, false) = (leader, self.node.has_started(), full) else {
            let refusal = if full {
                Refusal::Overloaded
            } else {
                Refusal::NotLeading { leader }
            };
            let outcome = ProposeOutcome::NotAppended(refusal);
            return self.effects.push(Effect::Complete(ticket, outcome));
        };
        let header = self.node.new_request_header(leader);
        let waiting = (ticket, bytes);
        self.proposals.forwarded.insert(header.request, waiting);
        self.proposals.forwarded_bytes += bytes;
        let message = PeerRequest::Propose { request };
        self.effects
            .push(Effect::Call(Envelope { header, message }));
    }

    pub(super) fn handle_propose_reply(&mut self, request: RequestId, outcome: ProposeOutcome) {
        if let Some((ticket, bytes)) = self.proposals.forwarded.remove(&request) {
            self.proposals.forwarded_bytes -= bytes;
            self.effects.push(Effect::Complete(ticket, outcome));
        }
    }

    /// What never left this node cannot have been appended (R13).
    pub(super) fn refuse_unsent_proposal(&mut self, request: RequestId) {
        let outcome = ProposeOutcome::NotAppended(Refusal::Overloaded);
        self.handle_propose_reply(request, outcome);
    }

    /// A lost answer is unknown (R13).
    pub(super) fn fail_forwarded_proposal(&mut self, request: RequestId) {
        self.handle_propose_reply(request, ProposeOutcome::Unknown);
    }

    pub(super) fn refuse_proposal(&mut self, id: ProposalId) {
        let (origin, _) = self
            .proposals
            .offered
            .remove(&id)
            .expect("the node reports what it was offered");
        let leader = self
            .node
            .leader()
            .filter(|leader| *leader != self.node.id());
        let refusal = Refusal::NotLeading { leader };
        self.answer(origin, ProposeOutcome::NotAppended(refusal));
    }

    /// Leadership has ended: what is committed will be applied and answered; of the rest nobody
    /// here can say what becomes of it (R13).
    pub(super) fn fail_uncommitted_proposals(&mut self) {
        let first_unknown = self.node.commit_index().next();
        let unknown = self.proposals.waiting.split_off(&first_unknown);
        for (_, origin) in unknown.into_values() {
            self.answer(origin, ProposeOutcome::Unknown);
        }
    }

    pub(super) fn answer_proposal(&mut self, position: Position, answer: Bytes) {
        let Some((term, origin)) = self.proposals.waiting.remove(&position.index) else {
            return;
        };
        let outcome = if term == position.term {
            ProposeOutcome::Applied {
                index: position.index,
                answer,
            }
        } else {
            ProposeOutcome::Unknown
        };
        self.answer(origin, outcome);
    }

    fn answer(&mut self, origin: Origin, outcome: ProposeOutcome) {
        match origin {
            Origin::Client(ticket) => self.effects.push(Effect::Complete(ticket, outcome)),
            Origin::Peer(header) => self.reply(&header, PeerReply::Propose(outcome)),
        }
    }
}
