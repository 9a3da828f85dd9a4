//! Starts the tasks of a replica.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chat_consensus::{Config, NodeId, Stored, Time};
use tokio::sync::{Semaphore, mpsc, watch};

use crate::replica::{Autopilot, Limits, Replica, Start};
use crate::runner::apply_task::{ApplyStart, ApplyTask};
use crate::runner::event_loop::{EventLoop, KnownMembers, Publishes, Workers};
use crate::runner::group_name::GroupName;
use crate::runner::handle::{Handle, Parts};
use crate::runner::leadership::Leadership;
use crate::runner::log_store::LogStore;
use crate::runner::log_task::LogTask;
use crate::runner::peer_calls::{Connect, PeerCalls};
use crate::runner::peer_receiver::PeerReceiver;
use crate::runner::prepare::{LeaderContext, Prepare};
use crate::runner::restoring::{Restored, begin_again, check_state, open_snapshots, restore};
use crate::runner::snapshot_task::{SnapshotTask, Snapshots};
use crate::runner::start_error::StartError;
use crate::runner::state_machine::StateMachine;
use crate::runner::timing::Timing;
use crate::runner::transport::PeerLink;

/// What waits for the replica's next turn; more is refused or waits at the sender.
const INCOMING_MAX: usize = 16_384;

/// What was checked of the builder's settings.
pub(super) struct Settings {
    pub(super) node: NodeId,
    pub(super) config: Config,
    pub(super) group: GroupName,
    /// The other configured nodes, and their addresses.
    pub(super) others: Vec<(NodeId, String)>,
    pub(super) directory: Option<PathBuf>,
    pub(super) timing: Timing,
    pub(super) limits: Limits,
    pub(super) autopilot: Option<Autopilot>,
}

/// See [`Builder::start`](crate::Builder::start).
pub(super) async fn start<L: PeerLink>(
    settings: Settings,
    (log, connect): (impl LogStore, Connect<L>),
    mut machine: impl StateMachine,
    prepare: impl Prepare,
) -> Result<Handle, StartError> {
    check_runtime().await?;
    let (log, stored) = load(log, settings.node).await?;
    let (log, stored) = match check_state(&stored, &machine) {
        Ok(()) => (log, stored),
        Err(error) => set_state_aside((log, stored), &mut machine, settings.node, error).await?,
    };
    let directory = settings.directory.clone().or_else(|| log.snapshots());
    let mut snapshots = open_snapshots(directory).await?;
    let (log, restored) = restore(log, &stored, &mut machine, &mut snapshots).await?;
    let storage = stored.storage;
    let started = start_of(&settings, &snapshots, &restored);
    log_if_empty(&stored, &settings.config);
    let replica = Replica::new(settings.config, stored, restored.applied.index, started);
    let (sender, incoming) = mpsc::channel(INCOMING_MAX);
    let (reader, path) = (snapshots.store.reader(), snapshots.store.directory().path());
    let directory = path.to_owned();
    let snapshots = SnapshotTask::start(snapshots, &sender);
    let apply = ApplyStart {
        applied: restored.applied,
        chain: restored.chain,
        taker: snapshots.taker(),
        reader,
        directory,
    };
    let known = KnownMembers::new(log.amnesia());
    let timeout = settings.timing.election_timeout;
    let workers = Workers {
        log: LogTask::start(log, &sender),
        applier: ApplyTask::start(machine, apply, sender.clone()),
        snapshots,
        peers: PeerCalls::new(connect, settings.others, timeout, &sender),
    };
    let (leadership, watched) = watch::channel(Leadership::default());
    let (members, watched_members) = watch::channel(Arc::default());
    let (stopped, watched_stop) = watch::channel(None);
    let (closed, watched_closing) = watch::channel(false);
    let events = sender.clone();
    let publishes = Publishes {
        leadership,
        members,
        stopped,
        closed,
    };
    let prepare = (
        Arc::new(prepare) as Arc<dyn Prepare>,
        LeaderContext { events },
    );
    EventLoop::new(replica, workers, prepare, publishes, known).start(incoming);
    Ok(Handle::new(Parts {
        receiver: PeerReceiver {
            group: settings.group,
            events: sender,
            room: Arc::new(Semaphore::new(settings.limits.waiting_bytes_max)),
        },
        directory: settings.directory,
        election_timeout: settings.timing.election_timeout,
        command_bytes_max: settings.limits.command_bytes_max,
        storage,
        leadership: watched,
        members: watched_members,
        stopped: watched_stop,
        closed: watched_closing,
    }))
}

/// What differs from start to start.
fn start_of(settings: &Settings, snapshots: &Snapshots, restored: &Restored) -> Start {
    Start {
        snapshots: snapshots.store.kept(),
        partial: snapshots.download.progress(),
        log_bytes: restored.log_bytes,
        log_age: restored.log_age,
        autopilot: settings.autopilot,
        ..Start::new(random_seed(), Time(0), settings.limits)
    }
}

/// Otherwise an operator would look for a network problem.
fn log_if_empty(stored: &Stored, config: &Config) {
    if stored.base.is_none() && stored.hard_state.cluster.is_none() {
        let may_bootstrap = config.may_bootstrap();
        tracing::info!(may_bootstrap, "the log is empty: it waits for a leader");
    }
}

/// The log contradicts the state, as `error` says. If it is the log that lacks what was applied, the disk
/// has forgotten what it had acknowledged (R18), and gets a new storage id before anything else.
async fn set_state_aside<L: LogStore, M: StateMachine>(
    (mut log, stored): (L, Stored),
    machine: &mut M,
    node: NodeId,
    error: StartError,
) -> Result<(L, Stored), StartError> {
    let (log, stored) = match error {
        StartError::LogLostEntries { .. } if M::BEGINS_AGAIN => {
            let forgotten = log.begin_amnesia(&error.to_string()).await;
            forgotten.map_err(|error| StartError::Log(error.into()))?;
            load(log, node).await?
        }
        _ => (log, stored),
    };
    begin_again(machine, error).await?;
    check_state(&stored, machine)?;
    Ok((log, stored))
}

/// Opens the log, on a thread of its own if it blocks.
async fn load<L: LogStore>(mut log: L, node: NodeId) -> Result<(L, Stored), StartError> {
    let (log, loaded) = if L::BLOCKS {
        let runtime = tokio::runtime::Handle::current();
        let loading = tokio::task::spawn_blocking(move || {
            let loaded = runtime.block_on(log.load(node));
            (log, loaded)
        });
        loading.await.expect("opening the log does not panic")
    } else {
        let loaded = log.load(node).await;
        (log, loaded)
    };
    let stored = loaded.map_err(|error| StartError::Log(error.into()))?;
    Ok((log, stored))
}

/// Timers that are missing panic where they are used; better here than in the replica.
async fn check_runtime() -> Result<(), StartError> {
    let probe = tokio::spawn(async { tokio::time::sleep(Duration::ZERO).await });
    probe
        .await
        .map_err(|panicked| StartError::Runtime(panicked.into()))
}

/// Different at every start: the standard library's hash keys come from the operating system.
fn random_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new()
        .build_hasher()
        .finish()
}
