//! How a replica ends, and what it reports then.

use std::time::{Duration, Instant};

use bytes::Bytes;
use chat_replication::{ProposeError, StartError, StopReason};

use crate::cluster::{Cluster, Recorder, alone, builder, soon};

#[tokio::test]
async fn failing_state_machine_stops_its_replica() {
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

/// E-15: a replica without a handle does not keep its directory locked.
#[tokio::test]
async fn dropping_the_last_handle_stops_the_replica() {
    let directory = tempfile::tempdir().unwrap();
    let start = async || {
        let started = builder(directory.path(), 1, &alone());
        started.start(Recorder::default()).await
    };
    let replica = start().await.unwrap();
    let receiver = replica.receiver();
    let service = replica.service();
    replica.propose(Bytes::from("kept"), soon()).await.unwrap();
    let other = replica.clone();
    drop(replica);
    other.propose(Bytes::from("kept"), soon()).await.unwrap();
    assert!(matches!(start().await, Err(StartError::Log(_))), "in use");
    drop(other);
    let deadline = soon();
    let again = loop {
        match start().await {
            Ok(replica) => break replica,
            // It is closed by tasks that no caller waits for.
            Err(error) => assert!(matches!(error, StartError::Log(_)), "{error}"),
        }
        assert!(Instant::now() < deadline);
        tokio::task::yield_now().await;
    };
    assert!(receiver.is_stopped());
    drop(service);
    again.ensure_linearizable(soon()).await.unwrap();
    let status = again.status().await.unwrap();
    assert!(status.applied_index >= 4, "{status:?}");
    again.shutdown().await;
}
