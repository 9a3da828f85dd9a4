//! `chat cluster members`, `add`, `remove`, `replace` and `update`: who belongs to the cluster. These are operators'
//! calls on the nodes' peer addresses, which are in a file that `--config` names, or in that of a local cluster.

use std::process::ExitCode;
use std::time::Duration;

use chat_client::{
    MemberAddresses, MemberReport, MembersChange, NodeStatus, Operator, OperatorError,
};
use comfy_table::{Table, presets};
use serde::Serialize;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::arguments::{AddMember, ReplaceMember};
use crate::context::Context;
use crate::failure::Failure;
use crate::output;
use crate::progress::{Shown, waiting};

/// How often a node that joins is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// The members as the leader reports them. What is serialised is a stable interface.
#[derive(Debug, PartialEq, Serialize)]
struct View {
    cluster_id: Option<String>,
    leader: u64,
    /// How many voters may fail now, one by one.
    failures_tolerated: Option<u32>,
    /// How many voters must agree.
    quorum: Option<u32>,
    /// A new node needs a higher id.
    highest_id: u64,
    members: Vec<MemberView>,
}

#[derive(Debug, PartialEq, Serialize)]
struct MemberView {
    id: u64,
    /// `voter`, or `learner`.
    kind: &'static str,
    leads: bool,
    client_address: String,
    peer_address: String,
    /// How many entries it lacks; null if the leader does not know.
    trails: Option<u64>,
    /// How long ago the leader last received a fetch from it.
    seen_ms: Option<u64>,
}

impl From<OperatorError> for Failure {
    fn from(error: OperatorError) -> Self {
        match error {
            OperatorError::InvalidAddress { .. } => Self::Usage(error.to_string()),
            OperatorError::Rejected(reason) => Self::Rejected(reason),
            OperatorError::Unknown(_) => Self::OutcomeUnknown(error.to_string()),
            error => Self::Unavailable(error.to_string()),
        }
    }
}

pub(crate) async fn members(context: &Context) -> Result<ExitCode, Failure> {
    let deadline = Instant::now() + context.deadline;
    let mut operator = operator(context)?;
    let looking = operator.leader_status(deadline);
    let status = waiting("looking for the leader", looking).await?;
    let view = view(&status);
    context.printer.print(|| describe(&view), &view)?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn add(context: &Context, wanted: &AddMember) -> Result<ExitCode, Failure> {
    let started = Instant::now();
    let mut operator = operator(context)?;
    add_and_wait(context, &mut operator, wanted).await?;
    let id = wanted.node.id;
    let took = output::duration(milliseconds(started.elapsed()));
    context.printer.print(
        || match wanted.no_wait {
            true => format!("Node {id} is a learner now, and becomes a voter by itself."),
            false => format!("Node {id} is a voter now (after {took})."),
        },
        &json!({"added": id, "votes": !wanted.no_wait}),
    )?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn remove(context: &Context, id: u64) -> Result<ExitCode, Failure> {
    let mut operator = operator(context)?;
    let index = change(context, &mut operator, &MembersChange::Remove(id)).await?;
    context.printer.print(
        || match index {
            Some(_) => format!(
                "Node {id} is removed. Its id is not used again; its program can be stopped."
            ),
            None => format!("Node {id} was removed before."),
        },
        &json!({"removed": id, "index": index}),
    )?;
    Ok(ExitCode::SUCCESS)
}

/// The new node first, so that no failure is survived less meanwhile.
pub(crate) async fn replace(
    context: &Context,
    wanted: &ReplaceMember,
) -> Result<ExitCode, Failure> {
    let mut operator = operator(context)?;
    let status = operator
        .leader_status(Instant::now() + context.deadline)
        .await?;
    let is_member = status
        .membership
        .iter()
        .any(|member| member.node_id == wanted.old);
    if !is_member && wanted.old > status.highest_member_id {
        return Err(Failure::Rejected(format!(
            "node {} is not a member",
            wanted.old
        )));
    }
    let joins = AddMember {
        node: wanted.node.clone(),
        no_wait: false,
        wait: wanted.wait,
    };
    add_and_wait(context, &mut operator, &joins).await?;
    let (old, new) = (wanted.old, wanted.node.id);
    change(context, &mut operator, &MembersChange::Remove(old)).await?;
    context.printer.print(
        || format!("Node {new} has taken the place of node {old}, whose program can be stopped."),
        &json!({"removed": old, "added": new}),
    )?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn update(
    context: &Context,
    id: u64,
    addresses: MemberAddresses,
) -> Result<ExitCode, Failure> {
    let deadline = Instant::now() + context.deadline;
    let mut operator = operator(context)?;
    let status = operator.leader_status(deadline).await?;
    let known = status.membership.iter().find(|member| member.node_id == id);
    let known = known.ok_or_else(|| Failure::Rejected(format!("node {id} is not a member")))?;
    let before = MemberAddresses {
        peer: known.peer_address.clone(),
        client: known.client_address.clone(),
    };
    // What a node reports may come from its configuration: then the log has nothing that is replaced.
    let changes =
        [None, Some(before)].map(|before| MembersChange::Update(id, before, addresses.clone()));
    let mut index = change(context, &mut operator, &changes[0]).await;
    if let Err(Failure::Rejected(_)) = index {
        index = change(context, &mut operator, &changes[1]).await;
    }
    let index = index?;
    context.printer.print(
        || format!("Node {id} is called at {} from now on.", addresses.peer),
        &json!({"updated": id, "index": index}),
    )?;
    Ok(ExitCode::SUCCESS)
}

/// Calls to the nodes whose peer addresses are known.
pub(crate) fn operator(context: &Context) -> Result<Operator, Failure> {
    let nodes = context.node_list.nodes.iter();
    let known: Vec<(u64, String)> = nodes
        .filter_map(|node| Some((node.id?, node.peer_address.clone()?)))
        .collect();
    if known.is_empty() {
        return Err(Failure::Usage(
            "no peer address of a node is known; name a file that contains them with --config"
                .to_owned(),
        ));
    }
    Ok(Operator::new(known))
}

async fn change(
    context: &Context,
    operator: &mut Operator,
    change: &MembersChange,
) -> Result<Option<u64>, Failure> {
    // A change may wait for an election, or for another change.
    let deadline = Instant::now() + context.deadline;
    let changing = operator.change_members(change, deadline);
    Ok(waiting("changing the members", changing).await?)
}

/// Adds a node, and waits until it is a voter, if that is wanted.
async fn add_and_wait(
    context: &Context,
    operator: &mut Operator,
    wanted: &AddMember,
) -> Result<(), Failure> {
    let id = wanted.node.id;
    let addresses = wanted.node.addresses();
    change(context, operator, &MembersChange::Add(id, addresses)).await?;
    if wanted.no_wait {
        return Ok(());
    }
    let deadline = Instant::now() + Duration::from_secs(wanted.wait);
    let mut shown = Shown::on_terminal();
    let mut progress = "it has not been heard of".to_owned();
    while Instant::now() < deadline {
        // An election may be under way.
        if let Ok(status) = operator
            .leader_status(Instant::now() + context.deadline)
            .await
        {
            let member = status.membership.iter().find(|member| member.node_id == id);
            match member.and_then(|member| member.is_voter) {
                Some(true) => {
                    shown.erase();
                    return Ok(());
                }
                Some(false) => progress = learner_progress(&status, id),
                None => {
                    return Err(Failure::Rejected(format!(
                        "node {id} was removed meanwhile"
                    )));
                }
            }
        }
        shown.draw(&format!("waiting until node {id} votes: {progress}"));
        sleep(LOOK_INTERVAL).await;
    }
    shown.erase();
    Err(Failure::OutcomeUnknown(format!(
        "node {id} is a learner, and does not vote yet after {} s: {progress}. It becomes a voter by itself; \
         `chat cluster remove {id}` undoes it",
        wanted.wait
    )))
}

/// How far a node is that joins.
fn learner_progress(status: &NodeStatus, id: u64) -> String {
    let follower = status
        .followers
        .iter()
        .find(|follower| follower.node_id == id);
    match follower.filter(|follower| follower.last_contact.is_some()) {
        Some(follower) => format!(
            "it has {} of {} entries",
            output::thousands(follower.match_index),
            output::thousands(status.last_index)
        ),
        None => "it has not called the leader yet".to_owned(),
    }
}

fn view(status: &NodeStatus) -> View {
    let member = |member: &MemberReport| {
        let id = member.node_id;
        let follower = status
            .followers
            .iter()
            .find(|follower| follower.node_id == id);
        let leads = id == status.node_id;
        let seen = follower.and_then(|follower| follower.last_contact);
        let trails = follower
            .filter(|_| seen.is_some())
            .map(|follower| status.last_index.saturating_sub(follower.match_index));
        MemberView {
            id,
            kind: match member.is_voter {
                Some(false) => "learner",
                _ => "voter",
            },
            leads,
            client_address: member.client_address.clone(),
            peer_address: member.peer_address.clone(),
            trails: leads.then_some(0).or(trails),
            seen_ms: seen.map(milliseconds),
        }
    };
    View {
        cluster_id: status.cluster_id.clone(),
        leader: status.node_id,
        failures_tolerated: status.failures_tolerated,
        quorum: status.quorum,
        highest_id: status.highest_member_id,
        members: status.membership.iter().map(member).collect(),
    }
}

fn describe(view: &View) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["NODE", "KIND", "TRAILS", "SEEN", "CLIENTS", "PEERS"]);
    for member in &view.members {
        let dash = || "-".to_owned();
        let kind = match member.leads {
            true => "voter, leads".to_owned(),
            false => member.kind.to_owned(),
        };
        table.add_row([
            format!("n{}", member.id),
            kind,
            member.trails.map_or_else(dash, output::thousands),
            member.seen_ms.map_or_else(dash, output::duration),
            member.client_address.clone(),
            member.peer_address.clone(),
        ]);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let lines: Vec<String> = table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    format!("{}\n{}", lines.join("\n"), summary(view))
}

fn summary(view: &View) -> String {
    let of = |kind: &str| {
        view.members
            .iter()
            .filter(|member| member.kind == kind)
            .count()
    };
    let count = |number: usize, what: &str| match number {
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    };
    let mut parts = vec![count(of("voter"), "voter")];
    if of("learner") > 0 {
        parts.push(count(of("learner"), "learner"));
    }
    let tolerated = match view.failures_tolerated {
        None => String::new(),
        Some(0) => "; no further failure is survived now".to_owned(),
        Some(1) => "; 1 failure is survived now".to_owned(),
        Some(failures) => format!("; {failures} failures are survived now"),
    };
    format!(
        "{}{tolerated}. A new node needs an id above {}.",
        parts.join(", "),
        view.highest_id
    )
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
