//! The leader's side of a fetch: which disk it shows and whether that rolled back, what it
//! acknowledges, and when the leader replies with what (R3, R4, R8, R11, R18).

use alloc::vec::Vec;
use core::time::Duration;

use crate::input::Report;
use crate::message::{FollowerState, GetCommits, GetCommitsReply, Header, Reply};
use crate::node::context::NodeContext;
use crate::node::leader::{Leader, Resignation};
use crate::node::progress::PendingFetch;
use crate::outgoing::{EntriesReply, Outgoing};
use crate::types::{LogIndex, Term, Time};

/// A follower that has everything receives a new commit index after this long, unless new entries
/// carry it there sooner: under load it saves a round trip per batch.
const COMMIT_NOTICE_DELAY: Duration = Duration::from_millis(3);

/// In election timeouts: how often two machines with one id are reported.
pub(super) const DISKS_REPORT_PAUSE: u32 = 100;

impl Leader {
    pub(super) fn handle_get_commits(
        &mut self,
        context: &mut NodeContext,
        header: &Header,
        fetch: GetCommits,
    ) -> Option<Resignation> {
        let admitted = context.admits(header.from, header.storage);
        let now = context.now;
        let progress = self.progress_mut(header, admitted, now)?;
        let (run, last) = (header.request.start, progress.newest_fetch);
        if run == last.start && header.request.number <= last.number {
            return None;
        }
        // The newest fetch, or a request that this leader remembers from before its term.
        let remembered = context.voter_disks.newest_run(header.sender());
        let remembered = remembered.filter(|run| run.counter() > last.start.counter());
        let newest = remembered.unwrap_or(last.start);
        if run != newest && run.counter() <= newest.counter() {
            let acknowledged = progress.match_index.max(progress.repair_through);
            // A repair that the disk has noted is not over because this leader knows nothing of it.
            let acknowledged = acknowledged.max(fetch.repair_through);
            if run.counter() == newest.counter() {
                // No intact disk shows one boot count twice; a lower one may be an old message.
                self.record_rollback(context, header, admitted);
            }
            let reply = GetCommitsReply::RolledBack {
                repair_through: acknowledged,
                boot_count: newest.counter(),
            };
            context.reply(header, Reply::GetCommits(reply));
            return None;
        }
        progress.newest_fetch = header.request;
        let acknowledged = progress.match_index;
        // What was before the base is not known any more (R24).
        let known = fetch.synced.index >= context.log.base().index;
        let lost = fetch.synced.index < acknowledged
            || fetch.synced.term < progress.match_term
            || known && !context.log.contains(fetch.synced);
        let pause = context.config.timing.election_timeout * DISKS_REPORT_PAUSE;
        if self.record_disk(header, now, pause) {
            context.report(Report::DisksAlternate(header.from));
        }
        if run != last.start && acknowledged > LogIndex::ZERO && lost {
            self.record_rollback(context, header, admitted);
        }
        self.answer_fetch(context, header, fetch, admitted)
    }

    /// The admitted disk behind a request has forgotten what it had synced (R18): nothing of it counts
    /// in this term, and no fetch of before is answered.
    pub(super) fn record_amnesia(&mut self, header: &Header) {
        if let Some(progress) = self.followers.get_mut(&header.from) {
            progress.storage = Some(header.storage);
            progress.admitted = true;
            progress.forgot = true;
            progress.match_index = LogIndex::ZERO;
            progress.match_term = Term(0);
            progress.pending_fetch = None;
        }
    }

    /// The disk behind a fetch has lost what it acknowledged (R18).
    fn record_rollback(&mut self, context: &mut NodeContext, header: &Header, admitted: bool) {
        if let Some(progress) = self.progress_mut(header, admitted, context.now) {
            let lost = core::mem::take(&mut progress.match_index);
            progress.match_term = Term(0);
            progress.repair_through = progress.repair_through.max(lost);
            context.report(Report::FollowerRolledBack(header.from, lost));
        }
    }

    /// Replies to a fetch that is new: with where the logs diverge, with what the disk must get
    /// back, or with what follows; and counts what it acknowledges.
    fn answer_fetch(
        &mut self,
        context: &mut NodeContext,
        header: &Header,
        fetch: GetCommits,
        admitted: bool,
    ) -> Option<Resignation> {
        let end = context.log.last().index;
        let now = context.now;
        let held = context.log.contains(fetch.synced);
        let recent_end = self.readmissions.recent_end();
        let progress = self.progress_mut(header, admitted, now)?;
        let lost = progress.repair_through.max(fetch.repair_through).min(end);
        let demanded = if held && fetch.synced.index >= lost {
            LogIndex::ZERO
        } else {
            lost
        };
        progress.was_at_end = held && fetch.synced.index >= recent_end;
        progress.note_condition(&fetch, demanded);
        if held {
            progress.last_fetch = Some(now);
        }
        if demanded != fetch.repair_through {
            let reply = GetCommitsReply::RolledBack {
                repair_through: demanded,
                boot_count: 0,
            };
            context.reply(header, Reply::GetCommits(reply));
            return None;
        }
        progress.lacked_base |= !fetch.has_base;
        let base = context.log.base();
        // There this log does not show where the two part (R11, R24).
        if fetch.synced.index < base.index || fetch.synced.term < base.term {
            self.reply_with_snapshot(context, header, admitted, fetch.state);
            return None;
        }
        if !fetch.has_base
            && let Some(base) = &context.base
        {
            let reply = GetCommitsReply::Base(base.clone());
            context.reply(header, Reply::GetCommits(reply));
            return None;
        }
        if !held {
            let common = context.log.last_at_or_below(fetch.synced.term);
            let reply = GetCommitsReply::Diverging(common);
            context.reply(header, Reply::GetCommits(reply));
            return None;
        }
        // Only valid fetches move progress (R3).
        progress.acknowledge(now, fetch.synced, end);
        if let FollowerState::Lost { at_least } = fetch.state
            && let Some(snapshot) = self.offer(context, header, at_least)
        {
            let reply = GetCommitsReply::Snapshot(snapshot);
            context.reply(header, Reply::GetCommits(reply));
            self.advance_commit_index(context);
            return self.transfer_if_complete(context);
        }
        let progress = self.progress_mut(header, admitted, now)?;
        progress.pending_fetch = Some(PendingFetch {
            header: *header,
            after: fetch.synced.index,
            bytes_max: fetch.bytes_max,
            sent_commit_index: fetch.commit_index,
            deadline: now + context.config.timing.long_poll_max(),
        });
        let from = header.from;
        if !admitted {
            self.readmit_if_possible(context);
        }
        self.advance_commit_index(context);
        self.schedule_commit_notices(context);
        self.complete_fetches(context, |fetch, _| {
            fetch.header.from == from && fetch.after < end
        });
        self.transfer_if_complete(context)
    }

    /// Pending fetches that do not know the commit index are answered soon.
    pub(super) fn schedule_commit_notices(&mut self, context: &NodeContext) {
        let notice_by = context.now + COMMIT_NOTICE_DELAY;
        let pending = self.all_mut().filter_map(|p| p.pending_fetch.as_mut());
        for fetch in pending.filter(|fetch| fetch.sent_commit_index < context.commit_index) {
            fetch.deadline = fetch.deadline.min(notice_by);
        }
    }

    /// Answers the pending fetches that `is_due`: with the entries after theirs, if there are any.
    pub(super) fn complete_fetches(
        &mut self,
        context: &mut NodeContext,
        is_due: impl Fn(&PendingFetch, Time) -> bool,
    ) {
        let now = context.now;
        let end = context.log.last().index;
        let mut due: Vec<PendingFetch> = Vec::new();
        for progress in self.all_mut() {
            if let Some(fetch) = progress.pending_fetch.take_if(|fetch| is_due(fetch, now)) {
                progress.entries_sent_at = (fetch.after < end).then_some(now);
                due.push(fetch);
            }
        }
        for fetch in due {
            let reply = EntriesReply {
                header: context.reply_header(&fetch.header),
                after: fetch.after,
                commit_index: context.commit_index,
                bytes_max: fetch.bytes_max,
            };
            context.outgoing.push(Outgoing::Entries(reply));
        }
    }
}
