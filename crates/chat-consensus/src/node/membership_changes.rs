//! How a leader changes who counts: one voter at a time (R19), and a node whose disk was replaced by itself
//! (R20).

use crate::entry::{Entry, Payload};
use crate::input::{MembershipRefusal, Report};
use crate::membership::Membership;
use crate::node::context::NodeContext;
use crate::node::fetch_service::DISKS_REPORT_PAUSE;
use crate::node::leader::Leader;
use crate::node::progress::Progress;
use crate::types::{NodeId, Position, Voter};

/// In election timeouts: how long the disk of a voter must be silent before another one of its node takes
/// its place.
const SILENCE: u32 = 10;

/// In election timeouts: a node that became a voter is not replaced before this, so that a disk that is
/// lost at every start does not change the members without an end.
const READMISSION_PAUSE: u32 = 50;

impl Leader {
    /// Appends the next change with which a node becomes a voter again, if there is one (R20): the first one
    /// that is allowed, in the order of the nodes.
    pub(super) fn readmit_if_possible(&mut self, context: &mut NodeContext) {
        if !self.may_change_members(context) {
            return;
        }
        let Some(newest) = context.membership() else {
            return;
        };
        let promoted = newest.learners.iter();
        let promoted = promoted.filter_map(|node| self.promoted(context, newest, *node));
        let demoted = newest.voters.iter();
        let demoted = demoted.filter_map(|voter| self.demoted(context, newest, *voter));
        let next = promoted
            .chain(demoted)
            .find(|next| self.check_change(context, next).is_ok());
        if let Some(next) = next {
            self.append_membership(context, next);
        }
    }

    /// Appends requested members, if that is allowed.
    pub(super) fn change_members(
        &mut self,
        context: &mut NodeContext,
        next: Membership,
    ) -> Result<(), MembershipRefusal> {
        if !self.may_change_members(context) {
            return Err(MembershipRefusal::NotNow);
        }
        self.check_change(context, &next)?;
        self.append_membership(context, next);
        Ok(())
    }

    /// Whether any change may be appended now: what was committed before this term, and with it whether an
    /// earlier leader's change is, is known, and no other change is under way (R19).
    fn may_change_members(&self, context: &NodeContext) -> bool {
        context.commit_index >= self.term_start
            && context.previous_membership().is_none()
            && self.transfer_deadline.is_none()
    }

    /// Whether these members may follow the newest ones: one voter differs at most, no id is used again, and
    /// both majorities keep up (R19).
    fn check_change(
        &self,
        context: &NodeContext,
        next: &Membership,
    ) -> Result<(), MembershipRefusal> {
        let newest = context.membership().filter(|newest| {
            let mut joined = next.nodes().filter(|node| !newest.names(*node));
            next.is_valid()
                && next != *newest
                && next.cluster == newest.cluster
                && next.highest >= newest.highest
                && joined.all(|node| node > newest.highest)
        });
        let newest = newest.ok_or(MembershipRefusal::Invalid)?;
        let left = newest.voters_missing_in(next).count();
        if next.voters_missing_in(newest).count() + left > 1 {
            return Err(MembershipRefusal::SeveralVoters);
        }
        let joiner = next.voters_missing_in(newest).next();
        if joiner.is_some_and(|joiner| self.qualified_disk(context, joiner.node) != Some(joiner)) {
            return Err(MembershipRefusal::JoinerNotReady);
        }
        let keeps_up = |voter: &&Voter| joiner == Some(**voter) || self.keeps_up(context, **voter);
        for members in [newest, next] {
            if members.voters.iter().filter(keeps_up).count() < members.majority() {
                return Err(MembershipRefusal::TooFewKeepUp);
            }
        }
        Ok(())
    }

    /// The members with a learner among the voters, if its disk qualifies.
    fn promoted(
        &self,
        context: &NodeContext,
        newest: &Membership,
        node: NodeId,
    ) -> Option<Membership> {
        let voter = self.qualified_disk(context, node)?;
        let mut next = newest.clone();
        next.learners.retain(|learner| *learner != node);
        next.voters.push(voter);
        next.voters.sort_unstable();
        Some(next)
    }

    /// The members without a voter, if its node has another disk by now that qualifies.
    fn demoted(
        &self,
        context: &NodeContext,
        newest: &Membership,
        voter: Voter,
    ) -> Option<Membership> {
        self.qualified_disk(context, voter.node)?;
        if !self.is_replaceable(context, voter.node) {
            return None;
        }
        let mut next = newest.clone();
        next.voters.retain(|other| *other != voter);
        next.learners.push(voter.node);
        next.learners.sort_unstable();
        Some(next)
    }

    /// The disk of `node` that is not a voter's, if it may become one: it keeps up, and lacks nothing.
    fn qualified_disk(&self, context: &NodeContext, node: NodeId) -> Option<Voter> {
        let now = context.now;
        let timing = context.config.timing;
        let progress = self.learners.get(&node)?;
        let storage = progress.storage?;
        let fetched = progress.last_fetch?;
        let pause = timing.election_timeout * DISKS_REPORT_PAUSE;
        let qualifies = progress.was_at_end
            && progress.is_whole()
            && now.since(fetched) <= timing.successor_progress_age_max()
            && !self.disks_alternate(node, now, pause);
        qualifies.then_some(Voter { node, storage })
    }

    /// Whether the disk with which `node` is a voter may be given up: it was silent for long, in this term,
    /// and the node did not become a voter just before.
    fn is_replaceable(&self, context: &NodeContext, node: NodeId) -> bool {
        let now = context.now;
        let timeout = context.config.timing.election_timeout;
        let Some(progress) = self.followers.get(&node) else {
            // This node itself.
            return false;
        };
        let promoted = self.readmissions.promoted_at.get(&node);
        now.since(progress.received_at) >= timeout * SILENCE
            && promoted.is_none_or(|at| now.since(*at) >= timeout * READMISSION_PAUSE)
    }

    /// Whether a voter helps to commit what is appended now, as far as is known.
    fn keeps_up(&self, context: &NodeContext, voter: Voter) -> bool {
        if voter == context.own_voter() {
            return true;
        }
        let recent = context.config.timing.successor_progress_age_max();
        let helps = |progress: &Progress| {
            progress.storage == Some(voter.storage)
                && progress.counts()
                && progress.is_whole()
                && progress.holds_through() >= context.commit_index.0
                && context
                    .now
                    .since(progress.advanced_at.min(progress.echoed_at))
                    <= recent
        };
        self.followers.get(&voter.node).is_some_and(helps)
    }

    /// Appends `next`, by which everything counts from now on.
    fn append_membership(&mut self, context: &mut NodeContext, next: Membership) {
        let position = Position {
            term: context.hard_state.term,
            index: context.log.last().index.next(),
        };
        let before = context
            .membership()
            .expect("a leader knows its members")
            .clone();
        context.report(Report::MembershipAppended(position.index, next.clone()));
        context.append(Entry {
            position,
            payload: Payload::Membership(next.clone()),
        });
        for voter in before.voters_missing_in(&next) {
            self.dismiss(context, voter.node);
        }
        for voter in next.voters_missing_in(&before) {
            self.admit(context, voter);
        }
        for node in next.nodes().filter(|node| *node != context.id()) {
            let new = || Progress::new(context.now);
            self.followers.entry(node).or_insert_with(new);
        }
        // Each of these is counted by other voters now.
        self.quorum_held_until = context.now;
        self.note_commit_awaited(context, false);
        self.confirm_reads(context);
        self.complete_fetches(context, |fetch, _| fetch.after < position.index);
    }

    /// The newest members are committed: who is not among them is called and served no more. A fetch of such a
    /// node is answered with the entry that removes it.
    pub(super) fn forget_removed(&mut self, context: &mut NodeContext) {
        let Some(newest) = context.membership().cloned() else {
            return;
        };
        self.complete_fetches(context, |fetch, _| !newest.names(fetch.header.from));
        self.followers.retain(|node, _| newest.names(*node));
        self.learners.retain(|node, _| newest.names(*node));
        self.disks.retain(|node, _| newest.names(*node));
        let promoted = &mut self.readmissions.promoted_at;
        promoted.retain(|node, _| newest.names(*node));
    }

    /// The disk with which `node` was a voter is one like any other from now on.
    fn dismiss(&mut self, context: &mut NodeContext, node: NodeId) {
        let Some(progress) = self.followers.get_mut(&node) else {
            return;
        };
        let mut dismissed = core::mem::replace(progress, Progress::new(context.now));
        dismissed.admitted = false;
        if let Some(fetch) = dismissed
            .pending_fetch
            .take_if(|_| self.learners.contains_key(&node))
        {
            context.reject_fetch(&fetch.header);
        }
        if dismissed.storage.is_some() {
            self.learners.entry(node).or_insert(dismissed);
        }
    }

    /// The disk `voter` is one of those that count from now on, by what it does from now on.
    fn admit(&mut self, context: &NodeContext, voter: Voter) {
        let now = context.now;
        let mut progress = match self.learners.remove(&voter.node) {
            Some(known) if known.storage == Some(voter.storage) => known,
            _ => Progress::of_disk(voter.storage, now),
        };
        progress.admit(now, context.requests_made);
        self.followers.insert(voter.node, progress);
        self.readmissions.promoted_at.insert(voter.node, now);
    }
}

#[cfg(test)]
mod tests;
