//! What has happened so far, and what must never happen (R3, R5, R11).

use std::collections::BTreeMap;

use chat_consensus::{LogIndex, Node, Position, RoleName, Term, Voter};

/// See the file's first line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct History {
    leaders: BTreeMap<Term, Voter>,
    /// The committed log, as far as any node has known it: the term of each entry, and that in which the
    /// first node knew that it is committed, which is its leader's.
    committed: Vec<(Term, Term)>,
}

impl History {
    /// The history after a step, if what `node` shows then adds to it.
    ///
    /// # Errors
    ///
    /// What the protocol forbids has happened.
    pub(crate) fn after(&self, node: &Node) -> Result<Option<Self>, String> {
        let leader = Voter {
            node: node.id(),
            storage: node.storage(),
        };
        let term = node.term();
        let leads_newly = node.role() == RoleName::Leader && self.check_leader(node, leader)?;
        let committed = self.check_committed(node)?;
        if !leads_newly && committed.is_empty() {
            return Ok(None);
        }
        let mut next = self.clone();
        if leads_newly {
            next.leaders.insert(term, leader);
        }
        let committed = committed.into_iter().map(|entry_term| (entry_term, term));
        next.committed.extend(committed);
        Ok(Some(next))
    }

    /// The terms of the entries that no node knew to be committed before.
    fn check_committed(&self, node: &Node) -> Result<Vec<Term>, String> {
        let id = node.id();
        let mut committed = Vec::new();
        for index in 1..=node.commit_index().0 {
            let term = node.log().term_at(LogIndex(index));
            let term = term.ok_or_else(|| format!("node {id} lacks committed entry {index}"))?;
            let place = usize::try_from(index - 1).expect("a short log");
            match self.committed.get(place) {
                Some((known, _)) if *known != term => {
                    return Err(format!(
                        "node {id} has committed {index}@{term}, and {index}@{known} was committed"
                    ));
                }
                Some(_) => {}
                None => committed.push(term),
            }
        }
        Ok(committed)
    }

    /// Whether the leader of this term is new.
    fn check_leader(&self, node: &Node, leader: Voter) -> Result<bool, String> {
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
                    "node {} leads term {term} without {position:?}, which is committed",
                    leader.node
                ));
            }
        }
        Ok(true)
    }
}
