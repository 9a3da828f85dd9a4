//! How processes start, are paused and die, and what each kind of death leaves on the disk.

use chat_consensus::{Config, Fault, LogIndex, NodeId, StorageId};
use chat_replication::{ProposeError, Replica, Start};

use crate::checker::{Checked, Violation, ensure};
use crate::simulation::faults::FaultKind;
use crate::simulation::process::{ProcessState, RequestKind, Seen, Task};
use crate::simulation::queue::{ClientReply, SimEvent, node_id};
use crate::simulation::service_api::Tables;
use crate::simulation::world::new_disk;
use crate::simulation::{World, WriteFate};

/// After one power loss in so many a service starts with empty tables.
const TABLES_LOST_ONE_IN: u32 = 4;
/// After one death in so many the state of a list is gone.
const STATE_GONE_ONE_IN: u32 = 6;

impl World {
    /// Starts a process with what its disk holds.
    pub(super) fn start(&mut self, node: usize) -> Checked {
        if self.processes[node].is_running() {
            return Ok(());
        }
        if let Some(fault) = self.disks[node].fault() {
            let line = format!("{}: does not start: {fault}", self.processes[node].id);
            self.print(|_| line);
            return Ok(());
        }
        if let Some(service) = &mut self.service {
            self.processes[node].machine.applied = service.start(node)?;
        }
        let disk = &mut self.disks[node];
        if disk.has_unsynced_writes() {
            self.faults.add(FaultKind::UnsyncedRecovered);
        }
        let stored = disk.start().map_err(|why| Violation::new("disk", why))?;
        self.check_disk(node)?;
        let configured: Vec<NodeId> = (0..self.settings.nodes).map(node_id).collect();
        let config = Config::new(node_id(node), &configured, self.settings.timing)
            .map_err(|why| Violation::new("settings", why.to_string()))?
            .allow_bootstrap(self.processes[node].may_bootstrap);
        let process = &mut self.processes[node];
        process.clear();
        process.state = ProcessState::Running;
        process.boot_count = stored.boot_count + 1;
        let mut start = Start::new(
            self.random.u64(..),
            process.clock.read(self.now),
            self.settings.limits,
        );
        start.snapshots = process.files.complete();
        start.partial = process.files.partial();
        start.autopilot = self.autopilot;
        let newest = start.snapshots.last();
        let newest = newest.map_or(LogIndex::ZERO, |newest| newest.base.position.index);
        let entries = self.disks[node].durable().entries().iter();
        let later = entries.filter(|entry| entry.position.index > newest);
        start.log_bytes = later.map(|entry| entry.size() as u64).sum();
        let applied = process.machine.applied;
        process.machine.published = applied;
        ensure(applied <= stored.last.index, "state-of-log", || {
            format!(
                "node {} has applied {applied} of a log that ends at {:?}",
                node_id(node),
                stored.last
            )
        })?;
        process.replica = Some(Replica::new(config, stored, applied, start));
        process.seen = Seen::NOTHING;
        self.print(|world| format!("{}: starts", world.processes[node].id));
        self.observe(node)?;
        self.execute_effects(node)
    }

    pub(super) fn restart_if_dead(&mut self, node: usize, run: u64) -> Checked {
        if self.processes[node].run == run && !self.processes[node].is_running() {
            return self.start(node);
        }
        Ok(())
    }

    /// The process dies; its port is closed, and its machine keeps running.
    pub(super) fn kill(&mut self, node: usize) -> Checked {
        if !self.processes[node].is_running() {
            return Ok(());
        }
        if self.processes[node].seen == Seen::NOTHING
            && self.disks[node].durable().boot_count < self.processes[node].boot_count
        {
            self.faults.add(FaultKind::KillDuringStart);
        }
        self.settle_pending_write(node)?;
        self.disks[node].kill();
        self.lose_state(node, LogIndex::ZERO);
        self.close_client_connections(node);
        self.processes[node].clear();
        self.processes[node].state = ProcessState::Killed;
        self.fail_calls_to(node)?;
        self.restart_later(node);
        Ok(())
    }

    /// The machine loses power: its peers get no sign of it, and only what was synced is left.
    pub(super) fn power_off(&mut self, node: usize) -> Checked {
        if self.processes[node].is_running() {
            self.settle_pending_write(node)?;
        }
        // A scenario that sets the fate of the write under way keeps nothing else.
        let may_keep = self.write_fate.is_none();
        let lost = self.disks[node].lose_power(may_keep);
        if lost.map_err(|why| Violation::new("disk", why))? {
            self.faults.add(FaultKind::UnsyncedLost);
        }
        self.check_disk(node)?;
        let end = self.disks[node].durable().last().index;
        self.damage_partial_download(node);
        self.lose_state(node, end);
        self.processes[node].clear();
        self.processes[node].state = ProcessState::PowerLost;
        self.restart_later(node);
        Ok(())
    }

    /// The disk is replaced by an empty one; the next start is a wiped node's.
    pub(super) fn wipe(&mut self, node: usize) -> Checked {
        self.power_off(node)?;
        let empty = new_disk(&self.settings, node, StorageId(self.random.u128(1..)));
        let old = std::mem::replace(&mut self.disks[node], empty);
        self.former_disks.push(old);
        self.processes[node].machine = crate::simulation::process::Machine::default();
        self.processes[node].files = crate::simulation::snapshot_files::SnapshotFiles::default();
        if let Some(service) = &mut self.service {
            service.stop(node, Tables::Lost);
        }
        let id = self.processes[node].id;
        if !self.wiped.contains(&id) {
            self.wiped.push(id);
        }
        Ok(())
    }

    /// The process is paused; events for it are deferred.
    pub(super) fn pause(&mut self, node: usize, micros: u64) {
        let process = &mut self.processes[node];
        if !process.is_running() || process.paused_until.is_some() {
            return;
        }
        process.paused_until = Some(self.now + micros);
        let run = process.run;
        self.queue
            .push(self.now + micros, SimEvent::Resume { node, run });
    }

    pub(super) fn resume(&mut self, node: usize, run: u64) -> Checked {
        let process = &mut self.processes[node];
        if process.run != run {
            return Ok(());
        }
        process.paused_until = None;
        for event in std::mem::take(&mut process.deferred) {
            self.queue.push(self.now, event);
        }
        Ok(())
    }

    /// The replica reported a fault, after which it must not continue.
    pub(super) fn stop_for(&mut self, node: usize, fault: Fault) -> Checked {
        let id = self.processes[node].id;
        self.print(|_| format!("{id}: stops: {fault}"));
        if let Fault::CommittedEntryLost { .. } = fault {
            let recorded = self.disks[node].record_fault(fault.to_string());
            recorded.map_err(|why| Violation::new("disk", why))?;
        }
        if let Fault::TruncationInHole { .. } = fault
            && self.may_forget.contains(&id)
        {
            // Its new storage id makes it a learner; the simplest one has nothing (R18).
            self.count("disk forgot what was in a hole");
            self.wipe(node)?;
            if self.mix.is_none() {
                // All faults have ended, and it is started as every other was.
                let run = self.processes[node].run;
                let at = self.now + 1_000;
                self.queue.push(at, SimEvent::Restart { node, run });
            }
            return Ok(());
        }
        if let Fault::DiskForgot { .. } = fault
            && self.ever_rolled_back.contains(&self.disks[node].storage())
        {
            return self.begin_amnesia(node, &fault.to_string());
        }
        if self.settings.faults.is_some() {
            return Err(Violation::new("fault", format!("node {id}: {fault}")));
        }
        self.kill(node)
    }

    /// A write under way is lost, is in the page cache, or is durable.
    fn settle_pending_write(&mut self, node: usize) -> Checked {
        let Some(batch) = self.processes[node].writing.take() else {
            return Ok(());
        };
        let writes = batch.writes().clone();
        if writes.is_empty() {
            return Ok(());
        }
        let drawn = [
            WriteFate::Lost,
            WriteFate::Crashed,
            WriteFate::Crashed,
            WriteFate::Synced,
        ];
        let drawn = drawn[self.random.usize(0..drawn.len())];
        let fate = self.write_fate.unwrap_or(drawn);
        if fate == WriteFate::Synced {
            self.faults.add(FaultKind::UnconfirmedWriteKept);
        }
        let died = self.disks[node].die_in_write(&writes, fate);
        died.map_err(|why| Violation::new("disk", why))?;
        self.check_disk(node)
    }

    /// The state machine keeps what is durable, and some of the rest; never more than the log.
    fn lose_state(&mut self, node: usize, log_end: LogIndex) {
        if let Some(service) = &mut self.service {
            let lost = log_end > LogIndex::ZERO && self.random.u32(0..TABLES_LOST_ONE_IN) == 0;
            if lost {
                self.faults.add(FaultKind::StateLost);
            }
            let tables = if lost {
                Tables::Lost
            } else {
                Tables::Committed
            };
            return service.stop(node, tables);
        }
        let machine = &mut self.processes[node].machine;
        let least = machine.durable.0.min(machine.applied.0);
        let drawn = self.random.u64(least..=machine.applied.0);
        // A scenario that sets the fate of the write under way loses nothing else.
        let gone = self.settings.snapshots && self.random.u32(0..STATE_GONE_ONE_IN) == 0;
        let kept = match () {
            () if self.write_fate.is_some() => machine.applied.0,
            () if gone => 0,
            () => drawn,
        };
        if kept == 0 && machine.applied.0 > 0 {
            self.faults.add(FaultKind::StateGone);
        }
        if kept < machine.applied.0 {
            self.faults.add(FaultKind::StateLost);
        }
        let kept = if log_end > LogIndex::ZERO {
            LogIndex(kept).min(log_end)
        } else {
            LogIndex(kept)
        };
        machine.roll_back(kept);
        machine.durable = kept;
    }

    fn damage_partial_download(&mut self, node: usize) {
        if !self.settings.snapshots {
            return;
        }
        let partial = self.processes[node].files.partial();
        let Some(length) = partial.and_then(|partial| usize::try_from(partial.bytes).ok()) else {
            return;
        };
        let from = self.random.usize(0..=length);
        if self.processes[node].files.damage_partial(from) {
            self.faults.add(FaultKind::DownloadDamaged);
        }
    }

    fn restart_later(&mut self, node: usize) {
        let Some(down_max) = self.mix.as_ref().map(|mix| mix.down_max) else {
            return;
        };
        let run = self.processes[node].run;
        let at = self.now + self.random.u64(1_000..=down_max);
        self.queue.push(at, SimEvent::Restart { node, run });
    }

    /// Calls to a dead process fail, and the redials of their senders are refused (R17).
    fn fail_calls_to(&mut self, dead: usize) -> Checked {
        for node in 0..self.settings.nodes {
            if node == dead || !self.is_alive(node) || !self.network.connects(node, dead) {
                continue;
            }
            let calls: Vec<_> = self.processes[node]
                .calls
                .iter()
                .filter(|(_, (to, _))| *to == dead)
                .map(|(request, _)| *request)
                .collect();
            for request in calls {
                self.find_closed_port(node, dead, request)?;
            }
        }
        Ok(())
    }

    fn close_client_connections(&mut self, node: usize) {
        let process = &self.processes[node];
        let of_tickets = process.tickets.values().filter_map(|waiting| {
            let reply = match waiting.what {
                RequestKind::Operation(_) | RequestKind::TaskProposal { .. } => {
                    ClientReply::Proposal(Err(ProposeError::Unknown))
                }
                RequestKind::Read { .. } | RequestKind::Confirmation { .. } => {
                    ClientReply::Read(None)
                }
            };
            Some((waiting.client?, waiting.attempt, reply))
        });
        let of_tasks = process.tasks.values().filter_map(|(_, task)| match task {
            Task::Request {
                client: Some(client),
                attempt,
            } => {
                let reply = ClientReply::Proposal(Err(ProposeError::Unknown));
                Some((*client, *attempt, reply))
            }
            Task::Request { client: None, .. } | Task::Preparation { .. } => None,
        });
        let broken: Vec<_> = of_tickets.chain(of_tasks).collect();
        for (client, attempt, reply) in broken {
            self.answer_later(client, attempt, reply);
        }
    }
}
