//! A node's disk is full: it stops and logs why, the others continue, and nothing is lost.

use std::fs;
use std::time::Duration;

use chat_tests::processes::cluster::Cluster;
use chat_tests::processes::load::{Load, LoadMix};
use chat_tests::processes::waiting::within;

use super::inboxes_on_every_node;

const LIMIT: Duration = Duration::from_secs(120);
/// Two megabytes for each file of the node: some hundreds of messages.
const BLOCKS: u32 = 4096;
/// Acknowledged while all run, and by the two that are left.
const ACKNOWLEDGED: u64 = 300;

const MIX: LoadMix = LoadMix {
    patient_senders: 4,
    hasty_senders: 0,
    recipients: 2,
};

/// A write that fails is never tried again, so what was on the disk is all there when there is room.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_with_full_disk_stops_and_returns_complete() {
    within(LIMIT, async {
        let mut cluster = Cluster::start(3).await;
        let leader = cluster.settled().await;
        let full = cluster.ids().into_iter().find(|id| *id != leader.node);
        let full = full.expect("there are three");
        let endings = cluster.terminate(&[full]).await;
        assert_eq!(endings[0].code(), Some(0));
        cluster.start_node_on_full_disk(full, BLOCKS);
        cluster.settled().await;

        let load = Load::start(&cluster, MIX).await;
        load.acknowledge(ACKNOWLEDGED).await;
        let ending = cluster.ended(full).await;
        assert_eq!(ending.code(), Some(1), "{ending}");
        let log = fs::read_to_string(cluster.log(full)).unwrap();
        let last = log.lines().last().unwrap_or_default();
        assert!(
            last.starts_with("chat-server: the replica stopped: its "),
            "{last}"
        );
        load.acknowledge(ACKNOWLEDGED).await;

        // There is room again.
        cluster.start_node(full);
        cluster.settled().await;
        let recipients = load.recipients().to_vec();
        let history = load.stop().await;
        cluster.settled().await;
        let inboxes = inboxes_on_every_node(&cluster, &recipients).await;
        history.check(&inboxes).unwrap();
        cluster.check_healthy();
    })
    .await;
}
