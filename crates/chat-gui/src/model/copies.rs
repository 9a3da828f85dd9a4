//! On how many servers an entry of the log is, as the leader reports it. Deliberately absent:
//! asking a server; this is as old as the last poll.

use crate::model::cluster::Cluster;
use crate::model::names::LogIndex;

impl Cluster {
    /// On how many servers the committed entry at `index` is, as far as they have reported.
    pub fn stored_sentence(&self, index: LogIndex) -> String {
        match self.stored_on(index) {
            Some((servers, all)) => format!("Stored on {servers} of {all} servers"),
            None => "Stored on a majority of the servers".to_owned(),
        }
    }

    /// How many servers hold the entry at `index`, and how many there are; `None` while no leader
    /// reports that a majority has it.
    fn stored_on(&self, index: LogIndex) -> Option<(usize, usize)> {
        let (leader, _) = self.leader()?;
        let mut reports = self.nodes.iter().filter_map(|node| node.report.as_ref());
        let leading = reports.find(|report| report.id == leader)?;
        if leading.commit_index < index {
            return None;
        }
        let followers = leading.followers.values();
        let matched = followers.filter(|matched| **matched >= index).count();
        Some((matched + 1, self.nodes.len()))
    }
}
