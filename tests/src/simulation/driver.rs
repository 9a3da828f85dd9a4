//! The duties of a driver, as `chat_replication::event` states them: hands events in, carries
//! effects out, and sees to it that every call ends.

use chat_consensus::{
    Entry, Envelope, GetCommitsReply, Payload, Reply, Request, RequestId, UnsyncedBatch,
};
use chat_replication::{Effect, Event, Origin, PeerReply, PeerRequest};

use crate::checker::{Checked, Violation, applying, durability, ensure, matched};
use crate::simulation::World;
use crate::simulation::command::{Answer, Command};
use crate::simulation::faults::FaultKind;
use crate::simulation::network::Fate;
use crate::simulation::process::ProcessState;
use crate::simulation::queue::{SimEvent, node_number};

/// A call that is not answered after this long has failed, in microseconds.
const CALL_TIMEOUT: u64 = 500_000;
/// How long events are gathered at most before their effects are carried out, in microseconds.
const GATHERING_MAX: u64 = 300;
/// A deadline may have passed again by the rounding of a slow clock, but not for ever.
const FUTILE_WAKES_MAX: u32 = 50;
/// A message that waits for so long on a link is held up, in microseconds.
const HELD_UP_NOTABLY: u64 = 5_000;
/// What a message takes besides its entries, and each entry besides its payload, in bytes.
const MESSAGE_OVERHEAD: u64 = 96;
const ENTRY_OVERHEAD: u64 = 24;
/// What a slow read of the log takes at most, in microseconds.
const SLOW_LOG_READ_MAX: u64 = 300_000;
/// One in so many batches that are applied makes the state durable.
const CHECKPOINT_EVERY: u32 = 8;

impl World {
    /// Lets a running replica handle `event`, checks it, and carries out what follows.
    pub(super) fn handle(&mut self, node: usize, event: Event) -> Checked {
        let process = &mut self.processes[node];
        let Some(replica) = &mut process.replica else {
            return Ok(());
        };
        if let Err(fault) = replica.handle(process.clock.read(self.now), event) {
            return self.stop_for(node, fault);
        }
        self.observe(node)?;
        self.execute_effects_soon(node)
    }

    pub(super) fn execute_effects_soon(&mut self, node: usize) -> Checked {
        if self.processes[node].flush_pending {
            return Ok(());
        }
        if self.chance(self.settings.flush_late) {
            let process = &mut self.processes[node];
            process.flush_pending = true;
            let run = process.run;
            let at = self.now + self.random.u64(0..GATHERING_MAX);
            self.queue.push(at, SimEvent::Flush { node, run });
            return Ok(());
        }
        self.execute_effects(node)
    }

    /// Carries out the effects of what was handled, in their order.
    pub(super) fn execute_effects(&mut self, node: usize) -> Checked {
        let Some(replica) = &mut self.processes[node].replica else {
            return Ok(());
        };
        let effects = replica.take_effects();
        self.observe(node)?;
        let run = self.processes[node].run;
        for effect in effects {
            if self.processes[node].run != run {
                return Ok(());
            }
            self.execute_effect(node, effect)?;
            let chance = self.mix.as_ref().map_or(0, |mix| mix.kill_between_effects);
            if self.chance(chance) {
                self.faults.add(FaultKind::KillBetweenEffects);
                self.kill(node)?;
            }
        }
        self.schedule_wake(node);
        Ok(())
    }

    fn execute_effect(&mut self, node: usize, effect: Effect) -> Checked {
        match effect {
            Effect::Persist(batch) => self.begin_sync(node, batch),
            Effect::Call(request) => self.send(node, PeerMessage::Request(request)),
            Effect::Reply(reply) => self.send(node, PeerMessage::Reply(reply)),
            Effect::ReadEntries {
                id,
                after,
                last,
                entries_max,
                bytes_max,
            } => {
                let run = self.processes[node].run;
                let mut at = self.now + self.random.u64(20..2_000);
                if self.chance(self.mix.as_ref().map_or(0, |mix| mix.slow_log_reads)) {
                    self.faults.add(FaultKind::SlowLogRead);
                    at += self.random.u64(0..SLOW_LOG_READ_MAX);
                }
                let what = SimEvent::EntriesRead {
                    node,
                    run,
                    id,
                    after,
                    last,
                    entries_max,
                    bytes_max,
                };
                self.queue.push(at, what);
                Ok(())
            }
            Effect::Apply(entries) => self.begin_apply(node, entries),
            Effect::Complete(ticket, outcome) => self.answer_client(node, ticket.0, outcome),
            Effect::ReadConfirmed(_) => Ok(()),
            Effect::ReadReady(ticket, index) => self.begin_read(node, ticket.0, index),
            Effect::ReadRefused(ticket) => self.refuse_read(node, ticket.0),
            Effect::Warn(report) => {
                self.print_report(node, report);
                Ok(())
            }
        }
    }

    fn begin_sync(&mut self, node: usize, batch: UnsyncedBatch) -> Checked {
        self.check_writes(node, &batch)?;
        let takes = if batch.writes().is_empty() {
            1
        } else {
            let (least, most) = self.settings.sync;
            let slow = self.processes[node].slow_disk;
            let slowed = slow.filter(|(_, until)| *until > self.now);
            self.random.u64(least..=most) + slowed.map_or(0, |(delay, _)| delay)
        };
        let process = &mut self.processes[node];
        ensure(process.writing.is_none(), "one-batch", || {
            format!("node {} writes two batches at once", process.id)
        })?;
        process.writing = Some(batch);
        let chance = self.mix.as_ref().map_or(0, |mix| mix.kill_before_write);
        if self.chance(chance) {
            self.faults.add(FaultKind::KillBeforeWrite);
            return self.kill(node);
        }
        let process = &self.processes[node];
        if !process.disk_held {
            let run = process.run;
            self.queue
                .push(self.now + takes, SimEvent::SyncEnds { node, run });
        }
        Ok(())
    }

    /// What is to be written stands in a log from here on, and what is to be cut is gone.
    fn check_writes(&mut self, node: usize, batch: &UnsyncedBatch) -> Checked {
        if let Some(last) = batch.writes().truncate_after {
            let durable = self.disks[node].durable();
            applying::truncated(
                self.processes[node].id,
                last,
                &self.checkers.committed,
                durable,
            )?;
        }
        for entry in &batch.writes().entries {
            if let Payload::Command(bytes) = &entry.payload
                && let Some(command) = Command::decode(bytes)
            {
                self.checkers.history.written(command.attempt)?;
            }
        }
        Ok(())
    }

    /// Log matching and birth are judged when entries become durable.
    pub(super) fn check_disk(&mut self, node: usize) -> Checked {
        let id = self.processes[node].id;
        let storage = self.disks[node].storage();
        let (mut previous, entries) = self.disks[node].take_fresh();
        for entry in entries {
            self.checkers.entries.written(entry, previous)?;
            previous = entry.position.term;
            if let Payload::Membership(membership) = &entry.payload {
                let nodes = self.settings.nodes;
                let memberships = &mut self.checkers.memberships;
                memberships.written((id, storage), membership, nodes)?;
            }
        }
        Ok(())
    }

    pub(super) fn end_sync(&mut self, node: usize) -> Checked {
        let Some(batch) = self.processes[node].writing.take() else {
            return Ok(());
        };
        let disk = &mut self.disks[node];
        let synced = batch
            .persist_with(|writes| disk.write_and_sync(writes))
            .map_err(|why| Violation::new("disk", why))?;
        self.check_disk(node)?;
        let chance = self.mix.as_ref().map_or(0, |mix| mix.kill_before_synced);
        if self.chance(chance) {
            self.faults.add(FaultKind::KillBeforeSynced);
            return self.kill(node);
        }
        let chance = self.mix.as_ref().map_or(0, |mix| mix.kill_after_synced);
        if !self.chance(chance) {
            return self.handle(node, Event::Synced(synced));
        }
        self.faults.add(FaultKind::KillAfterSynced);
        let process = &mut self.processes[node];
        let now = process.clock.read(self.now);
        if let Some(replica) = &mut process.replica
            && let Err(fault) = replica.handle(now, Event::Synced(synced))
        {
            return self.stop_for(node, fault);
        }
        self.observe(node)?;
        self.kill(node)
    }

    pub(super) fn send(&mut self, node: usize, message: PeerMessage) -> Checked {
        self.check_message(node, &message)?;
        let header = *message.header();
        let to = node_number(header.to);
        self.trace.note(header.request.number << 8 | node as u64);
        self.trace.record(self.now, || {
            format!("    {} -> {}: {:?}", header.from, header.to, message)
        });
        if !message.is_reply() {
            let process = &mut self.processes[node];
            let until = self.now + CALL_TIMEOUT;
            process.calls.insert(header.request, (to, until));
            if !process.calls_watched {
                process.calls_watched = true;
                let run = process.run;
                self.queue.push(until, SimEvent::CallsDue { node, run });
            }
            if self.processes[to].state == ProcessState::Killed && self.network.connects(node, to) {
                return self.find_closed_port(node, to, header.request);
            }
        }
        // A unary call is never made twice by the network; the protocol's messages may be.
        let may_double = message.of_protocol().is_some();
        let mut copies = self.network.copies(node, to, may_double, &mut self.random);
        let bytes = size_on_wire(&message);
        match self.network.carry((node, to), bytes, self.now) {
            Some(held_up) => {
                if held_up > HELD_UP_NOTABLY {
                    self.faults.add(FaultKind::NarrowLink);
                }
                for copy in copies.iter_mut().flatten() {
                    copy.delay += held_up;
                }
            }
            None => copies = [None, None],
        }
        if copies[0].is_none() && self.network.reaches(node, to) {
            self.faults.add(FaultKind::Loss);
        }
        let [first, second] = copies;
        for copy in second.into_iter() {
            self.faults.add(FaultKind::Duplicate);
            let what = SimEvent::Deliver {
                message: Box::new(message.clone()),
                connection: copy.connection,
            };
            self.queue.push(self.now + copy.delay, what);
        }
        if let Some(copy) = first {
            if copy.fate == Fate::Late {
                self.faults.add(FaultKind::Late);
            }
            let what = SimEvent::Deliver {
                message: Box::new(message),
                connection: copy.connection,
            };
            self.queue.push(self.now + copy.delay, what);
        }
        Ok(())
    }

    /// Nobody listens there: the call fails after a round trip, and the dial is refused (R17).
    pub(super) fn find_closed_port(
        &mut self,
        node: usize,
        to: usize,
        request: RequestId,
    ) -> Checked {
        let run = self.processes[node].run;
        let at = self.now + 2 * self.network.delay(&mut self.random);
        self.queue
            .push(at, SimEvent::CallFails { node, run, request });
        let peer = to;
        self.queue.push(at, SimEvent::Refused { node, run, peer });
        Ok(())
    }

    fn check_message(&mut self, node: usize, message: &PeerMessage) -> Checked {
        let durable = self.disks[node].durable();
        let start = self.processes[node].boot_count;
        let is_request = !message.body.is_reply();
        durability::started(&message.header, start, is_request, durable)?;
        if let PeerBody::Consensus(said) = &message.body {
            let envelope = Envelope {
                header: message.header,
                message: said.clone(),
            };
            durability::sent(&envelope, durable)?;
            self.checkers.votes.sent(&envelope)?;
            self.print_message(&envelope);
        }
        Ok(())
    }

    pub(super) fn deliver(&mut self, message: PeerMessage, connection: u32) -> Checked {
        let header = *message.header();
        let (from, to) = (node_number(header.from), node_number(header.to));
        let arrives = self.network.reaches(from, to) && self.network.is_open(from, to, connection);
        if !arrives || !self.is_alive(to) {
            return Ok(());
        }
        let is_fetch = matches!(
            &message,
            PeerMessage::Request(Envelope {
                message: PeerRequest::Consensus(Request::GetCommits(_)),
                ..
            })
        );
        if message.is_reply() {
            self.processes[to].calls.remove(&header.request);
        }
        match message {
            PeerMessage::Request(Envelope {
                header,
                message: PeerRequest::Propose { request },
            }) if self.service.is_some() => {
                self.prepare(to, Origin::Peer(header), request, None)?;
            }
            _ => self.handle(to, event_of(message))?,
        }
        if is_fetch {
            self.check_progress(to)?;
        }
        Ok(())
    }

    fn check_progress(&self, leader: usize) -> Checked {
        let Some(replica) = &self.processes[leader].replica else {
            return Ok(());
        };
        let node = replica.node();
        let named = (node.id(), node.term());
        for follower in node.followers().unwrap_or_default() {
            let disk = &self.disks[node_number(follower.node)];
            let admitted = node
                .membership()
                .is_some_and(|f| f.admits(follower.node, disk.storage()));
            let forgot = self.rolled_back == Some(node_number(follower.node));
            if follower.voter && admitted && !forgot {
                matched::believed(named, &follower, node.log(), disk.durable())?;
            }
        }
        Ok(())
    }

    pub(super) fn fail_call(&mut self, node: usize, request: RequestId) -> Checked {
        let Some((peer, _)) = self.processes[node].calls.remove(&request) else {
            return Ok(());
        };
        let peer = self.processes[peer].id;
        self.handle(node, Event::CallFailed(peer, request))
    }

    pub(super) fn refuse_dial(&mut self, node: usize, peer: usize) -> Checked {
        let dead = self.processes[peer].state == ProcessState::Killed;
        if !dead || !self.network.connects(node, peer) {
            return Ok(());
        }
        self.faults.add(FaultKind::ConnectionRefused);
        let peer = self.processes[peer].id;
        self.handle(node, Event::ConnectionRefused(peer))
    }

    pub(super) fn fail_overdue_calls(&mut self, node: usize) -> Checked {
        self.processes[node].calls_watched = false;
        let run = self.processes[node].run;
        while let Some((request, (_, until))) = self.processes[node].calls.first_key_value() {
            let (request, until) = (*request, *until);
            if until > self.now {
                let process = &mut self.processes[node];
                if !process.calls_watched {
                    process.calls_watched = true;
                    self.queue.push(until, SimEvent::CallsDue { node, run });
                }
                return Ok(());
            }
            self.fail_call(node, request)?;
            if self.processes[node].run != run {
                return Ok(());
            }
        }
        Ok(())
    }

    fn begin_apply(&mut self, node: usize, entries: Vec<Entry>) -> Checked {
        let process = &mut self.processes[node];
        let against = (&self.checkers.committed, &self.checkers.entries);
        let before = process.machine.applied;
        let durable = self.disks[node].durable();
        applying::applied(process.id, &entries, before, against, durable)?;
        ensure(process.applying.is_none(), "apply-order", || {
            format!("node {} applies two batches at once", process.id)
        })?;
        process.applying = Some(entries);
        let run = process.run;
        let at = self.now + self.random.u64(10..1_000);
        self.queue.push(at, SimEvent::ApplyEnds { node, run });
        Ok(())
    }

    pub(super) fn end_apply(&mut self, node: usize) -> Checked {
        let durable_now = self.random.u32(0..CHECKPOINT_EVERY) == 0;
        let process = &mut self.processes[node];
        let entries = process.applying.take().expect("a batch is being applied");
        let machine = &mut process.machine;
        let answer = |entry: &Entry| match &entry.payload {
            Payload::Empty | Payload::Membership(_) => bytes::Bytes::new(),
            Payload::Command(bytes) => Command::decode(bytes)
                .map(|command| {
                    let operation = command.operation;
                    let index = machine.take_effect(operation, entry.position.index);
                    Answer { operation, index }.encode()
                })
                .unwrap_or_default(),
        };
        let mut answers: Vec<bytes::Bytes> = entries.iter().map(answer).collect();
        if let Some(service) = &mut self.service {
            let outcomes = service.apply(node, &entries)?;
            for (answer, outcome) in answers.iter_mut().zip(outcomes) {
                self.trace.note_bytes(&outcome);
                *answer = bytes::Bytes::from([answer.as_ref(), outcome.as_ref()].concat());
            }
        }
        if let Some(last) = entries.last() {
            process.machine.applied = last.position.index;
            self.trace.note(last.position.index.0);
        }
        if durable_now {
            process.machine.durable = process.machine.applied;
        }
        self.handle(node, Event::Applied(answers))
    }

    pub(super) fn wake(&mut self, node: usize) -> Checked {
        let process = &mut self.processes[node];
        if process.wakes_at > self.now {
            return Ok(());
        }
        process.wakes_at = u64::MAX;
        let Some(replica) = &process.replica else {
            return Ok(());
        };
        if process.clock.moment(replica.next_deadline()) > self.now {
            self.schedule_wake(node);
            return Ok(());
        }
        self.handle(node, Event::DeadlinePassed)?;
        self.check_timers_advance(node)
    }

    /// A replica that was woken has done what was due: its next deadline lies ahead.
    fn check_timers_advance(&mut self, node: usize) -> Checked {
        let process = &mut self.processes[node];
        let deadline = process
            .replica
            .as_ref()
            .map(chat_replication::Replica::next_deadline);
        let rests = deadline.is_none_or(|deadline| process.clock.moment(deadline) > self.now);
        process.futile_wakes = if rests { 0 } else { process.futile_wakes + 1 };
        ensure(
            process.futile_wakes < FUTILE_WAKES_MAX,
            "timer-livelock",
            || {
                format!(
                    "node {} is woken again and again for a deadline that has passed",
                    process.id
                )
            },
        )
    }

    pub(super) fn schedule_wake(&mut self, node: usize) {
        let process = &mut self.processes[node];
        let Some(replica) = &process.replica else {
            return;
        };
        let at = process.clock.moment(replica.next_deadline());
        if at == u64::MAX || at >= process.wakes_at {
            return;
        }
        // A deadline that has passed already is due in a moment, so that time goes on.
        let at = at.max(self.now + 1);
        process.wakes_at = at;
        let run = process.run;
        self.queue.push(at, SimEvent::Deadline { node, run });
    }
}

/// How many bytes a message takes on the wire, about.
fn size_on_wire(message: &PeerMessage) -> u64 {
    let payload = match message {
        PeerMessage::Reply(reply) => match &reply.message {
            PeerReply::Consensus(Reply::GetCommits(GetCommitsReply::Entries {
                entries, ..
            })) => entries
                .iter()
                .map(|entry| entry.size() as u64 + ENTRY_OVERHEAD)
                .sum(),
            _ => 0,
        },
        PeerMessage::Request(request) => match &request.message {
            PeerRequest::Propose { request } => request.len() as u64,
            PeerRequest::Consensus(_) | PeerRequest::ReadIndex => 0,
        },
    };
    MESSAGE_OVERHEAD + payload
}

/// A forwarded request is prepared by its receiver and then appended.
fn event_of(message: PeerMessage) -> Event {
    match message {
        PeerMessage::Request(Envelope {
            header,
            message: PeerRequest::Propose { request },
        }) => Event::Append(Origin::Peer(header), request),
        PeerMessage::Request(request) => Event::Request(request),
        PeerMessage::Reply(reply) => Event::Reply(reply),
    }
}
