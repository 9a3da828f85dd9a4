//! How a replica ends, and what it says then.

use bytes::Bytes;
use chat_replication::{ProposeError, Stopped};

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
            matches!(stopped, Stopped::StateMachine(_)),
            "{command}: {stopped}"
        );
    }
}
