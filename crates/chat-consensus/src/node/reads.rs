//! The reads that wait for their leader, in the order in which they arrived (R14).

use alloc::vec::Vec;

use crate::input::{ReadId, Report};
use crate::node::context::NodeContext;
use crate::types::LogIndex;

/// The reads of one leadership.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Reads {
    /// The newest round that was sent; grows within a leadership.
    pub(super) round: u64,
    /// The newest round that a majority has echoed.
    pub(super) confirmed: u64,
    /// Reads that arrived before this leader committed an entry of its term.
    pub(super) before_first_commit: Vec<ReadId>,
    /// Reads in order of arrival, with the commit index they saw and the round that must be
    /// echoed: one that is sent after they arrived.
    pub(super) waiting: Vec<Read>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Read {
    pub(super) id: ReadId,
    pub(super) index: LogIndex,
    pub(super) round: u64,
}

impl Reads {
    /// A read waits for a round that has not been sent; only one is under way at a time, so that
    /// many reads share the next.
    pub(super) fn wants_round(&self) -> bool {
        let newest = self.waiting.last().map_or(0, |read| read.round);
        newest > self.round && self.confirmed == self.round
    }

    /// Leadership ended before these could be confirmed (R13).
    pub(super) fn fail(self, context: &mut NodeContext) {
        let waiting = self.waiting.into_iter().map(|read| read.id);
        for id in self.before_first_commit.into_iter().chain(waiting) {
            context.report(Report::ReadRefused(id));
        }
    }
}
