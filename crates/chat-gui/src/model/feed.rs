//! What happened to the cluster, in plain words.

use std::time::Duration;

use crate::model::chaos::FaultAction;
use crate::model::members_action::MembersAction;
use crate::model::names::{NodeId, Term};
use crate::model::time::{Now, duration_words};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct FeedEntry {
    /// Counts the entries; ticks of the timeline refer to it.
    pub number: u64,
    /// When it was noticed.
    pub at: Now,
    /// What it was.
    pub event: FeedEvent,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FeedEvent {
    /// A node answers for the first time, or again.
    NodeBack(NodeId),
    /// A node no longer answers.
    NodeLost(NodeId),
    /// A node has been restarted: it runs for a shorter time than before.
    NodeRestarted(NodeId),
    /// A node reports a storage problem.
    StorageTrouble(NodeId, String),
    /// The leader is gone.
    LeaderLost(NodeId, Term),
    /// A node campaigns.
    Candidate(NodeId, Term),
    /// A node leads.
    Elected(NodeId, Term),
    /// Messages can be sent again, after so long.
    SendingAgain(Duration),
    /// A fault was caused, or undone, from this window.
    FaultAction(FaultAction),
    /// A change of the members was requested from this window.
    MembersAction(MembersAction),
}

impl FeedEvent {
    /// The sentence that is shown for it.
    pub fn sentence(&self) -> String {
        match self {
            Self::NodeBack(node) => format!("Node {} answers.", node.0),
            Self::NodeLost(node) => format!("Node {} no longer answers.", node.0),
            Self::NodeRestarted(node) => format!("Node {} has been restarted.", node.0),
            Self::StorageTrouble(node, what) => {
                format!("Node {} reports a storage problem: {what}.", node.0)
            }
            Self::LeaderLost(node, term) => {
                format!("Node {}, leader of term {term}, is lost.", node.0)
            }
            Self::Candidate(node, term) => {
                format!("Node {} starts an election in term {term}.", node.0)
            }
            Self::Elected(node, term) => format!("Node {} leads in term {term}.", node.0),
            Self::SendingAgain(outage) => {
                let outage = duration_words(*outage);
                format!("Messages can be sent again, after {outage}.")
            }
            Self::FaultAction(action) => format!("You: {}.", action.sentence()),
            Self::MembersAction(action) => format!("You: {}.", action.sentence()),
        }
    }
}
