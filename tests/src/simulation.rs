//! `World`: replicas, one thread, one virtual clock, one seed.
//!
//! Drives the shipped [`Replica`](chat_replication::Replica) over simulated disks and a simulated
//! network, and runs the checkers after every event. Deterministic: the same settings give the same
//! run. What goes wrong is decided elsewhere: by `nemesis`, or by a scenario.

mod client;
mod clients;
mod clock;
pub mod command;
pub mod disk;
mod disk_copy;
mod driver;
pub mod failover;
pub mod faults;
mod forgeries;
mod forgetful_disk;
mod machine_file;
mod message_delivery;
mod message_line;
mod nemesis;
pub mod network;
mod observe;
mod operator;
mod process;
mod process_lifecycle;
mod progress;
mod queue;
pub mod reply_maker;
mod resizing;
pub mod run;
mod script_api;
mod service;
pub mod service_api;
mod settings;
pub mod slow_disk;
pub mod slow_link;
mod snapshot_files;
mod snapshot_job;
mod snapshot_work;
mod trace;
mod world;

use crate::checker::{Checked, Violation};

use process::ProcessState;
use queue::SimEvent;

pub(crate) use disk::WriteFate;
pub(crate) use queue::node_number;
pub(crate) use script_api::Forged;
pub use settings::{BlockNumbers, Settings};
pub use world::World;

impl World {
    /// Runs all events up to `limit`.
    ///
    /// # Errors
    ///
    /// The first property that does not hold.
    pub fn run_until(&mut self, limit: u64) -> Checked {
        while let Some((at, event)) = self.queue.pop_until(limit) {
            self.now = at;
            self.dispatch(event)?;
        }
        self.now = self.now.max(limit);
        Ok(())
    }

    /// The virtual time, in microseconds.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// How many events there were.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// The hash of all events and their effects.
    pub fn trace_hash(&self) -> u64 {
        self.trace.hash()
    }

    /// The lines of the trace since the last call.
    pub fn take_trace(&mut self) -> Vec<String> {
        self.trace.take_lines()
    }

    /// Discards the lines printed up to now.
    pub(crate) fn discard_output(&mut self) {
        self.output.clear();
    }

    /// Drops an event for a dead process, defers one for a paused process, and executes the others.
    fn dispatch(&mut self, event: SimEvent) -> Checked {
        if let Some(node) = event.process() {
            let process = &mut self.processes[node];
            if event.run().is_some_and(|run| run != process.run) {
                return Ok(());
            }
            if process.paused_until.is_some() {
                process.deferred.push_back(event);
                return Ok(());
            }
        }
        self.events += 1;
        let node = event.process().unwrap_or(99) as u64;
        self.trace.note(self.now);
        self.trace.note(event.code() << 8 | node);
        self.execute(event)
    }

    fn execute(&mut self, event: SimEvent) -> Checked {
        match event {
            SimEvent::Deliver {
                message,
                connection,
            } => self.deliver(*message, connection),
            SimEvent::CallFails { node, request, .. } => self.fail_call(node, request),
            SimEvent::Refused { node, peer, .. } => self.refuse_dial(node, peer),
            SimEvent::CallsDue { node, .. } => self.fail_overdue_calls(node),
            SimEvent::SyncEnds { node, .. } => self.end_sync(node),
            SimEvent::EntriesRead {
                node,
                id,
                after,
                last,
                entries_max,
                bytes_max,
                ..
            } => {
                let limits = chat_log::ReadLimits {
                    entries_max,
                    bytes_max,
                };
                let entries = self.disks[node].read(after, last, limits);
                let entries = entries.map_err(|why| Violation::new("disk", why))?;
                self.handle(node, chat_replication::Event::EntriesRead(id, entries))
            }
            SimEvent::ApplyEnds { node, .. } => self.end_apply(node),
            SimEvent::PublishEnds { node, .. } => self.end_publish(node),
            SimEvent::PreparationEnds {
                node, id, request, ..
            } => self.end_preparation(node, id, request),
            SimEvent::TaskResumes {
                node, task, with, ..
            } => self.resume_task(node, task, with),
            SimEvent::Snapshot { node, work, .. } => self.end_snapshot_work(node, *work),
            SimEvent::Deadline { node, .. } => self.wake(node),
            SimEvent::Flush { node, .. } => {
                self.processes[node].flush_pending = false;
                self.execute_effects(node)
            }
            SimEvent::Restart { node, run } => self.restart_if_dead(node, run),
            SimEvent::Resume { node, run } => self.resume(node, run),
            SimEvent::ClientActs { client } => self.client_acts(client),
            SimEvent::ClientRequest {
                client,
                attempt,
                node,
            } => self.client_request(client, attempt, node),
            SimEvent::ClientReceives {
                client,
                attempt,
                reply,
            } => self.client_receives(client, attempt, &reply),
            SimEvent::ClientGivesUp { client, attempt } => self.client_gives_up(client, attempt),
            SimEvent::Fault => self.next_fault(),
            SimEvent::HealLink {
                from,
                to,
                partition,
            } => {
                self.network.heal(from, to, partition);
                Ok(())
            }
        }
    }

    /// Adds a line to the trace and to the output of a scenario.
    fn print(&mut self, line: impl FnOnce(&Self) -> String) {
        if self.settings.record_trace {
            let line = line(self);
            self.trace.record(self.now, || line.clone());
            self.output.push((self.now, line));
        }
    }

    fn chance(&mut self, per_ten_thousand: u32) -> bool {
        per_ten_thousand > 0 && self.random.u32(0..10_000) < per_ten_thousand
    }

    /// The running node that leads the highest term.
    fn leader(&self) -> Option<usize> {
        let leading = self.processes.iter().enumerate().filter(|(_, p)| p.leads());
        leading
            .max_by_key(|(_, p)| p.seen.term)
            .map(|(node, _)| node)
    }

    fn is_alive(&self, node: usize) -> bool {
        self.processes[node].state == ProcessState::Running
    }
}
