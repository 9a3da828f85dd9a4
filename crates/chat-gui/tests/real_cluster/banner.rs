//! What the window says about the servers is what they are: with one address of three, whichever node
//! leads, dies, hangs or comes back.

use std::time::Duration;

use chat_gui::model::Model;
use chat_gui::model::cluster::HealthLevel;
use chat_gui::model::connection::Connection;
use chat_gui::model::failure::Failure;
use chat_gui::model::names::NodeId as ModelNode;
use chat_tests::processes::cluster::Cluster;
use chat_tests::processes::waiting::{until, within};
use tokio::time::Instant;

use crate::fixture::{Device, limited};
use crate::window::{PASSWORD, Window};

/// How long the window may be wrong after the nodes agree.
const SETTLED: Duration = Duration::from_secs(1);
/// More than this between two looks does not count.
const LOOK_MAX: Duration = Duration::from_millis(100);
/// Faults in the usual run of the tests.
const FAULTS: usize = 12;
/// Another number of faults, for a long run.
const FAULTS_VARIABLE: &str = "CHAT_GUI_FAULTS";

/// What the nodes that answer say together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Truth {
    /// No node answers.
    Offline,
    /// None of those that answer knows a leader.
    NoLeader,
    /// A node that answers leads, or another one names it; and it is reached by a majority.
    Led(u64),
}

/// What they are, if those that run agree on it now.
async fn truth(cluster: &Cluster, running: &[u64]) -> Result<Truth, String> {
    if running.is_empty() {
        return Ok(Truth::Offline);
    }
    let majority = running.len() > cluster.ids().len() / 2;
    let mut leaders = Vec::new();
    for id in cluster.ids() {
        if running.contains(&id.0) {
            let status = cluster.status(id).await?;
            // A node that campaigns misses the leader that it names.
            let is_settled = matches!(status.role.as_str(), "leader" | "follower");
            leaders.push(if is_settled { status.leader_id } else { 0 });
        }
    }
    let first = leaders[0];
    let is_running = running.contains(&first);
    match (first, majority) {
        (0, false) if leaders.iter().all(|leader| *leader == 0) => Ok(Truth::NoLeader),
        (leader, true) if is_running && leaders.iter().all(|one| *one == leader) => {
            Ok(Truth::Led(leader))
        }
        _ => Err(format!("{leaders:?}")),
    }
}

/// Whether banner, dot and cluster page say so.
fn shows(model: &Model, truth: Truth) -> bool {
    says(model, truth) && has(model, truth)
}

/// Whether the sentence of the banner says so.
fn says(model: &Model, truth: Truth) -> bool {
    let sentence = model.connection_sentence().unwrap_or_default();
    match truth {
        Truth::Offline => sentence == "Offline. Messages are sent when you are back online.",
        Truth::NoLeader => sentence == "Connecting… Messages are sent when you are back online.",
        Truth::Led(_) => sentence.is_empty() || sentence.starts_with("Back online"),
    }
}

/// Whether the state that dot and cluster page show is that.
fn has(model: &Model, truth: Truth) -> bool {
    let level = model.cluster.health().level;
    match truth {
        Truth::Offline => {
            level == HealthLevel::Offline && matches!(model.connection, Connection::Offline { .. })
        }
        Truth::NoLeader => {
            let why = Failure::NoMajority;
            level == HealthLevel::NoLeader
                && matches!(&model.connection, Connection::Reconnecting { why: shown, .. } if *shown == why)
        }
        Truth::Led(leader) => {
            let shown = model.cluster.leader().map(|(leader, _)| leader);
            matches!(level, HealthLevel::Healthy | HealthLevel::Degraded)
                && model.connection.is_online()
                && shown == Some(ModelNode(leader))
        }
    }
}

/// Fails unless the window shows what the servers are, at the latest when they have agreed on it for
/// [`SETTLED`] without a change. Returns what they are.
///
/// Two looks that are further apart than [`LOOK_MAX`] show that this process did not run in between, and
/// neither did the window.
async fn check(cluster: &Cluster, running: &[u64], window: &mut Window, case: &str) -> Truth {
    let mut agreed = None;
    let mut wrong_for = Duration::ZERO;
    let mut looked = Instant::now();
    until(&format!("{case}: it is shown"), async || {
        let now = truth(cluster, running).await;
        window.draw();
        let since = std::mem::replace(&mut looked, Instant::now()).elapsed();
        let Ok(is) = now else {
            agreed = None;
            return Err(format!("{now:?}"));
        };
        if shows(window.model(), is) {
            return Ok(is);
        }
        wrong_for = match agreed.replace(is) {
            Some(was) if was == is => wrong_for + since.min(LOOK_MAX),
            _ => Duration::ZERO,
        };
        assert!(wrong_for < SETTLED, "{case}: {is:?} is not shown");
        Err(format!("{is:?}, for {wrong_for:?}"))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_address_of_three_is_enough_also_after_that_node_died() {
    limited(async {
        let mut cluster = Cluster::start(3).await;
        cluster.client().sign_up("bob", PASSWORD).await.unwrap();
        let leader = cluster.settled().await;
        let named = cluster.client_address(leader.node).to_string();
        let device = Device::new();
        let mut window = device.open(vec![named.clone()]);
        window.sign_up("alice").await;
        window
            .until("all three nodes are known", |model| {
                let ids = model.cluster.nodes.iter().filter(|node| node.is_up());
                (ids.count() == 3).then_some(())
            })
            .await;
        let all: Vec<u64> = cluster.ids().into_iter().map(|id| id.0).collect();
        let shown = check(&cluster, &all, &mut window, "all run").await;
        assert_eq!(shown, Truth::Led(leader.node.0));

        // The only node that was named is the leader, and dies.
        cluster.kill(leader.node);
        window.open_conversation("bob");
        window.write("bob", "after the fail-over");
        window.until_sent("bob", "after the fail-over").await;
        let others = all.into_iter().filter(|id| *id != leader.node.0);
        let running: Vec<u64> = others.collect();
        check(&cluster, &running, &mut window, "the named leader died").await;
        drop(window);

        // The window is opened again with the address of the dead node only.
        let mut window = device.open(vec![named]);
        window.signed_in().await;
        check(
            &cluster,
            &running,
            &mut window,
            "opened with a dead address",
        )
        .await;
        window.open_conversation("bob");
        window.write("bob", "after the restart");
        window.until_sent("bob", "after the restart").await;
    })
    .await;
}

/// Faults of all kinds in a random order: what the window says is what the servers are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn window_shows_what_the_servers_are_after_random_faults() {
    let faults = std::env::var(FAULTS_VARIABLE).ok();
    let faults = faults.map_or(FAULTS, |count| count.parse().expect("a number of faults"));
    let time_limit = Duration::from_secs(60 + 10 * faults as u64);
    within(time_limit, async {
        let seed = fastrand::u64(..);
        let mut dice = fastrand::Rng::with_seed(seed);
        let mut cluster = Cluster::start(3).await;
        let ids = cluster.ids();
        let named = ids[dice.usize(0..ids.len())];
        let device = Device::new();
        let mut window = device.open(vec![cluster.client_address(named).to_string()]);
        window.sign_up("alice").await;
        window
            .until("all three nodes are known", |model| {
                (model.cluster.nodes.len() == 3).then_some(())
            })
            .await;
        let (mut dead, mut paused): (Vec<u64>, Vec<u64>) = (Vec::new(), Vec::new());
        for fault in 0..faults {
            let id = ids[dice.usize(0..ids.len())];
            let what = if let Some(place) = dead.iter().position(|one| *one == id.0) {
                dead.remove(place);
                cluster.start_node(id);
                "started"
            } else if let Some(place) = paused.iter().position(|one| *one == id.0) {
                paused.remove(place);
                cluster.resume(id);
                "resumed"
            } else if dice.bool() {
                dead.push(id.0);
                cluster.kill(id);
                "killed"
            } else {
                paused.push(id.0);
                cluster.pause(id);
                "paused"
            };
            let running: Vec<u64> = ids
                .iter()
                .map(|id| id.0)
                .filter(|id| !dead.contains(id) && !paused.contains(id))
                .collect();
            let case = format!("seed {seed}, fault {fault}: node {} {what}", id.0);
            check(&cluster, &running, &mut window, &case).await;
        }
        for id in ids.into_iter().filter(|id| paused.contains(&id.0)) {
            cluster.resume(id);
        }
    })
    .await;
}
