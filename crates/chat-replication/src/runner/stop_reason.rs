//! Why a replica no longer runs.

use std::sync::Arc;

/// Why a replica no longer runs.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StopReason {
    /// It was asked to.
    #[error("the replica was shut down")]
    ShutDown,
    /// The protocol's promises do not hold any more, here or elsewhere.
    #[error("the replica stopped: protocol invariant violated")]
    Fault(#[source] Arc<dyn std::error::Error + Send + Sync>),
    /// A panic in the event loop: what holds is not known any more.
    #[error("the replica stopped: its event loop panicked")]
    Panicked(#[source] Arc<dyn std::error::Error + Send + Sync>),
    /// The disk failed. A failed sync is never retried.
    #[error("the replica stopped: its commit log failed")]
    Log(#[source] Arc<dyn std::error::Error + Send + Sync>),
    /// The state machine failed.
    #[error("the replica stopped: its state machine failed")]
    StateMachine(#[source] Arc<dyn std::error::Error + Send + Sync>),
}
