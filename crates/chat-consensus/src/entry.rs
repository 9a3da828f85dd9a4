//! What the log holds, what else must survive a crash, and what a start finds again.
//!
//! How it is stored is the store's business; this is the part that the protocol means.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::types::{ClusterId, LogIndex, NodeId, Position, StorageId, Term, Voter};

/// One place of the log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// Where it stands, and the term that put it there.
    pub position: Position,
    /// What it says.
    pub payload: Payload,
}

/// What an entry says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Payload {
    /// Nothing: with this a leader begins its term (R3).
    Empty,
    /// The birth of the cluster: always the entry at index 1, and only there (R12).
    Membership(Membership),
    /// What the state machine applies; opaque here.
    Command(Bytes),
}

/// Who the cluster is: its name and its voters (R12).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Membership {
    /// The cluster's name.
    pub cluster: ClusterId,
    /// Who counts in quorums, in ascending order of node; at least one, one per node.
    pub voters: Vec<Voter>,
}

/// The term, the vote and what the disk must get back: durable before any message that shows them
/// (R1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct HardState {
    /// The highest term seen.
    pub term: Term,
    /// For whom this node voted in that term.
    pub vote: Option<Voter>,
    /// This disk lost entries that it had acknowledged: until it holds a leader's log through this
    /// index, the node neither votes nor stands nor counts (R18). [`LogIndex::ZERO`] when nothing
    /// was lost.
    pub repair_through: LogIndex,
}

/// Consecutive entries of one term.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TermRun {
    /// The term of all of them.
    pub term: Term,
    /// The place of the first; the span ends before the next span, or with the log.
    pub first: LogIndex,
}

/// What a start finds on the disk.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Stored {
    /// The disk's random name; made by the store when the disk was empty.
    pub storage: StorageId,
    /// How often this disk had been started before; this start is one more (R4).
    pub boot_count: u64,
    /// Term and vote.
    pub hard_state: HardState,
    /// The entry at index 1, if there is one.
    pub membership: Option<Membership>,
    /// The last entry; [`Position::ZERO`] for an empty log.
    pub last: Position,
    /// The terms of the whole log, ascending; empty for an empty log.
    pub terms: Vec<TermRun>,
}

impl Stored {
    /// A disk on which nothing was ever written.
    pub fn empty(storage: StorageId) -> Self {
        Self {
            storage,
            boot_count: 0,
            hard_state: HardState::default(),
            membership: None,
            last: Position::ZERO,
            terms: Vec::new(),
        }
    }
}

impl Membership {
    /// Whether `node` on the disk `storage` counts in quorums.
    pub fn admits(&self, node: NodeId, storage: StorageId) -> bool {
        self.voters.contains(&Voter { node, storage })
    }

    /// How many of the voters make a majority.
    pub fn majority(&self) -> usize {
        self.voters.len() / 2 + 1
    }

    /// Whether it keeps what its fields promise; a peer or a disk may have sent anything.
    pub fn is_valid(&self) -> bool {
        !self.voters.is_empty()
            && self
                .voters
                .windows(2)
                .all(|pair| pair[0].node < pair[1].node)
    }
}

impl Entry {
    /// How many bytes of payload it carries.
    pub fn size(&self) -> usize {
        match &self.payload {
            Payload::Empty => 0,
            Payload::Membership(membership) => 16 + 24 * membership.voters.len(),
            Payload::Command(command) => command.len(),
        }
    }
}
