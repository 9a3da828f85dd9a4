//! A node whose disk is empty comes back: it learns everything, and has no vote (R12).

use std::time::Duration;

use chat_client::{ClientError, OutgoingMessage, Session};
use chat_consensus::NodeId;
use chat_proto::cluster::v1::StatusResponse;
use chat_tests::processes::cluster::{Cluster, Leader};
use chat_tests::processes::waiting::{until, within};

use super::inboxes_on_every_node;

const LIMIT: Duration = Duration::from_secs(120);
/// Of a request that cannot be carried out; several election timeouts.
const DEADLINE: Duration = Duration::from_secs(3);
/// More than one page.
const MESSAGES: usize = 600;
/// Senders at the same time, for whom the disks sync together.
const SENDERS: usize = 20;
const PASSWORD: &str = "open sesame";

/// How a disk becomes empty.
#[derive(Clone, Copy)]
enum Loss {
    FolderDeleted,
    StartedWithReset,
}

/// The lowest id is the one that forms clusters, and must not form a second one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bootstrap_node_without_its_folder_learns_and_does_not_vote() {
    within(LIMIT, async {
        let cluster = Cluster::start(3).await;
        check_wiped(cluster, NodeId(1), Loss::FolderDeleted).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wiped_leader_learns_and_does_not_vote() {
    within(LIMIT, async {
        let cluster = Cluster::start(3).await;
        let leader = cluster.leader().await.node;
        check_wiped(cluster, leader, Loss::StartedWithReset).await;
    })
    .await;
}

async fn check_wiped(mut cluster: Cluster, wiped: NodeId, loss: Loss) {
    let owner = send_messages(&cluster).await;
    let owner = std::slice::from_ref(&owner);
    let before = inboxes_on_every_node(&cluster, owner).await;
    assert_eq!(before["owner"].len(), MESSAGES);
    let old = cluster.status(wiped).await.unwrap();

    cluster.kill(wiped);
    match loss {
        Loss::FolderDeleted => {
            cluster.wipe(wiped);
            cluster.start_node(wiped);
        }
        Loss::StartedWithReset => cluster.start_node_reset(wiped),
    }
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
    cluster.check_healthy();
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
