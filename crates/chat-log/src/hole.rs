//! Entries in the middle of a log that are damaged, and what is certain in spite of it.

use chat_consensus::{ChainValue, LogIndex, Position, TermRun};

/// Entries that are damaged or missing although the log goes on after them. Other disks have them, and
/// this one's memory is whole: the node keeps its id and its vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hole {
    /// The last index before them. Zero when it is the log's beginning that is lost: then the log
    /// begins at [`Self::through`].
    pub after: LogIndex,
    /// The index of the last one. What comes after it is read as usual.
    pub through: LogIndex,
    /// A compaction through this index or a later one removes what is damaged, and with it the hole.
    /// At least `through`; an earlier compaction removes nothing.
    pub removable_at: LogIndex,
}

/// The entries that nothing may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Missing {
    /// The last index before them.
    pub(crate) after: LogIndex,
    /// The position of the last one.
    pub(crate) end: Position,
    /// The chain value there.
    pub(crate) chain: ChainValue,
}

impl Missing {
    pub(crate) fn contains(&self, index: LogIndex) -> bool {
        self.after < index && index <= self.end.index
    }

    /// What is missing when the log goes on after `to`, and what is known of it is certain through the
    /// index `certain`, but for `missing`.
    pub(crate) fn extended(
        missing: Option<Self>,
        certain: LogIndex,
        to: (Position, ChainValue),
    ) -> Option<Self> {
        let mut extended = Self {
            after: certain,
            end: to.0,
            chain: to.1,
        };
        if let Some(old) = missing {
            extended.after = extended.after.min(old.after);
            if certain >= to.0.index && old.end.index <= to.0.index {
                (extended.end, extended.chain) = (old.end, old.chain);
            }
        }
        (extended.after < extended.end.index).then_some(extended)
    }

    /// What is missing when a valid block has truncated the log down to `to`.
    pub(crate) fn truncated(missing: Option<Self>, to: (Position, ChainValue)) -> Option<Self> {
        missing?;
        Self::extended(missing, to.0.index, to)
    }
}

/// The last index up to which a log that ends at `last`, and whose terms begin as in `runs`, is the
/// beginning of the one that ends at `to`. Between the two is at most a truncation down to `lowest`.
///
/// All entries of a term are from one leader, which only appends: two logs that have entries of the
/// same term are the same up to the earlier one of those.
pub(crate) fn common_through(
    runs: &[TermRun],
    last: LogIndex,
    to: Position,
    lowest: LogIndex,
) -> LogIndex {
    let same_term = runs.iter().rposition(|run| run.term == to.term);
    let same_term = same_term.map(|place| match runs.get(place + 1) {
        Some(next) => LogIndex(next.first.0.saturating_sub(1)),
        None => last,
    });
    let known = lowest.min(last);
    same_term
        .map_or(known, |same| same.max(known))
        .min(to.index)
}

/// Makes `runs`, those of the entries after `begin`, end at `to`. Where the terms between begin is not
/// known; the earlier term is kept as long as possible, so that nothing is truncated too far because
/// of it.
pub(crate) fn extend_runs(runs: &mut Vec<TermRun>, begin: LogIndex, to: Position) {
    runs.retain(|run| run.first < to.index && run.term <= to.term);
    if to.index > begin && runs.last().is_none_or(|run| run.term != to.term) {
        runs.push(TermRun {
            term: to.term,
            first: to.index,
        });
    }
}

#[cfg(test)]
mod tests {
    use chat_consensus::Term;

    use super::*;

    fn missing(after: u64, end: u64) -> Option<Missing> {
        Some(Missing {
            after: LogIndex(after),
            end: Position::new(end, 1),
            chain: ChainValue([0; 16]),
        })
    }

    #[track_caller]
    fn check_extended(old: Option<Missing>, certain: u64, to: u64, expected: Option<Missing>) {
        let to = (Position::new(to, 1), ChainValue([0; 16]));
        let extended = Missing::extended(old, LogIndex(certain), to);
        assert_eq!(extended, expected);
    }

    #[test]
    fn missing_entries_are_extended_and_truncated() {
        check_extended(None, 5, 10, missing(5, 10));
        check_extended(None, 10, 10, None);
        check_extended(missing(5, 10), 15, 20, missing(5, 20));
        check_extended(missing(5, 10), 15, 15, missing(5, 10));
        check_extended(missing(5, 10), 8, 8, missing(5, 8));
        check_extended(missing(5, 10), 4, 4, None);
        check_extended(missing(5, 10), 3, 8, missing(3, 8));
    }

    #[test]
    fn log_is_certain_up_to_the_last_entry_of_the_same_term() {
        let runs = [(1, 1), (2, 5), (4, 8)].map(|(term, first)| TermRun {
            term: Term(term),
            first: LogIndex(first),
        });
        let check = |to, lowest, expected| {
            let found = common_through(&runs, LogIndex(9), to, LogIndex(lowest));
            assert_eq!(found, LogIndex(expected), "{to:?}");
        };
        check(Position::new(20, 4), 0, 9);
        check(Position::new(8, 4), 0, 8);
        check(Position::new(20, 2), 0, 7);
        check(Position::new(20, 3), 6, 6);
        check(Position::new(20, 5), 0, 0);
        check(Position::new(20, 5), 15, 9);
    }
}
