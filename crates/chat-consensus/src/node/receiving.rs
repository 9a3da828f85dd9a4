//! Which messages are handled at all, what their terms do, and who handles them (R4, R6).

use crate::input::{Fault, Report};
use crate::message::{
    Envelope, GetCommitsReply, GetSnapshotReply, Header, HeartbeatReply, Reply, Request,
};
use crate::node::{Node, Role};
use crate::types::{BlockNumber, NodeId, TERM_MAX};

/// A message whose term is further ahead is dropped (R4): so many elections cannot have been
/// missed, and a forged term must not lead to the end of the numbers in one step.
const TERM_LEAD_MAX: u64 = 1 << 20;

impl Node {
    /// Checks the header of a request (R4, R6), and handles the request.
    pub(super) fn handle_request(&mut self, request: Envelope<Request>) -> Result<(), Fault> {
        let Envelope { header, message } = request;
        let from_own_cluster = header.cluster.is_some() || message.may_come_from_empty_disk();
        if !self.is_addressed_here(&header)
            || !self.may_be_handled(&header, from_own_cluster, message.claims_leadership())
            || !self.take_term_of(&header, self.is_sent_to_this_disk(&header, &message))
        {
            return Ok(());
        }
        if !self.serves(header.from) && self.answer_non_member(&header, &message) {
            return Ok(());
        }
        let remembered = self.record_disk(&header, &message);
        if let (Some(remembered), Request::GetCommits(_)) = (remembered, &message) {
            self.answer_amnesiac(&header, remembered);
            return Ok(());
        }
        if header.term < self.context.hard_state.term {
            self.answer_stale(&header, message, remembered);
            return Ok(());
        }
        match message {
            Request::Election(election) => self.handle_election(&header, election, remembered),
            Request::Coordinator => self.handle_coordinator(&header)?,
            Request::Heartbeat(heartbeat) => self.handle_heartbeat(&header, heartbeat)?,
            Request::Resign { successor } => self.handle_resign(&header, successor),
            Request::GetSnapshot(wanted) => {
                if let Role::Leader(leader) = &mut self.role {
                    leader.record_piece_request(&self.context, &header, wanted);
                }
                self.context.serve_piece(&header, wanted);
            }
            Request::GetCommits(fetch) => {
                let resignation = match &mut self.role {
                    Role::Leader(leader) => {
                        leader.handle_get_commits(&mut self.context, &header, fetch)
                    }
                    Role::Follower(_) | Role::Candidate(_) => {
                        self.context.reject_fetch(&header);
                        None
                    }
                };
                if let Some(resignation) = resignation {
                    self.resign(resignation);
                }
            }
        }
        Ok(())
    }

    /// Checks the header of a reply (R4, R6), and handles the reply.
    pub(super) fn handle_reply(&mut self, reply: Envelope<Reply>) -> Result<(), Fault> {
        let Envelope { header, message } = reply;
        if !self.is_addressed_here(&header)
            || !self.may_be_handled(&header, true, false)
            || !self.take_term_of(&header, self.is_reply_to_follower(&header, &message))
        {
            return Ok(());
        }
        // No reply of an older term belongs to a request that still matters.
        let stale = header.term < self.context.hard_state.term;
        if stale && !self.context.is_uninitialized() {
            return Ok(());
        }
        match message {
            Reply::Election(reply) => self.handle_election_reply(&header, reply)?,
            Reply::Heartbeat(reply) => {
                if let Role::Leader(leader) = &mut self.role {
                    leader.handle_heartbeat_reply(&mut self.context, &header, reply);
                }
            }
            Reply::GetCommits(reply) => self.handle_get_commits_reply(&header, reply)?,
            Reply::GetSnapshot(reply) => self.handle_get_snapshot_reply(&header, reply),
            Reply::Coordinator | Reply::Resign => {}
        }
        Ok(())
    }

    /// The reply shows the higher term, and the old leader steps down (R6).
    fn answer_stale(&mut self, header: &Header, message: Request, remembered: Option<BlockNumber>) {
        let reply = match message {
            Request::Election(election) => {
                return self.handle_election(header, election, remembered);
            }
            Request::GetCommits(_) => return self.context.reject_fetch(header),
            Request::GetSnapshot(_) => Reply::GetSnapshot(GetSnapshotReply::Gone),
            Request::Coordinator => Reply::Coordinator,
            Request::Resign { .. } => Reply::Resign,
            Request::Heartbeat(_) => Reply::Heartbeat(HeartbeatReply {
                round: 0,
                writing: false,
            }),
        };
        self.context.reply(header, reply);
    }

    /// Records what a request shows of its sender's disk, whatever its term. Returns the higher block
    /// number of an earlier run, if that disk has forgotten (R18).
    fn record_disk(&mut self, header: &Header, message: &Request) -> Option<BlockNumber> {
        let remembered = self.context.record_disk(header, message.synced_block()?)?;
        self.report_refused(Report::PeerForgot {
            node: header.from,
            remembered,
        });
        if let Role::Leader(leader) = &mut self.role {
            leader.record_amnesia(header);
        }
        Some(remembered)
    }

    /// Replies to the fetch of a disk that forgot (R18), in any role.
    fn answer_amnesiac(&mut self, header: &Header, remembered_block: BlockNumber) {
        let reply = GetCommitsReply::Amnesiac { remembered_block };
        self.context.reply(header, Reply::GetCommits(reply));
    }

    /// Whether `node` is served what members are: by a leader, unless it left or never joined; by any other
    /// node, unless it is known to have left (R19).
    fn serves(&self, node: NodeId) -> bool {
        match &self.role {
            Role::Leader(_) => self.context.may_be_member(node),
            Role::Follower(_) | Role::Candidate(_) => !self.context.has_removed(node),
        }
    }

    /// Answers what only members are served; a leader does once it knows what is committed. `false`: the
    /// request is of another kind.
    fn answer_non_member(&mut self, header: &Header, message: &Request) -> bool {
        let reply = match message {
            Request::GetCommits(_) => Reply::GetCommits(GetCommitsReply::NotMember),
            Request::GetSnapshot(_) => Reply::GetSnapshot(GetSnapshotReply::Gone),
            Request::Election(_)
            | Request::Coordinator
            | Request::Heartbeat(_)
            | Request::Resign { .. } => return false,
        };
        let knows_too_little = matches!(&self.role, Role::Leader(leader)
            if leader.term_start > self.context.commit_index);
        if !knows_too_little {
            self.context.reply(header, reply);
        }
        true
    }

    /// Whether a message is for this node, from another one. Which others there are is in the members,
    /// and this node's may be old; without a cluster it is one that is configured (R4).
    fn is_addressed_here(&self, header: &Header) -> bool {
        let context = &self.context;
        let config = &context.config;
        let is_known = header.cluster.is_some()
            || config.configured.binary_search(&header.from).is_ok()
            || context.base.is_some() && context.may_be_member(header.from);
        header.to == config.node
            && header.from != config.node
            && header.from != NodeId(0)
            && is_known
            && header.term <= TERM_MAX
    }

    /// Whether a message comes from a node that may send it (R4). One that does not changes
    /// nothing, not even the term, and is not answered.
    fn may_be_handled(
        &mut self,
        header: &Header,
        from_own_cluster: bool,
        claims_leadership: bool,
    ) -> bool {
        let Some(own) = self.context.cluster() else {
            return true;
        };
        if header.cluster.is_some_and(|theirs| theirs != own) || !from_own_cluster {
            return false;
        }
        if header.term.0 > self.context.hard_state.term.0 + TERM_LEAD_MAX {
            self.report_refused(Report::TermTooFarAhead(header.from, header.term));
            return false;
        }
        if claims_leadership && !self.may_be_voter(header) {
            self.report_refused(Report::LeaderClaimRefused(header.from));
            self.follow_unknown_leader(header);
            return false;
        }
        true
    }

    /// A leader whom the members here do not name may be that of newer ones: a node that has heard nothing from
    /// another leader for long fetches from it, and learns from the response what there is (R4).
    fn follow_unknown_leader(&mut self, header: &Header) {
        let ours = self.context.hard_state.term;
        let is_silent = match &self.role {
            Role::Leader(_) => return,
            Role::Candidate(_) => true,
            Role::Follower(_) => self.context.now >= self.election.deadline,
        };
        let known = &self.context.leader;
        let is_other = known.id.is_some_and(|known| known != header.from);
        if header.term < ours || is_other && !is_silent {
            return;
        }
        if is_other && (header.term > ours || !known.has_claimed) {
            self.context.leader.forget();
            self.become_follower();
        }
        self.accept_leader_hint(Some(header.from));
    }

    /// Whether the sender of a leader's message may be a voter (R4): the newest members name its disk, or it
    /// names this node's disk, which it knows from its own members; those here may be old. Without a base
    /// any node of the cluster may be one.
    fn may_be_voter(&self, header: &Header) -> bool {
        let context = &self.context;
        context.base.is_none()
            || context.admits(header.from, header.storage)
            || header.to_storage == Some(context.storage)
    }

    /// Whether a candidate or leader knows this very disk as a voter, by members that may be newer.
    fn is_sent_to_this_disk(&self, header: &Header, request: &Request) -> bool {
        request.comes_from_a_campaign() && header.to_storage == Some(self.context.storage)
    }

    /// Whether a reply is one to a candidate or follower, and to a request of this very run.
    fn is_reply_to_follower(&self, header: &Header, reply: &Reply) -> bool {
        let asked = matches!(
            reply,
            Reply::Election(_) | Reply::GetCommits(_) | Reply::GetSnapshot(_)
        );
        asked && header.request.start == self.context.run && !matches!(self.role, Role::Leader(_))
    }

    /// Adopts the term that a message shows, if it counts (R4, R6). `false` when the message is
    /// dropped: a node that does not count takes the term from voters, never the other way round.
    /// `is_known`: by its kind it may also come from a voter that the members here do not name.
    fn take_term_of(&mut self, header: &Header, is_known: bool) -> bool {
        if self.adopts_term_of(header, is_known) {
            self.adopt_term(header.term);
            return true;
        }
        let higher = header.term > self.context.hard_state.term;
        !higher || self.context.base.is_none()
    }

    fn adopts_term_of(&self, header: &Header, is_known: bool) -> bool {
        let context = &self.context;
        let (theirs, ours) = (header.term, context.hard_state.term);
        // A node in contact with the leader of its term ignores the term of a late message.
        let lower = theirs < ours && !self.has_recent_leader_contact();
        if context.is_uninitialized() {
            // Nothing was promised yet in any term, so a member's lower one is as good; and an
            // empty disk has none.
            return header.cluster.is_some() && (theirs > ours || lower);
        }
        if context.base.is_none() {
            // It has voted, and does not know the voters: any node of its cluster may be one.
            return header.cluster.is_some() && theirs > ours;
        }
        // One that is a voter by the members of others may have voted: no term goes back here (R19).
        let from_voter = context.admits(header.from, header.storage) || is_known;
        header.cluster.is_some() && from_voter && theirs > ours
    }

    fn report_refused(&mut self, report: Report) {
        let context = &mut self.context;
        if context.now >= context.refusal_reported_until {
            context.refusal_reported_until = context.now + context.config.timing.election_timeout;
            context.report(report);
        }
    }
}

#[cfg(test)]
mod tests;
