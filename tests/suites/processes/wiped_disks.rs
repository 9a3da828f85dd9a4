//! A node whose disk is empty, or has forgotten, comes back: it learns everything, has no vote at first
//! (R12), and votes again by itself (R20).

use std::path::PathBuf;
use std::time::{Duration, Instant};

use chat_client::{ClientError, OutgoingMessage, Session};
use chat_consensus::NodeId;
use chat_proto::cluster::v1::StatusResponse;
use chat_tests::damage::file_damage::{Change, FileDamage};
use chat_tests::processes::cluster::{Cluster, Leader};
use chat_tests::processes::load::{Load, LoadMix};
use chat_tests::processes::waiting::{until, within};

use super::inboxes_on_every_node;

const LIMIT: Duration = Duration::from_secs(180);
/// Of a request that cannot be carried out; several election timeouts.
const DEADLINE: Duration = Duration::from_secs(3);
/// More than one page.
const MESSAGES: usize = 600;
/// Senders at the same time, for whom the disks sync together.
const SENDERS: usize = 20;
const PASSWORD: &str = "open sesame";

const MIX: LoadMix = LoadMix {
    patient_senders: 4,
    hasty_senders: 2,
    recipients: 3,
};
/// What is acknowledged before the first loss of a disk, and after each.
const ACKNOWLEDGED_PER_LOSS: u64 = 200;
/// From the start of a node with an empty disk until every node counts it again, under load.
const VOTES_AGAIN_MAX: Duration = Duration::from_secs(20);
/// How long a message takes at most while a follower's disk is lost, and admitted again.
const SEND_MAX: Duration = Duration::from_secs(1);
/// The same for the leader's: an election comes to it, on a machine that runs other clusters beside. On one
/// that does not it is below [`SEND_MAX`], too.
const FAIL_OVER_MAX: Duration = Duration::from_secs(3);

/// How a disk becomes empty.
#[derive(Clone, Copy, Debug)]
enum Loss {
    FolderDeleted,
    StartedWithReset,
}

/// The lowest id is the one that forms clusters, and must not form a second one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bootstrap_node_without_its_folder_learns_and_votes_again() {
    within(LIMIT, async {
        let cluster = Cluster::start(3).await;
        check_wiped(cluster, NodeId(1), Loss::FolderDeleted).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wiped_leader_learns_and_votes_again() {
    within(LIMIT, async {
        let cluster = Cluster::start(3).await;
        let leader = cluster.leader().await.node;
        check_wiped(cluster, leader, Loss::StartedWithReset).await;
    })
    .await;
}

/// R1, R13, R15, R19, R20: each disk alone is lost when the others have everything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_disk_is_wiped_twice_under_load_and_nothing_is_lost() {
    within(LIMIT, async {
        let mut cluster = Cluster::start(3).await;
        let load = Load::start(&cluster, MIX).await;
        load.acknowledge(ACKNOWLEDGED_PER_LOSS).await;
        for node in cluster.ids().repeat(2) {
            let leads = cluster.leader().await.node == node;
            let old = cluster.status(node).await.unwrap();
            lose(&mut cluster, node, Loss::FolderDeleted);
            let started = Instant::now();
            votes_again(&cluster, node, &old).await;
            let took = started.elapsed();
            load.acknowledge(ACKNOWLEDGED_PER_LOSS).await;
            let longest = load.take_longest_send();
            println!(
                "{node:?} (leader: {leads}) votes again after {took:?}; longest send {longest:?}"
            );
            assert!(took <= VOTES_AGAIN_MAX, "{took:?}");
            let longest_max = if leads { FAIL_OVER_MAX } else { SEND_MAX };
            assert!(longest <= longest_max, "leader: {leads}, {longest:?}");
        }
        cluster.settled().await;
        for node in cluster.ids() {
            load.read_through(node).await;
        }
        let recipients = load.recipients().to_vec();
        let history = load.stop().await;
        println!(
            "{} acknowledged, {} unknown, {} not sent",
            history.acknowledged.len(),
            history.unknown.len(),
            history.not_sent.len()
        );
        let inboxes = inboxes_on_every_node(&cluster, &recipients).await;
        history.check(&inboxes).unwrap();
        cluster.check_healthy();
    })
    .await;
}

/// R18, R20: without its file `node` a disk does not know how it voted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_whose_disk_forgot_says_so_until_it_votes_again() {
    within(LIMIT, async {
        let mut cluster = Cluster::start(3).await;
        let owner = send_messages(&cluster).await;
        let owner = std::slice::from_ref(&owner);
        let before = inboxes_on_every_node(&cluster, owner).await;
        let node = NodeId(2);
        let old = cluster.status(node).await.unwrap();
        cluster.kill(node);
        let damage = FileDamage {
            file: PathBuf::from("log/node"),
            change: Change::Delete,
        };
        damage.apply(&cluster.data(node)).unwrap();
        cluster.start_node(node);
        let started = Instant::now();
        let learner = until("the node has found what its disk forgot", async || {
            let status = cluster.status(node).await?;
            if status.role == "learner" {
                Ok(status)
            } else {
                Err(format!("{status:?}"))
            }
        })
        .await;
        assert_ne!(learner.storage_id, old.storage_id);
        let state = &learner.storage_state;
        assert!(state.contains("the file node is missing"), "{state}");
        let voter = votes_again(&cluster, node, &old).await;
        println!("votes again after {:?}", started.elapsed());
        // That the change is committed it learns a little later.
        until("the mark is removed", async || {
            let state = cluster.status(node).await?.storage_state;
            (state == "ok").then_some(()).ok_or(state)
        })
        .await;
        assert_eq!(voter.storage_id, learner.storage_id);
        check_counts(&mut cluster, node, owner).await;

        cluster.kill(node);
        cluster.start_node(node);
        cluster.settled().await;
        let again = cluster.status(node).await.unwrap();
        assert_eq!(again.storage_id, voter.storage_id);
        assert_eq!(again.storage_state, "ok");
        let after = inboxes_on_every_node(&cluster, owner).await;
        assert_eq!(after["owner"][..MESSAGES], before["owner"][..]);
        cluster.check_healthy();
    })
    .await;
}

/// Kills a node, and starts it with an empty disk.
fn lose(cluster: &mut Cluster, node: NodeId, loss: Loss) {
    cluster.kill(node);
    match loss {
        Loss::FolderDeleted => {
            cluster.wipe(node);
            cluster.start_node(node);
        }
        Loss::StartedWithReset => cluster.start_node_reset(node),
    }
}

async fn check_wiped(mut cluster: Cluster, wiped: NodeId, loss: Loss) {
    let owner = send_messages(&cluster).await;
    let owner = std::slice::from_ref(&owner);
    let before = inboxes_on_every_node(&cluster, owner).await;
    assert_eq!(before["owner"].len(), MESSAGES);
    let first = cluster.status(wiped).await.unwrap();
    lose(&mut cluster, wiped, loss);
    let old = votes_again(&cluster, wiped, &first).await;

    // So soon after it became a voter it is not replaced by its leader: a learner to look at.
    lose(&mut cluster, wiped, loss);
    let (leader, learner) = until("the wiped node has caught up", async || {
        let leader = cluster.leader().await;
        let status = cluster.status(wiped).await?;
        if status.role == "learner" && status.applied_index == leader.commit_index.0 {
            Ok((leader, status))
        } else {
            Err(format!("{status:?}"))
        }
    })
    .await;
    assert_ne!(learner.storage_id, old.storage_id, "another disk");
    assert_eq!(learner.cluster_id, old.cluster_id, "the same cluster");
    assert_eq!(learner.elections_won, 0);
    check_counts_nowhere(&cluster, wiped).await;
    check_seen_as_learner(&cluster, leader, wiped).await;
    // Read from the learner too, which shows everything.
    assert_eq!(inboxes_on_every_node(&cluster, owner).await, before);
    check_has_no_vote(&mut cluster, wiped, owner).await;

    votes_again(&cluster, wiped, &old).await;
    check_counts(&mut cluster, wiped, owner).await;
    cluster.check_healthy();
}

/// Waits until every node counts a node again, whose disk is another one than it was.
async fn votes_again(cluster: &Cluster, node: NodeId, old: &StatusResponse) -> StatusResponse {
    let all: Vec<u64> = cluster.ids().iter().map(|id| id.0).collect();
    until("every node counts the node again", async || {
        let statuses = cluster.statuses().await;
        let counts = |status: &StatusResponse| {
            let followers = status.followers.iter().all(|follower| follower.voter);
            (&status.voter_ids, status.quorum) == (&all, 2) && followers
        };
        let own = statuses.iter().find(|status| status.node_id == node.0);
        match own {
            Some(own)
                if statuses.len() == all.len()
                    && statuses.iter().all(counts)
                    && own.role != "learner"
                    && own.storage_id != old.storage_id =>
            {
                Ok(own.clone())
            }
            _ => Err(format!("{statuses:?}")),
        }
    })
    .await
}

/// With one of the two others the node is a majority.
async fn check_counts(cluster: &mut Cluster, node: NodeId, owner: &[Session]) {
    let other = cluster.ids().into_iter().find(|id| *id != node).unwrap();
    cluster.kill(other);
    let message = OutgoingMessage::new("owner", "with a majority");
    let client = cluster.client_of(node);
    let sent = client.send_message(&owner[0], &message).await.unwrap();
    cluster.start_node(other);
    cluster.settled().await;
    let inbox = &inboxes_on_every_node(cluster, owner).await["owner"];
    assert_eq!(inbox.last().unwrap().commit, sent.commit);
}

/// E-9: every node knows the voters, and that a majority of three is needed nevertheless.
async fn check_counts_nowhere(cluster: &Cluster, wiped: NodeId) {
    let others: Vec<u64> = cluster
        .ids()
        .iter()
        .map(|id| id.0)
        .filter(|id| *id != wiped.0)
        .collect();
    for id in cluster.ids() {
        until("the node knows the voters", async || {
            let status = cluster.status(id).await?;
            let known = (&status.voter_ids, status.quorum);
            if known == (&others, 2) {
                Ok(())
            } else {
                Err(format!("{status:?}"))
            }
        })
        .await;
    }
}

/// The leader serves the learner and does not count it.
async fn check_seen_as_learner(cluster: &Cluster, leader: Leader, wiped: NodeId) {
    let status = cluster.status(leader.node).await.unwrap();
    assert_eq!(status.role, "leader");
    let follower = |id| status.followers.iter().find(|other| other.node_id == id);
    for id in cluster.ids().into_iter().filter(|id| *id != leader.node) {
        let voter = follower(id.0).expect("every node is listed").voter;
        assert_eq!(voter, id != wiped, "{id:?}");
    }
    let learner = follower(wiped.0).unwrap();
    assert_eq!(learner.matched_index, status.last_index);
}

/// Two of three disks have a vote; with one of them gone the learner is no replacement for it.
async fn check_has_no_vote(cluster: &mut Cluster, wiped: NodeId, owner: &[Session]) {
    let leader = cluster.leader().await;
    cluster.kill(leader.node);
    let voter = cluster
        .serving()
        .into_iter()
        .find(|id| *id != wiped)
        .unwrap();
    let message = OutgoingMessage::new("owner", "without a majority");
    let sender = &owner[0];
    for node in [voter, wiped] {
        let client = cluster.client_of(node).with_deadline(DEADLINE);
        let sent = client.send_message(sender, &message).await;
        assert!(
            matches!(
                sent,
                Err(ClientError::Unavailable { .. } | ClientError::OutcomeUnknown { .. })
            ),
            "{sent:?}"
        );
    }
    let idle = |status: &StatusResponse| status.role != "leader" && status.leader_id == 0;
    let statuses = cluster.statuses().await;
    assert!(
        statuses.len() == 2 && statuses.iter().all(idle),
        "{statuses:?}"
    );
    let learner = cluster.status(wiped).await.unwrap();
    assert_eq!((&*learner.role, learner.elections_won), ("learner", 0));

    cluster.start_all();
    cluster.settled().await;
    let client = cluster.client_of(wiped);
    let sent = client.send_message(sender, &message).await.unwrap();
    let inbox = &inboxes_on_every_node(cluster, owner).await["owner"];
    assert_eq!(inbox.len(), MESSAGES + 1);
    assert_eq!(inbox.last().unwrap().commit, sent.commit);
}

/// Fills an inbox whose owner writes to themselves.
async fn send_messages(cluster: &Cluster) -> Session {
    let client = cluster.client();
    let owner = client.sign_up("owner", PASSWORD).await.unwrap();
    let mut sending = tokio::task::JoinSet::new();
    for sender in 0..SENDERS {
        let (client, owner) = (client.clone(), owner.clone());
        sending.spawn(async move {
            for number in 0..MESSAGES / SENDERS {
                let body = format!("message {number} of {sender}");
                client.send(&owner, "owner", &body).await.unwrap();
            }
        });
    }
    sending.join_all().await;
    owner
}
