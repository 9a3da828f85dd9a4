//! The lifecycle of a node: bind the addresses, open the data, start the replica, serve, and shut down
//! in order.

mod file_limit;
mod housekeeping;
mod identity;
mod private_directory;
mod reset;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chat_app::edge::Edge;
use chat_app::limits::inbox_room::InboxRoom;
use chat_app::limits::quotas::{QuotaLimits, Quotas};
use chat_app::preparation::{Counters, LeaderPreparation, SessionLifetime};
use chat_app::session_lookup::SessionLookup;
use chat_replication::{
    Autopilot, Builder, Grpc, Handle, Limits, SegmentLog, StartError, StopReason, Timing,
};
use chat_sqlite_log::ConversionError;
use chat_store::{ChatReader, ChatState, LogIndex, NodeId, StateError};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle};
use tonic::service::Routes;
use tonic_reflection::server::v1::{ServerReflection, ServerReflectionServer};

use crate::api::chat_service::ChatService;
use crate::api::cluster_service::{self, ClusterService};
use crate::api::health::{self, Lifecycle};
use crate::api::watch::{ChangeBuffer, Watches};
use crate::app::host::Machine;
use crate::app::replication::{ChatMachine, ChatPreparation, RunningReplica};
use crate::auth::passwords::{HashersError, Passwords};
use crate::config::{self, Config};
use crate::net::admission::Budgets;
use crate::net::connection_limit::ConnectionLimits;
use crate::net::listener::{BoundAddress, HttpLimits, ListenError, ListenerOptions};
use crate::net::write_strategy::WriteStrategy;
use housekeeping::PeriodicChecks;
use identity::{Identity, IdentityError};
use private_directory::{OpenDirectory, close_to_others};
use reset::{ResetError, finish_interrupted, reset};

/// How long requests in progress may take once the shutdown begins. Connections that are open after
/// that are closed by the end of the process.
const FINISH_TIMEOUT: Duration = Duration::from_secs(3);

/// How often it is looked whether a read has found damage. Until then such reads are answered with an
/// internal error.
const DAMAGE_INTERVAL: Duration = Duration::from_secs(1);

/// The longest request to the reflection service.
const REFLECTION_BYTES_MAX: usize = 64 * 1024;

/// Whether the node starts with its stored data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataPolicy {
    /// With its stored data.
    Keep,
    /// With an empty disk: stored data is deleted first.
    Reset,
}

/// Why a node did not start, or stopped because of an error.
#[derive(Debug, thiserror::Error)]
#[error("{sentence}")]
pub struct NodeError {
    sentence: String,
}

#[derive(Debug, thiserror::Error)]
enum NodeFailure {
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Open(#[from] OpenDirectory),
    #[error(transparent)]
    Reset(#[from] ResetError),
    #[error("passwords cannot be hashed")]
    Passwords(#[from] HashersError),
    #[error("cannot open data directory {directory}")]
    State {
        directory: PathBuf,
        source: StateError,
    },
    #[error("cannot convert the log in {directory}")]
    Convert {
        directory: PathBuf,
        source: ConversionError,
    },
    #[error("cannot open data directory {directory}")]
    Start {
        directory: PathBuf,
        source: StartError,
    },
    #[error(transparent)]
    Stopped(StopReason),
    #[error("the tables are damaged, and are filled again at the next start: {reason}")]
    Damaged { reason: String },
    #[error("a listener failed")]
    Serve(#[source] tonic::transport::Error),
    #[error("a listener ended unexpectedly")]
    WatchEnd,
}

impl From<NodeFailure> for NodeError {
    /// The whole chain of causes on one line.
    fn from(failure: NodeFailure) -> Self {
        let mut sentence = failure.to_string();
        let mut cause = std::error::Error::source(&failure);
        while let Some(error) = cause {
            let text = error.to_string();
            // Some errors repeat their source.
            if !sentence.ends_with(&text) {
                sentence.push_str(": ");
                sentence.push_str(&text);
            }
            cause = error.source();
        }
        Self {
            sentence: sentence.replace('\n', " "),
        }
    }
}

/// Runs node `id` until `stop` completes, or until it cannot continue.
///
/// # Errors
///
/// Why it did not start or could not continue, in one sentence. Nothing is changed before the node has
/// both addresses; it accepts connections once its log and its tables are open.
pub async fn run(
    id: u64,
    config: &Config,
    data_policy: DataPolicy,
    stop: impl Future<Output = ()>,
) -> Result<(), NodeError> {
    let mut node = start(id, config, data_policy).await?;
    tracing::info!(id, version = env!("CARGO_PKG_VERSION"), "the node serves");
    tokio::select! {
        () = stop => {
            tracing::info!("the node stops");
            node.shut_down().await;
            Ok(())
        }
        reason = node.replica.stopped() => {
            // Waits until the log is closed, or hangs.
            node.replica.shutdown().await;
            Err(NodeFailure::Stopped(reason).into())
        }
        reason = damage_of(&node.reader) => {
            // It is noted beside the tables, which the next start replaces (docs/storage.md).
            node.replica.shutdown().await;
            Err(NodeFailure::Damaged { reason }.into())
        }
        ended = &mut node.clients => Err(listener_ended(ended).into()),
        ended = &mut node.peers => Err(listener_ended(ended).into()),
    }
}

/// Completes when a read has found that the tables are damaged.
async fn damage_of(reader: &ChatReader) -> String {
    let mut ticks = tokio::time::interval(DAMAGE_INTERVAL);
    loop {
        ticks.tick().await;
        if let Some(reason) = reader.damage() {
            return reason;
        }
    }
}

/// A node that serves.
struct Running {
    replica: Handle,
    reader: ChatReader,
    chat: ChatService,
    lifecycle: watch::Sender<Lifecycle>,
    stop_clients: watch::Sender<bool>,
    stop_peers: watch::Sender<bool>,
    clients: Serving,
    peers: Serving,
}

type Serving = JoinHandle<Result<(), tonic::transport::Error>>;

async fn start(id: u64, config: &Config, data_policy: DataPolicy) -> Result<Running, NodeFailure> {
    let started = Instant::now();
    let own = config
        .node(id)
        .expect("the configuration was checked for this node");
    for address in config.reached_from_outside(id) {
        tracing::warn!(
            address,
            "other machines may reach this listener, and nothing there is encrypted (listen.insecure)"
        );
    }
    let client_address = BoundAddress::bind(config.client_listener(own)).await?;
    let peer_address = BoundAddress::bind(config.peer_listener(own)).await?;
    let directory = config.data_directory(id);
    let identity = Identity {
        cluster: config.cluster.name.clone(),
        node: id,
    };
    identity.check(&directory)?;
    close_to_others(&directory)?;
    match data_policy {
        DataPolicy::Reset => reset(&directory)?,
        DataPolicy::Keep => finish_interrupted(&directory)?,
    }
    let StartedReplica {
        replica,
        reader,
        change_buffer,
    } = start_replica(identity, config, directory).await?;
    let (client_listener, peer_listener) = (client_address.listen()?, peer_address.listen()?);

    let cluster = |listener| {
        ClusterService::new(replica.clone(), id, &config.nodes, started, listener).into_server()
    };
    let running = RunningReplica(replica.clone());
    let machine = Arc::new(Machine);
    let lookup = SessionLookup::new(running.clone(), Arc::clone(&machine), reader.clone());
    let sessions = Arc::new(lookup);
    let watches = Watches::new(
        replica.clone(),
        reader.clone(),
        Arc::clone(&sessions),
        change_buffer,
    );
    let passwords_max = config.limits.connection_passwords_max;
    let edge = Edge::new(running, machine, reader.clone(), sessions, passwords_max);
    let chat = ChatService::new(edge, watches, replica.clone(), &config.nodes);
    let (lifecycle, watched) = watch::channel(Lifecycle::Serving);
    let client_routes = Routes::new(chat.clone().into_server())
        .add_service(cluster(cluster_service::Listener::Client))
        .add_service(health::start(replica.clone(), watched).await)
        .add_service(reflection());
    let peer_routes = Routes::new(replica.service().into_tonic())
        .add_service(cluster(cluster_service::Listener::Peer));
    let (clients, peers) = listener_options(config.connections);
    let (stop_clients, clients_stopped) = watch::channel(false);
    let (stop_peers, peers_stopped) = watch::channel(false);
    Ok(Running {
        chat,
        lifecycle,
        stop_clients,
        stop_peers,
        clients: tokio::spawn(client_listener.serve(client_routes, clients, clients_stopped)),
        peers: tokio::spawn(peer_listener.serve(peer_routes, peers, peers_stopped)),
        replica,
        reader,
    })
}

/// The options of the two listeners: for clients, and for peers.
fn listener_options(connections: config::Connections) -> (ListenerOptions, ListenerOptions) {
    let files = file_limit::raise();
    let (wanted, peers) = (connections.clients_max, connections.peers_max);
    let clients = file_limit::client_connections(files, peers, wanted);
    if clients < wanted {
        tracing::warn!(
            files,
            clients,
            wanted,
            "fewer clients fit into the limit of open files"
        );
    }
    // Most replies to clients are below 256 bytes, or pages far above 1,024. The replies to followers'
    // fetches under light load are between.
    let clients = ListenerOptions {
        name: "clients",
        write_strategy: WriteStrategy::Vectored,
        connections: ConnectionLimits {
            total: clients,
            per_source: connections.clients_per_source_max,
            idle: Some(Duration::from_secs(connections.idle_seconds.into())),
        },
        http: HttpLimits::CLIENTS,
        budgets: Some(Budgets::new()),
    };
    let peers = ListenerOptions {
        name: "peers",
        write_strategy: WriteStrategy::Coalesced,
        connections: ConnectionLimits {
            total: peers,
            // All nodes may be on one machine.
            per_source: peers,
            idle: None,
        },
        http: HttpLimits::PEERS,
        budgets: None,
    };
    (clients, peers)
}

/// A running replica, and the parts of its state machine that serving needs.
struct StartedReplica {
    replica: Handle,
    reader: ChatReader,
    change_buffer: Arc<ChangeBuffer>,
}

async fn start_replica(
    identity: Identity,
    config: &Config,
    directory: PathBuf,
) -> Result<StartedReplica, NodeFailure> {
    let id = identity.node;
    let passwords = Passwords::new(config.passwords, config.limits)?;
    let opening = directory.clone();
    let own_directory = directory.clone();
    let opened = tokio::task::spawn_blocking(move || {
        let opened = ChatState::open(&opening).map_err(|source| NodeFailure::State {
            directory: opening.clone(),
            source,
        })?;
        // The directory is locked now, and this node's log is not made in it yet.
        identity.claim(&opening)?;
        convert_log(&opening, identity.node)?;
        Ok::<_, NodeFailure>(opened)
    });
    let (state, reader) = opened.await.expect("opening the state does not panic")?;
    let lead_max = Duration::from_secs(config.limits.clock_lead_seconds_max.into());
    let clock = Arc::new(Machine::log_clock(lead_max, state.log_time()));
    let quotas = Arc::new(Quotas::new(quota_limits(config.limits)));
    let preparation = ChatPreparation(LeaderPreparation {
        reader: reader.clone(),
        passwords: passwords.clone(),
        host: Arc::new(Machine),
        lifetime: SessionLifetime {
            idle_seconds: config.sessions.idle_seconds,
            absolute_seconds: config.sessions.absolute_seconds,
        },
        clock: Arc::clone(&clock),
        quotas: Arc::clone(&quotas),
        inboxes: InboxRoom::new(config.limits.inbox_messages_max),
        copies: InboxRoom::new(config.limits.inbox_messages_max),
        counters: Counters::default(),
    });
    let change_buffer = Arc::new(ChangeBuffer::new(state.applied_index()));
    let nodes = config.nodes.iter();
    let timing = Timing::new(
        config.timing.heartbeat_interval(),
        config.timing.election_timeout(),
    );
    let machine = ChatMachine::new(state, Arc::clone(&change_buffer), clock);
    let log = SegmentLog::new(directory.join("log")).segment_bytes(config.storage.segment_bytes);
    let replica = Builder::with(id, log, Grpc::new())
        .directory(&directory)
        .limits(replica_limits(&config.storage))
        .nodes(nodes.map(|node| (node.id, node.peer_address.as_str())))
        .bootstrap(config.cluster.bootstrap)
        .timing(timing)
        .autopilot(Autopilot {
            dead_after: Duration::from_secs(config.autopilot.dead_after_seconds.into()),
            min_voters: usize::try_from(config.autopilot.min_voters).unwrap_or(usize::MAX),
        })
        .prepare(preparation)
        .start(machine)
        .await
        .map_err(|source| NodeFailure::Start { directory, source })?;
    housekeeping::start(
        replica.clone(),
        PeriodicChecks {
            reader: reader.clone(),
            passwords,
            quotas,
            directory: own_directory,
        },
    );
    Ok(StartedReplica {
        replica,
        reader,
        change_buffer,
    })
}

/// Converts the log of an earlier version, once.
fn convert_log(directory: &Path, node: u64) -> Result<(), NodeFailure> {
    let mut shown = Instant::now();
    let progress = |done: LogIndex, last: LogIndex| {
        if shown.elapsed() >= Duration::from_secs(1) {
            shown = Instant::now();
            tracing::info!(%done, %last, "the log is being converted");
        }
    };
    let random = || {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).expect("the operating system has randomness");
        u128::from_ne_bytes(bytes)
    };
    let converted = chat_sqlite_log::convert(directory, NodeId(node), random, progress);
    let converted = converted.map_err(|source| NodeFailure::Convert {
        directory: directory.to_owned(),
        source,
    })?;
    if converted {
        tracing::info!("the log was converted into segment files");
    }
    Ok(())
}

fn quota_limits(limits: config::Limits) -> QuotaLimits {
    QuotaLimits {
        account_requests_per_second: limits.account_requests_per_second,
        account_requests_burst: limits.account_requests_burst,
        free_bytes_min: limits.free_bytes_min,
    }
}

fn replica_limits(storage: &config::Storage) -> Limits {
    let mut limits = Limits::default();
    limits.snapshot_log_bytes = storage.snapshot_log_bytes;
    limits.snapshot_age = Duration::from_secs(storage.snapshot_age_seconds.into());
    limits.kept_entries = storage.kept_entries;
    limits.kept_bytes = storage.kept_bytes;
    limits
}

/// The reflection service: tools read from it which calls there are.
fn reflection() -> ServerReflectionServer<impl ServerReflection> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(chat_proto::CLIENT_DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .expect(
            "our descriptors are valid: they are generated from the protos, and that is checked",
        )
        .max_decoding_message_size(REFLECTION_BYTES_MAX)
}

/// A listener ended although the node does not shut down: a node that cannot be reached must not go on
/// leading.
fn listener_ended(ended: Result<Result<(), tonic::transport::Error>, JoinError>) -> NodeFailure {
    match ended {
        Ok(Err(error)) => NodeFailure::Serve(error),
        Ok(Ok(())) | Err(_) => NodeFailure::WatchEnd,
    }
}

impl Running {
    /// Rejects new requests, transfers leadership, ends the watches, finishes requests in progress,
    /// and stops.
    async fn shut_down(self) {
        self.lifecycle.send_replace(Lifecycle::Draining);
        self.chat.reject_new();
        // A replica that has stopped has no leadership to transfer.
        drop(self.replica.transfer_leadership().await);
        self.chat.end_watches();
        self.lifecycle.send_replace(Lifecycle::Stopped);
        self.stop_clients.send_replace(true);
        finish("clients", self.clients).await;
        self.replica.shutdown().await;
        self.stop_peers.send_replace(true);
        finish("peers", self.peers).await;
    }
}

async fn finish(whose: &str, serving: Serving) {
    if tokio::time::timeout(FINISH_TIMEOUT, serving).await.is_err() {
        tracing::warn!("connections of {whose} are still open after the shutdown timeout");
    }
}
