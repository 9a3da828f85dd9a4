//! Starts the planned faults of a run, one after the other, and ends all of them on request.

use crate::checker::Checked;
use crate::simulation::World;
use crate::simulation::faults::FaultKind;
use crate::simulation::network::NetworkMix;
use crate::simulation::process::{Process, RequestKind};
use crate::simulation::queue::SimEvent;

/// Once the faults are over a download does not take longer than the log needs to move on, in bytes.
const HEALED_PIECE_MAX: usize = 1 << 14;

impl World {
    /// Starts every node, at once or one after the other, and plans the first fault.
    pub(super) fn begin(&mut self) -> Checked {
        let spread = self.mix.as_ref().map_or(0, |mix| mix.start_spread);
        for node in 0..self.settings.nodes {
            if spread == 0 {
                self.start(node)?;
                continue;
            }
            self.faults.add(FaultKind::StaggeredStart);
            let run = self.processes[node].run;
            let at = self.now + self.random.u64(0..=spread);
            self.queue.push(at, SimEvent::Restart { node, run });
        }
        for client in 0..self.clients.len() {
            let at = self.now + self.random.u64(0..50_000);
            self.queue.push(at, SimEvent::ClientActs { client });
        }
        self.plan_next_fault();
        Ok(())
    }

    pub(super) fn next_fault(&mut self) -> Checked {
        let Some(mix) = &self.mix else {
            return Ok(());
        };
        let total: u32 = mix.planned.iter().map(|(_, weight)| weight).sum();
        if total > 0 {
            let mut drawn = self.random.u32(0..total);
            let mut planned = mix.planned.iter();
            let kind = loop {
                let (kind, weight) = planned.next().expect("the weights add up to the total");
                if drawn < *weight {
                    break *kind;
                }
                drawn -= weight;
            };
            self.begin_fault(kind)?;
        }
        self.plan_next_fault();
        Ok(())
    }

    /// Ends all faults: every link works, every disk is fast, every node runs.
    pub(super) fn heal(&mut self) -> Checked {
        self.mix = None;
        self.network.heal_all();
        self.network.mix = NetworkMix::faultless();
        self.settings.sync = (50, 2_000);
        self.settings.slow_snapshots = 1;
        self.settings.piece_max = HEALED_PIECE_MAX;
        for node in 0..self.settings.nodes {
            self.processes[node].slow_disk = None;
            if self.processes[node].paused_until.is_some() {
                let run = self.processes[node].run;
                self.resume(node, run)?;
            }
            self.start(node)?;
        }
        self.print(|_| "all faults end".to_owned());
        Ok(())
    }

    fn plan_next_fault(&mut self) {
        if let Some(mix) = &self.mix {
            let most = mix.interval_max;
            let at = self.now + self.random.u64(5_000..=most);
            self.queue.push(at, SimEvent::Fault);
        }
    }

    fn begin_fault(&mut self, kind: FaultKind) -> Checked {
        let node = self.victim();
        let id = self.processes[node].id;
        let running = self.is_alive(node);
        self.trace
            .record(self.now, || format!("fault: {} ({id})", kind.name()));
        match kind {
            FaultKind::Kill if running => {
                self.faults.add(kind);
                self.kill(node)
            }
            FaultKind::PowerLoss => {
                self.faults.add(kind);
                self.power_off(node)
            }
            FaultKind::KillAll => {
                self.faults.add(kind);
                (0..self.settings.nodes).try_for_each(|node| self.kill(node))
            }
            FaultKind::PowerLossAll => {
                self.faults.add(kind);
                (0..self.settings.nodes).try_for_each(|node| self.power_off(node))
            }
            FaultKind::Wipe => self.wipe_if_survivable(node),
            FaultKind::SnapshotsLost => self.lose_snapshots_if_survivable(node),
            FaultKind::LogRotten => self.rot_log_if_survivable(node),
            FaultKind::Pause if running => {
                self.faults.add(kind);
                let micros = self.random.u64(10_000..2_500_000);
                self.pause(node, micros);
                Ok(())
            }
            FaultKind::SlowDisk => {
                self.faults.add(kind);
                let delay = *self
                    .random
                    .choice(&[5_000, 50_000, 300_000, 1_500_000])
                    .expect("not empty");
                let until = self.now + self.random.u64(100_000..2_000_000);
                self.processes[node].slow_disk = Some((delay, until));
                Ok(())
            }
            FaultKind::LeadershipTransfer if running => {
                self.faults.add(kind);
                self.handle(node, chat_replication::Event::TransferLeadership)
            }
            FaultKind::Overload => self.overload(node),
            FaultKind::Forged => self.forge_something(node),
            FaultKind::Partition
            | FaultKind::LeaderIsolated
            | FaultKind::OneWayPartition
            | FaultKind::BrokenConnection => {
                self.disturb_links(kind);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// A node for a fault: the leader, or a random one, with equal chance.
    fn victim(&mut self) -> usize {
        let downloads = |process: &Process| {
            let replica = process.replica.as_ref();
            replica.is_some_and(|replica| replica.node().download().is_some())
        };
        // A node in the middle of a download, often.
        let downloading = self.processes.iter().position(downloads);
        if let Some(node) = downloading.filter(|_| self.random.bool()) {
            return node;
        }
        let any = self.random.usize(0..self.settings.nodes);
        if self.random.bool() {
            self.leader().unwrap_or(any)
        } else {
            any
        }
    }

    fn disturb_links(&mut self, kind: FaultKind) {
        let nodes = self.settings.nodes;
        if nodes == 1 {
            return;
        }
        self.faults.add(kind);
        let one = self.victim();
        let other = (one + self.random.usize(1..nodes)) % nodes;
        let duration = self.random.u64(20_000..2_500_000);
        let mut links = Vec::new();
        match kind {
            FaultKind::Partition => {
                let group = self.random.u32(1..(1 << nodes) - 1);
                for from in 0..nodes {
                    for to in 0..nodes {
                        if group >> from & 1 != group >> to & 1 {
                            links.push((from, to));
                        }
                    }
                }
            }
            FaultKind::LeaderIsolated => {
                let leader = self.leader().unwrap_or(one);
                for peer in (0..nodes).filter(|peer| *peer != leader) {
                    links.push((leader, peer));
                    links.push((peer, leader));
                }
            }
            FaultKind::OneWayPartition if self.random.bool() => links.push((one, other)),
            FaultKind::OneWayPartition => links.push((other, one)),
            _ => {
                self.network.break_connection(one, other);
                self.fail_calls_between(one, other);
            }
        }
        for (from, to) in links {
            let partition = self.network.partition(from, to);
            let what = SimEvent::HealLink {
                from,
                to,
                partition,
            };
            self.queue.push(self.now + duration, what);
        }
    }

    /// Every call on a broken connection fails; the next one finds a new connection.
    fn fail_calls_between(&mut self, one: usize, other: usize) {
        for (node, peer) in [(one, other), (other, one)] {
            let process = &self.processes[node];
            let run = process.run;
            for (request, (to, _)) in &process.calls {
                if *to == peer {
                    let request = *request;
                    let what = SimEvent::CallFails { node, run, request };
                    self.queue.push(self.now + 100, what);
                }
            }
        }
    }

    /// More proposals at once than a node accepts, by clients that do not wait for outcomes.
    fn overload(&mut self, node: usize) -> Checked {
        for _ in 0..12 {
            if !self.is_alive(node) || self.processes[node].paused_until.is_some() {
                return Ok(());
            }
            self.propose_without_client(node)?;
        }
        Ok(())
    }

    /// A proposal without a client that receives its outcome.
    fn propose_without_client(&mut self, node: usize) -> Checked {
        let (attempt, operation) = self.operation_without_client();
        match &mut self.service {
            Some(service) => service.begin(None, operation, &mut self.random),
            None => self.checkers.history.begins(operation),
        }
        self.submit(node, None, attempt, RequestKind::Operation(operation))
    }

    /// A new attempt, and a new operation that belongs to no client.
    fn operation_without_client(&mut self) -> (u64, u64) {
        self.attempts_made += 1;
        (self.attempts_made, u64::MAX - self.attempts_made)
    }

    /// At most one disk of three voters is wiped, two of five; the lowest node's not before the entry
    /// of the bootstrap is committed.
    fn wipe_if_survivable(&mut self, node: usize) -> Checked {
        if !self.survives_wiping(node) {
            return Ok(());
        }
        self.faults.add(FaultKind::Wipe);
        self.wipe(node)
    }

    pub(super) fn survives_wiping(&self, node: usize) -> bool {
        let bootstrapped = self.checkers.committed.last().index.0 > 0;
        let again = self.wiped.contains(&self.processes[node].id);
        (again || self.is_survivable_without(node)) && (bootstrapped || node != 0)
    }
}
