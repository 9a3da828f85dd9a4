//! The requests of clients on the nodes of a world that has a [`Service`].
//!
//! A client's request is a task of the node that it reached, which proposes and reads; a preparation is
//! a task of the leader. Every command and answer begins with its id in the history; the service's own
//! bytes follow. Each proposal is a separate operation in the history, so that real-time order is
//! checked by the entry that answered; that the attempts of one request take effect once is checked by
//! the service.

use bytes::Bytes;
use chat_consensus::Time;
use chat_replication::{
    Event, PreparationId, Prepared, ProposalTicket, ProposeError, Proposed, ReadError, ReadTicket,
};

use crate::checker::{Checked, Violation, ensure};
use crate::simulation::World;
use crate::simulation::command::{Command, PREFIX_BYTES};
use crate::simulation::process::{RequestKind, Task, Waiting};
use crate::simulation::queue::{ClientReply, SimEvent};
use crate::simulation::reply_maker::ReplyMaker;
use crate::simulation::service_api::{Resumed, Service, Step, TaskId, Work};

/// How long after a task gets what it waited for it continues at the latest, in microseconds.
const RESUMES_WITHIN: u64 = 300;
/// The oldest task when all clients have rested for a while, in microseconds: a preparation waits for
/// 5 seconds.
const TASK_MAX: u64 = 6_000_000;

impl World {
    /// The nodes of this world apply to `service` from now on.
    pub fn serve(&mut self, service: Box<dyn Service>) {
        self.service = Some(service);
        // Services have no snapshots here: their logs only grow.
        self.settings.snapshots = false;
        if let Some(mix) = &mut self.mix {
            mix.remove_snapshots();
        }
        self.settings.limits.snapshot_log_bytes = u64::MAX;
        self.settings.limits.snapshot_age = std::time::Duration::MAX;
    }

    /// A client's request, on the node that it reached.
    pub(super) fn begin_request(
        &mut self,
        node: usize,
        (client, attempt): (Option<usize>, u64),
        operation: u64,
        deadline: Time,
    ) -> Checked {
        let task = Task::Request { client, attempt };
        let work = Work::Request {
            operation,
            attempt,
            deadline,
        };
        self.begin_task(node, task, work)
    }

    /// A request becomes a command on the leader.
    pub(super) fn prepare(&mut self, node: usize, id: PreparationId, request: &Bytes) -> Checked {
        let Some(command) = Command::decode(request) else {
            return self.handle(node, Event::Prepared(id, Prepared::Failed));
        };
        let work = Work::Preparation(request.slice(PREFIX_BYTES..));
        self.begin_task(node, Task::Preparation { id, command }, work)
    }

    fn begin_task(&mut self, node: usize, task: Task, work: Work) -> Checked {
        let process = &mut self.processes[node];
        process.tickets_made += 1;
        let number = process.tickets_made;
        process.tasks.insert(number, (self.now, task));
        let now = process.clock.read(self.now);
        let Some(service) = &mut self.service else {
            return Ok(());
        };
        let step = service.begin_task(TaskId { node, number }, now, work)?;
        self.task_waits(node, number, step)
    }

    /// A task gets what it waited for, a little later.
    pub(super) fn resume_later(&mut self, node: usize, task: u64, with: Resumed) {
        let run = self.processes[node].run;
        let at = self.now + self.random.u64(1..RESUMES_WITHIN);
        let what = SimEvent::TaskResumes {
            node,
            run,
            task,
            with,
        };
        self.queue.push(at, what);
    }

    pub(super) fn resume_task(&mut self, node: usize, number: u64, with: Resumed) -> Checked {
        let now = self.processes[node].clock.read(self.now);
        let Some(service) = &mut self.service else {
            return Ok(());
        };
        let step = service.resume_task(TaskId { node, number }, now, with)?;
        self.task_waits(node, number, step)
    }

    fn task_waits(&mut self, node: usize, task: u64, step: Step) -> Checked {
        match step {
            Step::Propose { request, deadline } => {
                self.task_proposes(node, task, &request, deadline)
            }
            Step::Confirm { deadline } => {
                let what = RequestKind::Confirmation { task };
                let ticket = ReadTicket(self.ticket(node, (None, 0), what));
                self.handle(node, Event::Read { ticket, deadline })
            }
            Step::Replied => {
                let ended = self.end_task(node, task)?;
                if let Task::Request {
                    client: Some(client),
                    attempt,
                } = ended
                {
                    let leader = self.processes[node].seen.leader;
                    self.answer_later(client, attempt, ClientReply::Service { leader });
                }
                Ok(())
            }
            Step::Prepared(prepared) => {
                let Task::Preparation { id, command } = self.end_task(node, task)? else {
                    return Err(task_is_another(task));
                };
                self.handle(node, Event::Prepared(id, with_prefix(command, prepared)))
            }
        }
    }

    /// Each proposal of a task has a number of its own in the history.
    fn task_proposes(
        &mut self,
        node: usize,
        task: u64,
        request: &Bytes,
        deadline: Time,
    ) -> Checked {
        self.attempts_made += 1;
        let number = self.attempts_made;
        self.checkers.history.begins(number);
        let what = RequestKind::TaskProposal { task };
        let ticket = self.ticket(node, (None, number), what);
        let request = Command {
            operation: number,
            attempt: number,
        }
        .followed_by(request);
        self.propose_request(node, ticket, request, deadline)
    }

    fn end_task(&mut self, node: usize, task: u64) -> Result<Task, Violation> {
        let ended = self.processes[node].tasks.remove(&task);
        ended.map(|(_, ended)| ended).ok_or(task_is_another(task))
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

    /// The proposal of a task has ended; its task continues with the reply.
    pub(super) fn task_proposal_ended(
        &mut self,
        node: usize,
        task: u64,
        result: Result<Proposed, ProposeError>,
    ) {
        let reply = result.map(|proposed| match proposed.index {
            Some(_) => proposed.reply.slice(PREFIX_BYTES..),
            // The leader replied without an entry, so there is no prefix.
            None => proposed.reply,
        });
        self.resume_later(node, task, Resumed::Proposed(reply));
    }

    /// The read of a task is confirmed, or not.
    pub(super) fn task_read_ended(
        &mut self,
        node: usize,
        task: u64,
        result: Result<(), ReadError>,
    ) {
        self.resume_later(node, task, Resumed::Confirmed(result));
    }

    /// No task is forgotten.
    pub(super) fn check_tasks(&self) -> Checked {
        for process in &self.processes {
            let oldest = process
                .tasks
                .iter()
                .find(|(_, (since, _))| since + TASK_MAX < self.now);
            ensure(oldest.is_none(), "pending-requests", || {
                format!("node {} never ended task {oldest:?}", process.id)
            })?;
        }
        Ok(())
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

    /// Registers something that the replica of `node` must end.
    pub(super) fn ticket(
        &mut self,
        node: usize,
        (client, attempt): (Option<usize>, u64),
        what: RequestKind,
    ) -> u64 {
        let process = &mut self.processes[node];
        process.tickets_made += 1;
        let ticket = process.tickets_made;
        let waiting = Waiting {
            client,
            attempt,
            since: self.now,
            what,
        };
        process.tickets.insert(ticket, waiting);
        ticket
    }
}

/// The prefix of a command is that of its request.
fn with_prefix(command: Command, prepared: Prepared<ReplyMaker>) -> Prepared<ReplyMaker> {
    match prepared {
        Prepared::Append {
            command: rest,
            make_reply,
        } => Prepared::Append {
            command: command.followed_by(&rest),
            make_reply,
        },
        other => other,
    }
}

fn task_is_another(task: u64) -> Violation {
    Violation::new(
        "pending-requests",
        format!("task {task} ends as what it is not"),
    )
}
