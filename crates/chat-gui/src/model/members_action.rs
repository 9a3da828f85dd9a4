//! Changes of the members of a local cluster that are requested from this window: what they are, and
//! how far they are. Deliberately absent: what prevents them, which is `obstacle`'s, and carrying them out.

use crate::model::names::NodeId;

/// A change of the members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MembersAction {
    /// One more node is started, and joins.
    Add,
    /// A node leaves, and its data is deleted.
    Remove(NodeId),
}

/// How far a change is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MembersStep {
    /// The process of a new node is being started.
    Starting,
    /// The new node runs; it is proposed as a member.
    Joining(NodeId),
    /// It is a learner, and is to become a voter.
    CatchingUp(NodeId),
    /// The removal of a node is proposed.
    Leaving(NodeId),
    /// It left; its process is stopped and its data deleted.
    Deleting(NodeId),
}

/// What the backend reports about a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MembersReport {
    /// It has come so far.
    Step(MembersStep),
    /// It is done: a sentence about the result.
    Completed(String),
}

impl MembersAction {
    /// What is done, as an imperative without a full stop.
    pub fn sentence(self) -> String {
        match self {
            Self::Add => "add a node".to_owned(),
            Self::Remove(node) => format!("remove node {} from the cluster", node.0),
        }
    }

    /// Where it begins.
    pub fn first_step(self) -> MembersStep {
        match self {
            Self::Add => MembersStep::Starting,
            Self::Remove(node) => MembersStep::Leaving(node),
        }
    }
}

impl MembersStep {
    /// The node that it is about, once that has a number.
    pub fn node(self) -> Option<NodeId> {
        match self {
            Self::Starting => None,
            Self::Joining(node)
            | Self::CatchingUp(node)
            | Self::Leaving(node)
            | Self::Deleting(node) => Some(node),
        }
    }

    /// What is happening.
    pub fn sentence(self) -> String {
        match self {
            Self::Starting => "A new node is started…".to_owned(),
            Self::Joining(node) => format!("Node {} is added to the members…", node.0),
            Self::CatchingUp(node) => format!("Node {} receives all messages…", node.0),
            Self::Leaving(node) => format!("Node {} is removed from the members…", node.0),
            Self::Deleting(node) => {
                format!("Node {} left; its data is deleted…", node.0)
            }
        }
    }
}
