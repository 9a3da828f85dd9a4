//! A cluster grows and shrinks under load, and by itself when nodes are dead (R19, R20, R21).

use std::time::Duration;

use chat_client::MembersChange;
use chat_consensus::NodeId;
use chat_proto::cluster::v1::MemberKind;
use chat_tests::processes::cluster::Cluster;
use chat_tests::processes::cluster::resizing::members_of;
use chat_tests::processes::load::{Load, LoadMix};
use chat_tests::processes::waiting::{until, within};

use super::inboxes_on_every_node;

const LIMIT: Duration = Duration::from_secs(240);

const MIX: LoadMix = LoadMix {
    patient_senders: 4,
    hasty_senders: 2,
    recipients: 3,
};
const ACKNOWLEDGED_PER_CHANGE: u64 = 200;
/// How long a message takes at most while the members change.
const SEND_MAX: Duration = Duration::from_secs(1);
/// The same when the leader leaves, or nodes are killed: an election comes to it, on a machine that runs other
/// clusters beside.
const FAIL_OVER_MAX: Duration = Duration::from_secs(3);

/// Voters that are dead for so long become learners, in the second test.
const DEAD_AFTER: &str = "\n[autopilot]\ndead_after_seconds = 10\n";

/// R19: 1 to 3, then 1 to 5, then without the leader and without another one of the first three.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_grow_to_five_and_shrink_under_load() {
    within(LIMIT, async {
        let mut cluster = Cluster::start(3).await;
        let first = cluster.ids();
        let load = Load::start(&cluster, MIX).await;
        load.acknowledge(ACKNOWLEDGED_PER_CHANGE).await;
        for id in [4, 5].map(NodeId) {
            cluster.start_new_node(id);
            let add = MembersChange::Add(id.0, cluster.addresses(id));
            let added = cluster.change_members(&add).await.unwrap();
            assert!(added.is_some());
            voters_are(&cluster, &cluster.ids()).await;
            assert_eq!(cluster.change_members(&add).await, Ok(None), "repeated");
            load.acknowledge(ACKNOWLEDGED_PER_CHANGE).await;
            let longest = load.take_longest_send();
            println!("{id:?} votes; longest send {longest:?}");
            assert!(longest <= SEND_MAX, "{longest:?}");
        }
        // Each node votes in fact: three of five are needed.
        for leaves in 0..2 {
            let leader = cluster.leader().await.node;
            let other = first
                .iter()
                .find(|id| **id != leader && cluster.ids().contains(id));
            let node = match leaves {
                0 => leader,
                _ => *other.expect("one of the first three is left"),
            };
            let remove = MembersChange::Remove(node.0);
            assert!(cluster.change_members(&remove).await.unwrap().is_some());
            until("the node knows that it left", async || {
                let status = cluster.status(node).await?;
                match status.role.as_str() {
                    "removed" => Ok(()),
                    role => Err(role.to_owned()),
                }
            })
            .await;
            cluster.forget(node);
            voters_are(&cluster, &cluster.ids()).await;
            assert_eq!(cluster.change_members(&remove).await, Ok(None), "repeated");
            load.acknowledge(ACKNOWLEDGED_PER_CHANGE).await;
            let longest = load.take_longest_send();
            println!(
                "{node:?} (leader: {}) left; longest send {longest:?}",
                leaves == 0
            );
            let longest_max = if leaves == 0 { FAIL_OVER_MAX } else { SEND_MAX };
            assert!(longest <= longest_max, "{longest:?}");
        }
        // A majority is two again: one of them may fail.
        let leader = cluster.settled().await.node;
        // The load knows only the one of the first three that is left.
        let joined = [5, 4].map(NodeId);
        let killed = joined
            .into_iter()
            .find(|id| *id == leader)
            .unwrap_or(joined[0]);
        cluster.kill(killed);
        load.acknowledge(ACKNOWLEDGED_PER_CHANGE).await;
        cluster.start_node(killed);
        check_nothing_is_lost(&mut cluster, load).await;
    })
    .await;
}

/// R21: each failure is survived alone, once the one before is noticed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_lose_two_at_once_and_later_a_third() {
    within(LIMIT, async {
        let mut cluster = Cluster::start_with(5, "info", DEAD_AFTER).await;
        let all = cluster.ids();
        let load = Load::start(&cluster, MIX).await;
        load.acknowledge(ACKNOWLEDGED_PER_CHANGE).await;
        let leader = cluster.leader().await.node;
        let others: Vec<NodeId> = all.iter().copied().filter(|id| *id != leader).collect();
        for node in &others[..2] {
            cluster.kill(*node);
        }
        load.acknowledge(ACKNOWLEDGED_PER_CHANGE).await;
        let left = cluster.serving();
        assert_eq!(left.len(), 3);
        voters_are(&cluster, &left).await;
        let status = cluster.status(left[0]).await.unwrap();
        assert_eq!(members_of(&status, MemberKind::Learner), others[..2]);
        // One that leads, this time.
        let third = cluster.leader().await.node;
        cluster.kill(third);
        load.acknowledge(ACKNOWLEDGED_PER_CHANGE).await;
        let longest = load.take_longest_send();
        println!("{third:?} is the third of five that died; longest send {longest:?}");
        assert!(longest <= FAIL_OVER_MAX, "{longest:?}");
        cluster.start_all();
        voters_are(&cluster, &all).await;
        load.acknowledge(ACKNOWLEDGED_PER_CHANGE).await;
        check_nothing_is_lost(&mut cluster, load).await;
    })
    .await;
}

/// Waits until these are the voters for every node that serves.
async fn voters_are(cluster: &Cluster, expected: &[NodeId]) {
    let serving = cluster.serving();
    until("the voters are as expected", async || {
        let statuses = cluster.statuses().await;
        let is_so = |status: &_| members_of(status, MemberKind::Voter) == expected;
        if statuses.len() == serving.len() && statuses.iter().all(is_so) {
            return Ok(());
        }
        let of = |status| (members_of(status, MemberKind::Voter), &status.role);
        Err(format!("{:?}", statuses.iter().map(of).collect::<Vec<_>>()))
    })
    .await;
}

async fn check_nothing_is_lost(cluster: &mut Cluster, load: Load) {
    cluster.settled().await;
    let recipients = load.recipients().to_vec();
    let history = load.stop().await;
    println!(
        "{} acknowledged, {} unknown, {} not sent",
        history.acknowledged.len(),
        history.unknown.len(),
        history.not_sent.len()
    );
    let inboxes = inboxes_on_every_node(cluster, &recipients).await;
    history.check(&inboxes).unwrap();
    cluster.check_healthy();
}
