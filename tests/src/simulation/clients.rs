//! Clients: each runs one operation after the other, and retries it on other nodes, under the same
//! id, until it knows that it took effect.

use std::time::Duration;

use chat_consensus::{LogIndex, NodeId, Payload};
use chat_replication::{Event, ProposeError, Proposed, ReadError, ReadTicket};

use crate::checker::Checked;
use crate::simulation::World;
use crate::simulation::client::Current;
use crate::simulation::command::{Answer, Command, PREFIX_BYTES};
use crate::simulation::faults::FaultKind;
use crate::simulation::process::{ProcessState, RequestKind, Waiting};
use crate::simulation::queue::{ClientReply, SimEvent, node_number};
use crate::simulation::service_api::AfterReply;

/// How long a client waits for one attempt, in microseconds.
const ATTEMPT_TIMEOUT: u64 = 1_000_000;
/// The shortest time that a client gives a node, in microseconds.
const CLIENT_DEADLINE_MIN: u64 = 50_000;
/// One operation in so many, of those whose outcome is unknown, is given up.
const LEAVES_ONE_IN: u32 = 12;

impl World {
    pub(super) fn client_acts(&mut self, client: usize) -> Checked {
        self.attempts_made += 1;
        let attempt = self.attempts_made;
        let shown_before = self.checkers.history.shown();
        let now = self.now;
        let is_read = self.random.u32(0..10) < self.settings.reads_of_ten;
        let fresh_node = self.random.usize(0..self.settings.nodes);
        let this = &mut self.clients[client];
        if this.current.is_none() {
            if this.resting {
                return Ok(());
            }
            let what = if is_read {
                if let Some(service) = &mut self.service {
                    service.begin_read(client, &mut self.random);
                }
                RequestKind::Read { shown_before }
            } else {
                this.operations += 1;
                let operation = (this.number as u64 + 1) << 32 | this.operations;
                match &mut self.service {
                    Some(service) => service.begin(Some(client), operation, &mut self.random),
                    None => self.checkers.history.begins(operation),
                }
                RequestKind::Operation(operation)
            };
            this.current = Some(Current {
                what,
                attempt,
                began: now,
                unknown: false,
            });
            if fresh_node.is_multiple_of(2) {
                this.node = fresh_node;
            }
        }
        let current = this.current.as_mut().expect("set above");
        current.attempt = attempt;
        if let RequestKind::Read {
            shown_before: before,
        } = &mut current.what
        {
            *before = shown_before;
        }
        let node = this.node;
        let at = now + self.network.delay(&mut self.random);
        let what = SimEvent::ClientRequest {
            client,
            attempt,
            node,
        };
        self.queue.push(at, what);
        let what = SimEvent::ClientGivesUp { client, attempt };
        self.queue.push(now + ATTEMPT_TIMEOUT, what);
        self.repeat_late()
    }

    pub(super) fn client_request(&mut self, client: usize, attempt: u64, node: usize) -> Checked {
        let Some(current) = self.clients[client]
            .current
            .filter(|c| c.attempt == attempt)
        else {
            return Ok(());
        };
        match self.processes[node].state {
            ProcessState::Running => self.submit(node, Some(client), attempt, current.what),
            ProcessState::PowerLost => Ok(()),
            ProcessState::Killed | ProcessState::NotStarted => {
                self.answer_later(client, attempt, ClientReply::Unreachable);
                Ok(())
            }
        }
    }

    /// Passes a client's request to a running node.
    pub(super) fn submit(
        &mut self,
        node: usize,
        client: Option<usize>,
        attempt: u64,
        what: RequestKind,
    ) -> Checked {
        let client_timeout = match client {
            Some(_) => self.random.u64(CLIENT_DEADLINE_MIN..ATTEMPT_TIMEOUT),
            None => self.settings.script_deadline,
        };
        let process = &self.processes[node];
        let deadline = process.clock.read(self.now) + Duration::from_micros(client_timeout);
        match what {
            RequestKind::Operation(operation) if self.service.is_some() => {
                self.begin_request(node, (client, attempt), operation, deadline)
            }
            RequestKind::Operation(operation) => {
                let ticket = self.ticket(node, (client, attempt), what);
                let padding = vec![0; self.settings.padding];
                let request = Command { operation, attempt }.followed_by(&padding);
                self.propose_request(node, ticket, request, deadline)
            }
            RequestKind::Read { .. }
            | RequestKind::TaskProposal { .. }
            | RequestKind::Confirmation { .. } => {
                let ticket = ReadTicket(self.ticket(node, (client, attempt), what));
                self.handle(node, Event::Read { ticket, deadline })
            }
        }
    }

    /// A node returns the outcome of a proposal to its client.
    pub(super) fn answer_client(
        &mut self,
        node: usize,
        ticket: u64,
        result: Result<Proposed, ProposeError>,
    ) -> Checked {
        let Some(waiting) = self.take_ticket(node, ticket)? else {
            return Ok(());
        };
        let history_id = match waiting.what {
            RequestKind::Operation(operation) => operation,
            RequestKind::TaskProposal { .. } => waiting.attempt,
            RequestKind::Read { .. } | RequestKind::Confirmation { .. } => {
                let what = format!("ticket {ticket} of a read is answered as a proposal");
                return Err(crate::checker::Violation::new("pending-requests", what));
            }
        };
        match &result {
            Ok(Proposed {
                index: Some(index),
                reply: bytes,
            }) => {
                let answer = Answer::decode(bytes);
                let term = self.checkers.committed.term_at(*index);
                let applied = term.and_then(|term| self.checkers.entries.payload(*index, term));
                let is_its_own = matches!(applied, Some(Payload::Command(command))
                    if Command::decode(command).map(|it| it.operation) == Some(history_id));
                if !is_its_own {
                    let what =
                        format!("entry {index} is answered with {answer:?}, which is not its own");
                    return Err(crate::checker::Violation::new("pending-requests", what));
                }
                let history = &mut self.checkers.history;
                history.acknowledged(history_id, answer, &self.checkers.committed)?;
                if let (Some(service), Some(answer)) = (&mut self.service, answer) {
                    service.answered(answer.index, &bytes[PREFIX_BYTES..])?;
                }
            }
            Ok(Proposed { index: None, .. }) | Err(ProposeError::Unknown) => {}
            Err(error) => {
                self.checkers.history.refused(waiting.attempt)?;
                if *error == ProposeError::Overloaded {
                    self.faults.add(FaultKind::Overload);
                }
            }
        }
        self.trace.note(history_id);
        if let RequestKind::TaskProposal { task } = waiting.what {
            self.task_proposal_ended(node, task, result);
            return Ok(());
        }
        self.print_outcome(node, history_id, &result);
        if let Some(client) = waiting.client {
            self.answer_later(client, waiting.attempt, ClientReply::Proposal(result));
        }
        Ok(())
    }

    /// A confirmed read sees what this node has published (R14).
    pub(super) fn begin_read(&mut self, node: usize, ticket: u64, index: LogIndex) -> Checked {
        let Some(waiting) = self.take_ticket(node, ticket)? else {
            return Ok(());
        };
        if let RequestKind::Confirmation { task } = waiting.what {
            self.task_read_ended(node, task, Ok(()));
            return Ok(());
        }
        let seen = match (&mut self.service, waiting.client) {
            (Some(service), Some(client)) => service.read(node, client, index)?,
            _ => self.processes[node].machine.published,
        };
        self.trace.note(seen.0);
        if let RequestKind::Read { shown_before } = waiting.what {
            crate::checker::ensure(seen >= index, "stale-read", || {
                format!("a read of {index} begins when {seen} is published")
            })?;
            self.checkers.history.read(shown_before, seen)?;
        }
        let id = self.processes[node].id;
        self.print(|_| format!("{id}: reads everything up to {seen}"));
        if let Some(client) = waiting.client {
            self.answer_later(client, waiting.attempt, ClientReply::Read(Some(seen)));
        }
        Ok(())
    }

    pub(super) fn fail_read(&mut self, node: usize, ticket: u64, error: ReadError) -> Checked {
        let Some(waiting) = self.take_ticket(node, ticket)? else {
            return Ok(());
        };
        if let RequestKind::Confirmation { task } = waiting.what {
            self.task_read_ended(node, task, Err(error));
            return Ok(());
        }
        let id = self.processes[node].id;
        self.print(|_| format!("{id}: the read failed ({error:?})"));
        if let Some(client) = waiting.client {
            self.answer_later(client, waiting.attempt, ClientReply::Read(None));
        }
        Ok(())
    }

    pub(super) fn client_receives(
        &mut self,
        client: usize,
        attempt: u64,
        reply: &ClientReply,
    ) -> Checked {
        let Some(current) = self.clients[client]
            .current
            .filter(|c| c.attempt == attempt)
        else {
            return Ok(());
        };
        let mut unknown = matches!(reply, ClientReply::Proposal(Err(ProposeError::Unknown)));
        let mut leader = match reply {
            ClientReply::Proposal(Err(ProposeError::NotAppended { leader_id })) => {
                leader_id.map(NodeId)
            }
            _ => None,
        };
        let done = match reply {
            ClientReply::Proposal(Ok(_)) => true,
            ClientReply::Service { leader: known } => {
                leader = *known;
                match self.receive_reply(client, current)? {
                    AfterReply::Done => true,
                    AfterReply::Retry {
                        unknown: is_unknown,
                    } => {
                        unknown = is_unknown;
                        false
                    }
                }
            }
            ClientReply::Read(seen) => seen.is_some(),
            ClientReply::Proposal(Err(_)) | ClientReply::Unreachable => false,
        };
        if done {
            return self.client_is_done(client, current);
        }
        self.client_retries(client, unknown, leader.map(node_number))
    }

    /// What the service's reply means to the client.
    fn receive_reply(
        &mut self,
        client: usize,
        current: Current,
    ) -> Result<AfterReply, crate::checker::Violation> {
        match (&mut self.service, current.what) {
            (Some(service), RequestKind::Operation(operation)) => {
                service.receive_reply(client, operation, current.attempt)
            }
            _ => Ok(AfterReply::Done),
        }
    }

    pub(super) fn client_gives_up(&mut self, client: usize, attempt: u64) -> Checked {
        if self.clients[client]
            .current
            .is_none_or(|c| c.attempt != attempt)
        {
            return Ok(());
        }
        self.client_retries(client, true, None)
    }

    fn client_is_done(&mut self, client: usize, current: Current) -> Checked {
        let this = &mut self.clients[client];
        this.current = None;
        this.last_ended = Some(self.now);
        this.last_began = current.began;
        let at = self.now + self.random.u64(100..self.settings.pause_max);
        self.queue.push(at, SimEvent::ClientActs { client });
        Ok(())
    }

    fn client_retries(&mut self, client: usize, unknown: bool, leader: Option<usize>) -> Checked {
        self.faults.add(FaultKind::ClientRetry);
        let leaves = self.mix.is_some() && self.random.u32(0..LEAVES_ONE_IN) == 0;
        let elsewhere = self.random.usize(0..self.settings.nodes);
        let pause = self.random.u64(500..20_000);
        let this = &mut self.clients[client];
        this.node = leader.unwrap_or(elsewhere);
        let current = this.current.as_mut().expect("its operation is under way");
        current.unknown |= unknown;
        // The next attempt has another number: an answer to this one is ignored.
        current.attempt = 0;
        if leaves && current.unknown {
            this.current = None;
            self.faults.add(FaultKind::ClientLeaves);
        }
        self.queue
            .push(self.now + pause, SimEvent::ClientActs { client });
        Ok(())
    }

    pub(super) fn answer_later(&mut self, client: usize, attempt: u64, reply: ClientReply) {
        let at = self.now + self.network.delay(&mut self.random);
        let what = SimEvent::ClientReceives {
            client,
            attempt,
            reply,
        };
        self.queue.push(at, what);
    }

    fn take_ticket(
        &mut self,
        node: usize,
        ticket: u64,
    ) -> Result<Option<Waiting>, crate::checker::Violation> {
        let process = &mut self.processes[node];
        let id = process.id;
        let waiting = process.tickets.remove(&ticket);
        crate::checker::ensure(waiting.is_some(), "pending-requests", || {
            format!("node {id} answers ticket {ticket}, which is not pending")
        })?;
        Ok(waiting)
    }

    fn print_outcome(
        &mut self,
        node: usize,
        operation: u64,
        result: &Result<Proposed, ProposeError>,
    ) {
        let id = self.processes[node].id;
        self.print(|world| {
            let name = world.operation_name(operation);
            match result {
                Ok(Proposed {
                    index: Some(_),
                    reply,
                }) => {
                    let index = Answer::decode(reply).map_or(0, |answer| answer.index.0);
                    format!("{id}: {name} took effect at {index}")
                }
                Ok(Proposed { index: None, .. }) => {
                    format!("{id}: {name} is answered without an entry")
                }
                Err(ProposeError::NotAppended {
                    leader_id: Some(leader),
                }) => format!("{id}: {name} is not appended, {leader} leads"),
                Err(ProposeError::Unknown) => format!("{id}: the outcome of {name} is unknown"),
                Err(error) => format!("{id}: {name} is not appended ({error:?})"),
            }
        });
    }
}
