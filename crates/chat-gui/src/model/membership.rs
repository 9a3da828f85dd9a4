//! Which nodes belong to the cluster and which of them vote, as the nodes report it. Deliberately
//! absent: changing it, which is `members_action`'s.

use crate::model::cluster::{Cluster, NodeCard, NodeRole, NodeStatus};
use crate::model::names::{LogIndex, NodeId};

/// What a node is to the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberState {
    /// No report says it.
    Unknown,
    /// It counts in quorums.
    Voter,
    /// It receives the log, and votes by itself once it has caught up.
    Learner {
        /// What it has received and what there is; `None` while the leader has not reported it.
        progress: Option<LearnerProgress>,
    },
    /// It was a member, and is not any more.
    Left,
    /// Nothing is known of it but that it is no member.
    Outside,
}

/// How far a learner is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LearnerProgress {
    /// The last entry that it is known to have.
    pub held: LogIndex,
    /// The last entry of the leader's log.
    pub last: LogIndex,
}

/// How many members there are, by the newest report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberCounts {
    /// Those that count in quorums.
    pub voters: usize,
    /// Those that will.
    pub learners: usize,
}

impl NodeStatus {
    /// Whether a node was a member and is not any more. An id is never used again.
    pub(super) fn names_as_left(&self, node: NodeId) -> bool {
        node <= self.highest_member && !self.members.contains_key(&node)
    }
}

impl Cluster {
    /// What a node is to the cluster.
    pub fn member_state(&self, card: &NodeCard) -> MemberState {
        let own_role = card.report.as_ref().map(|report| report.role);
        if own_role == Some(NodeRole::Removed) {
            return MemberState::Left;
        }
        let Some(newest) = self.members_report() else {
            return MemberState::Unknown;
        };
        let of_other_cluster =
            |own: &NodeStatus| !own.cluster_id.is_empty() && own.cluster_id != newest.cluster_id;
        if card.report.as_ref().is_some_and(of_other_cluster) {
            return MemberState::Unknown;
        }
        let Some(id) = card.id else {
            return self.state_without_id(newest);
        };
        if newest.names_as_left(id) {
            return MemberState::Left;
        }
        match newest.members.get(&id) {
            // Only the leader certainly knows who has joined.
            None if newest.role == NodeRole::Leader => MemberState::Outside,
            None => MemberState::Unknown,
            Some(votes) => {
                let is_learner = card.is_up() && own_role == Some(NodeRole::Learner);
                match (*votes, is_learner) {
                    // Its disk is new: the members still name the old one.
                    (Some(false), _) | (_, true) => MemberState::Learner {
                        progress: self.learner_progress(id),
                    },
                    (Some(true), false) => MemberState::Voter,
                    (None, false) => MemberState::Unknown,
                }
            }
        }
    }

    /// Whether a node counts when the nodes of the cluster are counted: one that left is no fault.
    pub fn is_counted(&self, card: &NodeCard) -> bool {
        let state = self.member_state(card);
        !matches!(state, MemberState::Left | MemberState::Outside)
    }

    /// Whether the newest report says that a node left.
    pub fn has_left(&self, node: NodeId) -> bool {
        let newest = self.members_report();
        newest.is_some_and(|newest| newest.names_as_left(node))
    }

    /// How many members there are; `None` while no node has reported it.
    pub fn member_counts(&self) -> Option<MemberCounts> {
        let newest = self.members_report()?;
        let votes: Option<Vec<bool>> = newest.members.values().copied().collect();
        let votes = votes?;
        let voters = votes.iter().filter(|votes| **votes).count();
        Some(MemberCounts {
            voters,
            learners: votes.len() - voters,
        })
    }

    /// How many voters may fail now, as the leader reports it; `None` before one has.
    pub fn failures_tolerated(&self) -> Option<usize> {
        let failures = self.leaders_report()?.failures_tolerated?;
        usize::try_from(failures).ok()
    }

    /// How many voters there are, and how many failures are survived now.
    pub fn members_sentence(&self) -> String {
        let members = match self.member_counts() {
            None => "How many voters there are is not known.".to_owned(),
            Some(MemberCounts { voters, learners }) => {
                let voters = counted(voters, "voter");
                match learners {
                    0 => format!("{voters}."),
                    some => format!("{voters} and {}.", counted(some, "learner")),
                }
            }
        };
        let survived = match self.failures_tolerated() {
            None => "How many failures are survived now is not known.".to_owned(),
            Some(failures) => {
                let survived = survived_words(failures);
                format!("The leader reports that {survived} survived now.")
            }
        };
        format!("{members} {survived}")
    }

    /// What the leader reports, if it answers.
    fn leaders_report(&self) -> Option<&NodeStatus> {
        let (leader, term) = self.leader()?;
        let up = self.nodes.iter().filter(|card| card.is_up());
        let mut reports = up.filter_map(|card| card.report.as_ref());
        reports.find(|report| {
            report.id == leader && report.term == term && report.role == NodeRole::Leader
        })
    }

    /// The newest report that names members: the leader's, or else that of the node with the longest
    /// committed log, also if it does not answer any more.
    pub(super) fn members_report(&self) -> Option<&NodeStatus> {
        let names_members =
            |report: &&NodeStatus| report.highest_member.0 > 0 && report.role != NodeRole::Removed;
        if let Some(leading) = self.leaders_report().filter(names_members) {
            return Some(leading);
        }
        let reports = self.nodes.iter().filter_map(|card| card.report.as_ref());
        let of_account = |report: &&NodeStatus| {
            let account = self.of_account.as_ref();
            account.is_none_or(|cluster| *cluster == report.cluster_id)
        };
        let reports = reports.filter(names_members).filter(of_account);
        reports.max_by_key(|report| report.commit_index)
    }

    /// Of a node that never answered. If every member is another one, it is none.
    fn state_without_id(&self, newest: &NodeStatus) -> MemberState {
        let is_found = |member: &NodeId| {
            self.nodes
                .iter()
                .any(|card| card.id.as_ref() == Some(member))
        };
        match newest.members.keys().all(is_found) {
            true => MemberState::Outside,
            false => MemberState::Unknown,
        }
    }

    fn learner_progress(&self, learner: NodeId) -> Option<LearnerProgress> {
        let leading = self.leaders_report()?;
        // At 0 the leader has not received anything from it yet, and does not know what it has.
        let held = leading.followers.get(&learner).filter(|held| held.0 > 0)?;
        Some(LearnerProgress {
            held: *held,
            last: leading.last_index,
        })
    }
}

/// How many failures so many voters survive while all of them run.
pub fn failures_survived_by(voters: usize) -> usize {
    voters.saturating_sub(1) / 2
}

/// A number with its noun: `1 voter`, `2 voters`.
pub fn counted(count: usize, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        more => format!("{more} {noun}s"),
    }
}

/// `no failure is`, `1 failure is`, `2 failures are`: a participle follows.
pub fn survived_words(failures: usize) -> String {
    match failures {
        0 => "no failure is".to_owned(),
        1 => "1 failure is".to_owned(),
        more => format!("{more} failures are"),
    }
}
