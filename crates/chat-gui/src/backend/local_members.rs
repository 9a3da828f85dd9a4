//! Changes of the members of a cluster on this machine, in two parts: its supervisor starts and
//! deletes nodes, and the leader is asked at its peer address to change who is a member. A node that
//! is added runs first; one that is removed is no member any more before its data is deleted.
//!
//! Deliberately absent: going on with a change after the window was closed. What is half done then is
//! completed by the same change once more, or by `cargo xtask cluster`.

use std::time::Duration;

use chat_client::{MemberAddresses, MembersChange, Operator, OperatorError};
use devcluster_api::{ClusterState, Links, NodeState, Request};
use tokio::time::{Instant, sleep};

use crate::backend::event_sender::EventSender;
use crate::backend::local_cluster;
use crate::backend::options::ClusterPlace;
use crate::model::event::BackendEvent;
use crate::model::failure::Failure;
use crate::model::members_action::{MembersAction, MembersReport, MembersStep};
use crate::model::names::NodeId;

/// How long a change may take to be committed: several elections.
const CHANGE_LIMIT: Duration = Duration::from_secs(30);
/// How long the change is shown as under way while the new node catches up. It goes on after that.
const VOTE_WAIT: Duration = Duration::from_secs(60);
/// How often a node that joins is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// The limits of a change; shorter in tests.
#[derive(Clone, Copy, Debug)]
struct Limits {
    change: Duration,
    vote: Duration,
}

/// One change that is carried out.
pub(super) struct MembersTask {
    place: ClusterPlace,
    events: EventSender,
    limits: Limits,
}

impl MembersTask {
    pub(super) fn new(place: ClusterPlace, events: EventSender) -> Self {
        let limits = Limits {
            change: CHANGE_LIMIT,
            vote: VOTE_WAIT,
        };
        Self {
            place,
            events,
            limits,
        }
    }

    /// Carries it out, and reports each step and the outcome.
    pub(super) async fn run(self, action: MembersAction) {
        let outcome = match action {
            MembersAction::Add => self.add().await,
            MembersAction::Remove(node) => self.remove(node).await,
        };
        self.report(outcome.map(MembersReport::Completed)).await;
    }

    async fn add(&self) -> Result<String, Failure> {
        let before = self.cluster()?;
        local_cluster::call(&before, Request::Add).await?;
        let cluster = self.cluster()?;
        let is_new = |node: &&NodeState| before.ids().all(|known| known != node.id);
        let started = cluster
            .nodes
            .iter()
            .filter(is_new)
            .max_by_key(|node| node.id);
        let started = started.ok_or_else(|| {
            Failure::Supervisor("it has started a node, and does not report it".to_owned())
        })?;
        let node = NodeId(started.id.number().into());
        self.step(MembersStep::Joining(node)).await;
        let addresses = MemberAddresses {
            peer: dialled_address(&cluster, started),
            client: started.client_address.to_string(),
        };
        let mut operator = operator(&cluster);
        let change = MembersChange::Add(node.0, addresses);
        let deadline = Instant::now() + self.limits.change;
        match operator.change_members(&change, deadline).await {
            Ok(_) => {}
            Err(OperatorError::Unknown(why)) => {
                return Err(Failure::Members {
                    what: format!(
                        "Node {} runs, but it is not known whether it is a member: {why}.",
                        node.0
                    ),
                    next: format!(
                        "Wait until it appears here, or remove it: `cargo xtask cluster remove {}`.",
                        node.0
                    ),
                });
            }
            Err(error) => return Err(undo(&cluster, started, &error).await),
        }
        self.step(MembersStep::CatchingUp(node)).await;
        Ok(self.wait_for_vote(&mut operator, node).await)
    }

    /// Waits until a node that joins is a voter, and says what it is then.
    async fn wait_for_vote(&self, operator: &mut Operator, node: NodeId) -> String {
        let deadline = Instant::now() + self.limits.vote;
        while Instant::now() < deadline {
            // An election may be under way.
            if let Ok(status) = operator.leader_status(deadline).await {
                let mut members = status.membership.iter();
                match members.find(|member| member.node_id == node.0) {
                    Some(member) if member.is_voter == Some(true) => {
                        return format!("Node {} is a voter now.", node.0);
                    }
                    Some(_) => {}
                    None => return format!("Node {} was removed meanwhile.", node.0),
                }
            }
            sleep(LOOK_INTERVAL).await;
        }
        format!(
            "Node {} is a learner, and becomes a voter by itself once it has caught up.",
            node.0
        )
    }

    async fn remove(&self, node: NodeId) -> Result<String, Failure> {
        let cluster = self.cluster()?;
        let number = devcluster_api::NodeId::try_from(node.0);
        let number = number.map_err(|invalid| Failure::Supervisor(invalid.to_string()))?;
        let mut operator = operator(&cluster);
        let change = MembersChange::Remove(node.0);
        let deadline = Instant::now() + self.limits.change;
        let changed = operator.change_members(&change, deadline).await;
        changed.map_err(|error| match error {
            OperatorError::Unknown(why) => Failure::Members {
                what: format!("It is not known whether node {} left: {why}.", node.0),
                next: "It runs, and has its data. Remove it again: that cannot be done twice."
                    .to_owned(),
            },
            error => unchanged(&error),
        })?;
        self.step(MembersStep::Deleting(node)).await;
        let deleted = local_cluster::call(&cluster, Request::Remove { node: number }).await;
        deleted.map_err(|why| Failure::Members {
            what: format!(
                "Node {} left the cluster, but its data was not deleted. {}",
                node.0,
                why.sentence()
            ),
            next: format!(
                "Remove it again, here or with `cargo xtask cluster remove {}`.",
                node.0
            ),
        })?;
        Ok(format!(
            "Node {} left the cluster, and its data is deleted.",
            node.0
        ))
    }

    fn cluster(&self) -> Result<ClusterState, Failure> {
        match local_cluster::read(&self.place) {
            Ok(Some(cluster)) => Ok(cluster),
            Ok(None) => Err(Failure::Supervisor("it no longer exists".to_owned())),
            Err(untrusted) => Err(Failure::Supervisor(untrusted.to_string())),
        }
    }

    async fn step(&self, step: MembersStep) {
        self.report(Ok(MembersReport::Step(step))).await;
    }

    async fn report(&self, report: Result<MembersReport, Failure>) {
        self.events.send(BackendEvent::Members(report)).await;
    }
}

/// Deletes a node that was started and certainly not accepted.
async fn undo(cluster: &ClusterState, started: &NodeState, error: &OperatorError) -> Failure {
    let request = Request::Remove { node: started.id };
    match local_cluster::call(cluster, request).await {
        Ok(_) => unchanged(error),
        Err(why) => Failure::Members {
            what: format!(
                "Node {} was started, but it is no member: {error}. It was not deleted. {}",
                started.id,
                why.sentence()
            ),
            next: format!(
                "Delete it with `cargo xtask cluster remove {}`.",
                started.id
            ),
        },
    }
}

fn unchanged(error: &OperatorError) -> Failure {
    Failure::Members {
        what: format!("The members of the cluster are as before: {error}."),
        next: "Look at the nodes here, and try again.".to_owned(),
    }
}

/// Calls to the nodes of the cluster.
fn operator(cluster: &ClusterState) -> Operator {
    let nodes = cluster.nodes.iter();
    Operator::new(nodes.map(|node| (node.id.number().into(), node.peer_address.clone())))
}

/// Where the other nodes reach a node: each through a link of its own, or directly.
fn dialled_address(cluster: &ClusterState, node: &NodeState) -> String {
    match cluster.links {
        Links::Proxied => {
            let link = format!("link-{{from}}-{}.sock", node.id);
            format!("unix:{}", cluster.socket_folder.join(link).display())
        }
        Links::Direct => node.peer_address.clone(),
    }
}

#[cfg(test)]
mod tests;
