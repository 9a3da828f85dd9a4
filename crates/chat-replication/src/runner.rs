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
mod log_task;
mod loop_event;
mod peer_address;
mod peer_transport;
mod prepare;
mod service;
mod state_machine;
mod stop_reason;
mod supervised_task;
mod wire;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chat_consensus::{Config, LogIndex, NodeId, Stored, Time};
use chat_store::{CommitLog, LogError};
use tokio::sync::{Semaphore, mpsc, watch};

use crate::replica::{Limits, Replica, Start};

pub use handle::{FollowerStatus, Handle, Status};
pub use leadership::Leadership;
pub use prepare::{LeaderContext, Passthrough, Preparation, Prepare, ReplyMaker};
pub use service::PeerService;
pub use state_machine::{Applied, BoxError, Committed, StateMachine};
pub use stop_reason::StopReason;

/// Where and how a replica runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// This node: one of `nodes`, never 0.
    pub node_id: u64,
    /// Every configured node, this one too. Addresses only; who counts is in the log.
    pub nodes: Vec<NodeAddress>,
    /// Where the commit log lives; made if missing. One replica at a time may use it.
    pub directory: PathBuf,
    /// How patient the node is.
    pub timing: Timing,
    /// How much it may hold at once.
    pub limits: Limits,
}

/// Where a node is dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeAddress {
    /// The node.
    pub id: u64,
    /// Of the listener on which its [`Handle::service`] is mounted: `host:port`, or `unix:/path`
    /// for a socket in the file system, with an absolute path of at most 107 bytes.
    pub address: String,
}

/// How long a node waits for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// A leader lets everybody hear from it this often.
    pub heartbeat_interval: Duration,
    /// The shortest time without a leader before a node stands, at least three heartbeat
    /// intervals and 30 ms; the longest is twice that.
    pub election_timeout: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        let timing = chat_consensus::Timing::default();
        Self {
            heartbeat_interval: timing.heartbeat_interval,
            election_timeout: timing.election_timeout,
        }
    }
}

/// Why a replica could not start. Nothing was changed, but a directory may have been made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The options contradict each other.
    #[error("the configuration is wrong")]
    Configuration(#[source] BoxError),
    /// The commit log cannot be opened: in use, unreadable, damaged, or another node's.
    #[error("the commit log cannot be opened")]
    Log(#[source] LogError),
    /// The log is empty, so its disk is new, and the state was made from another log. Delete the
    /// state: everything is applied again.
    #[error(
        "the log is empty, but the state machine has applied entry {} of term {}: the log is a new \
         disk's; delete the state, it is filled again from the log",
        applied.index, applied.term
    )]
    StateOfAnotherLog {
        /// What the state machine says.
        applied: Applied,
    },
    /// The state machine has applied what the log does not hold (any more): this disk lost entries
    /// that it had acknowledged (R18), or the state is another node's. The state is the evidence.
    #[error(
        "this disk has lost log entries that it had acknowledged: the state machine has applied \
         entry {} of term {}, and the log, which ends at entry {last}, does not hold it. Keep both \
         files; the node must not vote with this log again",
        applied.index, applied.term
    )]
    LogLostEntries {
        /// What the state machine says.
        applied: Applied,
        /// The index of the log's last entry.
        last: u64,
    },
    /// A limit is too small.
    #[error("limits.{field} is {value} and must be at least {least}")]
    LimitTooSmall {
        /// Which of [`Limits`].
        field: &'static str,
        /// What was given.
        value: usize,
        /// The smallest that will do.
        least: usize,
    },
    /// A limit is too large: what it allows could not travel between nodes, or not be counted.
    #[error("limits.{field} is {value} and must be at most {most}")]
    LimitTooLarge {
        /// Which of [`Limits`].
        field: &'static str,
        /// What was given.
        value: usize,
        /// The largest that will do.
        most: usize,
    },
    /// The runtime cannot run a replica: it needs timers and sockets (`enable_all`).
    #[error("the runtime has no timers")]
    Runtime(#[source] BoxError),
    /// A node's address cannot be dialled.
    #[error("node {id} has no valid address: {address:?}")]
    Address {
        /// The node.
        id: u64,
        /// What was given.
        address: String,
    },
}

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
