//! The ways in which a leader is lost or replaced, and how long a cluster took to recover: measured in
//! every run, and bounded over all of them.

/// The ways to lose or replace a leader that a run tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FailOverKind {
    /// Its process is killed and its port is closed; until another leads.
    Killed,
    /// It is isolated; until another leads and it has stepped down.
    Isolated,
    /// It transfers leadership; from its stepping down until the successor leads.
    Transferred,
    /// Its sync does not end; until another leads and it has stepped down.
    StuckDisk,
    /// It receives messages, and all that it sends is lost; until it has stepped down.
    OutboundLost,
    /// Power loss on all machines; from the start of all until one leads.
    PowerLostEverywhere,
}

/// One measured fail-over.
#[derive(Clone, Copy, Debug)]
pub struct FailOver {
    /// How the leader was lost or replaced.
    pub kind: FailOverKind,
    /// How long it took, in microseconds of virtual time.
    pub micros: u64,
    /// The seed's election timeout, in microseconds.
    pub election_timeout: u64,
}

/// All kinds, in the order of the table.
pub const FAIL_OVER_KINDS: [FailOverKind; 6] = [
    FailOverKind::Killed,
    FailOverKind::Isolated,
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
            Self::Isolated => "isolated",
            Self::Transferred => "leadership transferred",
            Self::StuckDisk => "disk stuck",
            Self::OutboundLost => "outbound messages lost",
            Self::PowerLostEverywhere => "power loss everywhere",
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
    /// In the simulated network a message takes up to 1 ms and a sync up to 2 ms. An isolated leader
    /// is replaced when the first of the others' election timers fires, in [T, 1.5 T] since their last
    /// contact, and steps down 1.5 T after its last contact. A stuck one steps down 2 T after its write began,
    /// and the others wait up to 100 ms for a successor, which is two thirds of the shortest T.
    pub fn slowest_of_a_hundred(self) -> u64 {
        match self {
            Self::Killed => 35_000,
            Self::Transferred => 15_000,
            Self::Isolated => 1_650,
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
