//! Leading a term: the log's end, the followers' pulls, the commit index, and when to stop
//! (R3, R6, R9, R10).

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use crate::entry::{Entry, Payload};
use crate::input::{ProposalId, Report};
use crate::message::{Envelope, GetCommits, GetCommitsReply, Header, Heartbeat, Message};
use crate::node::reading::Reads;
use crate::node::{FollowerStatus, Node, Outgoing, Role};
use crate::quorum::reached_by_majority;
use crate::types::{LogIndex, NodeId, Position, RequestId, StorageId, Time};

/// A follower that has everything hears of a new commit index after this long, unless new entries
/// carry it there sooner: under load it saves a round trip per batch.
const COMMIT_NOTICE_DELAY: Duration = Duration::from_millis(3);

/// A leader's term of office.
#[derive(Debug)]
pub(super) struct Leading {
    /// The term's first entry: nothing is committed before a majority holds it (R3).
    pub(super) term_start: LogIndex,
    /// One for every other configured node.
    pub(super) followers: BTreeMap<NodeId, Progress>,
    heartbeat_at: Time,
    /// When nodes that do not pull are called again (R9). Apart from the heartbeats: read rounds
    /// put those off.
    call_idle_at: Time,
    pub(super) reads: Reads,
    /// When a hand-over is completed whether or not the successor has everything.
    pub(super) hand_over_by: Option<Time>,
}

/// What the leader knows of one follower, as of the disk it showed last.
#[derive(Debug)]
pub(super) struct Progress {
    storage: Option<StorageId>,
    /// Counts in quorums (R12).
    pub(super) voter: bool,
    /// The highest position this follower is known to hold.
    ///
    /// Only ever grows within a term: it acknowledges after its sync, so a lower one is an old
    /// message and is ignored (R4).
    pub(super) matched: LogIndex,
    /// The newest fetch; older ones are ignored (R4).
    newest_fetch: RequestId,
    last_fetch: Option<Time>,
    /// Its last fetch that advanced or stood at the end of the log (R10).
    kept_up_at: Time,
    /// The highest read round it has echoed (R14).
    pub(super) echoed_round: u64,
    parked: Option<Parked>,
}

/// A fetch that waits for something to say.
#[derive(Debug)]
struct Parked {
    header: Header,
    after: LogIndex,
    told_commit_index: LogIndex,
    /// When it is answered with whatever there is.
    deadline: Time,
}

impl Progress {
    fn new(now: Time) -> Self {
        Self {
            storage: None,
            voter: false,
            matched: LogIndex::ZERO,
            newest_fetch: RequestId::default(),
            last_fetch: None,
            kept_up_at: now,
            echoed_round: 0,
            parked: None,
        }
    }
}

impl Node {
    /// Begins to lead: with an empty entry (R3) and a word to everybody (R9).
    pub(super) fn become_leader(&mut self) {
        assert!(self.is_voter(), "only a voter is elected");
        let others = self.other_nodes();
        let term = self.hard_state.term;
        let term_start = self.log.last().index.next();
        let followers = others
            .iter()
            .map(|node| (*node, Progress::new(self.now)))
            .collect();
        self.leader = Some(self.config.node);
        self.quick_attempts = 0;
        self.role = Role::Leader(Leading {
            term_start,
            followers,
            heartbeat_at: self.now + self.config.timing.heartbeat_interval,
            call_idle_at: self.now + self.config.timing.heartbeat_interval,
            reads: Reads::default(),
            hand_over_by: None,
        });
        self.reports.push(Report::LeadershipWon(term));
        self.append(Entry {
            position: Position {
                term,
                index: term_start,
            },
            payload: Payload::Empty,
        });
        for node in others {
            self.request(node, Message::Coordinator);
        }
    }

    pub(super) fn handle_proposed(&mut self, id: ProposalId, command: Bytes) {
        let leads = matches!(&self.role, Role::Leader(leading) if leading.hand_over_by.is_none());
        if !leads {
            self.reports.push(Report::ProposalRefused(id));
            return;
        }
        let position = Position {
            term: self.hard_state.term,
            index: self.log.last().index.next(),
        };
        self.append(Entry {
            position,
            payload: Payload::Command(command),
        });
        self.reports.push(Report::Appended(id, position));
        self.answer_parked(|parked, _| parked.after < position.index);
    }

    pub(super) fn handle_get_commits(&mut self, header: &Header, fetch: GetCommits) {
        let admitted = self.admits(header.from, header.storage);
        let end = self.log.last().index;
        let diverging =
            (!self.log.contains(fetch.synced)).then(|| self.log.end_of(fetch.synced.term));
        let now = self.now;
        let Role::Leader(leading) = &mut self.role else {
            return self.refuse_fetch(header);
        };
        let Some(progress) = leading.followers.get_mut(&header.from) else {
            return;
        };
        if progress.storage != Some(header.storage) {
            // Another disk is another follower (R12); what the old one held proves nothing.
            *progress = Progress {
                storage: Some(header.storage),
                voter: admitted,
                ..Progress::new(now)
            };
        }
        if header.request <= progress.newest_fetch {
            return;
        }
        progress.newest_fetch = header.request;
        if let Some(position) = diverging {
            let reply = GetCommitsReply::Diverging(position);
            return self.reply(header, Message::GetCommitsReply(reply));
        }
        // Only valid fetches move progress (R3).
        if fetch.synced.index > progress.matched || fetch.synced.index == end {
            progress.kept_up_at = now;
        }
        progress.last_fetch = Some(now);
        progress.matched = progress.matched.max(fetch.synced.index);
        progress.parked = Some(Parked {
            header: *header,
            after: fetch.synced.index,
            told_commit_index: fetch.commit_index,
            deadline: now + self.config.timing.park_limit(),
        });
        let from = header.from;
        self.advance_commit_index();
        self.schedule_commit_notices();
        self.answer_parked(|parked, _| parked.header.from == from && parked.after < end);
        self.resign_if_handed_over();
    }

    pub(super) fn handle_heartbeat_reply(&mut self, header: &Header, round: u64) {
        let counts =
            self.admits(header.from, header.storage) && header.request.start == self.start_name();
        if let Role::Leader(leading) = &mut self.role
            && counts
            && let Some(progress) = leading.followers.get_mut(&header.from)
        {
            progress.echoed_round = progress.echoed_round.max(round);
            self.confirm_reads();
        }
    }

    /// Commits what a majority of voters holds, once that reaches this term's own entries (R3).
    pub(super) fn advance_commit_index(&mut self) {
        let Role::Leader(leading) = &self.role else {
            return;
        };
        let term_start = leading.term_start;
        let held = self.voter_values(self.synced.last.index.0, |progress| progress.matched.0);
        let index = LogIndex(reached_by_majority(held));
        if index < term_start || index <= self.commit_index {
            return;
        }
        self.raise_commit_index(index);
        self.admit_early_reads();
        self.schedule_commit_notices();
    }

    /// Parked fetches that do not know the commit index are answered soon.
    fn schedule_commit_notices(&mut self) {
        let notice_by = self.now + COMMIT_NOTICE_DELAY;
        let commit_index = self.commit_index;
        let Role::Leader(leading) = &mut self.role else {
            return;
        };
        let parked = leading
            .followers
            .values_mut()
            .filter_map(|p| p.parked.as_mut());
        for parked in parked.filter(|parked| parked.told_commit_index < commit_index) {
            parked.deadline = parked.deadline.min(notice_by);
        }
    }

    /// One value for each voter: `own` for this node, `of` its progress for each other; 0 for a
    /// voter that has not shown the disk it was admitted with.
    pub(super) fn voter_values(&self, own: u64, of: impl Fn(&Progress) -> u64) -> Vec<u64> {
        let Role::Leader(leading) = &self.role else {
            return Vec::new();
        };
        let voters = self
            .formation
            .iter()
            .flat_map(|formation| &formation.voters);
        voters
            .map(|voter| match leading.followers.get(&voter.node) {
                None if *voter == self.me() => own,
                Some(progress) if progress.storage == Some(voter.storage) => of(progress),
                Some(_) | None => 0,
            })
            .collect()
    }

    /// Everything a leader does by the clock.
    pub(super) fn act_as_leader(&mut self) {
        if self.now >= self.quorum_lost_at() || self.now >= self.write_overdue_at() {
            return self.resign(None);
        }
        self.resign_if_handed_over();
        let next = self.now + self.config.timing.heartbeat_interval;
        let Role::Leader(leading) = &mut self.role else {
            return;
        };
        let heartbeat_is_due = self.now >= leading.heartbeat_at;
        if self.now >= leading.call_idle_at {
            leading.call_idle_at = next;
            self.call_idle_followers();
        }
        if heartbeat_is_due {
            self.send_heartbeats();
        }
        self.answer_parked(|parked, now| parked.deadline <= now);
    }

    /// Lets every other node hear from the leader: its commit index and the current read round.
    pub(super) fn send_heartbeats(&mut self) {
        let next = self.now + self.config.timing.heartbeat_interval;
        let commit_index = self.commit_index;
        let Role::Leader(leading) = &mut self.role else {
            return;
        };
        leading.heartbeat_at = next;
        let round = leading.reads.round();
        let followers: Vec<NodeId> = leading.followers.keys().copied().collect();
        for node in followers {
            let heartbeat = Heartbeat {
                commit_index,
                round,
            };
            self.request(node, Message::Heartbeat(heartbeat));
        }
    }

    /// Stops leading by its own decision: out of touch with a majority, its own disk too slow, or
    /// handing over. The others hear it if they can (R10, R17).
    pub(super) fn resign(&mut self, successor: Option<NodeId>) {
        for node in self.other_nodes() {
            self.request(node, Message::Resign { successor });
        }
        self.stop_leading();
        self.leader = None;
        self.become_follower();
    }

    /// Answers everybody who waits for this leader; does nothing on a node that does not lead.
    pub(super) fn stop_leading(&mut self) {
        let Role::Leader(leading) = &mut self.role else {
            return;
        };
        let reads = core::mem::take(&mut leading.reads);
        let parked: Vec<Parked> = leading
            .followers
            .values_mut()
            .filter_map(|p| p.parked.take())
            .collect();
        self.leader = None;
        for parked in parked {
            self.refuse_fetch(&parked.header);
        }
        self.refuse_reads(reads);
        self.reports
            .push(Report::LeadershipLost(self.hard_state.term));
    }

    pub(super) fn leading_deadline(&self, leading: &Leading) -> Time {
        let parked = leading.followers.values().filter_map(|p| p.parked.as_ref());
        let parked = parked
            .map(|parked| parked.deadline)
            .min()
            .unwrap_or(Time::NEVER);
        let by_itself = self.quorum_lost_at().min(self.write_overdue_at());
        let hand_over = leading.hand_over_by.unwrap_or(Time::NEVER);
        leading
            .heartbeat_at
            .min(leading.call_idle_at)
            .min(parked)
            .min(by_itself)
            .min(hand_over)
    }

    /// What this leader knows of the other nodes; `None` on a node that does not lead.
    pub fn followers(&self) -> Option<Vec<FollowerStatus>> {
        let Role::Leader(leading) = &self.role else {
            return None;
        };
        let status = |(node, progress): (&NodeId, &Progress)| FollowerStatus {
            node: *node,
            voter: progress.voter,
            matched: progress.matched,
            last_fetch: progress.last_fetch,
        };
        Some(leading.followers.iter().map(status).collect())
    }

    /// When a majority of voters will not have kept up for the whole window (R10).
    fn quorum_lost_at(&self) -> Time {
        let kept_up = self.voter_contacts();
        Time(reached_by_majority(kept_up)) + self.config.timing.quorum_window()
    }

    /// When each voter last kept up. A new leader gives everybody a window to begin with, also
    /// those that have not called yet.
    fn voter_contacts(&self) -> Vec<u64> {
        let Role::Leader(leading) = &self.role else {
            return alloc::vec![u64::MAX];
        };
        let voters = self
            .formation
            .iter()
            .flat_map(|formation| &formation.voters);
        voters
            .map(|voter| match leading.followers.get(&voter.node) {
                None if *voter == self.me() => self.now.0,
                Some(p) if p.storage.is_none_or(|storage| storage == voter.storage) => {
                    p.kept_up_at.0
                }
                Some(_) | None => 0,
            })
            .collect()
    }

    /// Repeats the word to each node that does not pull (R9).
    fn call_idle_followers(&mut self) {
        let patience = self.config.timing.park_limit() + self.config.timing.heartbeat_interval;
        let now = self.now;
        let Role::Leader(leading) = &self.role else {
            return;
        };
        let idle: Vec<NodeId> = leading
            .followers
            .iter()
            .filter(|(_, p)| p.parked.is_none())
            .filter(|(_, p)| p.last_fetch.is_none_or(|at| now.since(at) > patience))
            .map(|(node, _)| *node)
            .collect();
        for node in idle {
            self.request(node, Message::Coordinator);
        }
    }

    /// Answers the parked fetches that `is_due`: with the entries after theirs, if there are any.
    fn answer_parked(&mut self, is_due: impl Fn(&Parked, Time) -> bool) {
        let now = self.now;
        let commit_index = self.commit_index;
        let Role::Leader(leading) = &mut self.role else {
            return;
        };
        let due: Vec<Parked> = leading
            .followers
            .values_mut()
            .filter_map(|p| p.parked.take_if(|parked| is_due(parked, now)))
            .collect();
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
            self.outgoing.push(Outgoing::Entries(envelope));
        }
    }
}
