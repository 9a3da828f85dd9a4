//! The requests of clients on the nodes of a world that has a [`Service`].
//!
//! Every command and answer begins with its id in the history; the service's own bytes follow. Each
//! attempt is a separate operation in the history, so that real-time order is checked by the entry
//! that answered; that the attempts of one request take effect once is checked by the service.

use std::time::Duration;

use bytes::Bytes;
use chat_consensus::{LogIndex, Time};
use chat_replication::{
    Event, PreparationId, Prepared, ProposalTicket, ProposeError, Proposed, ReadTicket,
};

use crate::checker::Checked;
use crate::simulation::World;
use crate::simulation::command::{Command, PREFIX_BYTES};
use crate::simulation::process::{Continuation, RequestKind, Waiting};
use crate::simulation::queue::SimEvent;
use crate::simulation::service_api::{Forwarded, Service, Step};

/// How long after a read is confirmed its caller continues at the latest, in microseconds.
const CONTINUES_WITHIN: u64 = 300;
/// How long a service waits for a read that it needs.
const CONFIRM_WITHIN: Duration = Duration::from_millis(500);

impl World {
    /// The nodes of this world apply to `service` from now on.
    pub fn serve(&mut self, service: Box<dyn Service>) {
        self.service = Some(service);
    }

    /// A client's request, on the node that it reached.
    pub(super) fn enter(
        &mut self,
        node: usize,
        ticket: u64,
        confirmed: Option<LogIndex>,
    ) -> Checked {
        let Some(waiting) = self.processes[node].tickets.get(&ticket).copied() else {
            return Ok(());
        };
        let (Some(service), RequestKind::Operation(operation)) = (&mut self.service, waiting.what)
        else {
            return Ok(());
        };
        match service.enter(node, operation, confirmed)? {
            Step::Propose(request) => {
                let request = of_attempt(waiting.attempt).followed_by(&request);
                self.propose_request(node, ticket, request, waiting.deadline)
            }
            Step::Confirm => self.confirm(node, Continuation::Enter(ticket)),
            Step::Answer(answer) => self.answer_without_log(node, ticket, answer),
        }
    }

    pub(super) fn propose_request(
        &mut self,
        node: usize,
        ticket: u64,
        request: Bytes,
        deadline: Time,
    ) -> Checked {
        let propose = Event::Propose {
            ticket: ProposalTicket(ticket),
            request,
            deadline,
        };
        self.handle(node, propose)
    }

    /// A request becomes a command on the leader.
    pub(super) fn prepare(
        &mut self,
        node: usize,
        id: PreparationId,
        request: Bytes,
        confirmed: Option<LogIndex>,
    ) -> Checked {
        let attempt = Command::decode(&request).map(|command| command.attempt);
        let (Some(service), Some(attempt)) = (&mut self.service, attempt) else {
            return self.handle(node, Event::Prepared(id, Prepared::Failed));
        };
        let clock = self.processes[node].clock.read(self.now);
        let forwarded = Forwarded {
            attempt,
            request: request.slice(PREFIX_BYTES..),
            time: clock.0 as f64 / 1e6,
        };
        let prepared = match service.prepare(node, &forwarded, confirmed)? {
            Step::Propose(command) => Prepared::Append {
                command: of_attempt(attempt).followed_by(&command),
                make_reply: (),
            },
            Step::Confirm => return self.confirm(node, Continuation::Prepare(id, request)),
            Step::Answer(answer) => Prepared::Reply(answer),
        };
        self.handle(node, Event::Prepared(id, prepared))
    }

    /// A read is confirmed, or not; what waited for it continues.
    pub(super) fn confirmed(
        &mut self,
        node: usize,
        ticket: u64,
        index: Option<LogIndex>,
    ) -> Checked {
        let then = self.processes[node].confirming.remove(&ticket);
        match (then, index) {
            (None, _) => Ok(()),
            (Some(Continuation::Enter(ticket)), Some(_)) => self.enter(node, ticket, index),
            (Some(Continuation::Enter(ticket)), None) => {
                self.answer_client(node, ticket, Err(ProposeError::NoLeader))
            }
            (Some(Continuation::Prepare(id, request)), Some(_)) => {
                self.prepare(node, id, request, index)
            }
            (Some(Continuation::Prepare(id, _)), None) => {
                self.handle(node, Event::Prepared(id, Prepared::Failed))
            }
        }
    }

    /// A read of the service is confirmed or refused: its caller receives that a little later.
    pub(super) fn confirm_later(&mut self, node: usize, ticket: u64, index: Option<LogIndex>) {
        let run = self.processes[node].run;
        let at = self.now + self.random.u64(1..CONTINUES_WITHIN);
        let what = SimEvent::Confirmed {
            node,
            run,
            ticket,
            index,
        };
        self.queue.push(at, what);
    }

    /// An old request arrives again, at any node, and its reply is dropped.
    pub(super) fn repeat_late(&mut self) -> Checked {
        let Some(service) = &mut self.service else {
            return Ok(());
        };
        let node = self.random.usize(0..self.settings.nodes);
        let Some(operation) = service.repeat(&mut self.random) else {
            return Ok(());
        };
        if !self.is_alive(node) || self.processes[node].paused_until.is_some() {
            return Ok(());
        }
        self.attempts_made += 1;
        let attempt = self.attempts_made;
        self.submit(node, None, attempt, RequestKind::Operation(operation))
    }

    /// The id of a proposal in the history: with a service, each attempt is one.
    pub(super) fn history_id(&self, waiting: &Waiting, operation: u64) -> u64 {
        if self.service.is_some() {
            waiting.attempt
        } else {
            operation
        }
    }

    fn confirm(&mut self, node: usize, then: Continuation) -> Checked {
        let process = &mut self.processes[node];
        process.tickets_made += 1;
        let ticket = process.tickets_made;
        let deadline = process.clock.read(self.now) + CONFIRM_WITHIN;
        let waiting = Waiting {
            client: None,
            attempt: 0,
            since: self.now,
            deadline,
            what: RequestKind::Confirmation,
        };
        process.tickets.insert(ticket, waiting);
        process.confirming.insert(ticket, then);
        let ticket = ReadTicket(ticket);
        self.handle(node, Event::Read { ticket, deadline })
    }

    fn answer_without_log(&mut self, node: usize, ticket: u64, answer: Bytes) -> Checked {
        let replied = Proposed {
            index: None,
            reply: answer,
        };
        self.answer_client(node, ticket, Ok(replied))
    }
}

fn of_attempt(attempt: u64) -> Command {
    Command {
        operation: attempt,
        attempt,
    }
}
