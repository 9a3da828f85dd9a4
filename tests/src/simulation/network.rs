//! The network between the nodes: which links work, how long a message takes, what is lost.

use std::collections::BTreeMap;

use fastrand::Rng;

/// How the network treats messages. Chances are per ten thousand.
#[derive(Clone, Copy, Debug)]
pub struct NetworkMix {
    /// The shortest way takes this many microseconds.
    pub delay_min: u64,
    /// The longest ordinary one.
    pub delay_max: u64,
    /// A message is lost.
    pub loss: u32,
    /// A message arrives twice.
    pub duplicate: u32,
    /// A message takes up to `late_max` instead.
    pub late: u32,
    /// The longest delay of a late message, in microseconds.
    pub late_max: u64,
    /// The bandwidth of each direction of each link; 0 is no limit.
    pub bytes_per_second: u64,
}

/// The links between nodes, each direction separately.
#[derive(Debug)]
pub(crate) struct Network {
    nodes: usize,
    /// For each direction, the partition that blocks it; 0 is none. A heal names the partition that it
    /// ends.
    partitions: Vec<u64>,
    partitions_made: u64,
    /// How often the connection of each direction broke: what was on its way is lost.
    connections: Vec<u32>,
    /// Until when each direction is busy with what was sent before, in microseconds.
    busy_until: Vec<u64>,
    pub(crate) mix: NetworkMix,
    /// Links with a fixed delay, in microseconds (scenarios only).
    pub(crate) slow: BTreeMap<(usize, usize), u64>,
}

/// A link whose queue takes longer than this drops further messages, in microseconds.
const LINK_QUEUE_MAX: u64 = 2_000_000;

/// The connection number of a message that arrives however late.
pub(crate) const ANY_CONNECTION: u32 = u32::MAX;

/// One copy of a message on its way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Copy {
    pub(crate) delay: u64,
    pub(crate) connection: u32,
    pub(crate) fate: Fate,
}

/// What the network did to a copy, for the count of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Ordinary,
    Duplicated,
    Late,
}

impl NetworkMix {
    /// A network without faults, in which a message takes a millisecond at most.
    pub fn faultless() -> Self {
        Self {
            delay_min: 50,
            delay_max: 1_000,
            loss: 0,
            duplicate: 0,
            late: 0,
            late_max: 0,
            bytes_per_second: 0,
        }
    }

    /// A network for scenarios: every message takes one millisecond.
    pub fn even() -> Self {
        Self {
            delay_min: 1_000,
            delay_max: 1_000,
            ..Self::faultless()
        }
    }
}

impl Network {
    pub(crate) fn new(nodes: usize, mix: NetworkMix) -> Self {
        Self {
            nodes,
            partitions: vec![0; nodes * nodes],
            partitions_made: 0,
            connections: vec![0; nodes * nodes],
            busy_until: vec![0; nodes * nodes],
            mix,
            slow: BTreeMap::new(),
        }
    }

    pub(crate) fn reaches(&self, from: usize, to: usize) -> bool {
        self.partitions[from * self.nodes + to] == 0
    }

    /// Blocks one direction and returns the number of this partition.
    pub(crate) fn partition(&mut self, from: usize, to: usize) -> u64 {
        self.partitions_made += 1;
        self.partitions[from * self.nodes + to] = self.partitions_made;
        self.partitions_made
    }

    pub(crate) fn heal(&mut self, from: usize, to: usize, partition: u64) {
        let link = &mut self.partitions[from * self.nodes + to];
        if *link == partition {
            *link = 0;
        }
    }

    pub(crate) fn heal_all(&mut self) {
        self.partitions.fill(0);
    }

    /// Whether both directions work, so that a closed port can be found.
    pub(crate) fn connects(&self, one: usize, other: usize) -> bool {
        self.reaches(one, other) && self.reaches(other, one)
    }

    /// The connection between two nodes breaks: messages under way on it are lost.
    pub(crate) fn break_connection(&mut self, one: usize, other: usize) {
        self.connections[one * self.nodes + other] += 1;
        self.connections[other * self.nodes + one] += 1;
    }

    pub(crate) fn is_open(&self, from: usize, to: usize, connection: u32) -> bool {
        connection == ANY_CONNECTION || self.connections[from * self.nodes + to] == connection
    }

    /// How long one ordinary way takes.
    pub(crate) fn delay(&self, random: &mut Rng) -> u64 {
        random.u64(self.mix.delay_min..=self.mix.delay_max)
    }

    /// How long `bytes` are queued behind earlier messages of that link and then take; `None` when the
    /// queue is so long that the link drops them.
    pub(crate) fn carry(
        &mut self,
        (from, to): (usize, usize),
        bytes: u64,
        now: u64,
    ) -> Option<u64> {
        let rate = self.mix.bytes_per_second;
        if rate == 0 {
            return Some(0);
        }
        let busy = &mut self.busy_until[from * self.nodes + to];
        let begins = (*busy).max(now);
        if begins - now > LINK_QUEUE_MAX {
            return None;
        }
        *busy = begins + bytes * 1_000_000 / rate;
        Some(*busy - now)
    }

    /// The copies of a message that are delivered; none when it is lost.
    pub(crate) fn copies(
        &self,
        from: usize,
        to: usize,
        may_double: bool,
        random: &mut Rng,
    ) -> [Option<Copy>; 2] {
        let chance = |random: &mut Rng, per_ten_thousand| {
            per_ten_thousand > 0 && random.u32(0..10_000) < per_ten_thousand
        };
        if !self.reaches(from, to) || chance(random, self.mix.loss) {
            return [None, None];
        }
        let connection = self.connections[from * self.nodes + to];
        let mut first = Copy {
            delay: self.delay(random),
            connection,
            fate: Fate::Ordinary,
        };
        if let Some(delay) = self.slow.get(&(from, to)) {
            first.delay = *delay;
        }
        if chance(random, self.mix.late) {
            first.delay += random.u64(0..=self.mix.late_max);
            first.connection = ANY_CONNECTION;
            first.fate = Fate::Late;
        }
        let second = (may_double && chance(random, self.mix.duplicate)).then(|| Copy {
            delay: self.delay(random) + random.u64(0..=self.mix.delay_max * 4),
            connection: ANY_CONNECTION,
            fate: Fate::Duplicated,
        });
        [Some(first), second]
    }
}
