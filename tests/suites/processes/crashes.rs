//! Load through thirty-three failures: what was acknowledged stays, once, and no read goes back.

use std::time::{Duration, Instant};

use chat_client::Session;
use chat_consensus::NodeId;
use chat_tests::processes::cluster::{Cluster, Leader};
use chat_tests::processes::history::{Acknowledged, History};
use chat_tests::processes::load::{Load, LoadMix};
use chat_tests::processes::waiting::{until, within};
use tokio::task::JoinSet;

use super::inboxes_on_every_node;

const LIMIT: Duration = Duration::from_secs(300);

const MIX: LoadMix = LoadMix {
    patient_senders: 6,
    hasty_senders: 2,
    recipients: 3,
};

const LEADER_KILLS: usize = 30;
/// Of all failures together; each waits for its share, so that none of them falls into silence.
const ACKNOWLEDGED_MIN: u64 = 10_000;
/// What is acknowledged after each leader's end before the next one's.
const ACKNOWLEDGED_PER_KILL: u64 = ACKNOWLEDGED_MIN / LEADER_KILLS as u64 + 1;
/// What is acknowledged while two nodes serve alone.
const ACKNOWLEDGED_BY_TWO: u64 = 50;

const PAUSE: Duration = Duration::from_secs(3);

/// R1, R2, R3, R5, R6, R13, R14, R15.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_messages_survive_crashes_and_no_read_goes_back() {
    within(LIMIT, async {
        let begun = Instant::now();
        let mut cluster = Cluster::start(3).await;
        let load = Load::start(&cluster, MIX).await;
        load.acknowledge(ACKNOWLEDGED_BY_TWO).await;
        for kill in 0..LEADER_KILLS {
            kill_leader(&mut cluster, &load, kill).await;
            match kill {
                9 | 19 => kill_every_node(&mut cluster, &load).await,
                14 => pause_leader(&mut cluster, &load).await,
                _ => {}
            }
        }
        cluster.settled().await;
        for node in cluster.ids() {
            load.read_through(node).await;
        }
        let recipients = load.recipients().to_vec();
        let reads: Vec<u64> = cluster.ids().iter().map(|id| load.reads(*id)).collect();
        let history = load.stop().await;
        println!(
            "{} acknowledged, {} unknown, {} not sent, {reads:?} reads, {:?}",
            history.acknowledged.len(),
            history.unknown.len(),
            history.not_sent.len(),
            begun.elapsed()
        );
        assert!(history.acknowledged.len() as u64 >= ACKNOWLEDGED_MIN);
        // While the leader was paused no client could learn the outcome of what it had sent to it.
        assert!(!history.unknown.is_empty());
        check_inboxes(&cluster, &recipients, &history).await;
        repeat_what_is_unknown(&cluster, &recipients, history).await;
        cluster.check_healthy();
    })
    .await;
}

/// Kills the leader in one of three ways: replaced before it is back; back at once, perhaps before
/// it is replaced; and back while the next one is killed.
async fn kill_leader(cluster: &mut Cluster, load: &Load, kill: usize) {
    let before = load.acknowledged();
    let leader = cluster.leader().await;
    cluster.kill(leader.node);
    match kill % 3 {
        0 => {
            follow(cluster, leader).await;
            load.acknowledge(ACKNOWLEDGED_BY_TWO).await;
            cluster.start_node(leader.node);
            cluster.settled().await;
            load.read_through(leader.node).await;
        }
        1 => {
            cluster.start_node(leader.node);
            follow(cluster, leader).await;
            load.read_through(leader.node).await;
        }
        _ => {
            follow(cluster, leader).await;
            cluster.start_node(leader.node);
        }
    }
    let so_far = load.acknowledged() - before;
    load.acknowledge(ACKNOWLEDGED_PER_KILL.saturating_sub(so_far))
        .await;
}

/// The next leader leads a later term (R2, R5).
async fn follow(cluster: &Cluster, ended: Leader) -> Leader {
    cluster.leader_after(ended.term).await
}

async fn kill_every_node(cluster: &mut Cluster, load: &Load) {
    let leader = cluster.leader().await;
    cluster.kill_all();
    assert_eq!(cluster.serving(), []);
    cluster.start_all();
    follow(cluster, leader).await;
    for node in cluster.ids() {
        load.read_through(node).await;
    }
    load.acknowledge(ACKNOWLEDGED_BY_TWO).await;
}

/// A leader that was away comes back as a follower (R6), and answers no read from before (R14).
async fn pause_leader(cluster: &mut Cluster, load: &Load) {
    let paused = cluster.leader().await;
    let since = Instant::now();
    cluster.pause(paused.node);
    let next = follow(cluster, paused).await;
    assert_ne!(next.node, paused.node);
    load.acknowledge(ACKNOWLEDGED_BY_TWO).await;
    until("the pause is over", async || {
        let left = PAUSE.saturating_sub(since.elapsed());
        left.is_zero().then_some(()).ok_or(format!("{left:?} left"))
    })
    .await;
    let waiting = load.read_every_inbox(cluster, paused.node);
    cluster.resume(paused.node);
    check_reads(waiting).await;
    let status = until("the former leader follows", async || {
        let status = cluster.status(paused.node).await?;
        if status.role == "follower" && status.term > paused.term.0 {
            Ok(status)
        } else {
            Err(format!("{status:?}"))
        }
    })
    .await;
    assert_ne!(NodeId(status.leader_id), NodeId(0));
    load.read_through(paused.node).await;
}

async fn check_reads(mut waiting: JoinSet<Result<(), String>>) {
    assert!(!waiting.is_empty());
    while let Some(read) = waiting.join_next().await {
        let checked = read.expect("reads do not panic");
        checked.unwrap_or_else(|failure| panic!("after the pause: {failure}"));
    }
}

async fn check_inboxes(cluster: &Cluster, recipients: &[Session], history: &History) {
    let inboxes = inboxes_on_every_node(cluster, recipients).await;
    let checked = history.check(&inboxes);
    checked.unwrap_or_else(|difference| panic!("{difference}"));
}

/// A retry at any later time gets the first answer, and changes nothing (R15).
async fn repeat_what_is_unknown(cluster: &Cluster, recipients: &[Session], mut history: History) {
    let inboxes = inboxes_on_every_node(cluster, recipients).await;
    let arrived: Vec<_> = inboxes.values().flatten().collect();
    let client = cluster.client();
    for letter in std::mem::take(&mut history.unknown) {
        let login = client.login(&letter.sender, Load::PASSWORD).await;
        let session = login.expect("senders have accounts").session;
        let sent = client.send_message(&session, &letter.message).await;
        let sent = sent.unwrap_or_else(|error| panic!("{letter:?} repeated: {error}"));
        if let Some(copy) = arrived.iter().find(|copy| copy.id == sent.id) {
            assert_eq!(sent.commit, copy.commit, "not the first answer");
        }
        history.acknowledged.push(Acknowledged { letter, sent });
    }
    check_inboxes(cluster, recipients, &history).await;
}
