//! How a replica ends, and what it reports then.

use std::time::Duration;

use bytes::Bytes;
use chat_replication::{ProposeError, StopReason};

use crate::cluster::{Cluster, soon};

#[tokio::test]
async fn a_state_machine_that_fails_stops_its_replica() {
    for command in ["fail", "panic"] {
        let cluster = Cluster::start(1).await;
        let (replica, _) = &cluster.nodes[0];
        let outcome = replica.propose(Bytes::from(command), soon()).await;
        assert_eq!(outcome, Err(ProposeError::Unknown), "{command}");
        let stopped = replica.stopped().await;
        assert!(
            matches!(stopped, StopReason::StateMachine(_)),
            "{command}: {stopped}"
        );
    }
}

/// C1: what hangs is left behind, and the process may end.
#[tokio::test]
async fn hanging_state_machine_does_not_make_the_stop_hang() {
    let cluster = Cluster::start(1).await;
    let (replica, recorder) = cluster.leader().await;
    let _applying = recorder.gate.lock().await;
    let proposing = replica.clone();
    let proposing =
        tokio::spawn(async move { proposing.propose(Bytes::from("never"), soon()).await });
    let before = replica.status().await.unwrap().last_index;
    while replica.status().await.unwrap().last_index == before {
        tokio::task::yield_now().await;
    }
    let stop = tokio::time::timeout(Duration::from_secs(20), replica.shutdown()).await;
    stop.expect("the stop ends");
    assert!(matches!(replica.stopped().await, StopReason::ShutDown));
    assert_eq!(proposing.await.unwrap(), Err(ProposeError::Unknown));
}
