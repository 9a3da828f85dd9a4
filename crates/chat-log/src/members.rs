//! Who the members are at each index of the log, as far as that is known: from the headers of the
//! segments, and from the last block of the last one (R19).
//!
//! Blocks between a segment's header and its last block never change the members.

use chat_consensus::{LogBase, LogIndex, Membership, MembershipChange};

/// The members from the log's base on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Members {
    /// Ascending. The first one begins at the base; there is none without a base.
    runs: Vec<MembersRun>,
}

/// The members from an index on.
#[derive(Clone, Debug, PartialEq, Eq)]
struct MembersRun {
    first: LogIndex,
    /// `None` where what said it is damaged.
    members: Option<Membership>,
}

impl Members {
    /// Those of a log that begins at `base`.
    pub(crate) fn new(base: &LogBase) -> Self {
        let first = MembersRun {
            first: base.position.index,
            members: Some(base.membership.clone()),
        };
        Self { runs: vec![first] }
    }

    /// The members are these from the log's end on, which is at `index`.
    pub(crate) fn set(&mut self, index: LogIndex, members: &Membership) {
        if self.last() != Some(members) {
            self.push(index, Some(members.clone()));
        }
    }

    /// Every entry after `last` is removed.
    pub(crate) fn truncate(&mut self, last: LogIndex) {
        self.runs.retain(|run| run.first <= last);
    }

    /// The log goes on after `to`, where the members are these, although what is between `certain` and
    /// there is missing.
    pub(crate) fn skip_to(&mut self, certain: LogIndex, to: &LogBase) {
        let to_index = to.position.index;
        self.truncate(certain.min(to_index));
        if certain < to_index {
            self.push(certain.next(), None);
        }
        self.set(to_index, &to.membership);
    }

    /// The members as of the entry at `index`, or of the base, if they are known.
    pub(crate) fn at(&self, index: LogIndex) -> Option<&Membership> {
        let run = self.runs.iter().rev().find(|run| run.first <= index)?;
        run.members.as_ref()
    }

    /// The members as of the log's end.
    pub(crate) fn last(&self) -> Option<&Membership> {
        self.runs.last()?.members.as_ref()
    }

    /// Whether they are known from `index` on.
    pub(crate) fn are_known_from(&self, index: LogIndex) -> bool {
        let mut later = self.runs.iter().filter(|run| run.first > index);
        self.at(index).is_some() && later.all(|run| run.members.is_some())
    }

    /// The changes after `index`.
    pub(crate) fn changes_after(&self, index: LogIndex) -> Vec<MembershipChange> {
        let later = self.runs.iter().filter(|run| run.first > index);
        let changes = later.filter_map(|run| {
            let membership = run.members.clone()?;
            Some(MembershipChange {
                index: run.first,
                membership,
            })
        });
        changes.collect()
    }

    /// The log begins at `index` from now on.
    pub(crate) fn begin_at(&mut self, index: LogIndex) {
        let place = self.runs.partition_point(|run| run.first <= index);
        self.runs.drain(..place.saturating_sub(1));
    }

    fn push(&mut self, first: LogIndex, members: Option<Membership>) {
        self.runs.retain(|run| run.first < first);
        self.runs.push(MembersRun { first, members });
    }
}
