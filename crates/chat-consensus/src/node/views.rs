//! What a node shows of itself beyond its log and its role, for people and for status (R12, R18, R24).

use alloc::vec::Vec;

use crate::config::Timing;
use crate::membership::Membership;
use crate::node::{Node, Role};
use crate::snapshot::Snapshot;
use crate::status::FollowerStatus;
use crate::types::{NodeId, Voter};

impl Node {
    /// The nodes that have not answered that they are uninitialized, while this node waits for all
    /// of them to bootstrap the cluster (R12); `None` when it does not.
    pub fn bootstrap_awaits(&self) -> Option<Vec<NodeId>> {
        let bootstrap = self.bootstrap.as_ref()?;
        Some(bootstrap.awaits(&self.context))
    }

    /// What a leader knows of the other nodes; `None` on a node that does not lead.
    pub fn followers(&self) -> Option<Vec<FollowerStatus>> {
        match &self.role {
            Role::Leader(leader) => Some(leader.follower_statuses(&self.context)),
            Role::Follower(_) | Role::Candidate(_) => None,
        }
    }

    /// The voters that count, as far as this node knows: it, and while it follows, its leader, know
    /// which disks were replaced or rolled back (R12, R18). Empty before the bootstrap.
    pub fn counted_voters(&self) -> Vec<NodeId> {
        let context = &self.context;
        let uncounted = match &self.role {
            Role::Leader(leader) => leader.uncounted_voters(context),
            Role::Follower(_) | Role::Candidate(_) => context.leader.uncounted.clone(),
        };
        let counts = |voter: &&Voter| {
            if voter.node == context.id() {
                context.may_campaign()
            } else {
                !uncounted.contains(&voter.node)
            }
        };
        let voters = context.voters().iter().filter(counts);
        voters.map(|voter| voter.node).collect()
    }

    /// How many voters must agree: a majority of all that the log names, counted or not. 0 before
    /// the bootstrap.
    pub fn quorum(&self) -> usize {
        self.membership().map_or(0, Membership::majority)
    }

    /// Whether the state is lost: it ends before the log begins, or is being replaced (R24).
    pub fn has_lost_state(&self) -> bool {
        self.context.lost_state
    }

    /// The snapshot whose state is installed, or will be once the log is synced to it.
    pub fn installing(&self) -> Option<&Snapshot> {
        let installing = self.downloads.installing.as_ref()?;
        Some(&installing.snapshot)
    }

    /// The snapshot that is being downloaded, and how many bytes of it are stored.
    pub fn download(&self) -> Option<(&Snapshot, u64)> {
        let download = self.downloads.current.as_ref()?;
        Some((&download.snapshot, download.bytes))
    }

    /// Whether this node left the cluster, as far as it knows (R19).
    pub fn is_removed(&self) -> bool {
        self.context.excluded_until.is_some() || self.context.has_removed(self.id())
    }

    /// Whether a node is a member, as far as this one knows: by the newest members, or by those before
    /// while the newest may be undone (R19).
    pub fn may_be_member(&self, node: NodeId) -> bool {
        self.context.may_be_member(node)
    }

    /// The intervals from which its timers are derived.
    pub fn timing(&self) -> Timing {
        self.context.config.timing
    }
}
