//! The cluster as this window sees it: the status that each node reports, what happened when, and
//! what a local cluster's supervisor would do. Computed from reports; nothing here sends a request.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::model::chaos::Chaos;
use crate::model::failover::Failover;
use crate::model::feed::FeedEntry;
use crate::model::names::{LogIndex, NodeId, Term};
use crate::model::term_timeline::TermTimeline;
use crate::model::time::Moment;

/// Entries of the feed that are kept: about an hour of a cluster that is being broken on purpose.
pub const FEED_MAX: usize = 500;
/// Fail-overs that are kept.
pub const FAILOVERS_MAX: usize = 50;

/// The cluster as this window sees it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cluster {
    /// The id of the cluster that has the account, as in [`NodeStatus::cluster_id`]; `None` without one.
    pub of_account: Option<String>,
    /// By number once it is known, in the order of the addresses until then.
    pub nodes: Vec<NodeCard>,
    /// Who led when.
    pub term_timeline: TermTimeline,
    /// Newest first.
    pub failovers: VecDeque<Failover>,
    /// Newest first.
    pub feed: VecDeque<FeedEntry>,
    /// What can be done to a local cluster; `None` where there is none.
    pub chaos: Option<Chaos>,
    /// When the nodes were polled last.
    pub polled_at: Option<Moment>,
    /// The last acknowledgement of a message, by the leader of which term and when, unless a poll
    /// has begun since.
    pub acknowledged: Option<(Term, Moment)>,
}

/// What is known of one node.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeCard {
    /// Its number; unknown until it answered once.
    pub id: Option<NodeId>,
    /// Where clients reach it.
    pub address: String,
    /// Whether it answers.
    pub health: NodeHealth,
    /// Its last status; kept while it does not answer.
    pub report: Option<NodeStatus>,
    /// When that status arrived.
    pub seen_at: Option<Moment>,
    /// How long its last answer took.
    pub round_trip: Option<Duration>,
    /// Entries of the leader's log that it does not hold yet; `None` when it is not known.
    pub behind: Option<u64>,
}

/// Whether a node answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeHealth {
    /// It was not polled yet.
    Unknown,
    /// It answers.
    Up,
    /// It answers, and something is wrong with its storage.
    Degraded(String),
    /// It does not answer.
    Down(String),
}

/// The status that a node reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeStatus {
    /// Its number.
    pub id: NodeId,
    /// What it is in its term.
    pub role: NodeRole,
    /// The term it is in.
    pub term: Term,
    /// Who leads, if it knows.
    pub leader: Option<NodeId>,
    /// The end of its log.
    pub last_index: LogIndex,
    /// What it knows to be on a majority.
    pub commit_index: LogIndex,
    /// What its tables hold.
    pub applied_index: LogIndex,
    /// The match index of each other node, as the leader reports it.
    pub followers: BTreeMap<NodeId, LogIndex>,
    /// `ok`, or what is wrong.
    pub storage: String,
    /// Of its program.
    pub version: String,
    /// How long it has been running.
    pub uptime: Duration,
    /// 32 hexadecimal digits; empty before the cluster is formed.
    pub cluster_id: String,
    /// Bytes on its disk.
    pub storage_bytes: u64,
    /// The voters of its cluster, as far as it knows them.
    pub voters: Vec<NodeId>,
    /// How many voters must agree; 0 before the cluster is formed.
    pub quorum: usize,
    /// Where its log begins, and its snapshots; `None` if its version has none.
    pub snapshots: Option<Snapshots>,
    /// The members of its cluster, as far as it knows them, and whether each votes, if that is reported.
    pub members: BTreeMap<NodeId, Option<bool>>,
    /// The highest number that a member ever had; 0 if that is not known.
    pub highest_member: NodeId,
    /// Of a leader: how many voters may fail now.
    pub failures_tolerated: Option<u32>,
}

/// Where a node's log begins, and its snapshots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Snapshots {
    /// The last entry that is not in its log any more.
    pub log_begins: LogIndex,
    /// The last entry in its newest one, if it has one.
    pub newest: Option<LogIndex>,
    /// It is taking one.
    pub is_taking: bool,
    /// It is downloading one: how many bytes are there, and how many there are.
    pub download: Option<(u64, u64)>,
}

/// What a node is in its term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeRole {
    /// It leads.
    Leader,
    /// It follows.
    Follower,
    /// It campaigns: it requests votes, or pre-votes.
    Candidate,
    /// It follows, and does not vote yet: it has joined lately, or its disk is new.
    Learner,
    /// It was removed from the cluster.
    Removed,
    /// It is starting, or not part of the cluster yet.
    Starting,
    /// Something that this version does not know.
    Unknown,
}

/// How the cluster is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthLevel {
    /// No node was polled yet.
    Unknown,
    /// No node answers.
    Offline,
    /// All nodes answer and follow one leader.
    Healthy,
    /// There is a leader; something is missing.
    Degraded,
    /// There is no leader: nothing can be sent.
    NoLeader,
}

/// How the cluster is, in one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// For the colour and the symbol.
    pub level: HealthLevel,
    /// For people.
    pub sentence: String,
}
