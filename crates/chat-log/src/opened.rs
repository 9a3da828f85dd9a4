//! How a log is opened, and what opening it found.

use chat_consensus::{ChainValue, LogIndex, NodeId, StorageId, Stored};

use crate::hole::Hole;

/// How a log is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// A segment that has this many bytes is followed by a new one.
    pub segment_bytes: u64,
    /// The node that the log belongs to for ever.
    pub node: NodeId,
    /// The storage id of a log that is made; random without one. For a log that is converted.
    pub storage: Option<StorageId>,
}

/// What opening a log found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// What the protocol starts from. All of it is synced. A log with a hole begins behind it here.
    pub stored: Stored,
    /// The chain value after the last entry; 16 zero bytes for a log without a base.
    pub chain: ChainValue,
    /// The directory of the current state, if [`SegmentLog::set_state_directory`] named one.
    ///
    /// [`SegmentLog::set_state_directory`]: crate::SegmentLog::set_state_directory
    pub state_directory: Option<String>,
    /// Entries that are damaged or missing although the log goes on after them. With a hole the node
    /// keeps its id and vote; nothing reads what is in it, and [`SegmentLog::compact`] removes it.
    ///
    /// [`SegmentLog::compact`]: crate::SegmentLog::compact
    pub hole: Option<Hole>,
    /// Why the disk has a new storage id: the mark of an amnesia in this start or an earlier one,
    /// until [`SegmentLog::clear_amnesia`].
    ///
    /// [`SegmentLog::clear_amnesia`]: crate::SegmentLog::clear_amnesia
    pub amnesia: Option<String>,
    /// What this start found damaged or missing.
    pub findings: Vec<Finding>,
}

/// Something that a start found and dealt with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The last block was not written completely, so nothing that it held was acknowledged. It is
    /// written over.
    TornTail {
        /// The segment file.
        segment: String,
        /// Where the invalid bytes begin.
        offset: u64,
    },
    /// Entries are damaged or missing although valid ones follow. Alone it is [`Opened::hole`]; beside
    /// [`Finding::Amnesia`] the log ends before them.
    Hole {
        /// The first index that may be damaged.
        from: LogIndex,
        /// The last one.
        through: LogIndex,
    },
    /// One of the two slots of `node` was invalid; the other is whole.
    BadSlot {
        /// 0 or 1.
        slot: u64,
    },
    /// The disk lost what it had acknowledged, so it has a new storage id (R18).
    Amnesia {
        /// How that is known.
        why: String,
    },
    /// A damaged segment file got another name, which nothing reads.
    SetAside {
        /// Its new name.
        name: String,
    },
}

impl Options {
    /// The options of `node`, with segments of 64 MiB.
    pub fn new(node: NodeId) -> Self {
        Self {
            segment_bytes: 64 << 20,
            node,
            storage: None,
        }
    }
}
