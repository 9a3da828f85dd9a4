//! The duties of a driver, as `chat_replication::event` states them: passes events to a replica and
//! executes its effects. Messages are in `message_delivery`.

use bytes::Bytes;
use chat_consensus::{Entry, Payload, UnsyncedBatch};
use chat_replication::{Effect, Event, PreparationId, Prepared};

use crate::checker::{Checked, Violation, applying, ensure};
use crate::message::PeerMessage;
use crate::simulation::World;
use crate::simulation::command::{Answer, Command};
use crate::simulation::faults::FaultKind;
use crate::simulation::message_line::synced_line;
use crate::simulation::queue::SimEvent;
use crate::simulation::reply_maker::ReplyMaker;

/// How long events are gathered at most before their effects are executed, in microseconds.
const GATHERING_MAX: u64 = 300;
/// A deadline may have passed again by the rounding of a slow clock, but only so often in a row.
const FUTILE_WAKES_MAX: u32 = 50;
/// What a slow read of the log takes at most, in microseconds.
const SLOW_LOG_READ_MAX: u64 = 300_000;
/// What a publishing, and a preparation that is not slow, take at most, in microseconds.
const PUBLISH_MAX: u64 = 800;
const PREPARATION_MAX: u64 = 100;
/// What a slow preparation takes at most, in microseconds.
const SLOW_PREPARATION_MAX: u64 = 400_000;
/// One in so many batches that are applied makes the state durable.
const CHECKPOINT_EVERY: u32 = 8;

impl World {
    /// Passes `event` to a running replica, checks the replica, and executes the effects.
    pub(super) fn handle(&mut self, node: usize, event: Event<ReplyMaker>) -> Checked {
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

    /// Executes the effects of the events that were handled, in their order.
    pub(super) fn execute_effects(&mut self, node: usize) -> Checked {
        let Some(replica) = &mut self.processes[node].replica else {
            return Ok(());
        };
        let mut effects = replica.take_effects();
        if matches!(effects.first(), Some(Effect::Prepare(..))) {
            effects.append(&mut replica.take_effects());
        }
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
            Effect::Publish => self.begin_publish(node),
            Effect::Prepare(id, request) => {
                self.begin_preparation(node, id, request);
                Ok(())
            }
            Effect::Complete(ticket, result) => self.answer_client(node, ticket.0, result),
            Effect::CompleteRead(ticket, Ok(index)) => self.begin_read(node, ticket.0, index),
            Effect::CompleteRead(ticket, Err(error)) => self.fail_read(node, ticket.0, error),
            Effect::CompleteChange(ticket, result) => {
                self.answers.insert(ticket.0, result);
                Ok(())
            }
            Effect::Warn(report) => {
                self.print_report(node, report);
                Ok(())
            }
            other => self.begin_snapshot_effect(node, other),
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

    /// From here on the history counts these entries as written and the removed ones as truncated.
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

    /// Checks log matching and membership when entries become durable.
    pub(super) fn check_disk(&mut self, node: usize) -> Checked {
        let id = self.processes[node].id;
        let storage = self.disks[node].storage();
        let (mut previous, entries) = self.disks[node].take_fresh();
        for entry in entries {
            self.checkers.entries.written(entry, previous)?;
            previous = entry.position.term;
        }
        let Some(base) = self.disks[node].durable().base() else {
            return Ok(());
        };
        // Behind a hole in what was not committed it shows nothing (R24).
        let is_hole = self.disks[node].durable().is_behind_hole();
        if !is_hole || !self.may_forget.contains(&id) {
            self.check_base(base)?;
        }
        let committed = &self.checkers.committed;
        if committed.members_at(base.position.index).is_some() {
            // They are compared above.
            return Ok(());
        }
        let (memberships, nodes) = (&mut self.checkers.memberships, self.first_nodes);
        memberships.written((id, storage), &base.membership, nodes)
    }

    pub(super) fn end_sync(&mut self, node: usize) -> Checked {
        let Some(batch) = self.processes[node].writing.take() else {
            return Ok(());
        };
        let line = synced_line(batch.writes());
        let disk = &mut self.disks[node];
        let synced = batch
            .persist_with(|writes| disk.write_and_sync(writes))
            .map_err(|why| Violation::new("disk", why))?
            .with_synced_block(disk.synced_block());
        self.check_disk(node)?;
        if let Some(line) = line.filter(|_| self.shows_messages) {
            let id = self.processes[node].id;
            self.print(|_| format!("{id}: {line}"));
        }
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
        let held = process.machine_held;
        let at = self.now + self.random.u64(10..1_000);
        if !held {
            self.queue.push(at, SimEvent::ApplyEnds { node, run });
        }
        Ok(())
    }

    pub(super) fn end_apply(&mut self, node: usize) -> Checked {
        let durable_now = self.random.u32(0..CHECKPOINT_EVERY) == 0;
        let process = &mut self.processes[node];
        let entries = process.applying.take().expect("a batch is being applied");
        let machine = &mut process.machine;
        let answer = |entry: &Entry| match &entry.payload {
            Payload::Empty | Payload::Membership(_) => Bytes::new(),
            Payload::Command(bytes) => Command::decode(bytes)
                .map(|command| {
                    let operation = command.operation;
                    let index = machine.take_effect(operation, entry.position.index);
                    Answer { operation, index }.encode()
                })
                .unwrap_or_default(),
        };
        let mut answers: Vec<Bytes> = entries.iter().map(answer).collect();
        if let Some(service) = &mut self.service {
            let outcomes = service.apply(node, &entries)?;
            for (answer, outcome) in answers.iter_mut().zip(outcomes) {
                self.trace.note_bytes(&outcome);
                *answer = Bytes::from([answer.as_ref(), outcome.as_ref()].concat());
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

    fn begin_publish(&mut self, node: usize) -> Checked {
        let process = &mut self.processes[node];
        let busy = process.applying.is_some() || process.publishing;
        ensure(!busy, "apply-order", || {
            format!(
                "node {} publishes while it applies or publishes",
                process.id
            )
        })?;
        process.publishing = true;
        let run = process.run;
        let at = self.now + self.random.u64(10..PUBLISH_MAX);
        self.queue.push(at, SimEvent::PublishEnds { node, run });
        Ok(())
    }

    pub(super) fn end_publish(&mut self, node: usize) -> Checked {
        if let Some(service) = &mut self.service {
            service.publish(node)?;
        }
        let process = &mut self.processes[node];
        process.publishing = false;
        process.machine.published = process.machine.applied;
        self.handle(node, Event::Published)
    }

    fn begin_preparation(&mut self, node: usize, id: PreparationId, request: Bytes) {
        let mut at = self.now + self.random.u64(1..PREPARATION_MAX);
        let chance = self.mix.as_ref().map_or(0, |mix| mix.slow_preparations);
        if self.chance(chance) {
            self.faults.add(FaultKind::SlowPreparation);
            at += self.random.u64(0..SLOW_PREPARATION_MAX);
        }
        let run = self.processes[node].run;
        let what = SimEvent::PreparationEnds {
            node,
            run,
            id,
            request,
        };
        self.queue.push(at, what);
    }

    pub(super) fn end_preparation(
        &mut self,
        node: usize,
        id: PreparationId,
        request: Bytes,
    ) -> Checked {
        let chance = self.mix.as_ref().map_or(0, |mix| mix.failed_preparations);
        if self.chance(chance) {
            self.faults.add(FaultKind::PreparationFailed);
            return self.handle(node, Event::Prepared(id, Prepared::Failed));
        }
        if self.service.is_some() {
            return self.prepare(node, id, &request);
        }
        let prepared = Prepared::Append {
            command: request,
            make_reply: ReplyMaker::answer(),
        };
        self.handle(node, Event::Prepared(id, prepared))
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

    /// A replica that was woken has handled the deadline: its next one is in the future.
    fn check_timers_advance(&mut self, node: usize) -> Checked {
        let process = &mut self.processes[node];
        let deadline = process
            .replica
            .as_ref()
            .map(chat_replication::Replica::next_deadline);
        let advances = deadline.is_none_or(|deadline| process.clock.moment(deadline) > self.now);
        process.futile_wakes = if advances {
            0
        } else {
            process.futile_wakes + 1
        };
        ensure(
            process.futile_wakes < FUTILE_WAKES_MAX,
            "timer-livelock",
            || {
                format!(
                    "node {} is woken repeatedly for a deadline that has passed",
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
        // A deadline that has passed already is due 1 us later, so that time advances.
        let at = at.max(self.now + 1);
        process.wakes_at = at;
        let run = process.run;
        self.queue.push(at, SimEvent::Deadline { node, run });
    }
}
