//! Polls the status of all nodes, and reads what the supervisor of a local cluster writes: often
//! while the cluster page is shown or the leadership changes, seldom otherwise. Reports only
//! changes: of leadership and health always, of the figures while the cluster page is shown.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chat_client::{ChatClient, Member, NodeReport as ClientReport};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::backend::contact::Contact;
use crate::backend::event_sender::EventSender;
use crate::backend::local_cluster;
use crate::backend::options::ClusterPlace;
use crate::backend::session::context::SharedStore;
use crate::backend::translate;
use crate::model::availability::newest_leader;
use crate::model::chaos::Process;
use crate::model::cluster::{NodeRole, NodeStatus};
use crate::model::event::{BackendEvent, NodeReport};
use crate::model::names::{NodeId, Term};

/// How long a node may take to answer before it counts as unreachable.
const STATUS_TIMEOUT: Duration = Duration::from_millis(300);
/// While the cluster page is not shown and all is well. An interruption is reported too long by
/// this much at most.
const PERIOD: Duration = Duration::from_millis(400);
/// While the cluster page is shown, or not all is well: then each poll takes as long as a node that
/// does not answer.
const PERIOD_WATCHED: Duration = Duration::from_millis(250);
/// While the leadership changes: the stages of a fail-over are measured this finely.
const PERIOD_HOT: Duration = Duration::from_millis(40);
/// How long after the last change of leadership that goes on: longer than any fail-over.
const HOT: Duration = Duration::from_secs(5);

/// What is compared with the last report; while it is the same, no report is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Picture(Vec<(String, Option<NodeSummary>)>);

/// Of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
struct NodeSummary {
    id: NodeId,
    role: NodeRole,
    term: Term,
    leader: Option<NodeId>,
    storage: String,
}

/// Polls until it is aborted.
pub(super) struct Poller {
    pub(super) client: ChatClient,
    pub(super) local_cluster: ClusterPlace,
    pub(super) events: EventSender,
    /// Whether the cluster page is shown.
    pub(super) watched: watch::Receiver<bool>,
    pub(super) store: SharedStore,
    pub(super) contact: Contact,
}

impl Poller {
    pub(super) async fn run(mut self) {
        let mut reported: Option<Picture> = None;
        let mut figures: Option<Figures> = None;
        let mut processes: Option<Option<BTreeMap<NodeId, Process>>> = None;
        let mut leader = None;
        let mut hot_until = Instant::now();
        let mut previous: Option<Instant> = None;
        let mut contact = self.contact.subscribe();
        let mut is_asked = false;
        let mut kept = None;
        let mut local = BTreeSet::new();
        loop {
            let begun = Instant::now();
            let reports = self.client.status(STATUS_TIMEOUT).await;
            let members = members(&reports);
            let answers = answers_of(&reports);
            let nodes: Vec<_> = reports.into_iter().map(translate::report).collect();
            let picture = picture(&nodes);
            let statuses = nodes.iter().filter_map(|node| node.status.as_ref().ok());
            let leads = newest_leader(statuses);
            let all_answer = nodes.iter().all(|node| node.status.is_ok());
            if leads != leader && reported.is_some() {
                hot_until = begun + HOT;
            }
            if leader.is_none() && leads.is_some() {
                self.contact.succeeded();
                contact.forget();
            }
            leader = leads;
            self.keep_members(members, &mut kept).await;
            let is_hot = begun < hot_until;
            let is_watched = *self.watched.borrow_and_update();
            let latest = Figures::of(&nodes);
            let reported_figures = figures.as_ref();
            let are_new = !reported_figures.is_some_and(|before| latest.follow(before));
            let is_changed = reported.as_ref() != Some(&picture);
            // Messages show whether all nodes have them.
            let is_awaited = reported_figures
                .is_some_and(|before| !before.have_applied(self.contact.acknowledged()));
            let is_shown = is_watched || is_hot || is_awaited;
            if (is_shown && are_new) || is_asked || is_changed {
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
            let now = self.processes(&answers, &mut local);
            if processes.as_ref() != Some(&now) {
                self.events.send(BackendEvent::Processes(now.clone())).await;
                processes = Some(now);
            }
            let period = match (is_hot, is_watched) {
                (true, _) => PERIOD_HOT,
                (false, true) => PERIOD_WATCHED,
                (false, false) if leader.is_none() || !all_answer => PERIOD_WATCHED,
                (false, false) => PERIOD,
            };
            let pause = period.saturating_sub(begun.elapsed()).max(PERIOD_HOT);
            // A change of the page that is shown is a reason to poll at once, and so is a success
            // that contradicts the last poll.
            is_asked = false;
            tokio::select! {
                () = sleep(pause) => {}
                Ok(()) = self.watched.changed() => {}
                () = contact.changed(), if leader.is_none() => is_asked = true,
            }
        }
    }

    /// Keeps the members of the cluster for the next start, whenever they have changed.
    async fn keep_members(
        &self,
        members: Option<(String, Vec<Member>)>,
        kept: &mut Option<(String, Vec<Member>)>,
    ) {
        let Some(members) = members else {
            return;
        };
        if kept.as_ref() == Some(&members) {
            return;
        }
        let mut store = self.store.lock().await;
        let saved = store.save_members(&members.0, &members.1).await;
        drop(store);
        self.events.report_storage_error(saved).await;
        *kept = Some(members);
    }

    /// Of a local cluster, if it is the one that this app is connected to. `before` are its addresses at
    /// the last poll: a node may have answered, and have been removed since.
    fn processes(
        &self,
        answers: &[(String, bool)],
        before: &mut BTreeSet<String>,
    ) -> Option<BTreeMap<NodeId, Process>> {
        let cluster = local_cluster::read(&self.local_cluster).ok()??;
        let now: BTreeSet<String> = local_cluster::addresses(&cluster).into_iter().collect();
        let local = before.union(&now).cloned().collect();
        *before = now;
        are_of_cluster(answers, &local)
            .then(|| local_cluster::processes(&cluster))
            .flatten()
    }
}

/// The addresses that were asked, each with whether a node answers there.
fn answers_of(reports: &[ClientReport]) -> Vec<(String, bool)> {
    let answers = reports.iter();
    answers
        .map(|report| (report.address.clone(), report.status.is_ok()))
        .collect()
}

/// Whether the servers in use are those of the cluster on this machine, whose addresses are `local`:
/// some are, and no other one answers. One that was removed is not in it, and does not answer any more.
fn are_of_cluster(answers: &[(String, bool)], local: &BTreeSet<String>) -> bool {
    let is_local = |address: &String| local.contains(address);
    answers.iter().any(|(address, _)| is_local(address))
        && answers
            .iter()
            .all(|(address, is_answer)| is_local(address) || !is_answer)
}

/// What the cluster page shows of all nodes.
struct Figures(Vec<NodeReport>);

impl Figures {
    fn of(nodes: &[NodeReport]) -> Self {
        Self(nodes.to_vec())
    }

    /// Whether all nodes that answer have applied the log up to `index`.
    fn have_applied(&self, index: u64) -> bool {
        let answers = self.0.iter().filter_map(|node| node.status.as_ref().ok());
        answers
            .map(|status| status.applied_index.0)
            .all(|applied| applied >= index)
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

fn picture(nodes: &[NodeReport]) -> Picture {
    let nodes = nodes.iter().map(|node| {
        let summary = node.status.as_ref().ok().map(|status| NodeSummary {
            id: status.id,
            role: status.role,
            term: status.term,
            leader: status.leader,
            storage: status.storage.clone(),
        });
        (node.address.clone(), summary)
    });
    Picture(nodes.collect())
}

/// The members of the cluster that the nodes name, with the addresses at which they answer. `None`
/// while no node names any, or nodes of several clusters answer.
fn members(reports: &[ClientReport]) -> Option<(String, Vec<Member>)> {
    let statuses = reports.iter().filter_map(|report| {
        let status = report.status.as_ref().ok()?;
        Some((report, status, status.cluster_id.as_ref()?))
    });
    let mut members = BTreeSet::new();
    let mut cluster: Option<&String> = None;
    let mut are_named = false;
    for (report, status, cluster_id) in statuses {
        if cluster.is_some_and(|cluster| cluster != cluster_id) {
            return None;
        }
        cluster = Some(cluster_id);
        are_named |= !status.members.is_empty();
        members.extend(status.members.iter().cloned());
        members.insert(Member {
            node_id: status.node_id,
            address: report.address.clone(),
        });
    }
    members.retain(|member| !has_left(reports, member.node_id));
    are_named.then(|| Some((cluster?.clone(), members.into_iter().collect())))?
}

/// Whether the node with the longest committed log says that this one is no member any more.
fn has_left(reports: &[ClientReport], node: u64) -> bool {
    let answers = reports
        .iter()
        .filter_map(|report| report.status.as_ref().ok());
    let naming = answers.filter(|status| status.highest_member_id > 0 && status.role != "removed");
    let newest = naming.max_by_key(|status| status.commit_index);
    newest.is_some_and(|newest| {
        let mut members = newest.membership.iter();
        node <= newest.highest_member_id && members.all(|member| member.node_id != node)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::Figures;
    use crate::demo::status_of_node;
    use crate::model::event::NodeReport;

    fn figures(change: impl FnOnce(&mut NodeReport)) -> Figures {
        let mut report = NodeReport {
            address: "127.0.0.1:7401".to_owned(),
            id: None,
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
    fn acknowledged_message_is_awaited_until_all_that_answer_have_applied_it() {
        let applied = |index: u64| status(|status| status.applied_index.0 = index);
        assert!(applied(7).have_applied(7));
        assert!(!applied(6).have_applied(7));
        let silent = figures(|report| report.status = Err("refused".to_owned()));
        assert!(silent.have_applied(7));
    }

    #[test]
    fn removed_node_does_not_separate_the_window_from_its_local_cluster() {
        let address = |port: u16| format!("127.0.0.1:{port}");
        let check = |answering: &[u16], silent: &[u16], local: &[u16]| {
            let answering = answering.iter().map(|port| (address(*port), true));
            let silent = silent.iter().map(|port| (address(*port), false));
            let local: BTreeSet<String> = local.iter().map(|port| address(*port)).collect();
            super::are_of_cluster(&answering.chain(silent).collect::<Vec<_>>(), &local)
        };
        assert!(check(&[1, 2, 3], &[], &[1, 2, 3]));
        assert!(check(&[], &[1, 2, 3], &[1, 2, 3]), "all are down");
        assert!(check(&[2, 3, 4], &[1], &[2, 3, 4]), "1 was removed");
        assert!(check(&[1], &[], &[1, 2, 3]));
        assert!(!check(&[1, 9], &[], &[1, 2, 3]), "another node answers");
        assert!(!check(&[], &[9], &[1, 2, 3]), "none is of the cluster");
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
