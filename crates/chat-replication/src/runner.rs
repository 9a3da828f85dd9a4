//! tokio, gRPC and disk around the event-driven replica: the part that an embedder starts.
//!
//! One task turns what happens into events and carries out the effects; the commit log and the
//! state machine have a task each; every call to a peer is a task of its own with a deadline.

mod apply_task;
mod event_loop;
mod handle;
mod leadership;
mod limits_check;
mod liveness_probe;
mod log_report;
mod log_task;
mod loop_event;
mod not_taken;
mod options;
mod peer_address;
mod peer_transport;
mod prepare;
mod reply_maker;
mod service;
mod start_error;
mod state_machine;
mod stop_reason;
mod supervised_task;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use chat_consensus::{Config, LogIndex, NodeId, Stored, Time};
use chat_store::CommitLog;
use tokio::sync::{Semaphore, mpsc, watch};

use crate::replica::{Replica, Start};

pub use handle::{FollowerStatus, Handle, Status};
pub use leadership::Leadership;
pub use options::{NodeAddress, Options, Timing};
pub use prepare::{LeaderContext, Passthrough, Preparation, Prepare};
pub use reply_maker::ReplyMaker;
pub use service::PeerService;
pub use start_error::StartError;
pub use state_machine::{Applied, BoxError, Committed, StateMachine};
pub use stop_reason::StopReason;

/// What waits for the replica's next turn; more is refused or waits at the sender.
const INCOMING_MAX: usize = 16_384;

/// Starts a replica on this runtime, which needs timers and sockets. It dials its peers at once; they reach it when
/// [`Handle::service`] is mounted on the listener that `options` names for this node.
///
/// # Errors
///
/// See [`StartError`].
pub async fn start(
    options: Options,
    machine: impl StateMachine,
    prepare: impl Prepare,
) -> Result<Handle, StartError> {
    let config = configuration(&options)?;
    limits_check::check(&options.limits)?;
    check_runtime().await?;
    let directory = options.directory.clone();
    let opened = tokio::task::spawn_blocking(move || CommitLog::open(&directory)).await;
    let (mut log, stored) = opened
        .expect("opening the log does not panic")
        .map_err(StartError::Log)?;
    log.claim(NodeId(options.node_id))
        .await
        .map_err(StartError::Log)?;
    for applied in [machine.applied(), machine.last_ever_applied()] {
        if !log_contains(&stored, applied) {
            return Err(match stored.last.index.0 {
                0 => StartError::StateOfAnotherLog { applied },
                last => StartError::LogLostEntries { applied, last },
            });
        }
    }
    let applied = machine.applied();
    let storage = stored.storage;
    let started = Start {
        seed: random_seed(),
        now: Time(0),
        limits: options.limits,
    };
    let replica = Replica::new(config, stored, LogIndex(applied.index), started);
    let (sender, incoming) = mpsc::channel(INCOMING_MAX);
    let transport = peer_transport::PeerTransport::new(&options, &sender)?;
    let log = log_task::LogTask::start(log, options.nodes.len(), sender.clone());
    let applier = apply_task::ApplyTask::start(machine, sender.clone());
    let (leadership, watched) = watch::channel(Leadership::default());
    let (stopped, watched_stop) = watch::channel(None);
    let (closed, watched_closing) = watch::channel(false);
    let leader = LeaderContext {
        events: sender.clone(),
    };
    let event_loop = event_loop::EventLoop::new(
        replica,
        event_loop::Workers {
            log,
            applier,
            transport,
        },
        (Arc::new(prepare), leader),
        event_loop::Publishes {
            leadership,
            stopped,
            closed,
        },
    );
    event_loop.start(incoming);
    Ok(Handle::new(handle::Parts {
        room: Arc::new(Semaphore::new(options.limits.waiting_bytes_max)),
        options,
        storage,
        sender,
        leadership: watched,
        stopped: watched_stop,
        closed: watched_closing,
    }))
}

/// Timers that are missing panic where they are used; better here than in the replica.
async fn check_runtime() -> Result<(), StartError> {
    let probe = tokio::spawn(async { tokio::time::sleep(Duration::ZERO).await });
    probe
        .await
        .map_err(|panicked| StartError::Runtime(panicked.into()))
}

fn configuration(options: &Options) -> Result<Config, StartError> {
    let nodes: Vec<NodeId> = options.nodes.iter().map(|node| NodeId(node.id)).collect();
    let timing = chat_consensus::Timing {
        heartbeat_interval: options.timing.heartbeat_interval,
        election_timeout: options.timing.election_timeout,
    };
    Config::new(NodeId(options.node_id), &nodes, timing)
        .map_err(|error| StartError::Configuration(error.into()))
}

/// Whether the log has the entry that `applied` names.
fn log_contains(stored: &Stored, applied: Applied) -> bool {
    let index = LogIndex(applied.index);
    let span = stored.terms.iter().rev().find(|span| span.first <= index);
    index <= stored.last.index && span.map_or(0, |span| span.term.0) == applied.term
}

/// Different at every start: the standard library's hash keys come from the operating system.
fn random_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new()
        .build_hasher()
        .finish()
}
