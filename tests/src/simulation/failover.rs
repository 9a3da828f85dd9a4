//! How a leader may end, and how long a cluster took to get over it: measured in every run, and
//! bounded over all of them.

/// The ends of a leader that a run tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FailOverKind {
    /// Its process is killed and its port is closed; until another leads.
    Killed,
    /// It is cut off from everybody; until another leads and it has resigned.
    Silent,
    /// It hands over; from its resignation until the successor leads.
    Transferred,
    /// Its sync does not end; until another leads and it has resigned.
    StuckDisk,
    /// It hears everybody and reaches nobody; until it has resigned.
    OutboundLost,
    /// The power goes everywhere; from the start of all until one leads.
    PowerLostEverywhere,
}

/// One end that a cluster got over.
#[derive(Clone, Copy, Debug)]
pub struct FailOver {
    /// How the leader ended.
    pub kind: FailOverKind,
    /// How long it took, in microseconds of virtual time.
    pub micros: u64,
    /// The seed's election timeout, in microseconds.
    pub election_timeout: u64,
}

/// All kinds, in the order of the table.
pub const FAIL_OVER_KINDS: [FailOverKind; 6] = [
    FailOverKind::Killed,
    FailOverKind::Silent,
    FailOverKind::Transferred,
    FailOverKind::StuckDisk,
    FailOverKind::OutboundLost,
    FailOverKind::PowerLostEverywhere,
];

impl FailOverKind {
    /// Its name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Killed => "killed",
            Self::Silent => "silent",
            Self::Transferred => "hands over",
            Self::StuckDisk => "disk stuck",
            Self::OutboundLost => "unheard",
            Self::PowerLostEverywhere => "power gone everywhere",
        }
    }

    /// Whether it takes timers, so that it is counted in election timeouts, or only messages and
    /// syncs, so that it is counted in microseconds.
    pub fn is_timed_out(self) -> bool {
        !matches!(self, Self::Killed | Self::Transferred)
    }

    /// What the slowest of a hundred may take: in microseconds, or in thousandths of an election
    /// timeout. All are a little above what some thousand runs have shown.
    ///
    /// In the simulated network a message takes up to 1 ms and a sync up to 2 ms. A silent leader
    /// is replaced by the first of the others' timers, in [T, 1.5 T] since they last heard of it,
    /// and resigns itself 1.5 T after its contact. A stuck one resigns 2 T after its write began,
    /// and the others wait up to 100 ms for a successor, which is two thirds of the shortest T.
    pub fn slowest_of_a_hundred(self) -> u64 {
        match self {
            Self::Killed => 35_000,
            Self::Transferred => 15_000,
            Self::Silent => 1_650,
            Self::StuckDisk => 3_000,
            Self::OutboundLost => 1_650,
            Self::PowerLostEverywhere => 1_650,
        }
    }
}

impl FailOver {
    /// The time in the measure of its kind.
    pub fn measure(&self) -> u64 {
        if self.kind.is_timed_out() {
            self.micros * 1_000 / self.election_timeout
        } else {
            self.micros
        }
    }
}
