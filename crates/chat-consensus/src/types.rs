//! The numbers of the protocol, each with its own type.
//!
//! Time and randomness come in from outside; nothing here reads a clock.

use core::fmt;
use core::time::Duration;

/// A configured node: the number under which its address is found. Never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u64);

/// The random id of one disk's contents. A wiped disk comes back with another one (R12).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StorageId(pub u128);

/// The id of one cluster, fixed by its first log entry (R12).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterId(pub u128);

/// An election's number. At most one node leads a term (R5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term(pub u64);

/// A place in the log, counted from 1; 0 is before the first entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogIndex(pub u64);

/// A place in the log and the term of the entry there, which together name one entry (R5).
///
/// Ordered by term, then index: the greater position is the more up-to-date log.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The term in which the entry was first appended.
    pub term: Term,
    /// Its place.
    pub index: LogIndex,
}

/// A checksum of one entry, and an id of the whole log up to it: two nodes of one cluster with equal
/// values at one index have the same entries up to that index.
///
/// The first 16 bytes of a SHA-256: enough to detect every accidental change.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChainValue(pub [u8; 16]);

/// A node that counts in quorums, together with the disk it was admitted with (R12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Voter {
    /// The node.
    pub node: NodeId,
    /// Its disk.
    pub storage: StorageId,
}

/// The number of a block of a disk's log, counted up by the log for as long as its storage id lives
/// (R18). [`BlockNumber::UNKNOWN`] for a log without blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockNumber(pub u64);

/// Microseconds since some fixed moment of this run, by a clock that never runs backwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

/// Identifies a request among all that a node ever made, so that a reply can be matched to it (R4).
///
/// Within one run a greater one was made later. Runs are ordered by [`RunId::counter`] alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId {
    /// The run of the node that sends the request.
    pub start: RunId,
    /// Counts up within that run.
    pub number: u64,
}

/// The greatest block number that is accepted from a peer.
pub const BLOCK_NUMBER_MAX: BlockNumber = BlockNumber(1 << 62);

/// One run of a node: the boot count of its disk and 32 random bits (R4).
///
/// The boot count orders the runs of one disk. The random bits only distinguish runs whose boot
/// counts are equal: those of a wiped disk, and those of a disk that was rolled back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(pub u64);

/// How many of the bits of a [`RunId`] are random.
const RUN_RANDOM_BITS: u32 = 32;

/// What a boot count may be at most: more than 2,000 million starts.
pub const BOOT_COUNT_MAX: u64 = (1 << 31) - 1;

/// The greatest term that is accepted from a disk or a peer. An election a millisecond needs
/// 8,900 years to get there; a forged one must not come near the end of the numbers.
pub const TERM_MAX: Term = Term(1 << 48);

/// The greatest index that is accepted from a disk or a peer.
pub const LOG_INDEX_MAX: LogIndex = LogIndex(1 << 62);

impl RunId {
    /// The run with this boot count, distinguished from others with the same by `random`.
    ///
    /// # Panics
    ///
    /// If `counter` is above [`BOOT_COUNT_MAX`].
    pub fn new(counter: u64, random: u32) -> Self {
        assert!(counter <= BOOT_COUNT_MAX, "a disk was started too often");
        Self(counter << RUN_RANDOM_BITS | u64::from(random))
    }

    /// The boot count of the disk in this run.
    pub fn counter(self) -> u64 {
        self.0 >> RUN_RANDOM_BITS
    }
}

impl Term {
    /// The term after this one.
    ///
    /// # Panics
    ///
    /// After the last number. Terms from outside are at most [`TERM_MAX`].
    pub fn next(self) -> Self {
        Self(
            self.0
                .checked_add(1)
                .expect("terms are bounded where they come in"),
        )
    }
}

impl LogIndex {
    /// Before the first entry.
    pub const ZERO: Self = Self(0);

    /// The place after this one.
    ///
    /// # Panics
    ///
    /// After the last number. Indices from outside are at most [`LOG_INDEX_MAX`].
    pub fn next(self) -> Self {
        Self(
            self.0
                .checked_add(1)
                .expect("indices are bounded where they come in"),
        )
    }
}

impl BlockNumber {
    /// No block, or none that is known: shows nothing about a disk.
    pub const UNKNOWN: Self = Self(0);
}

impl Position {
    /// Before the first entry.
    pub const ZERO: Self = Self {
        term: Term(0),
        index: LogIndex(0),
    };

    /// The position `index` of `term`.
    pub fn new(index: u64, term: u64) -> Self {
        Self {
            term: Term(term),
            index: LogIndex(index),
        }
    }
}

impl Time {
    /// Later than anything that happens.
    pub const NEVER: Self = Self(u64::MAX);

    /// How long after `earlier` this is; zero when it is not after.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl core::ops::Add<Duration> for Time {
    type Output = Self;

    fn add(self, after: Duration) -> Self {
        let micros = u64::try_from(after.as_micros()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(micros))
    }
}

impl fmt::Debug for ChainValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for StorageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.index.0, self.term.0)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for BlockNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for LogIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
