//! Which nodes have answered that they are uninitialized (R12).

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::node::context::NodeContext;
use crate::types::{NodeId, StorageId, Time};

/// What the lowest configured node has while it is uninitialized.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Bootstrap {
    /// The nodes that have answered that they are uninitialized, with their disks.
    pub(super) answers: BTreeMap<NodeId, StorageId>,
    /// When the nodes that have not answered are probed (again).
    pub(super) probe_at: Time,
}

impl Bootstrap {
    /// What an uninitialized node begins with: only the lowest configured node probes.
    pub(super) fn prepare(context: &NodeContext) -> Option<Self> {
        let is_lowest = context.config.configured.first() == Some(&context.id());
        is_lowest.then(|| Self {
            answers: BTreeMap::new(),
            probe_at: context.now,
        })
    }

    /// The nodes that have not answered that they are uninitialized.
    pub(super) fn awaits(&self, context: &NodeContext) -> Vec<NodeId> {
        let others = context.other_nodes().into_iter();
        others
            .filter(|node| !self.answers.contains_key(node))
            .collect()
    }
}
