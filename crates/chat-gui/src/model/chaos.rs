//! The faults that this window can cause in a local cluster, and what the supervisor of that cluster
//! reports about its processes. Deliberately absent: how the supervisor is called.

use std::collections::BTreeMap;

use crate::model::names::NodeId;

/// What can be done to a local cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chaos {
    /// What its supervisor says of the processes.
    pub processes: BTreeMap<NodeId, Process>,
    /// What it was asked to do and has not answered yet.
    pub busy: Option<FaultAction>,
    /// What it answered last; the sentence is its own.
    pub answer: Option<String>,
}

/// What the supervisor says of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// Whether it runs.
    pub condition: ProcessCondition,
    /// Whether it is cut off from the others.
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

/// Something that is done to a local cluster.
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
    /// Swallow everything between a node and the others.
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
            Self::Isolate(node) => format!("cut off node {}", node.0),
            Self::Reconnect(node) => format!("reconnect node {}", node.0),
            Self::ReconnectAll => "reconnect all nodes".to_owned(),
            Self::StartDead => "start every node that is down".to_owned(),
        }
    }
}
