//! What a leader does about voters that are dead (R21).

use std::time::Duration;

use chat_consensus::{Fault, MembershipEdit, NodeId, Time};

use crate::event::MakeReply;
use crate::replica::Replica;
use crate::replica::autopilot::{Autopilot, Watch};

/// How often a leader looks.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// In election timeouts: a silence of a voter that is this long is one whose end is noted.
const NOTED_SILENCE: u32 = 10;

/// Nothing is changed within this time of a voter's return.
const PAUSE_AFTER_RETURN: Duration = Duration::from_secs(10);

/// A change that was refused is not requested again before.
const PAUSE_AFTER_REFUSAL: Duration = Duration::from_secs(5);

/// Two changes are at least this far apart, or `dead_after` if that is shorter.
const PAUSE_BETWEEN_CHANGES: Duration = Duration::from_secs(60);

impl<F: MakeReply> Replica<F> {
    /// When the autopilot looks next.
    pub(super) fn autopilot_deadline(&self) -> Time {
        match self.autopilot {
            Some(_) if self.is_leading() => self.watch.looked_at + LOOK_INTERVAL,
            _ => Time::NEVER,
        }
    }

    /// Looks whether a voter is to become a learner.
    pub(super) fn run_autopilot(&mut self) -> Result<(), Fault> {
        let Some(policy) = self.autopilot.filter(|_| self.is_leading()) else {
            self.watch.term = None;
            return Ok(());
        };
        let (now, term) = (self.now, self.node.term());
        if self.watch.term == Some(term) && now < self.watch.looked_at + LOOK_INTERVAL {
            return Ok(());
        }
        let timeout = self.node.timing().election_timeout;
        if self.watch.term != Some(term) {
            self.watch = Watch {
                term: Some(term),
                counted_since: now,
                ..Watch::default()
            };
        } else if now.since(self.watch.looked_at) > timeout {
            // Nothing that arrived meanwhile was seen.
            self.watch.counted_since = now;
        }
        self.watch.looked_at = now;
        let Some(dead) = self.longest_silent(timeout * NOTED_SILENCE, policy) else {
            return Ok(());
        };
        let pause = PAUSE_BETWEEN_CHANGES.min(policy.dead_after);
        let is_soon = |at: Option<Time>, pause| at.is_some_and(|at| now.since(at) < pause);
        if is_soon(self.watch.returned_at, PAUSE_AFTER_RETURN)
            || is_soon(self.watch.changed_at, pause)
            || is_soon(self.watch.refused_at, PAUSE_AFTER_REFUSAL)
        {
            return Ok(());
        }
        match self.change_members(&MembershipEdit::Demote(dead))? {
            Ok(_) => self.watch.changed_at = Some(now),
            Err(_) => self.watch.refused_at = Some(now),
        }
        Ok(())
    }

    /// The voter that is silent for longest, if that is long enough and enough others are left. Notes who
    /// returned.
    fn longest_silent(&mut self, noted: Duration, policy: Autopilot) -> Option<NodeId> {
        let now = self.now;
        let members = self.node.membership()?;
        let voters = members.voters.len();
        let followers = self.node.followers()?.into_iter();
        let followers = followers.filter(|follower| members.voter(follower.node).is_some());
        let since = self.watch.counted_since;
        let silence = |follower: &chat_consensus::FollowerStatus| {
            now.since(follower.progressed_at.max(since))
        };
        let silences: Vec<(Duration, NodeId)> = followers
            .map(|follower| (silence(&follower), follower.node))
            .collect();
        for (silence, node) in &silences {
            if *silence >= noted {
                self.watch.silent.insert(*node);
            } else if self.watch.silent.remove(node) {
                self.watch.returned_at = Some(now);
            }
        }
        let (silence, node) = silences.into_iter().max()?;
        (silence >= policy.dead_after && voters > policy.min_voters).then_some(node)
    }
}
