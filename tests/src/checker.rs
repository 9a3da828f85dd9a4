//! What must hold after every event, one property a file, and the state of all checkers.
//!
//! The checkers know the nodes' disks, messages and answers, never a node's own opinion of what is
//! durable or committed. They check what is sent and done, not how it was decided.

pub mod agreement;
pub mod applying;
pub mod commit_quorum;
pub mod durability;
pub mod election;
pub mod history;
pub mod log_matching;
pub mod matched;
pub mod membership;
pub mod snapshots;
mod violation;
pub mod votes;

pub(crate) use violation::ensure;
pub use violation::{Checked, Violation};

/// Everything that is checked in one run.
#[derive(Debug, Default)]
pub struct Checkers {
    /// Every entry that was ever written, by position.
    pub entries: log_matching::KnownEntries,
    /// Every entry that was ever committed.
    pub committed: agreement::CommittedLog,
    /// The leader of each term.
    pub elections: election::Elections,
    /// The votes of each term.
    pub votes: votes::Votes,
    /// The memberships that were written.
    pub memberships: membership::Memberships,
    /// The operations of clients and their outcomes.
    pub history: history::History,
}
