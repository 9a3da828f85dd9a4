//! Asks all nodes how they are, and reads what the supervisor of a local cluster says: often while
//! somebody looks or nobody leads, seldom otherwise. Tells only what has changed, unless somebody
//! looks.

use std::collections::BTreeMap;
use std::time::Duration;

use chat_client::{ChatClient, NodeReport};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::backend::event_sender::EventSender;
use crate::backend::local_cluster::Description;
use crate::backend::options::ClusterPlace;
use crate::backend::translate;
use crate::model::chaos::Process;
use crate::model::cluster::NodeRole;
use crate::model::event::BackendEvent;
use crate::model::names::NodeId;

/// How long a node may take to answer before it counts as silent.
const STATUS_TIMEOUT: Duration = Duration::from_millis(400);
/// While nobody looks and all is well. An interruption is told that much too long at most.
const PERIOD: Duration = Duration::from_millis(500);
/// While somebody looks.
const PERIOD_WATCHED: Duration = Duration::from_millis(250);
/// While the leadership changes: the stages of a fail-over are told this finely.
const PERIOD_HOT: Duration = Duration::from_millis(40);
/// How long after the last change of leadership that goes on: longer than any fail-over.
const HOT: Duration = Duration::from_secs(5);

/// What must be the same for nothing to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Picture(Vec<(String, Option<NodeSummary>)>);

/// Of one node: its number, role, term, and what its storage is like.
type NodeSummary = (NodeId, NodeRole, u64, String);

/// Asks until it is aborted.
pub(super) struct Poller {
    pub(super) client: ChatClient,
    pub(super) local_cluster: ClusterPlace,
    pub(super) addresses: Vec<String>,
    pub(super) events: EventSender,
    /// Whether somebody looks.
    pub(super) watched: watch::Receiver<bool>,
}

impl Poller {
    pub(super) async fn run(mut self) {
        let mut told: Option<Picture> = None;
        let mut processes: Option<Option<BTreeMap<NodeId, Process>>> = None;
        let mut leader = None;
        let mut hot_until = Instant::now();
        let mut previous: Option<Instant> = None;
        loop {
            let begun = Instant::now();
            let reports = self.client.status(STATUS_TIMEOUT).await;
            let picture = picture(&reports);
            let leads = leader_of(&picture);
            if leads != leader && told.is_some() {
                hot_until = begun + HOT;
            }
            leader = leads;
            let is_hot = begun < hot_until;
            let is_watched = *self.watched.borrow_and_update();
            if is_watched || is_hot || told.as_ref() != Some(&picture) {
                let nodes = reports.into_iter().map(translate::report).collect();
                let since_previous = previous.map(|previous| previous.elapsed());
                let event = BackendEvent::Status {
                    nodes,
                    since_previous,
                };
                self.events.send(event).await;
                told = Some(picture);
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
            // Nobody looks any more, or somebody does now: either is worth a look at once.
            if timeout(period, self.watched.changed())
                .await
                .is_ok_and(|changed| changed.is_err())
            {
                sleep(period).await;
            }
        }
    }

    /// Of a local cluster, if it is the one that we are connected to.
    fn processes(&self) -> Option<BTreeMap<NodeId, Process>> {
        let description = Description::read(&self.local_cluster).ok()??;
        let addresses = description.addresses();
        let is_from_own_cluster = self
            .addresses
            .iter()
            .all(|address| addresses.contains(address));
        is_from_own_cluster
            .then(|| description.processes())
            .flatten()
    }
}

fn picture(reports: &[NodeReport]) -> Picture {
    let nodes = reports.iter().map(|report| {
        let said = report.status.as_ref().ok().map(|status| {
            let said = translate::report(report.clone()).status;
            let role = said.map_or(NodeRole::Unknown, |said| said.role);
            let storage = status.storage_state.clone();
            (NodeId(status.node_id), role, status.term, storage)
        });
        (report.address.clone(), said)
    });
    Picture(nodes.collect())
}

/// Who leads the highest term that anybody knows.
fn leader_of(picture: &Picture) -> Option<(NodeId, u64)> {
    let said = || picture.0.iter().filter_map(|(_, said)| said.as_ref());
    let term = said().map(|(_, _, term, _)| *term).max()?;
    said()
        .find(|(_, role, at, _)| *role == NodeRole::Leader && *at == term)
        .map(|(id, _, term, _)| (*id, *term))
}
