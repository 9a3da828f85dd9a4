//! `World`: replicas, one thread, one virtual clock, one seed.
//!
//! Drives the shipped [`Replica`](chat_replication::Replica) over simulated disks and a simulated
//! network, and lets the checkers judge after every event. Deterministic: the same settings give
//! the same run. What goes wrong is decided elsewhere: by `nemesis`, or by a transcript.

mod clients;
mod clock;
pub mod command;
mod conduct;
pub mod disk;
mod driver;
pub mod failover;
pub mod faults;
mod forgeries;
mod lives;
mod nemesis;
pub mod network;
mod observe;
mod process;
mod progress;
mod queue;
pub mod run;
pub mod service;
mod settings;
pub mod slow_disk;
pub mod slow_link;
mod trace;

use chat_consensus::NodeId;
use fastrand::Rng;

use crate::checker::{Checked, Checkers};

use clients::Client;
use clock::Clock;
use disk::Disk;
use failover::FailOver;
use faults::{FaultCounts, FaultKind, FaultMix};
use network::Network;
use process::{Life, Process};
pub(crate) use queue::node_number;
use queue::{Happening, Queue, node_id};
use trace::Trace;

pub(crate) use conduct::{Forged, WriteFate};
pub use settings::Settings;

/// A cluster, its clients, and everything around them.
#[derive(Debug)]
pub struct World {
    settings: Settings,
    random: Rng,
    /// The world's time, in microseconds.
    now: u64,
    queue: Queue,
    processes: Vec<Process>,
    disks: Vec<Disk>,
    /// What was on disks before they were wiped.
    retired: Vec<Disk>,
    network: Network,
    clients: Vec<Client>,
    attempts_made: u64,
    /// What goes wrong from now on; `None` when nothing does.
    mix: Option<FaultMix>,
    faults: FaultCounts,
    /// The node whose disk has just lost what it acknowledged, until it has that again (R18).
    forgetful: Option<usize>,
    /// When a node was elected last.
    elected_at: u64,
    /// How long it took to get over the ends of leaders.
    failovers: Vec<FailOver>,
    /// Voters whose disks were wiped: at most what a cluster survives.
    wiped: Vec<NodeId>,
    checkers: Checkers,
    events: u64,
    trace: Trace,
    /// What is worth telling, and when it happened.
    story: Vec<(u64, String)>,
    /// What becomes of a write under way; drawn anew each time unless a transcript says.
    write_fate: Option<WriteFate>,
    /// The last fetch that each node sent, for transcripts that forge an answer to it.
    last_fetch: Vec<Option<chat_consensus::Header>>,
    /// Operations that a transcript gave a name.
    names: Vec<String>,
    /// What the nodes apply to; `None` for the list of operations.
    service: Option<Box<dyn service::Service>>,
}

impl World {
    /// A world in which no node was started yet.
    pub fn new(settings: Settings) -> Self {
        let mut random = Rng::with_seed(settings.seed);
        let drift = settings.drift_max;
        let mut faults = FaultCounts::default();
        let processes = (0..settings.nodes)
            .map(|node| {
                let rate = clock::EVEN_RATE - drift + random.u64(0..=2 * drift);
                if rate != clock::EVEN_RATE {
                    faults.add(FaultKind::ClockDrift);
                }
                Process::new(node_id(node), Clock::new(node as u64 * 1_000, rate))
            })
            .collect();
        let disks = (0..settings.nodes)
            .map(|_| Disk::empty(chat_consensus::StorageId(random.u128(1..))))
            .collect();
        Self {
            network: Network::new(settings.nodes, settings.network),
            clients: (0..settings.clients).map(Client::new).collect(),
            attempts_made: 0,
            mix: settings.faults.clone(),
            trace: Trace::new(settings.in_words),
            last_fetch: vec![None; settings.nodes],
            now: 0,
            queue: Queue::default(),
            processes,
            disks,
            faults,
            wiped: Vec::new(),
            forgetful: None,
            elected_at: 0,
            failovers: Vec::new(),
            retired: Vec::new(),
            checkers: Checkers::default(),
            events: 0,
            story: Vec::new(),
            write_fate: None,
            names: Vec::new(),
            service: None,
            random,
            settings,
        }
    }

    /// Lets everything happen up to `limit`.
    ///
    /// # Errors
    ///
    /// The first property that does not hold.
    pub fn run_until(&mut self, limit: u64) -> Checked {
        while let Some((at, happening)) = self.queue.pop_until(limit) {
            self.now = at;
            self.happens(happening)?;
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

    /// The hash of everything that happened.
    pub fn trace_hash(&self) -> u64 {
        self.trace.hash()
    }

    /// Everything that happened since the last call, in words.
    pub fn take_trace(&mut self) -> Vec<String> {
        self.trace.take_lines()
    }

    /// Forgets what was worth telling up to now.
    pub(crate) fn take_story(&mut self) {
        self.story.clear();
    }

    fn happens(&mut self, happening: Happening) -> Checked {
        if let Some(node) = happening.process() {
            let process = &mut self.processes[node];
            if happening.run().is_some_and(|run| run != process.run) {
                return Ok(());
            }
            if process.paused_until.is_some() {
                process.deferred.push_back(happening);
                return Ok(());
            }
        }
        self.events += 1;
        let node = happening.process().unwrap_or(99) as u64;
        self.trace.note(self.now);
        self.trace.note(happening.code() << 8 | node);
        match happening {
            Happening::Deliver {
                message,
                connection,
            } => self.deliver(*message, connection),
            Happening::CallFails { node, request, .. } => self.fail_call(node, request),
            Happening::Refused { node, peer, .. } => self.refuse_dial(node, peer),
            Happening::CallsDue { node, .. } => self.fail_overdue_calls(node),
            Happening::SyncEnds { node, .. } => self.end_sync(node),
            Happening::EntriesRead {
                node,
                id,
                after,
                last,
                entries_max,
                bytes_max,
                ..
            } => {
                let mut entries = self.disks[node].read(after, last, bytes_max);
                entries.truncate(entries_max);
                self.handle(node, chat_replication::Event::EntriesRead(id, entries))
            }
            Happening::ApplyEnds { node, .. } => self.end_apply(node),
            Happening::Confirmed {
                node,
                ticket,
                index,
                ..
            } => self.confirmed(node, ticket, index),
            Happening::Deadline { node, .. } => self.wake(node),
            Happening::Flush { node, .. } => {
                self.processes[node].flush_pending = false;
                self.carry_out(node)
            }
            Happening::Restart { node, run } => self.restart_if_dead(node, run),
            Happening::Resume { node, run } => self.resume(node, run),
            Happening::ClientActs { client } => self.client_acts(client),
            Happening::ClientRequest {
                client,
                attempt,
                node,
            } => self.client_request(client, attempt, node),
            Happening::ClientHears {
                client,
                attempt,
                reply,
            } => self.client_hears(client, attempt, &reply),
            Happening::ClientGivesUp { client, attempt } => self.client_gives_up(client, attempt),
            Happening::Fault => self.next_fault(),
            Happening::HealLink { from, to, cut } => {
                self.network.heal(from, to, cut);
                Ok(())
            }
        }
    }

    fn tell(&mut self, line: impl FnOnce(&Self) -> String) {
        if self.settings.in_words {
            let line = line(self);
            self.trace.say(self.now, || line.clone());
            self.story.push((self.now, line));
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
        self.processes[node].life == Life::Running
    }
}
