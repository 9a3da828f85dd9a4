//! The faults that this window can cause in a local cluster, and what the supervisor of that
//! cluster reports about its processes. Deliberately absent: how the supervisor is called.

use std::collections::BTreeMap;

use crate::model::members_action::MembersStep;
use crate::model::names::NodeId;

/// What can be done to a local cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chaos {
    /// What its supervisor reports about the processes.
    pub processes: BTreeMap<NodeId, Process>,
    /// The action that was requested and has not been answered yet.
    pub busy: Option<FaultAction>,
    /// How far the change of the members is that is under way.
    pub members: Option<MembersStep>,
    /// The last answer: the supervisor's in its own words, or what became of a change of the members.
    pub answer: Option<String>,
}

/// What the supervisor reports about one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Where clients reach it.
    pub address: String,
    /// Whether it runs.
    pub condition: ProcessCondition,
    /// Whether it is isolated from the other nodes.
    pub isolated: bool,
}

/// Whether a process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessCondition {
    /// It does.
    Running,
    /// It is frozen.
    Paused,
    /// It does not.
    Down,
}

/// A fault that is caused in a local cluster, or undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultAction {
    /// End a node at once.
    Kill(NodeId),
    /// Freeze a node.
    Pause(NodeId),
    /// Let a frozen node go on.
    Resume(NodeId),
    /// Start a node, after stopping it if it runs.
    Restart(NodeId),
    /// Drop all messages between a node and the others.
    Isolate(NodeId),
    /// Reconnect a node.
    Reconnect(NodeId),
    /// Reconnect all nodes.
    ReconnectAll,
    /// Start every node that is down.
    StartDead,
}

impl FaultAction {
    /// What is done, as an imperative without a full stop.
    pub fn sentence(self) -> String {
        match self {
            Self::Kill(node) => format!("kill node {}", node.0),
            Self::Pause(node) => format!("pause node {}", node.0),
            Self::Resume(node) => format!("resume node {}", node.0),
            Self::Restart(node) => format!("restart node {}", node.0),
            Self::Isolate(node) => format!("isolate node {}", node.0),
            Self::Reconnect(node) => format!("reconnect node {}", node.0),
            Self::ReconnectAll => "reconnect all nodes".to_owned(),
            Self::StartDead => "start every node that is down".to_owned(),
        }
    }
}
