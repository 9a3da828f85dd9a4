//! Birth: one formation, of all configured nodes, accepted once by each disk (R12).

use std::collections::BTreeMap;

use chat_consensus::{Formation, NodeId, StorageId};

use crate::checker::{Checked, ensure};

const NAME: &str = "formation";

/// Every birth that was written to any disk.
#[derive(Debug, Default)]
pub struct Formations {
    first: Option<Formation>,
    accepted: BTreeMap<StorageId, Formation>,
}

impl Formations {
    /// `node` writes `formation` to its disk; `nodes` are configured.
    ///
    /// # Errors
    ///
    /// It is not of all nodes, or not the first one.
    pub fn written(
        &mut self,
        (node, storage): (NodeId, StorageId),
        formation: &Formation,
        nodes: usize,
    ) -> Checked {
        let named = formation.voters.len();
        ensure(named == nodes, NAME, || {
            format!("node {node} accepts a cluster of {named} voters of {nodes} nodes")
        })?;
        let accepted = self.accepted.entry(storage).or_insert(formation.clone());
        ensure(accepted == formation, NAME, || {
            format!("node {node} accepts a second formation on one disk")
        })?;
        let first = self.first.get_or_insert_with(|| formation.clone());
        ensure(first == formation, NAME, || {
            format!("a second cluster {formation:?} is formed beside {first:?}")
        })
    }

    /// The birth, once somebody wrote it.
    pub fn first(&self) -> Option<&Formation> {
        self.first.as_ref()
    }
}
