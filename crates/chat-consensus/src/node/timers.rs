//! Every timer of a node, in one table, and what it does when it fires.

use crate::node::{Node, Role};
use crate::types::Time;

/// What a node does by the clock. Each is due at [`Node::deadline`], and never while it has no
/// meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Timer {
    /// The lowest node, while it is uninitialized, probes again which nodes are so, too (R12).
    BootstrapProbe,
    /// A follower without a leader, which may vote, starts a pre-vote (R7, R8).
    Election,
    /// A follower's fetch has failed because it is late, or its pause after a failed one is over
    /// (R8).
    Fetch,
    /// A candidate gives up the round of its campaign (R7).
    Campaign,
    /// A leader sends heartbeats (R8).
    Heartbeat,
    /// A leader announces itself again to nodes that do not fetch (R9).
    Announcement,
    /// A leader completes a pending fetch with what there is (R8).
    LongPoll,
    /// A leader looks whether a majority has made progress, and resigns if it has not for too long
    /// (R10).
    CheckQuorum,
    /// A leader resigns: its own write has taken too long (R10).
    Sync,
    /// A leader completes a transfer, whether or not the successor has everything (R17).
    Transfer,
}

const TIMERS: [Timer; 10] = [
    Timer::BootstrapProbe,
    Timer::Election,
    Timer::Fetch,
    Timer::Campaign,
    Timer::Heartbeat,
    Timer::Announcement,
    Timer::LongPoll,
    Timer::CheckQuorum,
    Timer::Sync,
    Timer::Transfer,
];

impl Node {
    /// When [`Input::DeadlinePassed`](crate::Input::DeadlinePassed) is due, if nothing else happens
    /// before.
    pub fn next_deadline(&self) -> Time {
        let deadlines = TIMERS.iter().map(|timer| self.deadline(*timer));
        deadlines.min().unwrap_or(Time::NEVER)
    }

    fn deadline(&self, timer: Timer) -> Time {
        let context = &self.context;
        match (timer, &self.role) {
            (Timer::BootstrapProbe, _) => {
                let bootstrap = self.bootstrap.as_ref();
                bootstrap.map_or(Time::NEVER, |bootstrap| bootstrap.probe_at)
            }
            (Timer::Election, Role::Follower(_)) => self.election.campaign_deadline(context),
            (Timer::Fetch, Role::Follower(follower)) => follower.fetch_deadline(),
            (Timer::Campaign, Role::Candidate(candidate)) => candidate.deadline,
            (Timer::Heartbeat, Role::Leader(leader)) => leader.heartbeat_at,
            (Timer::Announcement, Role::Leader(leader)) => leader.announce_at,
            (Timer::LongPoll, Role::Leader(leader)) => leader.long_poll_deadline(),
            (Timer::CheckQuorum, Role::Leader(leader)) => leader.quorum_held_until,
            (Timer::Sync, Role::Leader(_)) => context.sync_deadline(),
            (Timer::Transfer, Role::Leader(leader)) => {
                leader.transfer_deadline.unwrap_or(Time::NEVER)
            }
            (_, Role::Follower(_) | Role::Candidate(_) | Role::Leader(_)) => Time::NEVER,
        }
    }

    /// Does everything that is due.
    pub(super) fn fire_timers(&mut self) {
        self.probe_peers_if_due();
        let now = self.context.now;
        match &mut self.role {
            Role::Follower(follower) => {
                let piece_size = &mut self.downloads.piece_size;
                let leader = self.context.leader.id;
                follower.time_out_fetch((now, leader), &mut self.fetch_size, piece_size);
                if now >= self.election.campaign_deadline(&self.context) {
                    self.start_pre_vote();
                }
            }
            Role::Candidate(candidate) if now >= candidate.deadline => self.fail_campaign(),
            Role::Candidate(_) => {}
            Role::Leader(leader) => {
                if let Some(resignation) = leader.tick(&mut self.context) {
                    self.resign(resignation);
                }
            }
        }
    }
}
