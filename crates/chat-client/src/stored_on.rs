//! On how many nodes an entry of the log is stored, from what the nodes report about themselves.
//!
//! A lower bound: a node that does not answer, and that no leader knows of, is not counted.

use std::collections::BTreeSet;

use crate::node_status::NodeStatus;

/// On how many of the nodes of a cluster an entry is known to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredOn {
    /// The nodes that are known to have it on their disks, in their log or in a snapshot.
    pub nodes: usize,
    /// All nodes of the cluster, those too that do not answer.
    pub of: usize,
}

/// What a node reports about its log and, if it leads, about the logs of others.
pub trait LogReport {
    /// The node that reports.
    fn node_id(&self) -> u64;
    /// The voters of its cluster, as far as it knows them.
    fn voter_ids(&self) -> impl Iterator<Item = u64>;
    /// The last entry that it knows to be committed.
    fn commit_index(&self) -> u64;
    /// The last entry that it has applied, which is on its disk.
    fn applied_index(&self) -> u64;
    /// Of a leader: each follower with the last entry that is known to be in its log as in the leader's.
    fn match_indexes(&self) -> impl Iterator<Item = (u64, u64)>;
}

impl LogReport for NodeStatus {
    fn node_id(&self) -> u64 {
        self.node_id
    }

    fn voter_ids(&self) -> impl Iterator<Item = u64> {
        self.voter_ids.iter().copied()
    }

    fn commit_index(&self) -> u64 {
        self.commit_index
    }

    fn applied_index(&self) -> u64 {
        self.applied_index
    }

    fn match_indexes(&self) -> impl Iterator<Item = (u64, u64)> {
        let followers = self.followers.iter();
        followers.map(|follower| (follower.node_id, follower.match_index))
    }
}

impl StoredOn {
    /// Of the entry that was committed as `index`, as the reply to a message reports it. `None` if no node
    /// reports that it is committed: the reports are too old, or of another cluster.
    ///
    /// Each node vouches for itself up to its applied index, because it applies nothing that it has not
    /// synced, or installed. A leader that has committed the entry also knows which followers hold it; a leader that was
    /// replaced may have another entry there, which is not committed.
    pub fn from_reports<'a, R: LogReport + 'a>(
        index: u64,
        reports: impl IntoIterator<Item = &'a R>,
    ) -> Option<Self> {
        let (mut holders, mut known) = (BTreeSet::new(), BTreeSet::new());
        for report in reports {
            known.insert(report.node_id());
            known.extend(report.voter_ids());
            known.extend(report.match_indexes().map(|(follower, _)| follower));
            if report.commit_index() < index {
                continue;
            }
            if report.applied_index() >= index {
                holders.insert(report.node_id());
            }
            let matched = report.match_indexes().filter(|(_, held)| *held >= index);
            holders.extend(matched.map(|(follower, _)| follower));
        }
        (!holders.is_empty()).then_some(Self {
            nodes: holders.len(),
            of: known.len(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::StoredOn;
    use crate::node_status::{FollowerStatus, NodeStatus};

    /// A node of three that has applied what it knows is committed, with what it knows of the others if it
    /// leads.
    fn status(node_id: u64, commit_index: u64, followers: &[(u64, u64)]) -> NodeStatus {
        NodeStatus {
            node_id,
            commit_index,
            applied_index: commit_index,
            voter_ids: vec![1, 2, 3],
            followers: followers
                .iter()
                .map(|(node_id, match_index)| FollowerStatus {
                    node_id: *node_id,
                    match_index: *match_index,
                    ..FollowerStatus::default()
                })
                .collect(),
            ..NodeStatus::default()
        }
    }

    #[track_caller]
    fn check(statuses: &[NodeStatus], expected: Option<(usize, usize)>) {
        let found = StoredOn::from_reports(7, statuses);
        assert_eq!(found.map(|stored| (stored.nodes, stored.of)), expected);
    }

    #[test]
    fn leader_knows_which_followers_hold_the_entry() {
        check(&[status(1, 9, &[(2, 7), (3, 6)])], Some((2, 3)));
        check(&[status(1, 9, &[(2, 9), (3, 7)])], Some((3, 3)));
    }

    #[test]
    fn each_node_vouches_for_itself() {
        check(&[status(2, 7, &[]), status(3, 6, &[])], Some((1, 3)));
        let leader = status(1, 9, &[(2, 9), (3, 6)]);
        check(&[leader, status(3, 7, &[])], Some((3, 3)));
        let mut unsynced = status(3, 7, &[]);
        unsynced.applied_index = 6;
        check(&[status(2, 7, &[]), unsynced], Some((1, 3)));
    }

    #[test]
    fn leader_that_has_not_committed_the_entry_vouches_for_nothing() {
        check(&[status(1, 6, &[(2, 9), (3, 9)])], None);
        check(&[], None);
        let replaced = status(1, 6, &[(3, 9)]);
        check(&[replaced, status(2, 8, &[])], Some((1, 3)));
    }

    #[test]
    fn learner_that_the_leader_knows_is_one_of_the_nodes() {
        let mut leader = status(1, 9, &[(2, 9), (3, 9), (4, 2)]);
        leader.voter_ids = vec![1, 2, 3];
        check(&[leader], Some((3, 4)));
    }
}
