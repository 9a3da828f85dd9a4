//! What a node knows of its log without its contents: where each term begins, and the end.
//!
//! Enough to compare logs, to find where two of them diverge, and to decide on a vote.

use alloc::vec::Vec;

use crate::entry::TermRun;
use crate::types::{LogIndex, Position, Term};

/// The terms of a log, where it begins and its last position.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TermIndex {
    /// The position before the first entry.
    base: Position,
    /// Ascending in both fields; every run holds at least one entry.
    runs: Vec<TermRun>,
    last: LogIndex,
}

impl TermIndex {
    /// The term index of a log that begins after `base`, ends at `last`, and whose terms begin as in
    /// `runs`.
    pub fn new(base: Position, runs: Vec<TermRun>, last: LogIndex) -> Self {
        assert!(base.index <= last, "a log begins before it ends");
        assert!(
            runs.is_empty() == (last == base.index),
            "an entry has a term"
        );
        assert!(
            runs.first()
                .is_none_or(|run| run.first == base.index.next() && run.term >= base.term),
            "the first entry follows the base"
        );
        assert!(
            runs.windows(2)
                .all(|w| w[0].term < w[1].term && w[0].first < w[1].first),
            "terms never run backwards"
        );
        assert!(runs.last().is_none_or(|run| run.first <= last));
        Self { base, runs, last }
    }

    /// Where the log begins: the position before its first entry.
    pub fn base(&self) -> Position {
        self.base
    }

    /// The last entry; the base for a log without entries.
    pub fn last(&self) -> Position {
        Position {
            term: self.runs.last().map_or(self.base.term, |run| run.term),
            index: self.last,
        }
    }

    /// The term at `index`, that of the base included; `None` before it and after the last entry.
    pub fn term_at(&self, index: LogIndex) -> Option<Term> {
        if index > self.last || index < self.base.index {
            return None;
        }
        let after = self.runs.partition_point(|run| run.first <= index);
        let run = after.checked_sub(1).map(|place| self.runs[place]);
        Some(run.map_or(self.base.term, |run| run.term))
    }

    /// The position before `index`, which must be that of an entry.
    pub(crate) fn before(&self, index: LogIndex) -> Position {
        let index = LogIndex(index.0 - 1);
        let term = self.term_at(index).expect("it is in the log");
        Position { term, index }
    }

    /// Whether this very entry, or the base, is in the log.
    pub fn contains(&self, position: Position) -> bool {
        self.term_at(position.index) == Some(position.term)
    }

    /// The last entry whose term is at most `term`; the base if there is none.
    pub fn last_at_or_below(&self, term: Term) -> Position {
        let after = self.runs.partition_point(|run| run.term <= term);
        let Some(run) = after.checked_sub(1).map(|i| self.runs[i]) else {
            return self.base;
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
        if self.runs.is_empty() || position.term > last.term {
            self.runs.push(TermRun {
                term: position.term,
                first: position.index,
            });
        }
        self.last = position.index;
    }

    /// Removes every entry up to `base`, which must be one of them or the base.
    pub fn compact(&mut self, base: Position) {
        assert!(
            self.contains(base),
            "a log is compacted at one of its entries"
        );
        let ended = self.runs.partition_point(|run| run.first <= base.index);
        // The run of the entry after the base goes on there.
        let split = ended.checked_sub(1).map(|place| self.runs[place].term);
        self.runs.drain(..ended);
        let first = base.index.next();
        let next_begins = self.runs.first().map_or(self.last.next(), |run| run.first);
        if let Some(term) = split
            && first < next_begins
        {
            self.runs.insert(0, TermRun { term, first });
        }
        self.base = base;
    }

    /// Removes every entry after `last`.
    pub fn truncate_after(&mut self, last: LogIndex) {
        assert!(self.base.index <= last && last <= self.last);
        self.runs.retain(|run| run.first <= last);
        self.last = last;
    }
}

#[cfg(test)]
mod tests {
    use std::vec;

    use super::*;

    fn index() -> TermIndex {
        let mut index = TermIndex::new(Position::ZERO, vec![], LogIndex::ZERO);
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

    #[test]
    fn compaction_moves_the_beginning_and_nothing_else() {
        for base in 0..=4 {
            let whole = index();
            let mut compacted = whole.clone();
            let term = whole.term_at(LogIndex(base)).unwrap();
            let base = Position {
                term,
                index: LogIndex(base),
            };
            compacted.compact(base);
            assert_eq!((compacted.base(), compacted.last()), (base, whole.last()));
            for at in 0..6 {
                let expected = whole.term_at(LogIndex(at)).filter(|_| at >= base.index.0);
                assert_eq!(
                    compacted.term_at(LogIndex(at)),
                    expected,
                    "{at} of {base:?}"
                );
            }
            let again = TermIndex::new(base, compacted.runs.clone(), compacted.last);
            assert_eq!(again, compacted);
        }
    }

    #[test]
    fn log_begins_at_its_base() {
        let base = Position::new(5, 3);
        let mut index = TermIndex::new(base, vec![], LogIndex(5));
        assert_eq!((index.base(), index.last()), (base, base));
        for (at, term) in [(6, 3), (7, 4)] {
            index.append(Position::new(at, term));
        }
        let terms = [4, 5, 6, 7, 8].map(|i| index.term_at(LogIndex(i)).map(|t| t.0));
        assert_eq!(terms, [None, Some(3), Some(3), Some(4), None]);
        let ends = [2, 3, 4].map(|t| index.last_at_or_below(Term(t)));
        assert_eq!(
            ends,
            [(5, 3), (6, 3), (7, 4)].map(|(i, t)| Position::new(i, t))
        );
        index.truncate_after(LogIndex(5));
        assert_eq!(index.last(), base);
    }
}
