//! Elections: one leader a term (R5), elected by a majority of admitted disks (R12), with a log
//! that holds everything committed in earlier terms (leader completeness).

use std::collections::BTreeMap;

use chat_consensus::{Membership, NodeId, Position, StorageId, Term, TermIndex, Voter};

use crate::checker::agreement::CommittedLog;
use crate::checker::votes::Votes;
use crate::checker::{Checked, ensure};

/// The leader of each term.
#[derive(Debug, Default)]
pub struct Elections {
    leaders: BTreeMap<Term, NodeId>,
}

/// A node that has just begun to lead.
#[derive(Clone, Copy, Debug)]
pub struct Elected<'a> {
    /// The node and its disk.
    pub leader: Voter,
    /// Its term.
    pub term: Term,
    /// Its log.
    pub log: &'a TermIndex,
    /// The voters.
    pub membership: &'a Membership,
}

impl Elections {
    /// A node has begun to lead.
    ///
    /// # Errors
    ///
    /// Another leads that term, it was not elected, or it lacks something committed.
    pub fn elected(
        &mut self,
        elected: Elected<'_>,
        votes: &Votes,
        committed: &CommittedLog,
    ) -> Checked {
        let Elected { leader, term, .. } = elected;
        let first = *self.leaders.entry(term).or_insert(leader.node);
        ensure(first == leader.node, "election-safety", || {
            format!("nodes {first} and {} both lead term {term}", leader.node)
        })?;
        let voted = |voter: &&Voter| votes.of(voter.node, voter.storage, term) == Some(leader.node);
        let count = elected.membership.voters.iter().filter(voted).count();
        ensure(
            count >= elected.membership.majority(),
            "election-quorum",
            || {
                format!(
                    "node {} leads term {term} with {count} votes of admitted disks",
                    leader.node
                )
            },
        )?;
        holds(leader.node, term, elected.log, committed.last_before(term))
    }

    /// How many terms had a leader.
    pub fn count(&self) -> u64 {
        self.leaders.len() as u64
    }

    /// The leader of `term`.
    pub fn leader_of(&self, term: Term) -> Option<NodeId> {
        self.leaders.get(&term).copied()
    }
}

/// The leader of `term` holds `committed`, which a leader of an earlier term has committed: checked
/// when it is elected, and again whenever an earlier leader commits late.
///
/// # Errors
///
/// It does not.
pub fn holds(leader: NodeId, term: Term, log: &TermIndex, committed: Position) -> Checked {
    ensure(log.contains(committed), "leader-completeness", || {
        format!(
            "node {leader} leads term {term} without the committed {committed:?}; its log ends at {:?}",
            log.last()
        )
    })
}

/// The voter that a leader with the disk `storage` is.
pub fn voter(node: NodeId, storage: StorageId) -> Voter {
    Voter { node, storage }
}
