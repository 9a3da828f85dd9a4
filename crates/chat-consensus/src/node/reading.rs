//! Linearizable reads: a round of heartbeats sent after the read arrived, echoed by a majority (R14).

use alloc::vec::Vec;

use crate::input::{ReadId, Report};
use crate::node::{Node, Role};
use crate::quorum::majority_value;
use crate::types::LogIndex;

/// The reads of one leadership.
#[derive(Debug, Default)]
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

#[derive(Clone, Copy, Debug)]
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
}

impl Node {
    pub(super) fn handle_read_requested(&mut self, id: ReadId) {
        let commit_index = self.commit_index;
        let Role::Leader(leading) = &mut self.role else {
            self.reports.push(Report::ReadRefused(id));
            return;
        };
        // Before that, what earlier leaders committed may not be known here (R14).
        if commit_index < leading.term_start {
            leading.reads.before_first_commit.push(id);
            return;
        }
        leading.reads.waiting.push(Read {
            id,
            index: commit_index,
            round: leading.reads.round + 1,
        });
    }

    /// The first commit of the term lets the early reads in.
    pub(super) fn admit_deferred_reads(&mut self) {
        let Role::Leader(leading) = &mut self.role else {
            return;
        };
        for id in core::mem::take(&mut leading.reads.before_first_commit) {
            self.handle_read_requested(id);
        }
    }

    /// Called when outgoing messages are taken, so that all reads of one turn share the round.
    pub(super) fn start_read_round_if_wanted(&mut self) {
        let Role::Leader(leading) = &mut self.role else {
            return;
        };
        if leading.reads.wants_round() {
            leading.reads.round += 1;
            self.send_round();
            // A single voter needs nobody's echo.
            self.confirm_reads();
        }
    }

    /// Confirms the reads whose round a majority of voters has echoed in this very term.
    pub(super) fn confirm_reads(&mut self) {
        let Role::Leader(leading) = &self.role else {
            return;
        };
        let own = leading.reads.round;
        let confirmed = majority_value(self.voter_values(own, |p| p.echoed_round));
        let Role::Leader(leading) = &mut self.role else {
            return;
        };
        let reads = &mut leading.reads;
        reads.confirmed = reads.confirmed.max(confirmed);
        let ready = reads
            .waiting
            .partition_point(|read| read.round <= reads.confirmed);
        for read in reads.waiting.drain(..ready) {
            self.reports
                .push(Report::ReadConfirmed(read.id, read.index));
        }
    }

    /// Leadership ended before these could be confirmed (R13).
    pub(super) fn fail_reads(&mut self, reads: Reads) {
        let waiting = reads.waiting.into_iter().map(|read| read.id);
        for id in reads.before_first_commit.into_iter().chain(waiting) {
            self.reports.push(Report::ReadRefused(id));
        }
    }
}
