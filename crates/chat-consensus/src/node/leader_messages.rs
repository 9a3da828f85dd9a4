//! What a follower does with its leader's messages, and when the leader is gone (R3, R8, R11, R18).

use alloc::vec::Vec;
use core::time::Duration;

use crate::entry::{Entry, LogBase};
use crate::input::{Fault, Report};
use crate::message::{GetCommitsReply, Header, Heartbeat, HeartbeatReply, Reply};
use crate::node::follower::grow_fetch_size;
use crate::node::{Node, Role};
use crate::types::{BOOT_COUNT_MAX, LogIndex, NodeId, Position, RequestId, Voter};

/// How long a node that was named no member does not campaign.
const EXCLUSION: Duration = Duration::from_secs(10);

impl Node {
    pub(super) fn handle_call_failed(&mut self, peer: NodeId, failed: RequestId) {
        if let Role::Follower(follower) = &mut self.role
            && self.context.leader.id == Some(peer)
        {
            let piece_size = &mut self.downloads.piece_size;
            follower.fail_call(&self.context, failed, &mut self.fetch_size, piece_size);
        }
        self.record_vote_failed(peer, failed);
    }

    pub(super) fn handle_connection_refused(&mut self, peer: NodeId) {
        match &self.role {
            Role::Follower(_) if self.context.leader.id == Some(peer) => self.campaign_soon(),
            Role::Candidate(_) => self.record_vote_denied(peer),
            Role::Follower(_) | Role::Leader(_) => {}
        }
    }

    pub(super) fn handle_coordinator(&mut self, header: &Header) -> Result<(), Fault> {
        self.check_leader_claim(header.from)?;
        self.become_follower_of(header.from);
        self.context.leader.has_claimed = true;
        self.abandon_pre_vote();
        if let Role::Follower(follower) = &mut self.role {
            follower.end_fetch_pause();
        }
        self.context.reply(header, Reply::Coordinator);
        Ok(())
    }

    pub(super) fn handle_heartbeat(
        &mut self,
        header: &Header,
        heartbeat: Heartbeat,
    ) -> Result<(), Fault> {
        self.check_leader_claim(header.from)?;
        if self.context.leader.id == Some(header.from) {
            self.context.leader.has_claimed = true;
            self.abandon_pre_vote();
            self.context.leader.uncounted = heartbeat.uncounted;
            if let Role::Follower(follower) = &self.role
                && follower.are_fetches_answered(self.context.now)
            {
                self.record_leader_contact();
            }
            // Only what this term's leader has matched is known to be in its log, too (R3).
            let matched = self.context.leader.match_index;
            self.context
                .raise_commit_index(heartbeat.commit_index.min(matched));
        }
        let echo = HeartbeatReply {
            round: heartbeat.round,
            writing: self.context.syncing.is_some(),
        };
        self.context.reply(header, Reply::Heartbeat(echo));
        Ok(())
    }

    pub(super) fn handle_resign(&mut self, header: &Header, successor: Option<NodeId>) {
        // The rejection of a pending fetch may have overtaken this request: then no leader is known.
        let leader = self.context.leader.id;
        if leader.is_none_or(|leader| leader == header.from) {
            self.campaign_after_successor();
            if successor == Some(self.context.id()) && self.context.may_campaign() {
                self.start_election();
            }
        }
        self.context.reply(header, Reply::Resign);
    }

    pub(super) fn handle_get_commits_reply(
        &mut self,
        header: &Header,
        reply: GetCommitsReply,
    ) -> Result<(), Fault> {
        let sent = match &self.role {
            Role::Follower(follower) => follower.fetch_sent_at(&self.context, header),
            Role::Candidate(_) | Role::Leader(_) => None,
        };
        if let GetCommitsReply::NotLeading { leader } = reply {
            self.handle_not_leading(header, leader, sent.is_some());
            return Ok(());
        }
        let Some(sent) = sent else {
            return Ok(());
        };
        match reply {
            GetCommitsReply::NotLeading { .. } => {}
            GetCommitsReply::NotMember => self.exclude(),
            GetCommitsReply::RolledBack {
                repair_through,
                boot_count,
            } => self.handle_rolled_back(header, repair_through, boot_count),
            GetCommitsReply::Amnesiac { remembered_block } => {
                self.context
                    .check_memory_of_peer(header, remembered_block)?;
                self.reject_fetch_response();
            }
            GetCommitsReply::Entries {
                after,
                commit_index,
                entries,
            } => {
                if self.continues_log(after, &entries) {
                    let took = self.context.now.since(sent);
                    let limit = self.context.config.timing.fetch_timeout();
                    grow_fetch_size(&mut self.fetch_size, &entries, took, limit);
                    self.accept_entries(entries, commit_index);
                } else {
                    self.reject_fetch_response();
                }
            }
            GetCommitsReply::Base(base) => self.accept_base(header, base),
            GetCommitsReply::Snapshot(snapshot) => self.accept_offer(header, snapshot),
            GetCommitsReply::NoSnapshotYet => self.handle_no_snapshot_yet(),
            GetCommitsReply::Diverging(position) => self.truncate_to(position)?,
        }
        Ok(())
    }

    pub(super) fn handle_not_leading(
        &mut self,
        header: &Header,
        leader: Option<NodeId>,
        fits: bool,
    ) {
        if fits {
            self.campaign_after_successor();
            self.election.fast_retries_left = 0;
            self.accept_leader_hint(leader.filter(|leader| *leader != header.from));
        } else {
            self.accept_leader_hint(leader);
        }
    }

    /// This node left the cluster, or is not in it yet: it follows no one until a leader calls it, and asks
    /// for votes again only after a while (R19).
    pub(super) fn exclude(&mut self) {
        let context = &mut self.context;
        if context.excluded_until.is_none() {
            context.report(Report::NotMember);
        }
        context.excluded_until = Some(context.now + EXCLUSION);
        context.leader.forget();
        self.become_follower();
    }

    /// The disk has acknowledged to the leader more than it holds, or holds it again (R18).
    fn handle_rolled_back(&mut self, header: &Header, repair_through: LogIndex, shown: u64) {
        if shown >= BOOT_COUNT_MAX {
            return self.reject_fetch_response();
        }
        self.on_fetch_success();
        let context = &mut self.context;
        if shown >= context.boot_count {
            context.start_run_after(shown);
        }
        if repair_through != context.hard_state.repair_through {
            let mut hard_state = context.hard_state;
            hard_state.repair_through = repair_through;
            // This node may have voted in this term and lost the vote with the rest (R5).
            if context.cluster().is_some() {
                hard_state.vote.get_or_insert(Voter {
                    node: header.from,
                    storage: header.storage,
                });
            }
            context.set_hard_state(hard_state);
            context.report(Report::RolledBack { repair_through });
        }
    }

    pub(super) fn record_leader_contact(&mut self) {
        if let Role::Follower(follower) = &mut self.role {
            follower.leader_contact_at = Some(self.context.now);
        }
        self.election.fast_retries_left = 0;
        self.election.reset(&mut self.context);
    }

    pub(super) fn on_fetch_success(&mut self) {
        if let Role::Follower(follower) = &mut self.role {
            follower.finish_fetch();
        }
        self.context.excluded_until = None;
        self.record_leader_contact();
    }

    pub(super) fn reject_fetch_response(&mut self) {
        if let Role::Follower(follower) = &mut self.role {
            follower.reject_fetch_response(self.context.now);
        }
    }

    /// Whether `entries` continue this log as one leader's log can.
    fn continues_log(&self, after: LogIndex, entries: &[Entry]) -> bool {
        let mut last = self.context.log.last();
        if after != last.index || self.context.base.is_none() {
            return false;
        }
        for entry in entries {
            let fits = entry.position.index == last.index.next()
                && entry.position.term >= last.term
                && entry.position.term <= self.context.hard_state.term;
            if !fits {
                return false;
            }
            last = entry.position;
        }
        true
    }

    /// The first contact of a disk without a base (R12). At position 0 the base means the empty state; of
    /// another one the state is downloaded (R24).
    fn accept_base(&mut self, header: &Header, base: LogBase) {
        let fits = self.context.base.is_none()
            && base.position == Position::ZERO
            && header.cluster == Some(base.membership.cluster)
            && self.base_fits(&base);
        if !fits {
            return self.reject_fetch_response();
        }
        self.context.leader.has_claimed = true;
        self.on_fetch_success();
        self.context.install_base(base);
    }

    fn accept_entries(&mut self, entries: Vec<Entry>, commit_index: LogIndex) {
        self.context.leader.has_claimed = true;
        self.on_fetch_success();
        for entry in entries {
            self.context.append(entry);
        }
        let last = self.context.log.last().index;
        self.context.leader.match_index = last;
        self.context.raise_commit_index(commit_index.min(last));
    }

    /// Removes what this term's leader does not have (R11). The common part ends at `theirs` or
    /// before: where this log leaves that term.
    fn truncate_to(&mut self, theirs: Position) -> Result<(), Fault> {
        let context = &self.context;
        let ours = context.log.last_at_or_below(theirs.term);
        let common = if ours.index > theirs.index {
            Position {
                term: context.log.term_at(theirs.index).unwrap_or(ours.term),
                index: theirs.index,
            }
        } else {
            ours
        };
        // The leader does not hold the base: it has no entry of that term.
        let base = context.log.base();
        let before_base = common.index < base.index || theirs.term < base.term;
        let common = if before_base { theirs } else { common };
        if !before_base && common.index >= context.log.last().index {
            self.reject_fetch_response();
            return Ok(());
        }
        if common.index < context.commit_index || before_base && context.commit_index >= base.index
        {
            return Err(Fault::CommittedEntryLost {
                common,
                commit_index: context.commit_index,
            });
        }
        if common.index < context.leader.match_index {
            self.reject_fetch_response();
            return Ok(());
        }
        if before_base {
            return Err(Fault::TruncationInHole { common });
        }
        self.on_fetch_success();
        self.context.truncate_after(common);
        Ok(())
    }
}
