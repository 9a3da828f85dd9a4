//! The cluster as its nodes report it: the report of each node, completed with the leader's view of
//! the others, and the health.

use std::time::Duration;

use chat_client::{FollowerStatus, KnownNode, NodeReport, NodeStatus};
use serde::Serialize;

/// A follower that is further behind does not keep up with the leader.
const TRAILS_MAX: u64 = 5_000;
/// A follower from which the leader has received nothing for longer is isolated, whatever it reports
/// itself.
const SEEN_MAX: Duration = Duration::from_secs(2);

const LEADER: &str = "leader";
const LEARNER: &str = "learner";
/// The role of a node before the bootstrap, now and in earlier versions.
const UNINITIALIZED: [&str; 2] = ["uninitialized", "empty"];

/// The whole cluster. What is serialised is a stable interface.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct View {
    pub(crate) health: Health,
    pub(crate) summary: String,
    pub(crate) leader: Option<u64>,
    pub(crate) term: u64,
    pub(crate) nodes: Vec<NodeView>,
}

/// One line for operators, one exit code for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Health {
    /// Every node is up, is a voter and follows one leader.
    Healthy,
    /// The cluster serves requests, and something is wrong.
    Degraded,
    /// The cluster does not serve requests: too few nodes are up, or there is no leader.
    NoQuorum,
}

/// One node. Unknown values are null.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct NodeView {
    pub(crate) id: u64,
    pub(crate) address: String,
    pub(crate) reachable: bool,
    pub(crate) role: Option<String>,
    pub(crate) term: Option<u64>,
    pub(crate) last: Option<u64>,
    pub(crate) commit: Option<u64>,
    pub(crate) applied: Option<u64>,
    /// How many entries of the leader it does not have.
    pub(crate) trails: Option<u64>,
    /// How long ago the leader last received a fetch from it.
    pub(crate) seen_ms: Option<u64>,
    pub(crate) rtt_us: Option<u64>,
    pub(crate) storage: Option<String>,
    pub(crate) storage_bytes: Option<u64>,
    /// The index before the first entry of its log.
    pub(crate) log_begins: Option<u64>,
    /// The last entry in its newest snapshot.
    pub(crate) snapshot: Option<u64>,
    pub(crate) uptime_ms: Option<u64>,
    pub(crate) version: Option<String>,
    pub(crate) voter: Option<bool>,
    /// Whether it belongs to the cluster, as the leader says.
    pub(crate) member: Option<bool>,
    pub(crate) error: Option<String>,
}

impl Health {
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Self::Healthy => 0,
            Self::Degraded => 1,
            // 2 means wrong usage, as of every command.
            Self::NoQuorum => 3,
        }
    }
}

impl View {
    /// Combines the reports; `reports` is in the order of `known`.
    pub(crate) fn new(known: &[KnownNode], reports: &[NodeReport]) -> Self {
        let answers: Vec<&NodeStatus> = reports
            .iter()
            .filter_map(|report| report.status.as_ref().ok())
            .collect();
        // Two nodes may report that they lead while one of them has not received the newer term yet; the
        // later term is right.
        let leading = answers
            .iter()
            .copied()
            .filter(|answer| answer.role == LEADER);
        let leader = leading.max_by_key(|answer| answer.term);
        let ids = ids(known, reports);
        let nodes: Vec<NodeView> = reports
            .iter()
            .zip(ids)
            .map(|(report, id)| NodeView {
                member: leader.and_then(|leader| is_member(leader, id)),
                ..match &report.status {
                    Ok(answer) => answered(report, answer, leader),
                    Err(error) => silent(report, id, error, leader),
                }
            })
            .collect();
        let quorum = quorum(&answers, leader, nodes.len());
        let awaited = answers.iter().flat_map(|answer| &answer.bootstrap_awaits);
        let awaited: Vec<String> = awaited.map(|id| format!("n{id}")).collect();
        let (health, summary) = health(&nodes, leader, quorum, &awaited);
        Self {
            health,
            summary,
            leader: leader.map(|leader| leader.node_id),
            term: answers.iter().map(|answer| answer.term).max().unwrap_or(0),
            nodes,
        }
    }
}

/// The id of a node that does not answer comes from the files. If it is not known there, it is its
/// place in the list, or the lowest id that no other node has.
fn ids(known: &[KnownNode], reports: &[NodeReport]) -> Vec<u64> {
    let mut ids: Vec<Option<u64>> = reports
        .iter()
        .enumerate()
        .map(|(place, report)| match &report.status {
            Ok(answer) => Some(answer.node_id),
            Err(_) => known.get(place).and_then(|node| node.id),
        })
        .collect();
    for place in 0..ids.len() {
        if ids[place].is_none() {
            let free = |id: &u64| !ids.contains(&Some(*id));
            let by_place = place as u64 + 1;
            ids[place] = Some(by_place).filter(free).or_else(|| (1..).find(free));
        }
    }
    ids.into_iter().flatten().collect()
}

fn answered(report: &NodeReport, answer: &NodeStatus, leader: Option<&NodeStatus>) -> NodeView {
    let follower = leader.and_then(|leader| follower(leader, answer.node_id));
    let leads = leader.is_some_and(|leader| leader.node_id == answer.node_id);
    let stale = (answer.role == LEADER && !leads).then(|| {
        let term = leader.map_or(0, |leader| leader.term);
        format!(
            "stale: claims to lead term {}, but the current term is {term}",
            answer.term
        )
    });
    // The leader knows first whether a node is a voter; without a leader, the node's own view counts.
    let voter = match follower {
        Some(follower) => follower.is_voter,
        None => answer.voter_ids.contains(&answer.node_id),
    };
    NodeView {
        id: answer.node_id,
        address: report.address.clone(),
        reachable: true,
        role: Some(answer.role.clone()),
        term: Some(answer.term),
        last: Some(answer.last_index),
        commit: Some(answer.commit_index),
        applied: Some(answer.applied_index),
        trails: leader.map(|leader| leader.last_index.saturating_sub(answer.last_index)),
        seen_ms: follower.and_then(seen_ms),
        rtt_us: u64::try_from(report.round_trip.as_micros()).ok(),
        storage: Some(answer.storage_state.clone()),
        storage_bytes: Some(answer.storage_bytes),
        log_begins: answer.snapshots.map(|snapshots| snapshots.log_begins_index),
        snapshot: answer
            .snapshots
            .and_then(|snapshots| snapshots.newest_index),
        uptime_ms: Some(whole_milliseconds(answer.uptime)),
        version: Some(answer.version.clone()),
        voter: Some(voter && !(answer.role == LEARNER || is_uninitialized(&answer.role))),
        member: None,
        error: stale,
    }
}

fn silent(report: &NodeReport, id: u64, error: &str, leader: Option<&NodeStatus>) -> NodeView {
    let follower = leader.and_then(|leader| follower(leader, id));
    // A new leader knows the follower's index only after its first fetch.
    let fetched = follower.filter(|follower| follower.last_contact.is_some());
    let last = fetched.map(|follower| follower.match_index);
    NodeView {
        id,
        address: report.address.clone(),
        last,
        trails: leader
            .zip(last)
            .map(|(leader, last)| leader.last_index.saturating_sub(last)),
        seen_ms: follower.and_then(seen_ms),
        voter: follower.map(|follower| follower.is_voter),
        error: Some(error.to_owned()),
        ..NodeView::default()
    }
}

/// Servers of before do not report who is a member.
fn is_member(leader: &NodeStatus, id: u64) -> Option<bool> {
    let members = &leader.membership;
    let is_known = members.iter().any(|member| member.is_voter.is_some());
    is_known.then(|| members.iter().any(|member| member.node_id == id))
}

fn follower(leader: &NodeStatus, id: u64) -> Option<&FollowerStatus> {
    leader
        .followers
        .iter()
        .find(|follower| follower.node_id == id)
}

fn is_uninitialized(role: &str) -> bool {
    UNINITIALIZED.contains(&role)
}

fn seen_ms(follower: &FollowerStatus) -> Option<u64> {
    follower.last_contact.map(whole_milliseconds)
}

fn whole_milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// How many voters must agree: as the leader reports it, else the node with the highest commit index,
/// else a majority of the configured nodes.
fn quorum(answers: &[&NodeStatus], leader: Option<&NodeStatus>, configured: usize) -> usize {
    let informed = answers
        .iter()
        .copied()
        .max_by_key(|answer| answer.commit_index);
    match leader.or(informed) {
        Some(NodeStatus {
            quorum: Some(quorum),
            ..
        }) => *quorum as usize,
        _ => configured / 2 + 1,
    }
}

fn health(
    nodes: &[NodeView],
    leader: Option<&NodeStatus>,
    quorum: usize,
    awaited: &[String],
) -> (Health, String) {
    // What left the cluster, or has not joined it, is shown and is no problem.
    let nodes: Vec<&NodeView> = nodes
        .iter()
        .filter(|node| node.member != Some(false))
        .collect();
    let reachable = nodes.iter().filter(|node| node.reachable).count();
    let voters = nodes
        .iter()
        .filter(|node| node.reachable && node.voter == Some(true))
        .count();
    let up = format!("{reachable} of {} nodes up", nodes.len());
    let Some(leader) = leader else {
        let has_no_data = |node: &&&NodeView| node.role.as_deref().is_some_and(is_uninitialized);
        let uninitialized = nodes.iter().filter(has_no_data).count();
        let reason = if voters >= quorum {
            "no leader yet".to_owned()
        } else if uninitialized > 0 && uninitialized == reachable {
            not_bootstrapped(awaited)
        } else {
            "no quorum".to_owned()
        };
        return (
            Health::NoQuorum,
            format!("cluster unavailable: {up}, {reason}"),
        );
    };
    let led = format!("leader n{} (term {})", leader.node_id, leader.term);
    if voters < quorum {
        let summary = format!("cluster unavailable: {up}, no quorum · {led}");
        return (Health::NoQuorum, summary);
    }
    let spare = match voters - quorum {
        1 => "1 more failure".to_owned(),
        spare => format!("{spare} more failures"),
    };
    let problems: Vec<String> = nodes.iter().filter_map(|node| problem(node)).collect();
    if problems.is_empty() {
        (
            Health::Healthy,
            format!("cluster healthy: {up}, tolerates {spare} · {led}"),
        )
    } else {
        let problems = problems.join(", ");
        let summary =
            format!("cluster degraded: {up}, quorum holds, tolerates {spare} · {led} · {problems}");
        (Health::Degraded, summary)
    }
}

fn not_bootstrapped(awaited: &[String]) -> String {
    if awaited.is_empty() {
        return "the cluster is not bootstrapped".to_owned();
    }
    format!(
        "the cluster is not bootstrapped and waits for {}",
        awaited.join(", ")
    )
}

fn problem(node: &NodeView) -> Option<String> {
    let id = node.id;
    let storage = node.storage.as_deref().filter(|storage| *storage != "ok");
    let seen_max = whole_milliseconds(SEEN_MAX);
    if !node.reachable {
        Some(format!("n{id} is down"))
    } else if node.role.as_deref() == Some(LEARNER) {
        Some(format!("n{id} does not vote yet"))
    } else if node.voter != Some(true) {
        Some(format!("n{id} does not vote"))
    } else if node.error.is_some() {
        Some(format!("n{id} is stale"))
    } else if let Some(storage) = storage {
        Some(format!("n{id} storage: {storage}"))
    } else if node.seen_ms.is_some_and(|seen| seen > seen_max) {
        Some(format!("n{id} is isolated from the leader"))
    } else if node.trails.is_some_and(|trails| trails > TRAILS_MAX) {
        Some(format!("n{id} trails"))
    } else {
        None
    }
}
