//! Compares each replica with what it was before the event: calls the checkers, and prints a line
//! for each change that a scenario or a trace shows.

use chat_consensus::{
    ElectionKind, Envelope, GetCommitsReply, NodeId, Reply, Report, Request, RoleName,
};

use crate::checker::agreement::CommitMoved;
use crate::checker::election::Elected;
use crate::checker::{Checked, commit_quorum, election};
use crate::message::Message;
use crate::simulation::World;
use crate::simulation::message_line::voters_line;
use crate::simulation::process::Seen;

impl World {
    /// Checks what has changed in `node` since the last call.
    pub(super) fn observe(&mut self, node: usize) -> Checked {
        let Some(replica) = &self.processes[node].replica else {
            return Ok(());
        };
        let seen = Seen::of(replica);
        let before = self.processes[node].seen;
        if seen == before {
            return Ok(());
        }
        self.trace.note(seen.term.0 << 8 | node as u64);
        self.trace.note(seen.commit_index.0);
        let leads_anew = seen.role == RoleName::Leader
            && (before.role != RoleName::Leader || before.term != seen.term);
        if leads_anew {
            self.elected_at = self.now;
            self.check_election(node, seen)?;
        }
        if seen.commit_index != before.commit_index {
            self.check_commit(node, before, seen)?;
        }
        self.processes[node].seen = seen;
        self.print_state_change(node, before, seen);
        Ok(())
    }

    fn check_election(&mut self, node: usize, seen: Seen) -> Checked {
        let replica = self.processes[node].replica.as_ref().expect("it runs");
        let node_view = replica.node();
        let disk = &self.disks[node];
        let leader = election::voter(node_view.id(), disk.storage());
        let on_disk = disk.durable().hard_state;
        let checkers = &mut self.checkers;
        if on_disk.term == seen.term && on_disk.vote == Some(leader) {
            let (term, storage) = (seen.term, leader.storage);
            checkers
                .votes
                .voted(term, leader.node, storage, leader.node)?;
        }
        let membership = node_view.membership().expect("a leader has a cluster");
        let elected = Elected {
            leader,
            term: seen.term,
            log: node_view.log(),
            membership,
        };
        checkers
            .elections
            .elected(elected, &checkers.votes, &checkers.committed)
    }

    fn check_commit(&mut self, node: usize, before: Seen, seen: Seen) -> Checked {
        let replica = self.processes[node].replica.as_ref().expect("it runs");
        let view = replica.node();
        let checkers = &mut self.checkers;
        let committed_before = checkers.committed.last();
        // A leader that transfers leadership commits its last entry and resigns in one step.
        let led = [seen, before]
            .into_iter()
            .find(|seen| seen.role == RoleName::Leader);
        let moved = CommitMoved {
            node: view.id(),
            leads: led.map(|seen| seen.term),
            from: before.commit_index,
            to: seen.commit_index,
            log: view.log(),
            cluster: view.cluster().unwrap_or(chat_consensus::ClusterId(0)),
        };
        checkers.committed.moved(moved, &checkers.entries)?;
        let committed = checkers.committed.last();
        if committed == committed_before {
            return Ok(());
        }
        let membership = view.membership().expect("a leader has a cluster");
        let members = checkers.committed.members_at(committed.index);
        if members != checkers.committed.members_at(committed_before.index) {
            let is_counted = |id: &NodeId| {
                let storage = self.disks[crate::simulation::node_number(*id)].storage();
                members.is_some_and(|members| members.admits(*id, storage))
            };
            // A disk that was lost is replaced (R20).
            self.wiped.retain(|id| !is_counted(id));
            *self.situations.entry("members changed").or_default() += 1;
        }
        // By which it was committed: a leader may have appended the next ones in the same step.
        let members = [members, Some(membership)].into_iter().flatten();
        commit_quorum::committed(committed, members, (&self.disks, &self.former_disks))?;
        // What an old leader commits late must be in the log of every later leader, too.
        let by = led.map(|seen| seen.term).unwrap_or_default();
        let later = self
            .processes
            .iter()
            .filter(|p| p.leads() && p.seen.term > by);
        for leader in later {
            let replica = leader.replica.as_ref().expect("it runs");
            election::holds(leader.id, leader.seen.term, replica.node().log(), committed)?;
        }
        Ok(())
    }

    fn print_state_change(&mut self, node: usize, before: Seen, seen: Seen) {
        if !self.settings.record_trace {
            return;
        }
        let id = self.processes[node].id;
        let term = seen.term;
        let role_changed = before.role != seen.role || before.term != term;
        let line = match seen.role {
            RoleName::Leader if role_changed => Some(format!("{id}: leads term {term}")),
            RoleName::PreCandidate if role_changed => {
                Some(format!("{id}: starts a pre-vote in term {term}"))
            }
            RoleName::Candidate if role_changed => {
                Some(format!("{id}: starts an election in term {term}"))
            }
            RoleName::Follower
            | RoleName::Learner
            | RoleName::Uninitialized
            | RoleName::Removed => self.line_of_following(node, before, seen),
            RoleName::Leader | RoleName::PreCandidate | RoleName::Candidate => None,
        };
        if before.role == RoleName::Leader && seen.role != RoleName::Leader {
            self.print(|_| format!("{id}: steps down"));
        }
        if let Some(line) = line {
            self.print(|_| line);
        }
        if before.role == seen.role && seen.last < before.last {
            self.print(|_| format!("{id}: truncates its log to {}", seen.last));
        }
    }

    fn line_of_following(&self, node: usize, before: Seen, seen: Seen) -> Option<String> {
        let id = self.processes[node].id;
        let term = seen.term;
        let verb = match seen.role {
            RoleName::Learner => "is a learner and fetches from",
            RoleName::Removed => "was removed and fetches from",
            RoleName::Uninitialized => "is uninitialized and fetches from",
            _ => "follows",
        };
        let same = before.leader == seen.leader && before.term == term && before.role == seen.role;
        match seen.leader {
            _ if same => None,
            Some(leader) => Some(format!("{id}: {verb} {leader} in term {term}")),
            None if before.leader.is_some() || before.term != term => {
                Some(format!("{id}: knows no leader in term {term}"))
            }
            None => None,
        }
    }

    pub(super) fn print_report(&mut self, node: usize, report: Report) {
        let id = self.processes[node].id;
        if let Report::DownloadBegun { bytes, .. } = report {
            self.count("download begun");
            if self.mix.is_some() {
                self.count("download begun among faults");
            }
            if bytes > 0 {
                self.count("download resumed after a restart");
            }
        }
        self.print(|_| match report {
            Report::FollowerRolledBack(follower, index) => {
                format!("{id}: detects that {follower} lost acknowledged entries up to {index}")
            }
            Report::RolledBack { repair_through } if repair_through.0 == 0 => {
                format!("{id}: holds again what it had acknowledged")
            }
            Report::RolledBack { repair_through } => {
                format!("{id}: is not counted until it holds the log through {repair_through}")
            }
            Report::PeerForgot { node, remembered } => {
                format!("{id}: remembers block {remembered} of {node}, whose disk has forgotten it")
            }
            Report::LeaderClaimRefused(from) => {
                format!("{id}: rejects the leader claim of {from}, which is not a voter")
            }
            Report::DisksAlternate(from) => {
                format!("{id}: detects that {from} alternates between two disks")
            }
            Report::MembershipAppended(index, members) => {
                format!("{id}: appends at {index}: {}", voters_line(&members))
            }
            Report::TermTooFarAhead(from, term) => {
                format!("{id}: drops a message of {from}, whose term {term} is too far ahead")
            }
            Report::DownloadBegun {
                from,
                id: wanted,
                bytes,
                ..
            } => format!(
                "{id}: downloads the snapshot at {:?} of {from} after {bytes} bytes",
                wanted.position
            ),
            other => format!("{id}: {other:?}"),
        });
    }

    /// Prints replies to votes and pre-votes, divergence and resignations. Where a scenario shows
    /// every message, `message_line` prints these, too.
    pub(super) fn print_message(&mut self, envelope: &Envelope<Message>) {
        if !self.settings.record_trace {
            return;
        }
        let header = &envelope.header;
        let (from, to) = (header.from, header.to);
        if matches!(envelope.message, Message::Request(Request::GetCommits(_))) {
            self.last_fetch[crate::simulation::node_number(from)] = Some(*header);
        }
        if self.shows_messages {
            return;
        }
        let line = match &envelope.message {
            Message::Reply(Reply::Election(reply)) => {
                let term = header.term;
                match (reply.kind, reply.granted) {
                    (ElectionKind::Bootstrap, true) => {
                        format!("{from}: reports to {to} that it is uninitialized")
                    }
                    (ElectionKind::Bootstrap, false) => {
                        format!("{from}: denies {to} the bootstrap")
                    }
                    (ElectionKind::PreVote, true) => format!("{from}: grants pre-vote to {to}"),
                    (ElectionKind::PreVote, false) => format!("{from}: denies pre-vote to {to}"),
                    (ElectionKind::Vote, true) => format!("{from}: votes for {to} in term {term}"),
                    (ElectionKind::Vote, false) => {
                        format!("{from}: denies its vote to {to} in term {term}")
                    }
                }
            }
            Message::Reply(Reply::GetCommits(GetCommitsReply::Diverging(position))) => {
                format!("{from}: reports divergence at or before {position:?} to {to}")
            }
            Message::Request(Request::Resign {
                successor: Some(successor),
            }) => {
                format!("{from}: sends resign with successor {successor} to {to}")
            }
            _ => return,
        };
        self.print(|_| line);
    }
}
