//! Pulling from a leader: fetch, accept, acknowledge, and notice when it is gone (R3, R8, R11).

use alloc::vec::Vec;
use core::time::Duration;

use crate::entry::{Entry, Payload};
use crate::input::{Fault, Report};
use crate::message::{GetCommits, GetCommitsReply, Header, Heartbeat, Message};
use crate::node::{Node, Role};
use crate::types::{BOOT_COUNT_MAX, LogIndex, NodeId, Position, RequestId, Time, Voter};

/// After a failed fetch the next one waits this long, so that a dead leader is not called in a
/// tight loop.
const FETCH_PAUSE: Duration = Duration::from_millis(20);

/// How much a fetch asks for at first, and at most (R8): what a link of 42 Mbit/s carries in 400 ms.
pub(super) const FETCH_BYTES_MAX: u32 = 2 << 20;
/// ... and at least. One entry is sent in any case.
const FETCH_BYTES_MIN: u32 = 4 << 10;
/// An answer with so many entries was as full as one with half of the bytes: leaders limit both.
const FULL_ENTRIES: usize = 1_024;

/// A follower's dealings with its leader.
#[derive(Debug, Default)]
pub(super) struct Following {
    /// When the leader last answered a fetch, or showed itself while fetches worked (R8).
    pub(super) leader_contact_at: Option<Time>,
    fetch: Fetch,
    /// The last fetch failed or passed its deadline: heartbeats prove nothing any more (R8).
    fetch_failed: bool,
}

#[derive(Debug, Default)]
enum Fetch {
    #[default]
    Idle,
    /// One fetch is under way; nothing but its answer fits.
    Waiting {
        request: RequestId,
        sent: Time,
        deadline: Time,
    },
    /// The last one failed.
    Pausing { until: Time },
}

impl Following {
    pub(super) fn next_deadline(&self) -> Time {
        match self.fetch {
            Fetch::Idle => Time::NEVER,
            Fetch::Waiting { deadline, .. } => deadline,
            Fetch::Pausing { until } => until,
        }
    }
}

impl Node {
    /// Sends the next fetch once everything accepted is synced: it says so (R1).
    pub(super) fn fetch_if_due(&mut self) {
        let Some(leader) = self.leader else { return };
        let idle = matches!(
            &self.role,
            Role::Follower(Following {
                fetch: Fetch::Idle,
                ..
            })
        );
        if !idle || !self.is_log_synced() {
            return;
        }
        let fetch = GetCommits {
            synced: self.synced.last,
            commit_index: self.commit_index,
            bytes_max: self.fetch_bytes_max,
            repair_through: self.hard_state.repair_through,
        };
        let sent = self.now;
        let deadline = sent + self.config.timing.fetch_timeout();
        let request = self.request(leader, Message::GetCommits(fetch));
        if let Role::Follower(following) = &mut self.role {
            following.fetch = Fetch::Waiting {
                request,
                sent,
                deadline,
            };
        }
    }

    /// A fetch that is late has failed; the next one is sent at once.
    pub(super) fn time_out_fetch(&mut self) {
        let now = self.now;
        let Role::Follower(following) = &mut self.role else {
            return;
        };
        match following.fetch {
            Fetch::Waiting { deadline, .. } if now >= deadline => {
                following.fetch_failed = true;
                following.fetch = Fetch::Idle;
                self.shrink_fetch_size();
            }
            Fetch::Pausing { until } if now >= until => following.fetch = Fetch::Idle,
            Fetch::Idle | Fetch::Waiting { .. } | Fetch::Pausing { .. } => {}
        }
    }

    pub(super) fn handle_call_failed(&mut self, peer: NodeId, failed: RequestId) {
        let until = self.now + FETCH_PAUSE;
        if let Role::Follower(following) = &mut self.role
            && self.leader == Some(peer)
            && let Fetch::Waiting { request, sent, .. } = following.fetch
            && request == failed
        {
            following.fetch_failed = true;
            following.fetch = Fetch::Pausing { until };
            // A call that broke at once says nothing about how much the link carries.
            if self.now.since(sent) >= self.config.timing.fetch_timeout() / 2 {
                self.shrink_fetch_size();
            }
        }
        self.record_vote_failed(peer, failed);
    }

    pub(super) fn handle_connection_refused(&mut self, peer: NodeId) {
        match &self.role {
            Role::Follower(_) if self.leader == Some(peer) => self.campaign_soon(),
            Role::Campaigning(_) => self.record_vote_denied(peer),
            Role::Follower(_) | Role::Leader(_) => {}
        }
    }

    pub(super) fn handle_coordinator(&mut self, header: &Header) -> Result<(), Fault> {
        self.check_leader_claim(header.from)?;
        self.become_follower_of(header.from);
        self.leader_claimed = true;
        self.abandon_pre_vote();
        if let Role::Follower(following) = &mut self.role
            && matches!(following.fetch, Fetch::Pausing { .. })
        {
            following.fetch = Fetch::Idle;
        }
        self.reply(header, Message::CoordinatorReply);
        Ok(())
    }

    pub(super) fn handle_heartbeat(
        &mut self,
        header: &Header,
        heartbeat: Heartbeat,
    ) -> Result<(), Fault> {
        self.check_leader_claim(header.from)?;
        if self.leader == Some(header.from) {
            self.leader_claimed = true;
            self.abandon_pre_vote();
            self.uncounted = heartbeat.uncounted;
            if self.are_fetches_answered() {
                self.record_leader_contact();
            }
            // Only what this term's leader has matched is known to be its log, too (R3).
            self.raise_commit_index(heartbeat.commit_index.min(self.match_index));
        }
        let echo = Message::HeartbeatReply {
            round: heartbeat.round,
            writing: self.writing.is_some(),
        };
        self.reply(header, echo);
        Ok(())
    }

    pub(super) fn handle_resign(&mut self, header: &Header, successor: Option<NodeId>) {
        // The refusal of a parked fetch may have overtaken this word: then no leader is known.
        if self.leader.is_none_or(|leader| leader == header.from) {
            self.campaign_after_successor();
            if successor == Some(self.config.node) && self.may_vote() {
                self.start_election();
            }
        }
        self.reply(header, Message::ResignReply);
    }

    pub(super) fn handle_get_commits_reply(
        &mut self,
        header: &Header,
        reply: GetCommitsReply,
    ) -> Result<(), Fault> {
        let sent = self.fetch_sent_at(header);
        let fits = sent.is_some();
        match reply {
            GetCommitsReply::NotLeading { leader } if fits => {
                self.campaign_after_successor();
                self.fast_retries_left = 0;
                self.accept_leader_hint(leader.filter(|leader| *leader != header.from));
                Ok(())
            }
            GetCommitsReply::NotLeading { leader } => {
                self.accept_leader_hint(leader);
                Ok(())
            }
            GetCommitsReply::Entries { .. }
            | GetCommitsReply::Diverging(_)
            | GetCommitsReply::RolledBack { .. }
                if !fits =>
            {
                Ok(())
            }
            GetCommitsReply::RolledBack {
                repair_through,
                boot_count,
            } => {
                self.handle_rolled_back(header, repair_through, boot_count);
                Ok(())
            }
            GetCommitsReply::Entries {
                after,
                commit_index,
                entries,
            } => {
                if self.follows_log(after, &entries) {
                    self.grow_fetch_size(&entries, sent);
                    self.accept_entries(entries, commit_index);
                } else {
                    self.reject_fetch_response();
                }
                Ok(())
            }
            GetCommitsReply::Diverging(position) => self.truncate_to(position),
        }
    }

    /// When the fetch was sent that a message with `header` answers; `None` if it answers none that
    /// is under way (R4).
    fn fetch_sent_at(&self, header: &Header) -> Option<Time> {
        match &self.role {
            Role::Follower(Following {
                fetch: Fetch::Waiting { request, sent, .. },
                ..
            }) if self.leader == Some(header.from) && *request == header.request => Some(*sent),
            Role::Follower(_) | Role::Campaigning(_) | Role::Leader(_) => None,
        }
    }

    /// The leader remembers more of this disk than the disk does, or asks for it no longer (R18).
    fn handle_rolled_back(&mut self, header: &Header, repair_through: LogIndex, shown: u64) {
        if shown >= BOOT_COUNT_MAX {
            return self.reject_fetch_response();
        }
        self.on_fetch_success();
        if shown >= self.boot_count {
            self.start_run_after(shown);
        }
        if repair_through != self.hard_state.repair_through {
            self.hard_state.repair_through = repair_through;
            // It may have voted in this term and lost the vote with the rest (R5).
            if self.membership.is_some() {
                self.hard_state.vote.get_or_insert(Voter {
                    node: header.from,
                    storage: header.storage,
                });
            }
            self.writes.hard_state = Some(self.hard_state);
            self.reports.push(Report::RolledBack { repair_through });
        }
    }

    /// Asks for more after an answer that was full and came soon (R8).
    fn grow_fetch_size(&mut self, entries: &[Entry], sent: Option<Time>) {
        let bytes: usize = entries.iter().map(Entry::size).sum();
        let Some(sent) = sent else { return };
        let half = usize::try_from(self.fetch_bytes_max / 2).unwrap_or(usize::MAX);
        let full = bytes >= half || entries.len() >= FULL_ENTRIES;
        let took = self.now.since(sent) * 3;
        let limit = self.config.timing.fetch_timeout();
        let more = match () {
            () if full && took < limit => self.fetch_bytes_max,
            () if full && took < limit * 2 => self.fetch_bytes_max / 4,
            () => 0,
        };
        self.fetch_bytes_max = (self.fetch_bytes_max + more).min(FETCH_BYTES_MAX);
    }

    /// An answer did not arrive in time: perhaps it was too large for the link (R8).
    fn shrink_fetch_size(&mut self) {
        self.fetch_bytes_max = (self.fetch_bytes_max / 2).max(FETCH_BYTES_MIN);
    }

    /// Whether heartbeats may refresh the election timer (R8).
    fn are_fetches_answered(&self) -> bool {
        match &self.role {
            Role::Follower(following) => {
                let late = matches!(following.fetch, Fetch::Waiting { deadline, .. } if self.now >= deadline);
                !following.fetch_failed && !late
            }
            Role::Campaigning(_) | Role::Leader(_) => false,
        }
    }

    fn record_leader_contact(&mut self) {
        let now = self.now;
        if let Role::Follower(following) = &mut self.role {
            following.leader_contact_at = Some(now);
        }
        self.fast_retries_left = 0;
        self.reset_election_timer();
    }

    fn on_fetch_success(&mut self) {
        if let Role::Follower(following) = &mut self.role {
            following.fetch = Fetch::Idle;
            following.fetch_failed = false;
        }
        self.record_leader_contact();
    }

    /// An answer that cannot be right came from a broken peer: as good as none.
    fn reject_fetch_response(&mut self) {
        let until = self.now + FETCH_PAUSE;
        if let Role::Follower(following) = &mut self.role {
            following.fetch_failed = true;
            following.fetch = Fetch::Pausing { until };
        }
    }

    /// Whether `entries` continue our log as one leader's log can.
    fn follows_log(&self, after: LogIndex, entries: &[Entry]) -> bool {
        let mut last = self.log.last();
        if after != last.index {
            return false;
        }
        for entry in entries {
            let is_bootstrap = match &entry.payload {
                Payload::Membership(membership) => membership.is_valid(),
                Payload::Empty | Payload::Command(_) => false,
            };
            let fits = entry.position.index == last.index.next()
                && entry.position.term >= last.term
                && entry.position.term <= self.hard_state.term
                && is_bootstrap == (entry.position.index == LogIndex(1));
            if !fits {
                return false;
            }
            last = entry.position;
        }
        true
    }

    fn accept_entries(&mut self, entries: Vec<Entry>, commit_index: LogIndex) {
        self.leader_claimed = true;
        self.on_fetch_success();
        for entry in entries {
            self.append(entry);
        }
        self.match_index = self.log.last().index;
        self.raise_commit_index(commit_index.min(self.match_index));
    }

    /// Removes what this term's leader does not have (R11). The common part ends at `theirs` or
    /// before: where our own log leaves that term.
    fn truncate_to(&mut self, theirs: Position) -> Result<(), Fault> {
        let ours = self.log.last_at_or_below(theirs.term);
        let common = if ours.index > theirs.index {
            Position {
                term: self.log.term_at(theirs.index).unwrap_or(ours.term),
                index: theirs.index,
            }
        } else {
            ours
        };
        if common.index >= self.log.last().index {
            self.reject_fetch_response();
            return Ok(());
        }
        // The birth is common to all logs of a cluster.
        let kept_for_certain = self.commit_index.max(LogIndex(1));
        if common.index < kept_for_certain {
            return Err(Fault::CommittedEntryLost {
                common,
                commit_index: self.commit_index,
            });
        }
        if common.index < self.match_index {
            self.reject_fetch_response();
            return Ok(());
        }
        self.on_fetch_success();
        self.truncate_after(common);
        Ok(())
    }

    /// Moves the commit index forward, never back (R3).
    pub(super) fn raise_commit_index(&mut self, index: LogIndex) {
        if index > self.commit_index {
            self.commit_index = index;
        }
    }
}
