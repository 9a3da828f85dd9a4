//! What a replica does not start with.

use bytes::Bytes;
use chat_replication::{Applied, NodeAddress, StartError, Verbatim, start};

use crate::cluster::{Cluster, Recorder, options, soon};

#[tokio::test]
async fn a_state_that_the_log_does_not_hold_is_refused() {
    let cluster = Cluster::start(1).await;
    cluster.nodes[0]
        .0
        .propose(Bytes::from("one"), soon())
        .await
        .unwrap();
    let directory = cluster.shut_down().await;
    let nodes = [NodeAddress {
        id: 1,
        address: "127.0.0.1:1".to_owned(),
    }];
    // Entry 3 is "one", after the birth in term 1 and the empty entry of term 2.
    for (index, term, fits) in [(3, 2, true), (4, 2, false), (3, 1, false), (0, 1, false)] {
        let recorder = Recorder {
            applied: Applied { index, term },
            ..Recorder::default()
        };
        let options = options(directory.path(), 1, &nodes);
        match start(options, recorder, Verbatim).await {
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
    let error = start(options(empty.path(), 1, &nodes), recorder, Verbatim).await;
    let error = error.expect_err("the state is another log's");
    assert!(
        matches!(error, StartError::StateOfAnotherLog { .. }),
        "{error}"
    );
}
