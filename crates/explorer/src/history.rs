//! What has happened so far, and what must never happen (R3, R5, R11).

use std::collections::BTreeMap;

use chat_consensus::{Node, NodeId, Position, RoleName, StorageId, Term, Voter};

/// See the file's first line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct History {
    leaders: BTreeMap<Term, Voter>,
    /// The committed log, as far as any node has known it: the term of each entry, and that in which the
    /// first node knew that it is committed, which is its leader's.
    committed: Vec<(Term, Term)>,
}

impl History {
    /// Records what `node` shows after a step; whether that changes anything.
    ///
    /// # Errors
    ///
    /// What the protocol forbids has happened.
    pub(crate) fn record(&mut self, node: &Node) -> Result<bool, String> {
        let (id, storage) = (node.id(), node.storage());
        let mut changes = false;
        if node.role() == RoleName::Leader {
            changes |= self.record_leader(node, id, storage)?;
        }
        for index in 1..=node.commit_index().0 {
            let term = node.log().term_at(chat_consensus::LogIndex(index));
            let term = term.ok_or_else(|| format!("node {id} lacks committed entry {index}"))?;
            let place = usize::try_from(index - 1).expect("a short log");
            match self.committed.get(place) {
                Some((known, _)) if *known != term => {
                    return Err(format!(
                        "node {id} has committed {index}@{term}, and {index}@{known} was committed"
                    ));
                }
                Some(_) => {}
                None => {
                    self.committed.push((term, node.term()));
                    changes = true;
                }
            }
        }
        Ok(changes)
    }

    fn record_leader(
        &mut self,
        node: &Node,
        id: NodeId,
        storage: StorageId,
    ) -> Result<bool, String> {
        let leader = Voter { node: id, storage };
        let term = node.term();
        if let Some(first) = self.leaders.get(&term) {
            if *first != leader {
                return Err(format!("{first:?} and {leader:?} both lead term {term}"));
            }
            return Ok(false);
        }
        // One that is elected late does not know what a later term has committed.
        let earlier = self.committed.iter().enumerate();
        for (place, (known, _)) in earlier.filter(|(_, (_, committed_in))| *committed_in < term) {
            let position = Position::new(place as u64 + 1, known.0);
            if !node.log().contains(position) {
                return Err(format!(
                    "node {id} leads term {term} without {position:?}, which is committed"
                ));
            }
        }
        self.leaders.insert(term, leader);
        Ok(true)
    }
}
