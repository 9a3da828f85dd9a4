//! Linearizable reads: a round of heartbeats sent after the read arrived, echoed by a majority
//! (R14).

use crate::input::{ReadId, Report};
use crate::node::context::NodeContext;
use crate::node::leader::Leader;
use crate::node::reads::Read;
use crate::quorum::majority_value;

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
