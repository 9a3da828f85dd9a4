//! Linearizable reads: a round of heartbeats sent after the read arrived, echoed by a majority
//! (R14).

use alloc::vec::Vec;

use crate::input::{ReadId, Report};
use crate::node::context::NodeContext;
use crate::node::leader::Leader;
use crate::quorum::majority_value;
use crate::types::LogIndex;

/// The reads of one leadership.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Reads {
    /// The newest round that was sent; grows within a leadership.
    round: u64,
    /// The newest round that a majority has echoed.
    confirmed: u64,
    /// Reads that arrived before this leader committed an entry of its own.
    before_first_commit: Vec<ReadId>,
    /// Reads in order of arrival, with the commit index they saw and the round that must be
    /// echoed: one that is sent after they arrived.
    waiting: Vec<Read>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Read {
    id: ReadId,
    index: LogIndex,
    round: u64,
}

impl Reads {
    pub(super) fn round(&self) -> u64 {
        self.round
    }

    /// A read waits for a round that has not been sent; only one is under way at a time, so that
    /// many reads share the next.
    fn wants_round(&self) -> bool {
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

impl Leader {
    pub(super) fn handle_read_requested(&mut self, context: &NodeContext, id: ReadId) {
        let commit_index = context.commit_index;
        // Before that, what earlier leaders committed may not be known here (R14).
        if commit_index < self.term_start {
            self.reads.before_first_commit.push(id);
            return;
        }
        self.reads.waiting.push(Read {
            id,
            index: commit_index,
            round: self.reads.round + 1,
        });
    }

    /// The first commit of the term admits the reads that arrived before it.
    pub(super) fn admit_deferred_reads(&mut self, context: &NodeContext) {
        for id in core::mem::take(&mut self.reads.before_first_commit) {
            self.handle_read_requested(context, id);
        }
    }

    /// Called when outgoing messages are taken, so that all reads of one batch share the round.
    pub(super) fn start_read_round_if_wanted(&mut self, context: &mut NodeContext) {
        if self.reads.wants_round() {
            self.reads.round += 1;
            self.send_round(context);
            // A single voter needs no echo.
            self.confirm_reads(context);
        }
    }

    /// Confirms the reads whose round a majority of voters has echoed in this very term.
    pub(super) fn confirm_reads(&mut self, context: &mut NodeContext) {
        let own = self.reads.round;
        let echoed = self.voter_values(context, own, |progress| progress.echoed_round);
        let confirmed = majority_value(echoed);
        let reads = &mut self.reads;
        reads.confirmed = reads.confirmed.max(confirmed);
        let ready = reads
            .waiting
            .partition_point(|read| read.round <= reads.confirmed);
        for read in reads.waiting.drain(..ready) {
            context.report(Report::ReadConfirmed(read.id, read.index));
        }
    }
}
