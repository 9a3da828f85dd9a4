//! Which messages are handled at all, what their terms do, and who handles them (R4, R6).

use crate::input::{Fault, Report};
use crate::message::{Envelope, Header, Message};
use crate::node::Node;
use crate::types::TERM_MAX;

/// A message whose term is further ahead is dropped (R4): so many elections cannot have been
/// missed, and a forged term must not lead to the end of the numbers in one step.
const TERM_LEAD_MAX: u64 = 1 << 20;

impl Node {
    /// Judges a message before its content is looked at (R4, R6).
    pub(super) fn handle_received(&mut self, envelope: Envelope) -> Result<(), Fault> {
        let header = envelope.header;
        if !self.may_be_handled(&envelope) {
            return Ok(());
        }
        if self.takes_term_of(&header) {
            self.adopt_term(header.term);
        } else if header.term > self.hard_state.term && self.membership.is_some() {
            // Who does not count learns the term from voters, never the other way round.
            return Ok(());
        }
        if envelope.message.is_reply() {
            // An old term's answer answers nothing that is still being asked.
            if header.term < self.hard_state.term && self.membership.is_some() {
                return Ok(());
            }
            return self.handle_reply(header, envelope.message);
        }
        self.handle_request(header, envelope.message)
    }

    /// Whether a message comes from where its like may come from (R4). What does not changes
    /// nothing, not even the term, and gets no answer.
    fn may_be_handled(&mut self, envelope: &Envelope) -> bool {
        let header = &envelope.header;
        let configured = header.from != self.config.node
            && self.config.configured.binary_search(&header.from).is_ok();
        if header.to != self.config.node || !configured || header.term > TERM_MAX {
            return false;
        }
        let Some(ours) = self.cluster() else {
            return true;
        };
        if header.cluster.is_some_and(|theirs| theirs != ours) {
            return false;
        }
        let message = &envelope.message;
        if header.cluster.is_none() && !message.is_reply() && !message.may_come_from_empty_disk() {
            return false;
        }
        if header.term.0 > self.hard_state.term.0 + TERM_LEAD_MAX {
            self.report_refused(Report::TermTooFarAhead(header.from, header.term));
            return false;
        }
        if message.claims_leadership() && !self.admits(header.from, header.storage) {
            self.report_refused(Report::LeaderClaimRefused(header.from));
            return false;
        }
        true
    }

    /// Whether this node goes on to the term that a message shows (R4, R6).
    fn takes_term_of(&self, header: &Header) -> bool {
        let (theirs, ours) = (header.term, self.hard_state.term);
        // A node that hears a leader of its own term knows better than a late message.
        let lower = theirs < ours && !self.has_recent_leader_contact();
        let Some(membership) = &self.membership else {
            // Nothing was promised yet in any term, so a member's lower one is as good; and an
            // empty disk has none to tell.
            return header.cluster.is_some() && (theirs > ours || lower);
        };
        let from_voter = header.cluster.is_some() && membership.admits(header.from, header.storage);
        // A learner has promised nothing either; but its log may have entries of its term.
        let free = !self.is_voter() && theirs >= self.log.last().term;
        from_voter && (theirs > ours || (lower && free))
    }

    fn report_refused(&mut self, report: Report) {
        if self.now >= self.refusal_reported_until {
            self.refusal_reported_until = self.now + self.config.timing.election_timeout;
            self.reports.push(report);
        }
    }

    fn handle_request(&mut self, header: Header, message: Message) -> Result<(), Fault> {
        let stale = header.term < self.hard_state.term;
        match message {
            Message::Election(election) => self.handle_election(&header, election),
            // The reply shows the higher term, and the old leader steps down (R6).
            Message::Coordinator if stale => self.reply(&header, Message::CoordinatorReply),
            Message::Heartbeat(_) if stale => {
                let echo = Message::HeartbeatReply {
                    round: 0,
                    writing: false,
                };
                self.reply(&header, echo);
            }
            Message::Resign { .. } if stale => self.reply(&header, Message::ResignReply),
            Message::GetCommits(_) if stale => self.refuse_fetch(&header),
            Message::Coordinator => self.handle_coordinator(&header)?,
            Message::Heartbeat(heartbeat) => self.handle_heartbeat(&header, heartbeat)?,
            Message::Resign { successor } => self.handle_resign(&header, successor),
            Message::GetCommits(fetch) => self.handle_get_commits(&header, fetch),
            Message::ElectionReply(_)
            | Message::CoordinatorReply
            | Message::HeartbeatReply { .. }
            | Message::GetCommitsReply(_)
            | Message::ResignReply => unreachable!("replies are told apart before"),
        }
        Ok(())
    }

    fn handle_reply(&mut self, header: Header, message: Message) -> Result<(), Fault> {
        match message {
            Message::ElectionReply(reply) => self.handle_election_reply(&header, reply),
            Message::HeartbeatReply { round, writing } => {
                self.handle_heartbeat_reply(&header, round, writing);
                Ok(())
            }
            Message::GetCommitsReply(reply) => self.handle_get_commits_reply(&header, reply),
            Message::CoordinatorReply | Message::ResignReply => Ok(()),
            Message::Election(_)
            | Message::Coordinator
            | Message::Heartbeat(_)
            | Message::GetCommits(_)
            | Message::Resign { .. } => unreachable!("requests are told apart before"),
        }
    }
}
