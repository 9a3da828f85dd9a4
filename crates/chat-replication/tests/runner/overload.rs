//! More than a node can take: it refuses, and goes on.

use std::time::{Duration, Instant};

use bytes::Bytes;
use chat_replication::{ProposeError, ReadError, Timing};
use tokio::task::JoinSet;

use crate::cluster::{Cluster, soon};

/// As many as a chat server lets in: requests under way, and watches that begin.
const READS: usize = 8_192 + 4_096;

/// S-A10: what waits for reading is shed at most; applying and leading go on.
#[tokio::test]
async fn reads_that_wait_over_a_transfer_never_stop_a_replica() {
    let cluster = Cluster::start(3).await;
    let (leader, recorder) = cluster.leader().await;
    // Nothing is hidden, so nothing is made visible before the readers ask.
    leader.ensure_linearizable(soon()).await.unwrap();
    let view = recorder.view.lock().await;
    leader.propose(Bytes::from("hidden"), soon()).await.unwrap();
    let mut reads = JoinSet::new();
    for _ in 0..READS {
        let leader = leader.clone();
        reads.spawn(async move { leader.ensure_linearizable(soon()).await });
    }
    // They are confirmed in their order: when a later one is, all of them wait for the view.
    loop {
        match leader
            .ensure_linearizable(Instant::now() + Duration::from_millis(100))
            .await
        {
            Err(ReadError::NotApplied | ReadError::Overloaded) => break,
            outcome => assert_ne!(outcome, Err(ReadError::Stopped)),
        }
    }
    leader.transfer_leadership().await.unwrap();
    assert!(!leader.leadership().leads);
    let (other, _) = cluster.leader().await;
    for number in 0..10 {
        let command = Bytes::from(format!("{number}"));
        // On a busy machine the leadership may move once more.
        while let Err(error) = other.propose(command.clone(), soon()).await {
            assert_ne!(error, ProposeError::Stopped);
        }
    }
    let committed = other.status().await.unwrap().commit_index;
    while leader.status().await.unwrap().commit_index < committed {
        tokio::task::yield_now().await;
    }
    drop(view);
    for outcome in reads.join_all().await {
        assert!(
            matches!(outcome, Ok(_) | Err(ReadError::Overloaded)),
            "{outcome:?}"
        );
    }
    for (replica, _) in &cluster.nodes {
        replica.ensure_linearizable(soon()).await.unwrap();
    }
    cluster.shut_down().await;
}

/// C3, E-3: what is too much is refused as that, and the rest does not cost the leadership.
#[tokio::test]
async fn burst_of_large_commands_is_taken_or_refused() {
    // Three unoptimised replicas share one thread here, and the machine with other tests.
    let mut timing = Timing::default();
    timing.election_timeout = Duration::from_secs(4);
    let cluster = Cluster::start_with(3, timing).await;
    let (leader, _) = cluster.leader().await;
    leader.propose(Bytes::from("first"), soon()).await.unwrap();
    let before = leader.leadership();
    let mut proposals = JoinSet::new();
    for _ in 0..300 {
        let replica = leader.clone();
        let command = Bytes::from(vec![b'x'; 1 << 20]);
        proposals.spawn(async move { replica.propose(command, soon()).await });
    }
    let outcomes = proposals.join_all().await;
    let taken = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    let refused = |outcome: &&Result<_, _>| **outcome == Err(ProposeError::Overloaded);
    let refused = outcomes.iter().filter(refused).count();
    assert_eq!(taken + refused, 300, "{outcomes:?}");
    assert!(taken >= 60, "{taken} were taken");
    assert_eq!(leader.leadership(), before);
    cluster.shut_down().await;
}

/// E-10: nothing is appended for a client that has gone before it asked.
#[tokio::test]
async fn expired_deadline_appends_nothing() {
    let cluster = Cluster::start(3).await;
    let (leader, recorder) = cluster.leader().await;
    leader.propose(Bytes::from("first"), soon()).await.unwrap();
    for (replica, _) in &cluster.nodes {
        for _ in 0..10 {
            let late = replica.propose(Bytes::from("late"), Instant::now());
            let late = late.await;
            assert!(
                matches!(late, Err(ProposeError::NotAppended { .. })),
                "{late:?}"
            );
        }
    }
    leader.propose(Bytes::from("last"), soon()).await.unwrap();
    assert_eq!(*recorder.commands.lock().unwrap(), ["first", "last"]);
    cluster.shut_down().await;
}

/// E-11: the leader is not blamed for a state machine that is slow.
#[tokio::test]
async fn read_on_a_slow_state_machine_says_that_nothing_was_applied() {
    let cluster = Cluster::start(3).await;
    let (leader, recorder) = cluster.leader().await;
    let applying = recorder.gate.lock().await;
    let proposing = leader.clone();
    let command = Bytes::from("slow");
    let proposing = tokio::spawn(async move { proposing.propose(command, soon()).await });
    let before = leader.status().await.unwrap();
    while leader.status().await.unwrap().commit_index == before.applied_index {
        tokio::task::yield_now().await;
    }
    let until = Instant::now() + Duration::from_millis(500);
    assert_eq!(
        leader.ensure_linearizable(until).await,
        Err(ReadError::NotApplied)
    );
    drop(applying);
    leader.ensure_linearizable(soon()).await.unwrap();
    proposing.await.unwrap().unwrap();
    cluster.shut_down().await;
}
