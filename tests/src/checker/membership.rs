//! Bootstrap: one membership, of all configured nodes, accepted once by each disk (R12).

use std::collections::BTreeMap;

use chat_consensus::{Membership, NodeId, StorageId};

use crate::checker::{Checked, ensure};

const NAME: &str = "membership";

/// Every membership that was written to any disk.
#[derive(Debug, Default)]
pub struct Memberships {
    first: Option<Membership>,
    accepted: BTreeMap<StorageId, Membership>,
}

impl Memberships {
    /// `node` writes `membership` to its disk; `nodes` are configured.
    ///
    /// # Errors
    ///
    /// It is not of all nodes, or not the first one.
    pub fn written(
        &mut self,
        (node, storage): (NodeId, StorageId),
        membership: &Membership,
        nodes: usize,
    ) -> Checked {
        let named = membership.voters.len();
        ensure(named == nodes, NAME, || {
            format!("node {node} accepts a cluster of {named} voters of {nodes} nodes")
        })?;
        let accepted = self.accepted.entry(storage).or_insert(membership.clone());
        ensure(accepted == membership, NAME, || {
            format!("node {node} accepts a second membership on one disk")
        })?;
        let first = self.first.get_or_insert_with(|| membership.clone());
        ensure(first == membership, NAME, || {
            format!("a second cluster {membership:?} is formed beside {first:?}")
        })
    }

    /// The membership of the cluster, once any node has written it.
    pub fn first(&self) -> Option<&Membership> {
        self.first.as_ref()
    }
}
