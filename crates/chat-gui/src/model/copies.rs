//! On how many servers an entry of the log is, as the servers have reported. Deliberately absent:
//! asking a server; this is as old as the last poll.

use chat_client::{LogReport, StoredOn};

use crate::model::cluster::{Cluster, NodeStatus};
use crate::model::names::{LogIndex, NodeId};

impl Cluster {
    /// On how many servers the committed entry at `index` is, as far as they have reported.
    pub fn stored_sentence(&self, index: LogIndex) -> String {
        match self.stored_on(index) {
            Some(stored) => format!("Stored on {} of {} servers", stored.nodes, stored.of),
            None => "Stored on a majority of the servers".to_owned(),
        }
    }

    /// Whether all servers are known to have the committed entry at `index`.
    pub fn is_stored_everywhere(&self, index: LogIndex) -> bool {
        let stored = self.stored_on(index);
        stored.is_some_and(|stored| stored.nodes == stored.of)
    }

    /// What is kept of a node that does not answer counts: what it had on its disk it still has. What a
    /// node of another cluster reports at an address of this one does not.
    fn stored_on(&self, index: LogIndex) -> Option<StoredOn> {
        let reports = self.nodes.iter().filter_map(|node| node.report.as_ref());
        let reports = reports.filter(|report| self.of_account.as_ref() == Some(&report.cluster_id));
        let newest = self.members_report();
        let logs = reports.map(|report| MembersLog { report, newest });
        let logs: Vec<MembersLog<'_>> = logs.filter(|log| !log.has_left(log.report.id)).collect();
        StoredOn::from_reports(index.0, &logs)
    }
}

/// A report without the nodes that left: the copy of one is none that anything can be read from, and
/// an earlier report still names it.
struct MembersLog<'a> {
    report: &'a NodeStatus,
    /// The newest report that names members.
    newest: Option<&'a NodeStatus>,
}

impl MembersLog<'_> {
    fn has_left(&self, node: NodeId) -> bool {
        self.newest.is_some_and(|newest| newest.names_as_left(node))
    }
}

impl LogReport for MembersLog<'_> {
    fn node_id(&self) -> u64 {
        self.report.id.0
    }

    fn voter_ids(&self) -> impl Iterator<Item = u64> {
        let voters = self.report.voters.iter();
        let voters = voters.filter(|voter| !self.has_left(**voter));
        voters.map(|voter| voter.0)
    }

    fn commit_index(&self) -> u64 {
        self.report.commit_index.0
    }

    fn applied_index(&self) -> u64 {
        self.report.applied_index.0
    }

    fn match_indexes(&self) -> impl Iterator<Item = (u64, u64)> {
        let followers = self.report.followers.iter();
        let followers = followers.filter(|(follower, _)| !self.has_left(**follower));
        followers.map(|(follower, matched)| (follower.0, matched.0))
    }
}
