//! What a node knows of its log without its contents: where each term begins, and the end.
//!
//! Enough to compare logs, to find where two of them diverge, and to decide on a vote.

use alloc::vec::Vec;

use crate::entry::TermRun;
use crate::types::{LogIndex, Position, Term};

/// The terms of a log and its last position.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TermIndex {
    /// Ascending in both fields; every run holds at least one entry.
    runs: Vec<TermRun>,
    last: LogIndex,
}

impl TermIndex {
    /// The term index of a log that ends at `last` and whose terms begin as in `runs`.
    pub fn new(runs: Vec<TermRun>, last: LogIndex) -> Self {
        assert!(
            runs.is_empty() == (last == LogIndex::ZERO),
            "an entry has a term"
        );
        assert!(
            runs.windows(2)
                .all(|w| w[0].term < w[1].term && w[0].first < w[1].first),
            "terms never run backwards"
        );
        assert!(runs.last().is_none_or(|run| run.first <= last));
        Self { runs, last }
    }

    /// The last entry; [`Position::ZERO`] for an empty log.
    pub fn last(&self) -> Position {
        Position {
            term: self.runs.last().map_or(Term(0), |run| run.term),
            index: self.last,
        }
    }

    /// The term of the entry at `index`; term 0 before the first entry, `None` after the last.
    pub fn term_at(&self, index: LogIndex) -> Option<Term> {
        if index > self.last {
            return None;
        }
        let after = self.runs.partition_point(|run| run.first <= index);
        Some(after.checked_sub(1).map_or(Term(0), |i| self.runs[i].term))
    }

    /// The position before `index`, which must be in the log and not its beginning.
    pub(crate) fn before(&self, index: LogIndex) -> Position {
        let index = LogIndex(index.0 - 1);
        let term = self.term_at(index).expect("it is in the log");
        Position { term, index }
    }

    /// Whether this very entry (or the empty beginning) is in the log.
    pub fn contains(&self, position: Position) -> bool {
        self.term_at(position.index) == Some(position.term)
    }

    /// The last entry whose term is at most `term`.
    pub fn last_at_or_below(&self, term: Term) -> Position {
        let after = self.runs.partition_point(|run| run.term <= term);
        let Some(run) = after.checked_sub(1).map(|i| self.runs[i]) else {
            return Position::ZERO;
        };
        let index = match self.runs.get(after) {
            Some(next) => LogIndex(next.first.0 - 1),
            None => self.last,
        };
        Position {
            term: run.term,
            index,
        }
    }

    /// Adds the entry that follows the last one.
    pub fn append(&mut self, position: Position) {
        let last = self.last();
        assert_eq!(position.index, last.index.next(), "no gap in the log");
        assert!(position.term >= last.term, "terms never run backwards");
        if position.term > last.term {
            self.runs.push(TermRun {
                term: position.term,
                first: position.index,
            });
        }
        self.last = position.index;
    }

    /// Removes every entry after `last`.
    pub fn truncate_after(&mut self, last: LogIndex) {
        assert!(last <= self.last);
        self.runs.retain(|run| run.first <= last);
        self.last = last;
    }
}

#[cfg(test)]
mod tests {
    use std::vec;

    use super::*;

    fn index() -> TermIndex {
        let mut index = TermIndex::new(vec![], LogIndex::ZERO);
        for (at, term) in [(1, 1), (2, 3), (3, 3), (4, 6)] {
            index.append(Position::new(at, term));
        }
        index
    }

    #[test]
    fn terms_are_found_by_index() {
        let terms = [0, 1, 2, 3, 4, 5].map(|i| index().term_at(LogIndex(i)).map(|t| t.0));
        assert_eq!(terms, [Some(0), Some(1), Some(3), Some(3), Some(6), None]);
    }

    #[test]
    fn end_of_a_term_is_the_last_entry_not_above_it() {
        let ends = [0, 1, 2, 3, 5, 6, 9].map(|t| index().last_at_or_below(Term(t)));
        let expected = [(0, 0), (1, 1), (1, 1), (3, 3), (3, 3), (4, 6), (4, 6)];
        assert_eq!(ends, expected.map(|(i, t)| Position::new(i, t)));
    }

    #[test]
    fn truncation_removes_the_terms_of_the_removed_entries() {
        let mut index = index();
        index.truncate_after(LogIndex(2));
        assert_eq!(index.last(), Position::new(2, 3));
        index.truncate_after(LogIndex::ZERO);
        assert_eq!(index.last(), Position::ZERO);
    }
}
