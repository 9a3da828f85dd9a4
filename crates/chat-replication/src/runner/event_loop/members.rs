//! What the event loop does when the members change: it logs that, and removes the mark of a disk that
//! forgot once that disk is a voter again (R20).

use chat_consensus::Membership;

use super::{EventLoop, log_ended};
use crate::runner::log_report::log_committed;
use crate::runner::loop_event::RunningStatus;
use crate::runner::stop_reason::StopReason;
use crate::runner::transport::PeerLink;

/// What was seen of the members, and of this node among them.
#[derive(Debug)]
pub(in crate::runner) struct KnownMembers {
    /// The committed ones, as last seen.
    committed: Option<Membership>,
    /// Why this node's disk has a new storage id, until it is a voter again (R18).
    amnesia: Option<String>,
}

impl KnownMembers {
    pub(in crate::runner) fn new(amnesia: Option<String>) -> Self {
        Self {
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

    /// Looks whether other members are committed than before.
    pub(super) fn note_members(&mut self) -> Result<(), StopReason> {
        let node = self.replica.node();
        let committed = node.membership_at(node.commit_index());
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
}
