//! What a node reports about itself and others, for people.

use crate::types::{LogIndex, NodeId, Time};

/// A role's name, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RoleName {
    /// Belongs to no cluster yet.
    Uninitialized,
    /// Fetches, and neither votes nor counts (R12).
    Learner,
    /// Left the cluster, or did not join it yet (R19).
    Removed,
    /// Fetches from a leader, or waits for one.
    Follower,
    /// Finds out whether an election could be won (R7).
    PreCandidate,
    /// Requests votes in a new term (R5).
    Candidate,
    /// Leads.
    Leader,
}

impl RoleName {
    /// The role as people and `cluster.v1` spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Uninitialized => "uninitialized",
            Self::Learner => "learner",
            Self::Removed => "removed",
            Self::Follower => "follower",
            Self::PreCandidate => "pre-candidate",
            Self::Candidate => "candidate",
            Self::Leader => "leader",
        }
    }
}

/// What a leader knows of another node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FollowerStatus {
    /// The node.
    pub node: NodeId,
    /// Whether it counts in quorums with the disk it showed last: the base names it (R12), and it
    /// holds what it acknowledged (R18).
    pub voter: bool,
    /// Its disk lost what it had acknowledged, and must hold the log through here (R18); 0 if not.
    pub repair_through: LogIndex,
    /// The highest index it is known to hold.
    pub match_index: LogIndex,
    /// Its last valid fetch.
    pub last_fetch: Option<Time>,
    /// The last progress of its voter's disk in this term (R10), or the beginning of the term.
    pub progressed_at: Time,
}
