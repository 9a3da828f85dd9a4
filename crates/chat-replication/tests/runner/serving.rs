//! Proposals and reads on every node, with and without a majority.

use std::time::{Duration, Instant};

use bytes::Bytes;
use chat_replication::{Handle, ProposeError, ReadError, StopReason, Timing};
use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::Server;

use crate::cluster::{Cluster, Recorder, builder, soon, start_nodes};

/// R13, R14: what any node acknowledged is seen by a read that begins on any node afterwards.
#[tokio::test]
async fn proposals_and_reads_work_on_every_node() {
    let cluster = Cluster::start(3).await;
    for (number, (replica, _)) in cluster.nodes.iter().enumerate() {
        let answer = replica
            .propose(Bytes::from(format!("{number}")), soon())
            .await;
        assert_eq!(answer.unwrap(), Bytes::from((number + 1).to_string()));
        for (reader, recorder) in &cluster.nodes {
            reader.ensure_linearizable(soon()).await.unwrap();
            assert_eq!(recorder.commands.lock().unwrap().len(), number + 1);
        }
    }
    cluster.shut_down().await;
}

/// Beside a host and a port an address may be a socket in a folder that no other user can enter.
#[tokio::test]
async fn replicas_reach_each_other_over_sockets() {
    let directory = TempDir::new().expect("a directory");
    let socket = |id: u64| directory.path().join(format!("{id}.sock"));
    let address = |id| (id, format!("unix:{}", socket(id).display()));
    let nodes: Vec<(u64, String)> = (1..=3).map(address).collect();
    let mut replicas = Vec::new();
    for id in 1..=3 {
        let listener = UnixListener::bind(socket(id)).expect("a short path");
        let replica = builder(directory.path(), id, &nodes);
        let replica = replica.start(Recorder::default()).await.unwrap();
        let server = Server::builder().add_service(replica.service().into_tonic());
        tokio::spawn(server.serve_with_incoming(UnixListenerStream::new(listener)));
        replicas.push(replica);
    }
    for (number, replica) in replicas.iter().enumerate() {
        let answer = replica.propose(Bytes::from("over a socket"), soon()).await;
        assert_eq!(answer.unwrap(), Bytes::from((number + 1).to_string()));
    }
    for replica in &replicas {
        replica.shutdown().await;
    }
}

/// R17: a leader that is shut down transfers its leadership first, and the others go on at once.
#[tokio::test]
async fn two_of_three_go_on_without_the_leader() {
    let mut cluster = Cluster::start(3).await;
    cluster.nodes[0]
        .0
        .propose(Bytes::from("first"), soon())
        .await
        .unwrap();
    let leads = |node: &(Handle, Recorder)| node.0.leadership().leads;
    let leader = cluster.nodes.iter().position(leads).unwrap();
    let (old, _) = cluster.nodes.remove(leader);
    old.shutdown().await;
    assert!(matches!(old.stopped().await, StopReason::ShutDown));
    assert_eq!(
        old.propose(Bytes::from("late"), soon()).await,
        Err(ProposeError::Stopped)
    );
    assert_eq!(
        old.ensure_linearizable(soon()).await,
        Err(ReadError::Stopped)
    );
    let (replica, recorder) = &cluster.nodes[0];
    replica
        .propose(Bytes::from("second"), soon())
        .await
        .unwrap();
    replica.ensure_linearizable(soon()).await.unwrap();
    assert_eq!(*recorder.commands.lock().unwrap(), ["first", "second"]);
    cluster.shut_down().await;
}

/// R13: without a majority nothing is promised, and the deadline is kept.
#[tokio::test]
async fn one_of_three_promises_nothing() {
    let mut cluster = Cluster::start(3).await;
    cluster.nodes[0]
        .0
        .propose(Bytes::from("first"), soon())
        .await
        .unwrap();
    for (replica, _) in cluster.nodes.drain(1..) {
        replica.shutdown().await;
    }
    let (replica, _) = &cluster.nodes[0];
    let until = Instant::now() + Duration::from_millis(500);
    assert!(replica.propose(Bytes::from("lost?"), until).await.is_err());
    assert_eq!(
        replica.ensure_linearizable(until).await,
        Err(ReadError::NoLeader)
    );
    cluster.shut_down().await;
}

/// R1: a log that was closed is opened again with everything in it.
#[tokio::test]
async fn new_start_applies_the_log_again() {
    let cluster = Cluster::start(1).await;
    for number in 0..100 {
        let command = Bytes::from(format!("{number}"));
        cluster.nodes[0].0.propose(command, soon()).await.unwrap();
    }
    let directory = cluster.shut_down().await;
    let nodes = start_nodes(directory.path(), 1, Timing::default()).await;
    nodes[0].0.ensure_linearizable(soon()).await.unwrap();
    assert_eq!(nodes[0].1.commands.lock().unwrap().len(), 100);
    nodes[0].0.shutdown().await;
}
