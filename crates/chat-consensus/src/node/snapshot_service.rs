//! What a leader offers a follower for which entries are not enough, and whose downloads count as
//! progress (R24).

use alloc::boxed::Box;

use crate::input::Report;
use crate::message::{FollowerState, GetCommitsReply, GetSnapshot, Header, Reply};
use crate::node::context::NodeContext;
use crate::node::leader::Leader;
use crate::snapshot::Snapshot;
use crate::types::LogIndex;

/// In election timeouts: while entries wait for so long without any commit, downloads hold no leader.
const COMMIT_WAIT_MAX: u32 = 10;

impl Leader {
    /// Replies to a fetch whose position is before this log.
    pub(super) fn reply_with_snapshot(
        &mut self,
        context: &mut NodeContext,
        header: &Header,
        admitted: bool,
        state: FollowerState,
    ) {
        self.record_download(context, header, admitted);
        // One that does not reach beyond a hole would be refused.
        let base = context.log.base().index;
        let least = match state {
            FollowerState::Lost { at_least } => base.max(at_least),
            FollowerState::Whole | FollowerState::Restoring => base,
        };
        let reply = match self.offer(context, header, least) {
            Some(snapshot) => GetCommitsReply::Snapshot(snapshot),
            None => GetCommitsReply::NoSnapshotYet,
        };
        context.reply(header, Reply::GetCommits(reply));
    }

    /// The newest snapshot, if this log contains it and it is not below `least`; otherwise one is wanted.
    pub(super) fn offer(
        &self,
        context: &mut NodeContext,
        header: &Header,
        least: LogIndex,
    ) -> Option<Box<Snapshot>> {
        let newest = context.snapshot.as_ref();
        let offered = newest.filter(|snapshot| {
            let position = snapshot.base.position;
            position.index >= least && context.log.contains(position)
        });
        let offered = offered.cloned();
        if offered.is_none() {
            context.report(Report::SnapshotWanted(header.from, least));
        }
        offered
    }

    /// A follower requests a piece: if it has come forward, that is progress.
    pub(super) fn record_piece_request(
        &mut self,
        context: &NodeContext,
        header: &Header,
        wanted: GetSnapshot,
    ) {
        let admitted = context.admits(header.from, header.storage);
        let Some(progress) = self.progress_mut(header, admitted, context.now) else {
            return;
        };
        let before = progress.piece_requested;
        let repeated = |(id, offset)| id == wanted.id && offset >= wanted.offset;
        if before.is_some_and(repeated) {
            return;
        }
        progress.piece_requested = Some((wanted.id, wanted.offset));
        self.record_download(context, header, admitted);
    }

    /// The follower is in contact, though it acknowledges nothing: that counts while this leader
    /// commits, so that a follower that downloads for ever does not hold a leader that is of no use.
    fn record_download(&mut self, context: &NodeContext, header: &Header, admitted: bool) {
        let now = context.now;
        let limit = context.config.timing.election_timeout * COMMIT_WAIT_MAX;
        let commits = self
            .commit_awaited_since
            .is_none_or(|since| now.since(since) <= limit);
        if let Some(progress) = self.progress_mut(header, admitted, now) {
            progress.last_fetch = Some(now);
            if commits {
                progress.advanced_at = now;
            }
        }
    }

    /// Something was committed, or appended: since when this leader waits for a commit.
    pub(super) fn note_commit_awaited(&mut self, context: &NodeContext, committed: bool) {
        let waits = context.commit_index < context.log.last().index;
        self.commit_awaited_since = match self.commit_awaited_since {
            Some(since) if waits && !committed => Some(since),
            _ => waits.then_some(context.now),
        };
    }
}
