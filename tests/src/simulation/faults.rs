//! The kinds of faults, how often each fires in a run (drawn per seed), and how often it did.

use fastrand::Rng;

use crate::simulation::network::NetworkMix;

/// Every kind of injected fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// A process is killed at any time; its peers find its port closed.
    Kill,
    /// A process is killed when its batch is not written yet.
    KillBeforeWrite,
    /// A process is killed when its batch is durable and it has not received the completion.
    KillBeforeSynced,
    /// A process is killed when it has received the completion of its batch, and has sent nothing.
    KillAfterSynced,
    /// A process is killed between two effects of one step.
    KillBetweenEffects,
    /// A process is killed during its first write.
    KillDuringStart,
    /// A restart found frames that were never synced (R4).
    UnsyncedRecovered,
    /// A write became durable, though its process never received the completion.
    UnconfirmedWriteKept,
    /// All processes are killed at once.
    KillAll,
    /// All machines lose power at once.
    PowerLossAll,
    /// A machine loses power: it is unreachable, and what was not synced is lost.
    PowerLoss,
    /// A power loss undid something that had been written.
    UnsyncedLost,
    /// A disk is replaced by an empty one (R12).
    Wipe,
    /// The state machine lost its newest effects in a crash.
    StateLost,
    /// The nodes are split in two groups.
    Partition,
    /// The leader alone is isolated.
    LeaderIsolated,
    /// No message passes in one direction of one link.
    OneWayPartition,
    /// A connection breaks; a redial succeeds.
    BrokenConnection,
    /// A dial is refused by a closed port (R17).
    ConnectionRefused,
    /// A message is lost by chance.
    Loss,
    /// A message arrives twice.
    Duplicate,
    /// A message arrives much later than others sent after it.
    Late,
    /// A process is paused for a while.
    Pause,
    /// A sync takes long, at times longer than the check-quorum interval.
    SlowDisk,
    /// A clock runs fast or slow.
    ClockDrift,
    /// The nodes start one after the other.
    StaggeredStart,
    /// A leadership transfer is requested.
    LeadershipTransfer,
    /// More proposals than a node takes.
    Overload,
    /// A client gives up and tries elsewhere under the same operation.
    ClientRetry,
    /// A client gives up an operation whose outcome it does not know.
    ClientLeaves,
    /// A message is queued behind others on a link with little bandwidth.
    NarrowLink,
    /// A read of the log takes long.
    SlowLogRead,
    /// The preparation of a request takes long, as a password hash does.
    SlowPreparation,
    /// The preparation of a request ends without an outcome.
    PreparationFailed,
    /// A request arrives that no node sent: any type, fields at their extremes (R4).
    Forged,
    /// A disk lost transactions that it had synced and acknowledged (R18).
    SyncedLost,
    /// A disk was replaced by an older copy of all its files (R18).
    OldCopy,
    /// The state machine lost its whole state in a crash.
    StateGone,
    /// A process is killed at a step of taking, compacting, downloading or installing (R24).
    KillDuringSnapshot,
    /// A node lost its snapshots, or they are damaged.
    SnapshotsLost,
    /// A snapshot could not be taken: the disk is full.
    SnapshotFailed,
    /// A piece of a snapshot could not be stored: the disk is full.
    PieceNotStored,
    /// A power loss damaged the end of a download.
    DownloadDamaged,
    /// A bit of a log rots, and valid blocks follow it (R24).
    LogRotten,
}

/// All kinds, in the order of the table.
pub const FAULT_KINDS: [FaultKind; 44] = [
    FaultKind::Kill,
    FaultKind::KillBeforeWrite,
    FaultKind::KillBeforeSynced,
    FaultKind::KillAfterSynced,
    FaultKind::KillBetweenEffects,
    FaultKind::KillDuringStart,
    FaultKind::UnsyncedRecovered,
    FaultKind::UnconfirmedWriteKept,
    FaultKind::KillAll,
    FaultKind::PowerLossAll,
    FaultKind::PowerLoss,
    FaultKind::UnsyncedLost,
    FaultKind::Wipe,
    FaultKind::StateLost,
    FaultKind::Partition,
    FaultKind::LeaderIsolated,
    FaultKind::OneWayPartition,
    FaultKind::BrokenConnection,
    FaultKind::ConnectionRefused,
    FaultKind::Loss,
    FaultKind::Duplicate,
    FaultKind::Late,
    FaultKind::Pause,
    FaultKind::SlowDisk,
    FaultKind::ClockDrift,
    FaultKind::StaggeredStart,
    FaultKind::LeadershipTransfer,
    FaultKind::Overload,
    FaultKind::ClientRetry,
    FaultKind::ClientLeaves,
    FaultKind::NarrowLink,
    FaultKind::SlowLogRead,
    FaultKind::SlowPreparation,
    FaultKind::PreparationFailed,
    FaultKind::Forged,
    FaultKind::SyncedLost,
    FaultKind::OldCopy,
    FaultKind::StateGone,
    FaultKind::KillDuringSnapshot,
    FaultKind::SnapshotsLost,
    FaultKind::SnapshotFailed,
    FaultKind::PieceNotStored,
    FaultKind::DownloadDamaged,
    FaultKind::LogRotten,
];

/// How often each kind fired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultCounts {
    counts: [u64; FAULT_KINDS.len()],
}

impl Default for FaultCounts {
    fn default() -> Self {
        Self {
            counts: [0; FAULT_KINDS.len()],
        }
    }
}

/// The faults of one run, and how often each fires.
#[derive(Clone, Debug)]
pub(crate) struct FaultMix {
    /// The faults that are started at random times, with their weights.
    pub(crate) planned: Vec<(FaultKind, u32)>,
    /// The longest pause between two planned faults, in microseconds.
    pub(crate) interval_max: u64,
    /// Chances per ten thousand to be killed at each of these points.
    pub(crate) kill_before_write: u32,
    pub(crate) kill_before_synced: u32,
    pub(crate) kill_after_synced: u32,
    pub(crate) kill_between_effects: u32,
    /// Chance per ten thousand to be killed at each step of work with snapshots (R24).
    pub(crate) kill_during_snapshots: u32,
    /// Chance per ten thousand that a snapshot or a piece of one finds the disk full.
    pub(crate) full_disks: u32,
    /// Chance per ten thousand that a read of the log takes long.
    pub(crate) slow_log_reads: u32,
    /// Chances per ten thousand that a preparation takes long, or fails.
    pub(crate) slow_preparations: u32,
    pub(crate) failed_preparations: u32,
    pub(crate) network: NetworkMix,
    /// The longest time that a dead process stays dead.
    pub(crate) down_max: u64,
    /// How far clocks may be off, in 1,024ths.
    pub(crate) drift_max: u64,
    /// Nodes start within this time.
    pub(crate) start_spread: u64,
    /// When the faults end, in microseconds.
    pub(crate) fault_phase_end: u64,
}

impl FaultKind {
    /// Its name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kill => "process killed",
            Self::KillBeforeWrite => "killed before a write",
            Self::KillBeforeSynced => "killed after a write, before its completion",
            Self::KillAfterSynced => "killed after a sync, before it sent",
            Self::KillBetweenEffects => "killed between two effects",
            Self::KillDuringStart => "killed during its first write",
            Self::UnsyncedRecovered => "unsynced frames found by a restart",
            Self::UnconfirmedWriteKept => "write kept though never confirmed",
            Self::KillAll => "all processes killed",
            Self::PowerLossAll => "power loss everywhere",
            Self::PowerLoss => "power loss",
            Self::UnsyncedLost => "unsynced write lost",
            Self::Wipe => "disk wiped",
            Self::StateLost => "newest state lost",
            Self::Partition => "partition",
            Self::LeaderIsolated => "leader isolated",
            Self::OneWayPartition => "one-way partition",
            Self::BrokenConnection => "connection broken",
            Self::ConnectionRefused => "connection refused",
            Self::Loss => "message lost",
            Self::Duplicate => "message duplicated",
            Self::Late => "message late",
            Self::Pause => "process paused",
            Self::SlowDisk => "slow disk",
            Self::ClockDrift => "clock drifts",
            Self::StaggeredStart => "nodes start apart",
            Self::LeadershipTransfer => "leadership transfer",
            Self::Overload => "overload",
            Self::ClientRetry => "client retries elsewhere",
            Self::ClientLeaves => "client gives up with outcome unknown",
            Self::NarrowLink => "message delayed by bandwidth",
            Self::SlowLogRead => "slow read of the log",
            Self::SlowPreparation => "slow preparation",
            Self::PreparationFailed => "preparation failed",
            Self::Forged => "forged request",
            Self::SyncedLost => "synced transactions lost",
            Self::OldCopy => "disk replaced by an older copy",
            Self::StateGone => "whole state lost",
            Self::KillDuringSnapshot => "killed at a step of a snapshot",
            Self::SnapshotsLost => "snapshots lost or damaged",
            Self::SnapshotFailed => "snapshot not taken",
            Self::PieceNotStored => "piece not stored",
            Self::DownloadDamaged => "download damaged",
            Self::LogRotten => "log damaged in the middle",
        }
    }
}

impl FaultCounts {
    /// A fault of this kind fired.
    pub fn add(&mut self, kind: FaultKind) {
        self.counts[kind as usize] += 1;
    }

    /// How often this kind fired.
    pub fn of(&self, kind: FaultKind) -> u64 {
        self.counts[kind as usize]
    }

    /// Adds those of another run.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
    }
}

/// The planned kinds with the weight they have when they are drawn.
const PLANNED: [(FaultKind, u32); 14] = [
    (FaultKind::Kill, 20),
    (FaultKind::PowerLoss, 10),
    (FaultKind::KillAll, 1),
    (FaultKind::PowerLossAll, 1),
    (FaultKind::Wipe, 3),
    (FaultKind::Partition, 10),
    (FaultKind::LeaderIsolated, 10),
    (FaultKind::OneWayPartition, 10),
    (FaultKind::BrokenConnection, 10),
    (FaultKind::Pause, 10),
    (FaultKind::SlowDisk, 10),
    (FaultKind::LeadershipTransfer, 6),
    (FaultKind::Overload, 4),
    (FaultKind::Forged, 20),
];

impl FaultMix {
    /// Draws a mix: each kind is on or off, and rare or frequent.
    pub(crate) fn draw(random: &mut Rng) -> Self {
        let mut planned = Vec::new();
        for (kind, weight) in PLANNED {
            if random.u32(0..10) < 6 {
                planned.push((kind, weight * random.u32(1..=4)));
            }
        }
        let mut some = |most: u32| {
            if random.bool() {
                0
            } else {
                random.u32(1..=most)
            }
        };
        let (kill_before_write, kill_before_synced) = (some(100), some(100));
        let (kill_after_synced, kill_between_effects) = (some(100), some(30));
        let (loss, duplicate, late) = (some(800), some(800), some(300));
        let slow_log_reads = some(3_000);
        let (slow_preparations, failed_preparations) = (some(2_000), some(200));
        let drift_max = u64::from(some(60));
        Self {
            kill_during_snapshots: 0,
            full_disks: 0,
            planned,
            interval_max: random.u64(40_000..=600_000),
            kill_before_write,
            kill_before_synced,
            kill_after_synced,
            kill_between_effects,
            slow_log_reads,
            slow_preparations,
            failed_preparations,
            network: NetworkMix {
                delay_min: random.u64(20..=200),
                delay_max: random.u64(300..=8_000),
                loss,
                duplicate,
                late,
                late_max: random.u64(20_000..=4_000_000),
                bytes_per_second: if random.u32(0..4) == 0 {
                    random.u64(60_000..=2_000_000)
                } else {
                    0
                },
            },
            down_max: random.u64(20_000..=1_500_000),
            drift_max,
            start_spread: if random.u32(0..3) == 0 {
                random.u64(1_000..=2_000_000)
            } else {
                0
            },
            fault_phase_end: random.u64(3_000_000..=9_000_000),
        }
    }

    /// Adds the faults of nodes that take snapshots.
    pub(crate) fn add_snapshots(&mut self, random: &mut Rng) {
        let mut some = |most: u32| {
            if random.bool() {
                0
            } else {
                random.u32(1..=most)
            }
        };
        (self.kill_during_snapshots, self.full_disks) = (some(1_500), some(1_500));
        if random.u32(0..10) < 6 {
            let weight = random.u32(10..=60);
            self.planned.push((FaultKind::SnapshotsLost, weight));
        }
        if random.u32(0..10) < 6 {
            let weight = random.u32(20..=90);
            self.planned.push((FaultKind::LogRotten, weight));
        }
    }

    /// Nodes that take no snapshots lose none.
    pub(crate) fn remove_snapshots(&mut self) {
        self.planned
            .retain(|(kind, _)| !matches!(kind, FaultKind::SnapshotsLost | FaultKind::LogRotten));
    }
}
