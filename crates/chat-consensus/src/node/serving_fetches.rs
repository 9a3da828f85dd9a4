//! The leader's side of a fetch: whose disk it shows and whether that forgot, what it acknowledges,
//! and when it is answered with what (R3, R4, R8, R11, R18).

use alloc::vec::Vec;
use core::time::Duration;

use crate::input::Report;
use crate::message::{Envelope, GetCommits, GetCommitsReply, Header, Message};
use crate::node::progress::PendingFetch;
use crate::node::{Node, Outgoing, Role};
use crate::types::{LogIndex, Time};

/// A follower that has everything hears of a new commit index after this long, unless new entries
/// carry it there sooner: under load it saves a round trip per batch.
const COMMIT_NOTICE_DELAY: Duration = Duration::from_millis(3);

/// In election timeouts: two machines with one id are worth a line now and then.
const DISKS_REPORT_PAUSE: u32 = 100;

impl Node {
    pub(super) fn handle_get_commits(&mut self, header: &Header, fetch: GetCommits) {
        let admitted = self.admits(header.from, header.storage);
        let now = self.now;
        let Role::Leader(leading) = &mut self.role else {
            return self.refuse_fetch(header);
        };
        let Some(progress) = leading.progress_mut(header, admitted, now) else {
            return;
        };
        let (run, newest) = (header.request.start, progress.newest_fetch.start);
        if run == newest && header.request.number <= progress.newest_fetch.number {
            return;
        }
        if run != newest && run.counter() <= newest.counter() {
            let acknowledged = progress.match_index.max(progress.repair_through);
            if run.counter() == newest.counter() {
                // No honest disk shows one counter twice; a lower one may be an old message.
                self.record_rollback(header, admitted);
            }
            let reply = GetCommitsReply::RolledBack {
                repair_through: acknowledged,
                boot_count: newest.counter(),
            };
            return self.reply(header, Message::GetCommitsReply(reply));
        }
        progress.newest_fetch = header.request;
        let acknowledged = progress.match_index;
        let lost = fetch.synced.index < acknowledged || !self.log.contains(fetch.synced);
        let pause = self.config.timing.election_timeout * DISKS_REPORT_PAUSE;
        if leading.record_disk(header, now, pause) {
            self.reports.push(Report::DisksAlternate(header.from));
        }
        if run != newest && acknowledged > LogIndex::ZERO && lost {
            self.record_rollback(header, admitted);
        }
        self.answer_fetch(header, fetch, admitted);
    }

    /// The disk behind a fetch has lost what it acknowledged (R18).
    fn record_rollback(&mut self, header: &Header, admitted: bool) {
        let now = self.now;
        if let Role::Leader(leading) = &mut self.role
            && let Some(progress) = leading.progress_mut(header, admitted, now)
        {
            let lost = core::mem::take(&mut progress.match_index);
            progress.repair_through = progress.repair_through.max(lost);
            self.reports
                .push(Report::FollowerRolledBack(header.from, lost));
        }
    }

    /// Answers a fetch that is new: with where the logs part, with what the disk must get back, or
    /// with what follows; and counts what it acknowledges.
    fn answer_fetch(&mut self, header: &Header, fetch: GetCommits, admitted: bool) {
        let end = self.log.last().index;
        let now = self.now;
        let held = self.log.contains(fetch.synced);
        let diverging = (!held).then(|| self.log.last_at_or_below(fetch.synced.term));
        let Role::Leader(leading) = &mut self.role else {
            return;
        };
        let Some(progress) = leading.progress_mut(header, admitted, now) else {
            return;
        };
        let lost = progress.repair_through.max(fetch.repair_through).min(end);
        let demanded = if held && fetch.synced.index >= lost {
            LogIndex::ZERO
        } else {
            lost
        };
        // It counts when neither side remembers a loss.
        progress.repair_through = demanded.max(fetch.repair_through);
        if held {
            progress.last_fetch = Some(now);
        }
        if demanded != fetch.repair_through {
            let reply = GetCommitsReply::RolledBack {
                repair_through: demanded,
                boot_count: 0,
            };
            return self.reply(header, Message::GetCommitsReply(reply));
        }
        if let Some(position) = diverging {
            let reply = GetCommitsReply::Diverging(position);
            return self.reply(header, Message::GetCommitsReply(reply));
        }
        // Only valid fetches move progress (R3).
        if fetch.synced.index > progress.match_index {
            if let Some(sent) = progress.entries_sent_at.take() {
                progress.syncs.add(now, now.since(sent));
            }
            progress.advanced_at = now;
        } else if fetch.synced.index == end {
            progress.advanced_at = now;
        }
        progress.match_index = progress.match_index.max(fetch.synced.index);
        progress.pending_fetch = Some(PendingFetch {
            header: *header,
            after: fetch.synced.index,
            bytes_max: fetch.bytes_max,
            sent_commit_index: fetch.commit_index,
            deadline: now + self.config.timing.long_poll_max(),
        });
        let from = header.from;
        self.advance_commit_index();
        self.schedule_commit_notices();
        self.complete_fetches(|parked, _| parked.header.from == from && parked.after < end);
        self.resign_if_transfer_complete();
    }

    /// PendingFetch fetches that do not know the commit index are answered soon.
    pub(super) fn schedule_commit_notices(&mut self) {
        let notice_by = self.now + COMMIT_NOTICE_DELAY;
        let commit_index = self.commit_index;
        let Role::Leader(leading) = &mut self.role else {
            return;
        };
        let parked = leading.all_mut().filter_map(|p| p.pending_fetch.as_mut());
        for parked in parked.filter(|parked| parked.sent_commit_index < commit_index) {
            parked.deadline = parked.deadline.min(notice_by);
        }
    }

    /// Answers the parked fetches that `is_due`: with the entries after theirs, if there are any.
    pub(super) fn complete_fetches(&mut self, is_due: impl Fn(&PendingFetch, Time) -> bool) {
        let now = self.now;
        let commit_index = self.commit_index;
        let Role::Leader(leading) = &mut self.role else {
            return;
        };
        let end = self.log.last().index;
        let mut due: Vec<PendingFetch> = Vec::new();
        for progress in leading.all_mut() {
            if let Some(parked) = progress.pending_fetch.take_if(|parked| is_due(parked, now)) {
                progress.entries_sent_at = (parked.after < end).then_some(now);
                due.push(parked);
            }
        }
        for parked in due {
            let reply = GetCommitsReply::Entries {
                after: parked.after,
                commit_index,
                entries: Vec::new(),
            };
            let envelope = Envelope {
                header: self.reply_header(&parked.header),
                message: Message::GetCommitsReply(reply),
            };
            self.outgoing.push(Outgoing::Entries {
                envelope,
                bytes_max: parked.bytes_max,
            });
        }
    }
}
