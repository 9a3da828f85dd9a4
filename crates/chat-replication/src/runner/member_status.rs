//! A member of the cluster, as a replica shows it.

use chat_consensus::{Membership, NodeAddresses, NodeId};

/// A member of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemberStatus {
    /// The node.
    pub node_id: u64,
    /// Whether it is a voter, which is committed; otherwise it becomes one by itself when it keeps up.
    pub voter: bool,
    /// Where it is reached, if the members say so; otherwise the configuration does.
    pub addresses: Option<NodeAddresses>,
}

impl MemberStatus {
    /// The newest members in ascending order; a promotion counts once it is committed.
    pub(super) fn all(newest: &Membership, committed: Option<&Membership>) -> Vec<Self> {
        let is_voter = |node: NodeId| {
            let voter = newest.voter(node);
            voter.is_some() && committed.and_then(|committed| committed.voter(node)) == voter
        };
        let member = |node: NodeId| Self {
            node_id: node.0,
            voter: is_voter(node),
            addresses: newest.addresses.get(&node).cloned(),
        };
        let mut members: Vec<Self> = newest.nodes().map(member).collect();
        members.sort_unstable_by_key(|member| member.node_id);
        members
    }
}
