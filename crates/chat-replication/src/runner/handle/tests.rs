//! What a handle returns of replicas that have ended, and how runtimes are rejected.

use bytes::Bytes;
use chat_consensus::CommittedEntry;

use super::Handle;
use crate::event::Event;
use crate::runner::loop_event::LoopEvent;
use crate::runner::{
    Applied, BoxError, Builder, InProcessNetwork, MemoryLog, StartError, StateMachine, StopReason,
};

struct Nothing;

impl StateMachine for Nothing {
    fn applied(&self) -> Applied {
        Applied::default()
    }

    async fn apply(&mut self, batch: &[CommittedEntry]) -> Result<Vec<Bytes>, BoxError> {
        Ok(vec![Bytes::new(); batch.len()])
    }
}

async fn start_alone() -> Result<Handle, StartError> {
    Builder::with(1, MemoryLog::new(), InProcessNetwork::new())
        .nodes([(1, "alone")])
        .bootstrap(true)
        .start(Nothing)
        .await
}

/// C2, E-5: a process that exits with 0 after a shutdown must not do so after a broken invariant.
#[tokio::test]
async fn panic_of_the_event_loop_is_not_called_a_shutdown() {
    let replica = start_alone().await.unwrap();
    // The replica asked for no publishing.
    let wrong = LoopEvent::Event(Event::Published);
    replica.parts.receiver.events.send(wrong).await.unwrap();
    let stopped = replica.stopped().await;
    assert!(matches!(stopped, StopReason::Panicked(_)), "{stopped}");
    replica.shutdown().await;
    assert!(!replica.leadership().leads);
}

/// E-5: without timers the first wait would panic.
#[test]
fn runtime_without_timers_is_refused() {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let started = runtime.unwrap().block_on(start_alone());
    assert!(matches!(started, Err(StartError::Runtime(_))));
}
