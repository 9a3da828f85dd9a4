//! What a handle returns of replicas that have ended, and how runtimes are rejected.

use bytes::Bytes;

use super::Handle;
use crate::event::Event;
use crate::replica::Limits;
use crate::runner::loop_event::LoopEvent;
use crate::runner::{
    Applied, BoxError, Committed, NodeAddress, Options, Passthrough, StartError, StateMachine,
    StopReason, Timing, start,
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
    start(options, Nothing, Passthrough).await
}

/// C2, E-5: a process that exits with 0 after a shutdown must not do so after a broken invariant.
#[tokio::test]
async fn panic_of_the_event_loop_is_not_called_a_shutdown() {
    let directory = tempfile::tempdir().unwrap();
    let replica = start_alone(directory.path()).await.unwrap();
    // The replica asked for no publishing.
    let wrong = LoopEvent::Event(Event::Published);
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
