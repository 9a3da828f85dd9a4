//! What the event loop does when the members change: it calls them where they are, logs that, and removes the
//! mark of a disk that forgot once that disk is a voter again (R20).

use std::sync::Arc;

use chat_consensus::{Envelope, LogIndex, Membership, MembershipEdit, Request};

use super::{EventLoop, log_ended};
use crate::error::ChangeMembersError;
use crate::event::{Event, MembersTicket};
use crate::peer_message::PeerRequest;
use crate::runner::leadership::Leadership;
use crate::runner::log_report::log_committed;
use crate::runner::loop_event::{ChangeClient, RunningStatus};
use crate::runner::member_status::MemberStatus;
use crate::runner::stop_reason::StopReason;
use crate::runner::transport::PeerLink;

/// What was seen of the members, and of this node among them.
#[derive(Debug)]
pub(in crate::runner) struct KnownMembers {
    /// The newest ones, as last seen.
    newest: Option<Membership>,
    /// The committed ones, as last seen.
    committed: Option<Membership>,
    /// Why this node's disk has a new storage id, until it is a voter again (R18).
    amnesia: Option<String>,
}

impl KnownMembers {
    pub(in crate::runner) fn new(amnesia: Option<String>) -> Self {
        Self {
            newest: None,
            committed: None,
            amnesia,
        }
    }

    pub(super) fn committed(&self) -> Option<&Membership> {
        self.committed.as_ref()
    }
}

impl<L: PeerLink> EventLoop<L> {
    /// What this replica reports now.
    pub(super) fn status(&self) -> RunningStatus {
        RunningStatus {
            replica: self.replica.status(),
            taking: self.taking,
            amnesia: self.members.amnesia.clone(),
        }
    }

    /// A leader says where it is called: the members here may be old.
    pub(super) fn note_leader_address(&mut self, request: &Envelope<PeerRequest>) {
        let PeerRequest::Consensus(Request::Heartbeat(heartbeat)) = &request.message else {
            return;
        };
        let own = self.replica.node().cluster();
        if let Some(address) = &heartbeat.leader_address
            && own.is_none_or(|own| request.header.cluster == Some(own))
            && request.header.to == self.replica.node().id()
        {
            self.workers.peers.announce(request.header.from, address);
        }
    }

    /// Looks whether other members are the newest or the committed ones than before.
    pub(super) fn note_members(&mut self) -> Result<(), StopReason> {
        let node = self.replica.node();
        let newest = node.membership();
        let committed = node.membership_at(node.commit_index());
        if newest != self.members.newest.as_ref() || committed != self.members.committed() {
            self.workers
                .peers
                .set_members(node.id(), node.leader(), [newest, committed]);
            let members = newest.map(|newest| MemberStatus::all(newest, committed));
            self.publishes
                .members
                .send_replace(Arc::new(members.unwrap_or_default()));
            self.members.newest = newest.cloned();
        }
        if committed == self.members.committed() {
            return Ok(());
        }
        if let (Some(before), Some(now)) = (self.members.committed(), committed) {
            log_committed(before, now);
        }
        let votes = committed.is_some_and(|members| members.admits(node.id(), node.storage()));
        self.members.committed = committed.cloned();
        if votes && self.members.amnesia.take().is_some() {
            tracing::info!(
                "this node's disk had lost what it had acknowledged; it is a voter's again"
            );
            self.workers.log.clear_amnesia().map_err(log_ended)?;
        }
        Ok(())
    }

    pub(super) fn change_members(
        &mut self,
        edit: MembershipEdit,
        client: ChangeClient,
    ) -> Result<(), StopReason> {
        let ticket = MembersTicket(self.next_ticket());
        self.changes.insert(ticket, client);
        self.step(Event::ChangeMembers(ticket, edit))
    }

    pub(super) fn complete_change(
        &mut self,
        ticket: MembersTicket,
        outcome: Result<Option<LogIndex>, ChangeMembersError>,
    ) {
        if let Some(client) = self.changes.remove(&ticket) {
            let _gone = client.send(outcome);
        }
    }

    pub(super) fn publish_leadership(&self) {
        let node = self.replica.node();
        let now = Leadership {
            term: node.term().0,
            leader_id: node.leader().map(|leader| leader.0),
            leads: self.replica.is_leading(),
        };
        self.publishes.leadership.send_if_modified(|known| {
            let changed = *known != now;
            if changed {
                tracing::info!(
                    term = now.term,
                    leader = now.leader_id,
                    leads = now.leads,
                    "leadership"
                );
                *known = now;
            }
            changed
        });
    }
}
