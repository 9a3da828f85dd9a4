//! On how many servers an entry of the log is, as the servers have reported. Deliberately absent:
//! asking a server; this is as old as the last poll.

use chat_client::{LogReport, StoredOn};

use crate::model::cluster::{Cluster, NodeStatus};
use crate::model::names::LogIndex;

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
        StoredOn::from_reports(index.0, reports)
    }
}

impl LogReport for NodeStatus {
    fn node_id(&self) -> u64 {
        self.id.0
    }

    fn voter_ids(&self) -> impl Iterator<Item = u64> {
        self.voters.iter().map(|voter| voter.0)
    }

    fn commit_index(&self) -> u64 {
        self.commit_index.0
    }

    fn applied_index(&self) -> u64 {
        self.applied_index.0
    }

    fn match_indexes(&self) -> impl Iterator<Item = (u64, u64)> {
        let followers = self.followers.iter();
        followers.map(|(follower, matched)| (follower.0, matched.0))
    }
}
