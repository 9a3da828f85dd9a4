//! What the servers can do for this window at the moment: one answer, from what the nodes report and
//! what they have acknowledged. Banner, dot, cluster page and outbox all show this answer.
//!
//! Deliberately absent: whether the inbox arrives and since when something is wrong, which
//! `connection` adds.

use crate::model::cluster::{Cluster, NodeCard, NodeHealth, NodeRole, NodeStatus};
use crate::model::names::{NodeId, Term};

/// What the servers can do for this window at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Availability {
    /// No node was polled yet.
    Unknown,
    /// No node answers.
    Offline,
    /// Nodes answer, and none of them knows a leader.
    NoLeader,
    /// A node leads: it says so itself, another one names it, or it has acknowledged something since
    /// the last poll.
    Led {
        /// Which node; `None` when only its acknowledgement is known.
        leader: Option<NodeId>,
        /// In which term.
        term: Term,
    },
}

impl Cluster {
    /// What the servers can do for this window at the moment.
    pub fn availability(&self) -> Availability {
        if let Some((leader, term)) = self.leader() {
            return Availability::Led {
                leader: Some(leader),
                term,
            };
        }
        if let Some((term, _)) = self.acknowledged {
            return Availability::Led { leader: None, term };
        }
        let is_unknown = |health: &NodeHealth| matches!(health, NodeHealth::Unknown);
        let mut nodes = self.nodes.iter().filter(|node| self.is_counted(node));
        if nodes.clone().any(NodeCard::is_up) {
            Availability::NoLeader
        } else if nodes.all(|node| is_unknown(&node.health)) {
            Availability::Unknown
        } else {
            Availability::Offline
        }
    }

    /// The leader, from what the nodes say that answer.
    pub fn leader(&self) -> Option<(NodeId, Term)> {
        let up = self.nodes.iter().filter(|node| node.is_up());
        newest_leader(up.filter_map(|node| node.report.as_ref()))
    }
}

/// The leader of the highest term in which one of these nodes, which answer, leads or follows a leader.
/// That may be a node that does not answer here: the others reach it, or will soon miss it. A node that
/// campaigns misses the leader that it names.
pub fn newest_leader<'a>(reports: impl Iterator<Item = &'a NodeStatus>) -> Option<(NodeId, Term)> {
    let named = reports.filter_map(|report| {
        let (leads, leader) = match report.role {
            NodeRole::Leader => (true, Some(report.id)),
            NodeRole::Follower => (false, report.leader),
            _ => (false, None),
        };
        Some((report.term, leads, leader?))
    });
    // What a leader says of itself counts before what another one says of the same term.
    let newest = named.max_by_key(|(term, leads, _)| (*term, *leads));
    newest.map(|(term, _, leader)| (leader, term))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::Availability;
    use crate::model::cluster::{Cluster, NodeCard, NodeHealth, NodeRole, NodeStatus};
    use crate::model::names::{LogIndex, NodeId, Term};
    use crate::model::time::Moment;

    /// `1L5`: node 1 leads in term 5; `2F5>1`: node 2 follows in term 5 and names node 1 as the
    /// leader; `3C6`: node 3 campaigns; `1-`: it does not answer; `1?`: it was not polled.
    fn cluster(pictures: &str) -> Cluster {
        let card = |picture: &str| {
            let (id, rest) = picture.split_at(1);
            let id = NodeId(id.parse().unwrap());
            let (role, rest) = rest.split_at(1);
            let health = match role {
                "-" => NodeHealth::Down("connection refused".to_owned()),
                "?" => NodeHealth::Unknown,
                _ => NodeHealth::Up,
            };
            let (term, leader) = match rest.split_once('>') {
                Some((term, leader)) => (term, Some(NodeId(leader.parse().unwrap()))),
                None => (rest, None),
            };
            let report = (health == NodeHealth::Up).then(|| NodeStatus {
                role: match role {
                    "L" => NodeRole::Leader,
                    "F" => NodeRole::Follower,
                    _ => NodeRole::Candidate,
                },
                term: Term(term.parse().unwrap()),
                leader,
                ..status(id)
            });
            NodeCard {
                id: Some(id),
                address: format!("a:{}", id.0),
                health,
                report,
                seen_at: None,
                round_trip: None,
                behind: None,
            }
        };
        Cluster {
            nodes: pictures.split_whitespace().map(card).collect(),
            ..Cluster::default()
        }
    }

    fn status(id: NodeId) -> NodeStatus {
        NodeStatus {
            id,
            role: NodeRole::Follower,
            term: Term(0),
            leader: None,
            last_index: LogIndex(1),
            commit_index: LogIndex(1),
            applied_index: LogIndex(1),
            followers: BTreeMap::new(),
            storage: "ok".to_owned(),
            version: String::new(),
            uptime: Duration::ZERO,
            cluster_id: String::new(),
            storage_bytes: 0,
            voters: Vec::new(),
            quorum: 2,
            snapshots: None,
            members: BTreeMap::new(),
            highest_member: NodeId(0),
            failures_tolerated: None,
        }
    }

    fn led(leader: u64, term: u64) -> Availability {
        Availability::Led {
            leader: Some(NodeId(leader)),
            term: Term(term),
        }
    }

    #[test]
    fn availability_follows_from_the_reports() {
        for (pictures, expected) in [
            ("", Availability::Unknown),
            ("1? 2?", Availability::Unknown),
            ("1- 2- 3-", Availability::Offline),
            ("1? 2-", Availability::Offline),
            ("1- 2F5 3F5", Availability::NoLeader),
            ("1- 2C6 3F5", Availability::NoLeader),
            // The last node that runs names the leader that it misses.
            ("1- 2C5>1 3-", Availability::NoLeader),
            ("1L5 2F5>1 3F5>1", led(1, 5)),
            // One follower that answers is enough to know that there is a leader.
            ("2F5>1", led(1, 5)),
            ("1- 2F5>1 3-", led(1, 5)),
            ("1F5 2F5 3F5>1", led(1, 5)),
            // The isolated leader of an earlier term still says that it leads.
            ("1L5 2L6 3F6>2", led(2, 6)),
            // An isolated node has campaigned in a term that the others never saw.
            ("1L5 2F5>1 3C7", led(1, 5)),
            // A follower that is behind names the leader before.
            ("1L6 2F6>3 3F6>1", led(1, 6)),
        ] {
            assert_eq!(cluster(pictures).availability(), expected, "{pictures}");
        }
    }

    #[test]
    fn acknowledgement_since_the_last_poll_shows_a_leader() {
        let mut cluster = cluster("1- 2- 3-");
        cluster.acknowledged = Some((Term(6), Moment(5)));
        let expected = Availability::Led {
            leader: None,
            term: Term(6),
        };
        assert_eq!(cluster.availability(), expected);
    }
}
