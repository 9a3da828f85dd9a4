//! What a handle says of leaders that are gone and of replicas that ended.

use std::time::Duration;

use bytes::Bytes;
use chat_consensus::{Envelope, Header, NodeId, RequestId, StorageId, Term};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, timeout};

use super::{Handle, Leadership, OLD_LEADER_RESPONSE_TIMEOUT, leader_changed};
use crate::peer_message::PeerRequest;
use crate::replica::Limits;
use crate::runner::event_loop::LoopEvent;
use crate::runner::{
    Applied, BoxError, Committed, NodeAddress, Options, StartError, StateMachine, StopReason,
    Timing, Verbatim, start,
};

struct Nothing;

impl StateMachine for Nothing {
    fn applied(&self) -> Applied {
        Applied::default()
    }

    async fn apply(&mut self, batch: &[Committed]) -> Result<Vec<Bytes>, BoxError> {
        Ok(vec![Bytes::new(); batch.len()])
    }
}

async fn start_alone(directory: &std::path::Path) -> Result<Handle, StartError> {
    let options = Options {
        node_id: 1,
        nodes: vec![NodeAddress {
            id: 1,
            address: "127.0.0.1:1".to_owned(),
        }],
        directory: directory.to_owned(),
        timing: Timing::default(),
        limits: Limits::default(),
    };
    start(options, Nothing, Verbatim).await
}

/// C2, E-5: who ends with 0 after a shutdown must not do so after a broken invariant.
#[tokio::test]
async fn panic_of_the_event_loop_is_not_called_a_shutdown() {
    let directory = tempfile::tempdir().unwrap();
    let replica = start_alone(directory.path()).await.unwrap();
    let header = Header {
        cluster: None,
        term: Term(0),
        from: NodeId(2),
        to: NodeId(1),
        storage: StorageId(2),
        request: RequestId::default(),
    };
    // The service prepares such a message and never hands it on as it is.
    let message = PeerRequest::Propose {
        request: Bytes::new(),
    };
    let (caller, _answered) = oneshot::channel();
    let wrong = LoopEvent::Call(Envelope { header, message }, caller);
    replica.parts.sender.send(wrong).await.unwrap();
    let stopped = replica.stopped().await;
    assert!(matches!(stopped, StopReason::Panicked(_)), "{stopped}");
    replica.shutdown().await;
    assert!(!replica.leadership().leads);
}

/// E-5: without timers the first wait would panic.
#[test]
fn runtime_without_timers_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let started = runtime.unwrap().block_on(start_alone(directory.path()));
    assert!(matches!(started, Err(StartError::Runtime(_))));
}

/// Far longer than anything here waits; the clock is paused and costs nothing.
const EVER: Duration = Duration::from_secs(3600);

fn led(term: u64, leader_id: Option<u64>) -> Leadership {
    Leadership {
        term,
        leader_id,
        leads: false,
    }
}

// R13: whoever waits for a former leader that never answers is told so before its time is up.
#[tokio::test(start_paused = true)]
async fn a_former_leader_is_waited_for_a_little_and_not_to_the_end() {
    let (sender, receiver) = watch::channel(led(3, Some(1)));
    let mut waiting = tokio::spawn(leader_changed(receiver, 3));
    // That nobody leads any more is no reason: the former leader may commit it yet.
    for nobody in [led(3, None), led(4, None)] {
        sender.send_replace(nobody);
        assert!(timeout(EVER, &mut waiting).await.is_err());
    }
    let before = Instant::now();
    sender.send_replace(led(4, Some(2)));
    waiting.await.unwrap();
    let waited = before.elapsed();
    assert!(
        waited >= OLD_LEADER_RESPONSE_TIMEOUT && waited < OLD_LEADER_RESPONSE_TIMEOUT * 2,
        "{waited:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_stops_supersedes_nobody() {
    let (sender, receiver) = watch::channel(led(3, Some(1)));
    drop(sender);
    assert!(timeout(EVER, leader_changed(receiver, 3)).await.is_err());
}
