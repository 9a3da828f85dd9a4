//! Agreement: one committed log for all. It is extended only by leaders, only with entries of
//! their own term (R3); a node's commit index points only into it and never moves back in a run.

use std::collections::BTreeMap;

use chat_consensus::{
    ChainValue, ClusterId, Entry, LogIndex, Membership, MembershipChange, NodeId, Payload,
    Position, Term, TermIndex,
};

use crate::checker::log_matching::KnownEntries;
use crate::checker::{Checked, Violation, ensure};
use crate::simulation::command::Command;

const NAME: &str = "agreement";

/// Every entry that was ever committed.
#[derive(Debug, Default)]
pub struct CommittedLog {
    terms: Vec<Term>,
    /// The terms whose leaders committed them; ascending.
    committed_in: Vec<Term>,
    /// The chain value of each.
    chain: Vec<ChainValue>,
    /// Where each operation took effect: the first of its entries.
    first_of: BTreeMap<u64, LogIndex>,
    /// The committed changes of the members.
    changes: Vec<MembershipChange>,
}

/// A node whose commit index has moved.
#[derive(Clone, Copy, Debug)]
pub struct CommitMoved<'a> {
    /// The node.
    pub node: NodeId,
    /// The term that it leads, if it leads.
    pub leads: Option<Term>,
    /// Its commit index before, in this run.
    pub from: LogIndex,
    /// Its commit index now.
    pub to: LogIndex,
    /// Its log.
    pub log: &'a TermIndex,
    /// Its cluster.
    pub cluster: ClusterId,
}

impl CommittedLog {
    /// A node's commit index has moved.
    ///
    /// # Errors
    ///
    /// It moved back, past its log, past what leaders have committed, or onto something else.
    pub fn moved(&mut self, moved: CommitMoved<'_>, known: &KnownEntries) -> Checked {
        let CommitMoved { node, from, to, .. } = moved;
        ensure(to >= from, "monotonic-commit", || {
            format!("node {node} moved its commit index back from {from} to {to}")
        })?;
        if to < moved.log.base().index {
            // Its log begins behind a hole (R24), and does not say what it has committed.
            return ensure(to <= self.last().index, NAME, || {
                format!("the commit index of node {node} is {to}, which no leader has committed")
            });
        }
        let Some(term) = moved.log.term_at(to) else {
            let what = format!("the commit index {to} of node {node} is beyond its log");
            return Err(Violation::new(NAME, what));
        };
        if to.0 <= self.terms.len() as u64 {
            let committed = self.term_at(to);
            return ensure(committed == Some(term), NAME, || {
                format!(
                    "node {node} has committed {:?}, but at {to} an entry of term {committed:?} is committed",
                    Position { term, index: to }
                )
            });
        }
        ensure(moved.leads.is_some(), NAME, || {
            format!("the commit index of node {node} is {to}, which no leader has committed")
        })?;
        ensure(moved.leads == Some(term), "commit-rule", || {
            format!("node {node} committed an entry of term {term} by counting, leading {moved:?}")
        })?;
        self.extend(moved, known)
    }

    /// The last committed entry.
    pub fn last(&self) -> Position {
        Position {
            term: self.terms.last().copied().unwrap_or_default(),
            index: LogIndex(self.terms.len() as u64),
        }
    }

    /// The last entry that was committed by a leader of an earlier term than `term`.
    pub fn last_before(&self, term: Term) -> Position {
        let count = self.committed_in.partition_point(|by| *by < term);
        let index = LogIndex(count as u64);
        let term = self.term_at(index).unwrap_or_default();
        Position { term, index }
    }

    /// The term of the committed entry at `index`.
    pub fn term_at(&self, index: LogIndex) -> Option<Term> {
        match usize::try_from(index.0).ok()?.checked_sub(1) {
            None => Some(Term(0)),
            Some(place) => self.terms.get(place).copied(),
        }
    }

    /// Where the operation took effect, if it did.
    pub fn first_of(&self, operation: u64) -> Option<LogIndex> {
        self.first_of.get(&operation).copied()
    }

    /// The chain value of the committed entry at `index`.
    pub fn chain_at(&self, index: LogIndex) -> Option<ChainValue> {
        let place = usize::try_from(index.0.checked_sub(1)?).ok()?;
        self.chain.get(place).copied()
    }

    /// Every operation that took effect up to `index`, and where.
    pub fn effects_through(&self, index: LogIndex) -> impl Iterator<Item = (u64, LogIndex)> {
        let effects = self
            .first_of
            .iter()
            .map(|(operation, at)| (*operation, *at));
        effects.filter(move |(_, at)| *at <= index)
    }

    /// The members as of `index`, if they were ever changed until there.
    pub fn members_at(&self, index: LogIndex) -> Option<&Membership> {
        let before = self.changes.iter().rfind(|change| change.index <= index);
        before.map(|change| &change.membership)
    }

    /// How many operations took effect.
    pub fn operations(&self) -> usize {
        self.first_of.len()
    }

    fn extend(&mut self, moved: CommitMoved<'_>, known: &KnownEntries) -> Checked {
        for index in self.terms.len() as u64 + 1..=moved.to.0 {
            let index = LogIndex(index);
            let term = moved.log.term_at(index).expect("it is before the end");
            let Some(payload) = known.payload(index, term) else {
                let what = format!("{:?} is committed and on no disk", Position { term, index });
                return Err(Violation::new(NAME, what));
            };
            let before = self.chain.last().copied();
            let before = before.unwrap_or_else(|| ChainValue::start(moved.cluster));
            let entry = Entry {
                position: Position { term, index },
                payload: payload.clone(),
            };
            self.chain.push(before.next(&entry));
            self.changes.extend(MembershipChange::of(&entry));
            if let Payload::Command(bytes) = payload
                && let Some(command) = Command::decode(bytes)
            {
                self.first_of.entry(command.operation).or_insert(index);
            }
            self.terms.push(term);
            self.committed_in.extend(moved.leads);
        }
        Ok(())
    }
}
