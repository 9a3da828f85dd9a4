//! What a replica does not start with.

use std::time::Duration;

use bytes::Bytes;
use chat_replication::{Applied, Builder, StartError, Timing};
use tokio::net::TcpListener;

use crate::cluster::{Cluster, Recorder, alone, builder, soon};

#[tokio::test]
async fn state_that_the_log_does_not_hold_is_refused() {
    let cluster = Cluster::start(1).await;
    cluster.nodes[0]
        .0
        .propose(Bytes::from("one"), soon())
        .await
        .unwrap();
    let directory = cluster.shut_down().await;
    let nodes = alone();
    // Entry 2 is "one", after the no-op entry of term 2.
    for (index, term, fits) in [(2, 2, true), (3, 2, false), (2, 1, false), (0, 1, false)] {
        let recorder = Recorder {
            applied: Applied { index, term },
            ..Recorder::default()
        };
        match builder(directory.path(), 1, &nodes).start(recorder).await {
            Ok(replica) => {
                assert!(fits, "({index}, {term})");
                replica.shutdown().await;
            }
            Err(error) => {
                assert!(!fits, "({index}, {term}): {error}");
                let lost = matches!(error, StartError::LogLostEntries { .. });
                assert!(lost, "{error}");
            }
        }
    }
    // An empty log beside a state: the disk is new.
    let empty = tempfile::tempdir().unwrap();
    let recorder = Recorder {
        applied: Applied { index: 3, term: 2 },
        ..Recorder::default()
    };
    let error = builder(empty.path(), 1, &nodes).start(recorder).await;
    let error = error.expect_err("the state is another log's");
    assert!(
        matches!(error, StartError::StateOfAnotherLog { .. }),
        "{error}"
    );
}

// E-7: directories that were exchanged are not served as if nothing were.
#[tokio::test]
async fn directory_of_another_node_is_refused() {
    let cluster = Cluster::start(3).await;
    let directory = cluster.shut_down().await;
    let nodes = (1..=3).map(|id| (id, format!("127.0.0.1:{id}")));
    let exchanged = Builder::new(2, directory.path().join("1")).nodes(nodes);
    let error = exchanged.start(Recorder::default()).await;
    let error = error.expect_err("it is node 1's");
    let StartError::Log(cause) = &error else {
        panic!("{error:?}");
    };
    assert_eq!(
        cause.to_string(),
        "this log belongs to node 1, but this is node 2"
    );
}

/// The error names the setting that is wrong.
#[tokio::test]
async fn wrong_setting_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let builder = || builder(directory.path(), 1, &alone());
    let short = Duration::from_millis(20);
    for (wrong, sentence) in [
        (builder().group("a b"), "group is wrong"),
        (builder().nodes([(2, "127.0.0.1:1")]), "node_id is wrong"),
        (builder().nodes([(1, "a:1"), (1, "b:1")]), "nodes is wrong"),
        (
            builder().nodes([(1, "a:1"), (2, "b")]),
            "nodes has no valid address for node 2",
        ),
        (
            builder().timing(Timing::new(short, short)),
            "timing.election_timeout is wrong",
        ),
    ] {
        let error = wrong.start(Recorder::default()).await.unwrap_err();
        assert_eq!(error.to_string(), sentence);
    }
    assert!(!directory.path().join("1").exists(), "nothing was opened");
}

// E-12: a bootstrap that waits reports for which nodes.
#[tokio::test]
async fn waiting_bootstrap_names_the_nodes_that_it_waits_for() {
    let directory = tempfile::tempdir().unwrap();
    let mut listeners = Vec::new();
    let mut nodes = Vec::new();
    for id in 1..=3 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        nodes.push((id, address));
        listeners.push(listener);
    }
    let mut replicas = Vec::new();
    for (id, listener) in (1..=2).zip(listeners) {
        let replica = builder(directory.path(), id, &nodes);
        let replica = replica.start(Recorder::default()).await.unwrap();
        tokio::spawn(replica.serve(listener));
        replicas.push(replica);
    }
    let deadline = soon();
    loop {
        let status = replicas[0].status().await.unwrap();
        assert_eq!((status.role, status.quorum), ("uninitialized", 0));
        if status.bootstrap_awaits == [3] {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "{status:?}");
        tokio::task::yield_now().await;
    }
    assert_eq!(
        replicas[1].status().await.unwrap().bootstrap_awaits,
        [0_u64; 0]
    );
    for replica in replicas {
        replica.shutdown().await;
    }
}
