//! The state of a simulated cluster; what happens to it is in the files that extend [`World`].

use std::collections::{BTreeMap, BTreeSet};

use chat_consensus::{Header, NodeId, StorageId};
use chat_replication::Autopilot;
use fastrand::Rng;

use crate::checker::Checkers;
use crate::simulation::client::Client;
use crate::simulation::clock::{Clock, EVEN_RATE};
use crate::simulation::disk::{Disk, WriteFate};
use crate::simulation::disk_copy::DiskCopy;
use crate::simulation::failover::FailOver;
use crate::simulation::faults::{FaultCounts, FaultKind, FaultMix};
use crate::simulation::network::Network;
use crate::simulation::operator::{Answers, JOINERS_MAX};
use crate::simulation::process::Process;
use crate::simulation::queue::{Queue, node_id};
use crate::simulation::service_api::Service;
use crate::simulation::settings::Settings;
use crate::simulation::trace::Trace;

/// A cluster, its clients, and everything around them.
#[derive(Debug)]
pub struct World {
    pub(super) settings: Settings,
    pub(super) random: Rng,
    /// The world's time, in microseconds.
    pub(super) now: u64,
    pub(super) queue: Queue,
    pub(super) processes: Vec<Process>,
    pub(super) disks: Vec<Disk>,
    /// Disks as they were before they were wiped or rolled back.
    pub(super) former_disks: Vec<Disk>,
    pub(super) network: Network,
    pub(super) clients: Vec<Client>,
    pub(super) attempts_made: u64,
    /// The faults from now on; `None` when there are none.
    pub(super) mix: Option<FaultMix>,
    pub(super) faults: FaultCounts,
    /// What some run must have, and how often it happened here.
    pub(super) situations: BTreeMap<&'static str, u64>,
    /// The node whose disk has lost acknowledged entries, until it holds them again (R18).
    pub(super) rolled_back: Option<usize>,
    /// Disks that have lost acknowledged entries at some time: other nodes may remember that for ever,
    /// and say so long after the leader counts the disk again (R18).
    pub(super) ever_rolled_back: BTreeSet<StorageId>,
    /// When a node was elected last.
    pub(super) elected_at: u64,
    /// How long each fail-over took.
    pub(super) failovers: Vec<FailOver>,
    /// Voters whose disks were wiped: at most as many as a cluster survives.
    pub(super) wiped: Vec<NodeId>,
    /// Voters with damage in what was not committed: they forget if their leader does not hold it (R24).
    pub(super) may_forget: Vec<NodeId>,
    /// How many nodes the cluster is bootstrapped with.
    pub(super) first_nodes: usize,
    /// Nodes that left, and do not run any more.
    pub(super) retired: BTreeSet<usize>,
    /// Of the nodes that start from now on (R21).
    pub(super) autopilot: Option<Autopilot>,
    /// Changes of the members that were requested, and the answers that were not read.
    pub(super) changes_made: u64,
    pub(super) answers: Answers,
    pub(super) checkers: Checkers,
    pub(super) events: u64,
    pub(super) trace: Trace,
    /// The lines that a scenario shows, and when they were printed.
    pub(super) output: Vec<(u64, String)>,
    /// Whether a scenario shows each message and each sync.
    pub(super) shows_messages: bool,
    /// What happens to a write under way; drawn each time unless a scenario sets it.
    pub(super) write_fate: Option<WriteFate>,
    /// The last fetch that each node sent, for scenarios that forge a response to it.
    pub(super) last_fetch: Vec<Option<Header>>,
    /// The copy that a scenario made of each node's disk.
    pub(super) copies: Vec<Option<DiskCopy>>,
    /// The names that a scenario gave to operations.
    pub(super) names: Vec<String>,
    /// The state machines of the nodes; `None` for the list of operations.
    pub(super) service: Option<Box<dyn Service>>,
}

impl World {
    /// A world in which no node was started yet.
    pub fn new(settings: Settings) -> Self {
        let mut random = Rng::with_seed(settings.seed);
        let drift = settings.drift_max;
        let mut faults = FaultCounts::default();
        let processes = (0..settings.nodes)
            .map(|node| {
                let rate = EVEN_RATE - drift + random.u64(0..=2 * drift);
                if rate != EVEN_RATE {
                    faults.add(FaultKind::ClockDrift);
                }
                Process::new(node_id(node), Clock::new(node as u64 * 1_000, rate))
            })
            .collect();
        let disks = (0..settings.nodes)
            .map(|node| new_disk(&settings, node, StorageId(random.u128(1..))))
            .collect();
        Self {
            network: Network::new(settings.nodes + JOINERS_MAX, settings.network),
            clients: (0..settings.clients).map(Client::new).collect(),
            attempts_made: 0,
            mix: settings.faults.clone(),
            trace: Trace::new(settings.record_trace),
            last_fetch: vec![None; settings.nodes],
            now: 0,
            queue: Queue::default(),
            processes,
            disks,
            faults,
            situations: BTreeMap::new(),
            wiped: Vec::new(),
            may_forget: Vec::new(),
            rolled_back: None,
            ever_rolled_back: BTreeSet::new(),
            elected_at: 0,
            failovers: Vec::new(),
            former_disks: Vec::new(),
            first_nodes: settings.nodes,
            retired: BTreeSet::new(),
            autopilot: None,
            changes_made: 0,
            answers: Answers::new(),
            checkers: Checkers::default(),
            events: 0,
            output: Vec::new(),
            shows_messages: false,
            write_fate: None,
            copies: (0..settings.nodes).map(|_| None).collect(),
            names: Vec::new(),
            service: None,
            random,
            settings,
        }
    }
}

/// In bytes: logs that are compacted only beyond that are not compacted in a run.
const COMPACTED_LOG_MAX: u64 = 1 << 20;

/// An empty disk for `node`. Logs that are compacted have so many segments that there is something to
/// remove; in a scenario each batch has its own, so that what is left is easy to say.
pub(super) fn new_disk(settings: &Settings, node: usize, storage: StorageId) -> Disk {
    let mut disk = Disk::empty(node_id(node), storage);
    if !settings.block_numbers.of_node(node) {
        disk = disk.without_block_numbers();
    }
    if settings.limits.snapshot_log_bytes > COMPACTED_LOG_MAX {
        return disk;
    }
    let sizes: &[u64] = match settings.faults {
        Some(_) => &[2 << 10, 4 << 10, 16 << 10],
        None => &[1],
    };
    let chosen = storage.0 % sizes.len() as u128;
    disk.with_segments(sizes[chosen as usize])
}
