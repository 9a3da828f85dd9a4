//! The cluster as its nodes describe it: each one's own words, completed by the leader's about the
//! others, and a verdict.

use std::time::Duration;

use chat_client::{FollowerStatus, KnownNode, NodeReport, NodeStatus};
use serde::Serialize;

/// A follower that is further behind is not catching up with what happens now.
const TRAILS_MAX: u64 = 5_000;
/// A follower that has not been heard for longer is cut off, whatever it says to us.
const SEEN_MAX: Duration = Duration::from_secs(2);

const LEADER: &str = "leader";

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
    /// Every node is there, counts and follows one leader.
    Healthy,
    /// It serves, and something is wrong.
    Degraded,
    /// It does not serve: too few nodes, or nobody leads.
    NoQuorum,
}

/// One node. What is not known is null.
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
    /// How many entries it lacks that the leader has.
    pub(crate) trails: Option<u64>,
    /// How long ago the leader last heard of it.
    pub(crate) seen_ms: Option<u64>,
    pub(crate) rtt_us: Option<u64>,
    pub(crate) storage: Option<String>,
    pub(crate) storage_bytes: Option<u64>,
    pub(crate) uptime_ms: Option<u64>,
    pub(crate) version: Option<String>,
    pub(crate) voter: Option<bool>,
    pub(crate) error: Option<String>,
}

impl Health {
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Self::Healthy => 0,
            Self::Degraded => 1,
            // 2 is wrong usage, of this command as of all.
            Self::NoQuorum => 3,
        }
    }
}

impl View {
    /// Puts together what the nodes said; `reports` is in the order of `known`.
    pub(crate) fn new(known: &[KnownNode], reports: &[NodeReport]) -> Self {
        let answers: Vec<&NodeStatus> = reports
            .iter()
            .filter_map(|report| report.status.as_ref().ok())
            .collect();
        // Two nodes may claim to lead while one of them has not heard yet; the later term is right.
        let leading = answers
            .iter()
            .copied()
            .filter(|answer| answer.role == LEADER);
        let leader = leading.max_by_key(|answer| answer.term);
        let ids = ids(known, reports);
        let nodes: Vec<NodeView> = reports
            .iter()
            .zip(ids)
            .map(|(report, id)| match &report.status {
                Ok(answer) => answered(report, answer, leader),
                Err(error) => silent(report, id, error, leader),
            })
            .collect();
        let quorum = quorum(&answers, leader, nodes.len());
        let awaited = answers.iter().flat_map(|answer| &answer.bootstrap_awaits);
        let awaited: Vec<String> = awaited.map(|id| format!("n{id}")).collect();
        let (health, summary) = verdict(&nodes, leader, quorum, &awaited);
        Self {
            health,
            summary,
            leader: leader.map(|leader| leader.node_id),
            term: answers.iter().map(|answer| answer.term).max().unwrap_or(0),
            nodes,
        }
    }
}

/// A node that does not answer does not say its id: files may, else it has the place in the list
/// that nobody else claims.
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
            "stale: claims to lead term {}, and term {term} is led",
            answer.term
        )
    });
    // By the leader's count, if there is one: a node may not know yet what was decided about it.
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
        uptime_ms: Some(whole_milliseconds(answer.uptime)),
        version: Some(answer.version.clone()),
        voter: Some(voter && !matches!(answer.role.as_str(), "learner" | "uninitialized")),
        error: stale,
    }
}

fn silent(report: &NodeReport, id: u64, error: &str, leader: Option<&NodeStatus>) -> NodeView {
    let follower = leader.and_then(|leader| follower(leader, id));
    // Until it was heard, a new leader knows nothing of it.
    let heard = follower.filter(|follower| follower.last_contact.is_some());
    let last = heard.map(|follower| follower.match_index);
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

fn follower(leader: &NodeStatus, id: u64) -> Option<&FollowerStatus> {
    leader
        .followers
        .iter()
        .find(|follower| follower.node_id == id)
}

fn seen_ms(follower: &FollowerStatus) -> Option<u64> {
    follower.last_contact.map(whole_milliseconds)
}

fn whole_milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// How many voters must agree: by the leader, else by whoever knows most, else of all that are
/// configured.
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

fn verdict(
    nodes: &[NodeView],
    leader: Option<&NodeStatus>,
    quorum: usize,
    awaited: &[String],
) -> (Health, String) {
    let reachable = nodes.iter().filter(|node| node.reachable).count();
    let counting = nodes
        .iter()
        .filter(|node| node.reachable && node.voter == Some(true))
        .count();
    let up = format!("{reachable} of {} nodes up", nodes.len());
    let Some(leader) = leader else {
        let is_empty = |node: &&NodeView| node.role.as_deref() == Some("uninitialized");
        let empty = nodes.iter().filter(is_empty).count();
        let reason = if counting >= quorum {
            "no leader yet".to_owned()
        } else if empty > 0 && empty == reachable {
            not_formed(awaited)
        } else {
            "no quorum".to_owned()
        };
        return (
            Health::NoQuorum,
            format!("cluster unavailable: {up}, {reason}"),
        );
    };
    let led = format!("leader n{} (term {})", leader.node_id, leader.term);
    if counting < quorum {
        let summary = format!("cluster unavailable: {up}, no quorum · {led}");
        return (Health::NoQuorum, summary);
    }
    let spare = match counting - quorum {
        1 => "1 more failure".to_owned(),
        spare => format!("{spare} more failures"),
    };
    let problems: Vec<String> = nodes.iter().filter_map(problem).collect();
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

fn not_formed(awaited: &[String]) -> String {
    if awaited.is_empty() {
        return "the cluster is not formed".to_owned();
    }
    format!(
        "the cluster is not formed and waits for {}",
        awaited.join(", ")
    )
}

fn problem(node: &NodeView) -> Option<String> {
    let id = node.id;
    let storage = node.storage.as_deref().filter(|storage| *storage != "ok");
    let seen_max = whole_milliseconds(SEEN_MAX);
    if !node.reachable {
        Some(format!("n{id} is down"))
    } else if node.voter != Some(true) {
        Some(format!("n{id} does not vote"))
    } else if node.error.is_some() {
        Some(format!("n{id} is stale"))
    } else if let Some(storage) = storage {
        Some(format!("n{id} storage: {storage}"))
    } else if node.seen_ms.is_some_and(|seen| seen > seen_max) {
        Some(format!("n{id} is cut off from the leader"))
    } else if node.trails.is_some_and(|trails| trails > TRAILS_MAX) {
        Some(format!("n{id} trails"))
    } else {
        None
    }
}
