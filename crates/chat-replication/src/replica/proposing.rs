//! The whole life of a proposal: prepared and appended where this node leads, forwarded where
//! another does, tried again while nothing was appended, and completed in any case (R13).

use std::time::Duration;

use bytes::Bytes;
use chat_consensus::{
    Envelope, Fault, Header, Input, LogIndex, NodeId, Position, ProposalId, RequestId, Time,
};

use crate::error::ProposeError;
use crate::event::{Effect, MakeReply, PreparationId, Prepared, ProposalTicket, Proposed};
use crate::peer_message::{PeerReply, PeerRequest, ProposeOutcome, Refusal};
use crate::replica::Replica;
use crate::replica::leadership::Leadership;
use crate::replica::proposals::{Appending, ClientProposal, Forwarded, Phase, Waiter};

/// How long a former leader may still answer what was forwarded to it once another one is known.
/// One that transferred its leadership answers within a round trip; one that is unreachable never
/// does (R13).
const OLD_LEADER_RESPONSE_TIMEOUT: Duration = Duration::from_millis(50);

impl<F: MakeReply> Replica<F> {
    pub(super) fn handle_propose(
        &mut self,
        ticket: ProposalTicket,
        request: Bytes,
        deadline: Time,
    ) -> Result<(), Fault> {
        if request.len() > self.limits.command_bytes_max {
            let bytes_max = self.limits.command_bytes_max;
            let error = ProposeError::TooLarge { bytes_max };
            self.effects.push(Effect::Complete(ticket, Err(error)));
            return Ok(());
        }
        let client = ClientProposal {
            request,
            deadline,
            phase: Phase::Preparing,
            hint: None,
        };
        self.proposals.clients.insert(ticket, client);
        self.proposals.deadlines.insert(deadline, ticket);
        if self.now >= deadline {
            return self.fire_proposal_timers();
        }
        self.attempt_proposal(ticket)
    }

    pub(super) fn abandon_proposal(&mut self, ticket: ProposalTicket) {
        self.take_client(ticket);
    }

    /// Prepares a forwarded request here, if this node leads. One hop: it is never passed on (R13).
    pub(super) fn handle_forwarded_proposal(&mut self, header: Header, request: Bytes) {
        let leads = self.is_from_own_cluster(&header) && self.is_leading();
        if leads && request.len() > self.limits.command_bytes_max {
            // Its node should have refused it; decoding it here would take too long.
            self.refuse(Waiter::Peer(header), Refusal::TooLarge);
        } else if leads {
            self.prepare(Waiter::Peer(header), request);
        } else {
            let leader = self.other_leader();
            self.refuse(Waiter::Peer(header), Refusal::NotLeading { leader });
        }
    }

    pub(super) fn handle_prepared(
        &mut self,
        id: PreparationId,
        prepared: Prepared<F>,
    ) -> Result<(), Fault> {
        let Some((waiter, bytes)) = self.proposals.preparing.remove(&id) else {
            return Ok(());
        };
        self.proposals.preparing_bytes -= bytes;
        if let Waiter::Client(ticket) = waiter
            && !self.proposals.clients.contains_key(&ticket)
        {
            // Its client has given up: nothing is appended, which is what it expects.
            return Ok(());
        }
        match prepared {
            Prepared::Append {
                command,
                make_reply,
            } => self.append(waiter, command, make_reply)?,
            Prepared::Reply(reply) => self.refuse(waiter, Refusal::Answered(reply)),
            Prepared::Failed => self.complete(waiter, ProposeOutcome::Unknown),
        }
        Ok(())
    }

    /// Leadership, as this node knows it, has changed: what waits for a leader is tried again, and
    /// what was sent to an earlier one has a moment left (R13).
    pub(super) fn retry_proposals(&mut self, now_known: Leadership) -> Result<(), Fault> {
        if now_known.leader.is_some() {
            let give_up_at = self.now + OLD_LEADER_RESPONSE_TIMEOUT;
            let proposals = &mut self.proposals;
            for (request, forwarded) in &mut proposals.forwarded {
                if forwarded.term < now_known.term && forwarded.give_up_at == Time::NEVER {
                    forwarded.give_up_at = give_up_at;
                    proposals.replaced.insert(give_up_at, *request);
                }
            }
        }
        let differs = |client: &ClientProposal| matches!(client.phase, Phase::Queued { known, .. } if known != now_known);
        let clients = self.proposals.clients.iter();
        let queued = clients.filter(|(_, client)| differs(client));
        let queued: Vec<ProposalTicket> = queued.map(|(ticket, _)| *ticket).collect();
        for ticket in queued {
            self.attempt_proposal(ticket)?;
        }
        Ok(())
    }

    pub(super) fn fire_proposal_timers(&mut self) -> Result<(), Fault> {
        while let Some(request) = self.proposals.replaced.pop_due(self.now) {
            self.fail_forwarded_proposal(request);
        }
        while let Some(ticket) = self.proposals.retries.pop_due(self.now) {
            self.attempt_proposal(ticket)?;
        }
        while let Some(ticket) = self.proposals.deadlines.pop_due(self.now) {
            let Some(client) = self.take_client(ticket) else {
                continue;
            };
            let error = match client.phase {
                Phase::Queued { known, .. } => match client.hint.or(known.leader) {
                    Some(leader) => ProposeError::NotAppended {
                        leader_id: Some(leader.0),
                    },
                    None => ProposeError::NoLeader,
                },
                Phase::Preparing => ProposeError::NotAppended {
                    leader_id: self.node.leader().map(|leader| leader.0),
                },
                Phase::Sent => ProposeError::Unknown,
            };
            self.effects.push(Effect::Complete(ticket, Err(error)));
        }
        Ok(())
    }

    /// The replica shuts down: everything that was not appended ends as that.
    pub(super) fn refuse_unappended_proposals(&mut self) {
        let unappended = |client: &ClientProposal| client.phase != Phase::Sent;
        let clients = self.proposals.clients.iter();
        let clients = clients.filter(|(_, client)| unappended(client));
        let tickets: Vec<ProposalTicket> = clients.map(|(ticket, _)| *ticket).collect();
        for ticket in tickets {
            self.fail_client(ticket, ProposeError::Stopped);
        }
        for (waiter, _) in std::mem::take(&mut self.proposals.preparing).into_values() {
            self.refuse(waiter, Refusal::NotLeading { leader: None });
        }
    }

    pub(super) fn handle_propose_reply(&mut self, request: RequestId, outcome: ProposeOutcome) {
        if let Some(forwarded) = self.proposals.forwarded.remove(&request) {
            self.proposals.forwarded_bytes -= forwarded.bytes;
            let give_up_at = forwarded.give_up_at;
            self.proposals.replaced.remove(give_up_at, request);
            self.complete_client(forwarded.ticket, outcome);
        }
    }

    /// What never left this node cannot have been appended (R13).
    pub(super) fn refuse_unsent_proposal(&mut self, request: RequestId) {
        let outcome = ProposeOutcome::NotAppended(Refusal::Overloaded);
        self.handle_propose_reply(request, outcome);
    }

    /// A lost reply is unknown (R13).
    pub(super) fn fail_forwarded_proposal(&mut self, request: RequestId) {
        self.handle_propose_reply(request, ProposeOutcome::Unknown);
    }

    /// The node did not append what it was offered.
    pub(super) fn refuse_offered_proposal(&mut self, id: ProposalId) {
        let appending = self.proposals.take_offered(id);
        let leader = self.other_leader();
        self.refuse(appending.waiter, Refusal::NotLeading { leader });
    }

    /// Leadership has ended: what is committed will be applied and answered; what becomes of the
    /// rest is unknown here (R13).
    pub(super) fn fail_uncommitted_proposals(&mut self) {
        let commit_index = self.node.commit_index();
        let unknown = self.proposals.waiting.split_off(&commit_index.next());
        for (_, waiter, _) in unknown.into_values() {
            self.complete(waiter, ProposeOutcome::Unknown);
        }
        self.proposals.weights.remove_after(commit_index);
    }

    /// A snapshot that contains everything up to `through` was installed: the answers to what is in it
    /// are in no state (R24).
    pub(super) fn fail_proposals_through(&mut self, through: LogIndex) {
        let later = self.proposals.waiting.split_off(&through.next());
        let contained = std::mem::replace(&mut self.proposals.waiting, later);
        for (_, waiter, _) in contained.into_values() {
            self.complete(waiter, ProposeOutcome::Unknown);
        }
        self.proposals.remove_weights_through(through);
    }

    /// The entry at `position` is applied.
    pub(super) fn answer_proposal(&mut self, position: Position, answer: Bytes) {
        let index = position.index;
        let Some((term, waiter, make_reply)) = self.proposals.waiting.remove(&index) else {
            return;
        };
        let outcome = if term == position.term {
            let answer = make_reply.make_reply(index, answer);
            ProposeOutcome::Applied { index, answer }
        } else {
            ProposeOutcome::Unknown
        };
        self.complete(waiter, outcome);
    }

    fn attempt_proposal(&mut self, ticket: ProposalTicket) -> Result<(), Fault> {
        let Some(request) = self.unqueue(ticket) else {
            return Ok(());
        };
        if self.is_leading() {
            self.prepare(Waiter::Client(ticket), request);
        } else if let Some(leader) = self.other_leader()
            && self.node.has_started()
        {
            self.forward(ticket, leader, request);
        } else {
            self.queue(ticket, None);
        }
        Ok(())
    }

    /// The request of a client that is about to be tried.
    fn unqueue(&mut self, ticket: ProposalTicket) -> Option<Bytes> {
        let client = self.proposals.clients.get_mut(&ticket)?;
        if let Phase::Queued { retry_at, .. } = client.phase {
            self.proposals.retries.remove(retry_at, ticket);
            self.proposals.queued -= 1;
            self.proposals.queued_bytes -= client.request.len();
        }
        client.phase = Phase::Preparing;
        Some(client.request.clone())
    }

    /// It was not appended: it waits until leadership changes, or a moment if a leader is known.
    fn queue(&mut self, ticket: ProposalTicket, hint: Option<NodeId>) {
        let known = self.leadership();
        let limits = self.limits;
        let proposals = &mut self.proposals;
        let Some(client) = proposals.clients.get_mut(&ticket) else {
            return;
        };
        let bytes = proposals.queued_bytes + client.request.len();
        if proposals.queued >= limits.waiting_requests_max || bytes > limits.waiting_bytes_max {
            return self.fail_client(ticket, ProposeError::Overloaded);
        }
        proposals.queued += 1;
        proposals.queued_bytes = bytes;
        let retry_at = known.retry_at(self.now);
        client.phase = Phase::Queued { known, retry_at };
        client.hint = hint.or(client.hint);
        proposals.retries.insert(retry_at, ticket);
    }

    fn prepare(&mut self, waiter: Waiter, request: Bytes) {
        let bytes = request.len();
        let proposals = &mut self.proposals;
        let held = proposals.preparing_bytes + proposals.weights.sum();
        let count = proposals.preparing.len() + proposals.waiting.len();
        if count >= self.limits.waiting_proposals_max
            || held + bytes > self.limits.waiting_bytes_max
        {
            return self.refuse(waiter, Refusal::Overloaded);
        }
        proposals.made += 1;
        let id = PreparationId(proposals.made);
        proposals.preparing.insert(id, (waiter, bytes));
        proposals.preparing_bytes += bytes;
        self.proposals
            .preparations
            .push(Effect::Prepare(id, request));
    }

    fn append(&mut self, waiter: Waiter, command: Bytes, make_reply: F) -> Result<(), Fault> {
        let bytes = command.len();
        if bytes > self.limits.command_bytes_max {
            self.refuse(waiter, Refusal::TooLarge);
            return Ok(());
        }
        if let Waiter::Client(ticket) = waiter
            && let Some(client) = self.proposals.clients.get_mut(&ticket)
        {
            client.phase = Phase::Sent;
        }
        self.proposals.made += 1;
        let id = ProposalId(self.proposals.made);
        let appending = Appending {
            waiter,
            bytes,
            make_reply,
        };
        self.proposals.offered.insert(id, appending);
        self.step(Input::Proposed(id, command))
    }

    fn forward(&mut self, ticket: ProposalTicket, leader: NodeId, request: Bytes) {
        let bytes = request.len();
        if self.proposals.forwarded.len() >= self.limits.waiting_requests_max
            || self.proposals.forwarded_bytes + bytes > self.limits.waiting_bytes_max
        {
            return self.fail_client(ticket, ProposeError::Overloaded);
        }
        let header = self.node.new_request_header(leader);
        let proposals = &mut self.proposals;
        let forwarded = Forwarded {
            ticket,
            bytes,
            term: header.term,
            give_up_at: Time::NEVER,
        };
        proposals.forwarded.insert(header.request, forwarded);
        proposals.forwarded_bytes += bytes;
        if let Some(client) = proposals.clients.get_mut(&ticket) {
            client.phase = Phase::Sent;
        }
        let message = PeerRequest::Propose { request };
        self.effects
            .push(Effect::Call(Envelope { header, message }));
    }

    fn refuse(&mut self, waiter: Waiter, refusal: Refusal) {
        self.complete(waiter, ProposeOutcome::NotAppended(refusal));
    }

    fn complete(&mut self, waiter: Waiter, outcome: ProposeOutcome) {
        match waiter {
            Waiter::Client(ticket) => self.complete_client(ticket, outcome),
            Waiter::Peer(header) => self.reply(&header, PeerReply::Propose(outcome)),
        }
    }

    /// An attempt has ended: finally, or it is tried again because nothing was appended.
    fn complete_client(&mut self, ticket: ProposalTicket, outcome: ProposeOutcome) {
        let result = match outcome {
            ProposeOutcome::Applied { index, answer } => Ok(Proposed {
                index: Some(index),
                reply: answer,
            }),
            ProposeOutcome::NotAppended(Refusal::Answered(reply)) => {
                Ok(Proposed { index: None, reply })
            }
            ProposeOutcome::NotAppended(Refusal::NotLeading { leader }) => {
                return self.queue(ticket, leader);
            }
            ProposeOutcome::NotAppended(Refusal::Overloaded) => Err(ProposeError::Overloaded),
            ProposeOutcome::NotAppended(Refusal::TooLarge) => Err(ProposeError::TooLarge {
                bytes_max: self.limits.command_bytes_max,
            }),
            ProposeOutcome::Unknown => Err(ProposeError::Unknown),
        };
        if self.take_client(ticket).is_some() {
            self.effects.push(Effect::Complete(ticket, result));
        }
    }

    fn fail_client(&mut self, ticket: ProposalTicket, error: ProposeError) {
        if self.take_client(ticket).is_some() {
            self.effects.push(Effect::Complete(ticket, Err(error)));
        }
    }

    fn take_client(&mut self, ticket: ProposalTicket) -> Option<ClientProposal> {
        let proposals = &mut self.proposals;
        let client = proposals.clients.remove(&ticket)?;
        proposals.deadlines.remove(client.deadline, ticket);
        if let Phase::Queued { retry_at, .. } = client.phase {
            proposals.retries.remove(retry_at, ticket);
            proposals.queued -= 1;
            proposals.queued_bytes -= client.request.len();
        }
        Some(client)
    }
}
