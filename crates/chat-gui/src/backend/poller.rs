//! Polls the status of all nodes, and reads what the supervisor of a local cluster writes: often
//! while the cluster page is shown or the leadership changes, seldom otherwise. Reports only
//! changes: of leadership and health always, of the figures while the cluster page is shown.

use std::collections::BTreeMap;
use std::time::Duration;

use chat_client::{ChatClient, NodeReport as ClientReport};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::backend::event_sender::EventSender;
use crate::backend::local_cluster;
use crate::backend::options::ClusterPlace;
use crate::backend::translate;
use crate::model::chaos::Process;
use crate::model::cluster::{NodeRole, NodeStatus};
use crate::model::event::{BackendEvent, NodeReport};
use crate::model::names::NodeId;

/// How long a node may take to answer before it counts as unreachable.
const STATUS_TIMEOUT: Duration = Duration::from_millis(400);
/// While the cluster page is not shown and all is well. An interruption is reported too long by
/// this much at most.
const PERIOD: Duration = Duration::from_millis(500);
/// While the cluster page is shown.
const PERIOD_WATCHED: Duration = Duration::from_millis(250);
/// While the leadership changes: the stages of a fail-over are measured this finely.
const PERIOD_HOT: Duration = Duration::from_millis(40);
/// How long after the last change of leadership that goes on: longer than any fail-over.
const HOT: Duration = Duration::from_secs(5);

/// What is compared with the last report; while it is the same, no report is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Picture(Vec<(String, Option<NodeSummary>)>);

/// Of one node: its number, role, term, and what its storage is like.
type NodeSummary = (NodeId, NodeRole, u64, String);

/// Polls until it is aborted.
pub(super) struct Poller {
    pub(super) client: ChatClient,
    pub(super) local_cluster: ClusterPlace,
    pub(super) addresses: Vec<String>,
    pub(super) events: EventSender,
    /// Whether the cluster page is shown.
    pub(super) watched: watch::Receiver<bool>,
}

impl Poller {
    pub(super) async fn run(mut self) {
        let mut reported: Option<Picture> = None;
        let mut figures: Option<Figures> = None;
        let mut processes: Option<Option<BTreeMap<NodeId, Process>>> = None;
        let mut leader = None;
        let mut hot_until = Instant::now();
        let mut previous: Option<Instant> = None;
        loop {
            let begun = Instant::now();
            let reports = self.client.status(STATUS_TIMEOUT).await;
            let picture = picture(&reports);
            let leads = leader_of(&picture);
            if leads != leader && reported.is_some() {
                hot_until = begun + HOT;
            }
            leader = leads;
            let is_hot = begun < hot_until;
            let is_watched = *self.watched.borrow_and_update();
            let nodes: Vec<_> = reports.into_iter().map(translate::report).collect();
            let latest = Figures::of(&nodes);
            let reported_figures = figures.as_ref();
            let are_new = !reported_figures.is_some_and(|before| latest.follow(before));
            if ((is_watched || is_hot) && are_new) || reported.as_ref() != Some(&picture) {
                let since_previous = previous.map(|previous| previous.elapsed());
                let event = BackendEvent::Status {
                    nodes,
                    since_previous,
                };
                self.events.send(event).await;
                reported = Some(picture);
                figures = Some(latest);
            }
            previous = Some(begun);
            let now = self.processes();
            if processes.as_ref() != Some(&now) {
                self.events.send(BackendEvent::Processes(now.clone())).await;
                processes = Some(now);
            }
            let period = match (is_hot, is_watched) {
                (true, _) => PERIOD_HOT,
                (false, true) => PERIOD_WATCHED,
                (false, false) => PERIOD,
            };
            // A change of the page that is shown is a reason to poll at once.
            if timeout(period, self.watched.changed())
                .await
                .is_ok_and(|changed| changed.is_err())
            {
                sleep(period).await;
            }
        }
    }

    /// Of a local cluster, if it is the one that this app is connected to.
    fn processes(&self) -> Option<BTreeMap<NodeId, Process>> {
        let cluster = local_cluster::read(&self.local_cluster).ok()??;
        let addresses = local_cluster::addresses(&cluster);
        let is_connected = self
            .addresses
            .iter()
            .all(|address| addresses.contains(address));
        is_connected
            .then(|| local_cluster::processes(&cluster))
            .flatten()
    }
}

/// What the cluster page shows of all nodes.
struct Figures(Vec<NodeReport>);

impl Figures {
    fn of(nodes: &[NodeReport]) -> Self {
        Self(nodes.to_vec())
    }

    /// Whether nothing has changed since `before`, the last ones reported, but the time.
    fn follow(&self, before: &Self) -> bool {
        let same = |(now, before): (&NodeReport, &NodeReport)| {
            now.address == before.address
                && match (&now.status, &before.status) {
                    (Ok(now), Ok(before)) => {
                        let timeless = NodeStatus {
                            uptime: before.uptime,
                            ..now.clone()
                        };
                        now.uptime >= before.uptime && timeless == *before
                    }
                    (now, before) => now == before,
                }
        };
        self.0.len() == before.0.len() && self.0.iter().zip(&before.0).all(same)
    }
}

fn picture(reports: &[ClientReport]) -> Picture {
    let nodes = reports.iter().map(|report| {
        let summary = report.status.as_ref().ok().map(|status| {
            let status_of_model = translate::report(report.clone()).status;
            let role = status_of_model.map_or(NodeRole::Unknown, |status| status.role);
            let storage = status.storage_state.clone();
            (NodeId(status.node_id), role, status.term, storage)
        });
        (report.address.clone(), summary)
    });
    Picture(nodes.collect())
}

/// The leader of the highest term that any node knows.
fn leader_of(picture: &Picture) -> Option<(NodeId, u64)> {
    let summaries = || picture.0.iter().filter_map(|(_, summary)| summary.as_ref());
    let term = summaries().map(|(_, _, term, _)| *term).max()?;
    summaries()
        .find(|(_, role, at, _)| *role == NodeRole::Leader && *at == term)
        .map(|(id, _, term, _)| (*id, *term))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Figures;
    use crate::demo::status_of_node;
    use crate::model::event::NodeReport;

    fn figures(change: impl FnOnce(&mut NodeReport)) -> Figures {
        let mut report = NodeReport {
            address: "127.0.0.1:7401".to_owned(),
            status: Ok(status_of_node(1)),
            round_trip: Duration::from_millis(1),
        };
        change(&mut report);
        Figures(vec![report])
    }

    fn status(change: impl FnOnce(&mut crate::model::cluster::NodeStatus)) -> Figures {
        figures(|report| {
            if let Ok(status) = &mut report.status {
                change(status);
            }
        })
    }

    #[test]
    fn only_passing_time_is_no_change() {
        let before = figures(|_| ());
        let longer = status(|status| status.uptime += Duration::from_secs(1));
        assert!(longer.follow(&before));
        assert!(figures(|report| report.round_trip *= 2).follow(&before));
        assert!(!before.follow(&longer), "the node has restarted");
        assert!(!status(|status| status.applied_index.0 += 1).follow(&before));
        assert!(!figures(|report| report.status = Err("refused".to_owned())).follow(&before));
        assert!(!Figures(Vec::new()).follow(&before));
    }
}
