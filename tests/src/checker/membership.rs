//! Bootstrap: one cluster, of all configured nodes, and each disk belongs to one at most (R12).
//!
//! A node that is wiped before any other node has its base may bootstrap again: its first cluster never
//! had a leader. So a cluster counts once a second disk has its base.

use std::collections::{BTreeMap, BTreeSet};

use chat_consensus::{ClusterId, Membership, NodeId, StorageId};

use crate::checker::{Checked, ensure};

const NAME: &str = "membership";

/// The membership of every base that was written to any disk.
#[derive(Debug, Default)]
pub struct Memberships {
    newest: Option<Membership>,
    established: Option<Membership>,
    accepted: BTreeMap<StorageId, Membership>,
    disks: BTreeMap<ClusterId, BTreeSet<StorageId>>,
}

impl Memberships {
    /// `node` writes `membership` to its disk; `nodes` are configured.
    ///
    /// # Errors
    ///
    /// It is not of all nodes, or a second one of this disk, or of the cluster.
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
        let disks = self.disks.entry(membership.cluster).or_default();
        if disks.insert(storage) {
            self.newest = Some(membership.clone());
        }
        if disks.len() < nodes.min(2) {
            return Ok(());
        }
        let first = self.established.get_or_insert_with(|| membership.clone());
        ensure(first == membership, NAME, || {
            format!("a second cluster {membership:?} is formed beside {first:?}")
        })
    }

    /// The membership of the cluster, or while no cluster counts, the newest that was written.
    pub fn known(&self) -> Option<&Membership> {
        self.established.as_ref().or(self.newest.as_ref())
    }
}
