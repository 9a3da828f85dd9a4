//! The settings of a world: drawn from a seed, or fixed for a scenario.

use chat_consensus::Timing;
use chat_replication::Limits;
use fastrand::Rng;

use crate::simulation::faults::FaultMix;
use crate::simulation::network::NetworkMix;

/// The settings of a world.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Every random choice follows from it.
    pub seed: u64,
    /// How many nodes are configured.
    pub nodes: usize,
    /// How many clients there are.
    pub clients: usize,
    /// How many of ten operations are reads.
    pub reads_of_ten: u32,
    /// The longest pause between two operations of a client, in microseconds.
    pub pause_max: u64,
    /// The nodes' timing.
    pub timing: Timing,
    /// How much a node holds.
    pub limits: Limits,
    /// How the network behaves at first.
    pub network: NetworkMix,
    /// The shortest and longest ordinary sync, in microseconds.
    pub sync: (u64, u64),
    /// How far clocks may be off, in 1,024ths.
    pub drift_max: u64,
    /// How much a command carries besides its numbers, in bytes.
    pub padding: usize,
    /// How long a request without a simulated client may take, in microseconds.
    pub script_deadline: u64,
    /// Whether nodes take snapshots and compact their logs.
    pub snapshots: bool,
    /// How much of a snapshot one reply has at most, in bytes.
    pub piece_max: usize,
    /// How many times longer than usual the work with snapshots takes.
    pub slow_snapshots: u64,
    /// Which nodes know the numbers of their blocks (R18).
    pub block_numbers: BlockNumbers,
    /// How often effects wait for further events, per ten thousand.
    pub flush_late: u32,
    /// Record the lines of the trace, and those that a scenario shows.
    pub record_trace: bool,
    pub(crate) faults: Option<FaultMix>,
}

/// Which nodes know the numbers of their blocks: not those with a log without blocks, and others do not
/// know those of a node with an earlier program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockNumbers {
    /// Every node.
    All,
    /// Every second node.
    Some,
    /// No node.
    None,
}

impl BlockNumbers {
    fn of_seed(seed: u64) -> Self {
        match seed % 8 {
            3 => Self::None,
            5 => Self::Some,
            _ => Self::All,
        }
    }

    /// Whether the node at this place does.
    pub(crate) fn of_node(self, node: usize) -> bool {
        match self {
            Self::All => true,
            Self::Some => node % 2 == 1,
            Self::None => false,
        }
    }
}

impl Settings {
    /// The settings of a seed: how many nodes, which timing and limits, how fast, and which faults.
    pub(crate) fn of_seed(seed: u64, record_trace: bool) -> Self {
        let mut random = Rng::with_seed(seed ^ 0x5eed_0000);
        let mut faults = FaultMix::draw(&mut random);
        let nodes = *random
            .choice(&[1, 3, 3, 3, 3, 3, 3, 5, 5, 5])
            .expect("not empty");
        let timing = match random.u32(0..4) {
            0 => timing(30, 150),
            1 => timing(50, 200),
            _ => Timing::default(),
        };
        let mut limits = Limits::default();
        if random.bool() {
            limits.cache_entries_max = random.usize(4..64);
            // With smaller ones the nodes could not keep up with the clients.
            limits.batch_entries_max = random.usize(8..32);
            limits.batch_bytes_max = random.usize(128..1_024);
        }
        if random.bool() {
            limits.waiting_proposals_max = random.usize(2..10);
            limits.waiting_requests_max = random.usize(2..10);
        }
        let mut of_snapshots = Rng::with_seed(seed ^ 0x5afe_0000);
        let snapshots = of_snapshots.u32(0..5) > 0;
        limits.snapshot_log_bytes = u64::MAX;
        limits.snapshot_age = std::time::Duration::MAX;
        if snapshots {
            faults.add_snapshots(&mut of_snapshots);
            draw_snapshots(&mut limits, &mut of_snapshots);
        }
        let sync_max = *random
            .choice(&[500, 2_000, 5_000, 15_000])
            .expect("not empty");
        Self {
            seed,
            nodes,
            clients: random.usize(2..=6),
            reads_of_ten: *random.choice(&[1, 3, 3, 9]).expect("not empty"),
            pause_max: *random
                .choice(&[2_000, 15_000, 15_000, 50_000])
                .expect("not empty"),
            timing,
            limits,
            network: faults.network,
            sync: (50, sync_max),
            drift_max: faults.drift_max,
            script_deadline: 1_000_000,
            padding: if faults.network.bytes_per_second > 0 {
                Rng::with_seed(seed ^ 0x9add_0000).usize(0..1_500)
            } else {
                0
            },
            snapshots,
            piece_max: of_snapshots.usize(32..400),
            slow_snapshots: *of_snapshots.choice(&[1, 8, 30]).expect("not empty"),
            block_numbers: BlockNumbers::of_seed(seed),
            flush_late: if random.bool() {
                random.u32(1..6_000)
            } else {
                0
            },
            record_trace,
            faults: Some(faults),
        }
    }

    /// Snapshots are taken often, and little stays in the log.
    pub(crate) fn take_snapshots(&mut self) {
        self.limits.snapshot_log_bytes = 48;
        self.limits.kept_entries = 2;
    }

    /// The settings of a scenario: every message and every sync takes a fixed time.
    pub(crate) fn of_scenario(nodes: usize) -> Self {
        Self {
            seed: 1,
            nodes,
            clients: 0,
            reads_of_ten: 0,
            pause_max: 1_000,
            timing: Timing::default(),
            limits: Limits::default(),
            network: NetworkMix::even(),
            sync: (500, 500),
            drift_max: 0,
            script_deadline: 10_000_000,
            padding: 0,
            snapshots: false,
            piece_max: 64,
            slow_snapshots: 1,
            block_numbers: BlockNumbers::All,
            flush_late: 0,
            record_trace: true,
            faults: None,
        }
    }
}

fn timing(heartbeat_ms: u64, election_ms: u64) -> Timing {
    Timing {
        heartbeat_interval: std::time::Duration::from_millis(heartbeat_ms),
        election_timeout: std::time::Duration::from_millis(election_ms),
    }
}

/// When snapshots are taken, and what stays in the log.
fn draw_snapshots(limits: &mut Limits, of_snapshots: &mut Rng) {
    let most = *of_snapshots.choice(&[40, 300, 3_000]).expect("not empty");
    limits.snapshot_log_bytes = of_snapshots.u64(16..most);
    limits.kept_entries = *of_snapshots.choice(&[0, 0, 1, 5, 40]).expect("not empty");
    limits.kept_bytes = of_snapshots.u64(0..1_500);
    let pinned = of_snapshots.u64(20..1_500);
    limits.snapshot_pinned = std::time::Duration::from_millis(pinned);
    if of_snapshots.bool() {
        let age = of_snapshots.u64(300..3_000);
        limits.snapshot_age = std::time::Duration::from_millis(age);
        if of_snapshots.bool() {
            limits.snapshot_log_bytes = u64::MAX >> 1;
        }
    }
}
