//! Which nodes have answered that they are uninitialized (R12).

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::node::context::NodeContext;
use crate::types::{NodeId, RequestId, StorageId, Time};

/// What the lowest configured node has while it is uninitialized.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Bootstrap {
    /// When each probe was sent. Only the replies to these count, so that none describes a disk that
    /// was replaced since: the oldest is as old as an election timeout.
    pub(super) probes: BTreeMap<RequestId, Time>,
    /// The nodes that have answered that they are uninitialized, each with its disk and when it was
    /// asked.
    pub(super) answers: BTreeMap<NodeId, (StorageId, Time)>,
    /// When all are probed again.
    pub(super) probe_at: Time,
}

impl Bootstrap {
    /// What an uninitialized node begins with: only the lowest configured node probes, if it may.
    pub(super) fn prepare(context: &NodeContext) -> Option<Self> {
        let is_lowest = context.config.configured.first() == Some(&context.id());
        (is_lowest && context.config.may_bootstrap).then(|| Self {
            probes: BTreeMap::new(),
            answers: BTreeMap::new(),
            probe_at: context.now,
        })
    }

    /// Forgets probes that were sent more than an election timeout ago, and the answers to them.
    pub(super) fn forget_old(&mut self, context: &NodeContext) {
        let timeout = context.config.timing.election_timeout;
        let recent = |sent: Time| context.now.since(sent) <= timeout;
        self.probes.retain(|_, sent| recent(*sent));
        self.answers.retain(|_, (_, sent)| recent(*sent));
    }

    /// The nodes that have not answered within an election timeout that they are uninitialized.
    pub(super) fn awaits(&self, context: &NodeContext) -> Vec<NodeId> {
        let others = context.other_nodes().into_iter();
        others
            .filter(|node| !self.answers.contains_key(node))
            .collect()
    }
}
