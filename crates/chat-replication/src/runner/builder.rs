//! What an embedder says of a replica before it starts.

use std::path::PathBuf;

use chat_consensus::{Config, ConfigError, NodeId};

use crate::replica::{Autopilot, Limits};
use crate::runner::group_name::GroupName;
#[cfg(all(feature = "grpc", feature = "segment-log"))]
use crate::runner::grpc::Grpc;
use crate::runner::handle::Handle;
use crate::runner::limits_check;
use crate::runner::log_store::LogStore;
use crate::runner::peer_calls::Connect;
use crate::runner::prepare::{Passthrough, Prepare};
#[cfg(all(feature = "grpc", feature = "segment-log"))]
use crate::runner::segment_log::SegmentLog;
use crate::runner::start::{Settings, start};
use crate::runner::start_error::StartError;
use crate::runner::state_machine::StateMachine;
use crate::runner::timing::Timing;
use crate::runner::transport::Transport;

/// Starts a replica. Nothing is checked, opened or sent before [`Self::start`].
#[derive(Clone, Debug)]
#[must_use = "a replica runs once it is started"]
pub struct Builder<L, T, P = Passthrough> {
    node_id: u64,
    nodes: Vec<(u64, String)>,
    group: String,
    may_bootstrap: bool,
    directory: Option<PathBuf>,
    timing: Timing,
    limits: Limits,
    log: L,
    transport: T,
    prepare: P,
    autopilot: Option<Autopilot>,
}

#[cfg(all(feature = "grpc", feature = "segment-log"))]
impl Builder<SegmentLog, Grpc> {
    /// A replica of node `node_id`, with its log in `directory`, which is made if it is missing, and
    /// with gRPC between the nodes.
    pub fn new(node_id: u64, directory: impl Into<PathBuf>) -> Self {
        let directory = directory.into();
        Self::with(node_id, SegmentLog::new(directory.join("log")), Grpc::new())
            .directory(directory)
    }
}

impl<L: LogStore, T: Transport> Builder<L, T> {
    /// A replica of node `node_id` with any log and any transport.
    pub fn with(node_id: u64, log: L, transport: T) -> Self {
        Self {
            node_id,
            nodes: Vec::new(),
            group: String::new(),
            may_bootstrap: false,
            directory: None,
            timing: Timing::default(),
            limits: Limits::default(),
            log,
            transport,
            prepare: Passthrough,
            autopilot: None,
        }
    }
}

impl<L: LogStore, T: Transport, P: Prepare> Builder<L, T, P> {
    /// Every configured node, this one too: its id, never 0, and the address at which the others
    /// reach it; `{from}` in it is replaced by the id of the node that calls. The same on every node. Addresses
    /// only; who votes is in the log, which also has the addresses of nodes that were added later.
    pub fn nodes<A: Into<String>>(mut self, nodes: impl IntoIterator<Item = (u64, A)>) -> Self {
        let nodes = nodes.into_iter();
        self.nodes = nodes.map(|(id, address)| (id, address.into())).collect();
        self
    }

    /// The replication group, the same on all its nodes: several groups can share listeners. At most
    /// 64 letters, digits, `-`, `_` and `.`; empty, the default group, if it is not called.
    pub fn group(mut self, name: impl Into<String>) -> Self {
        self.group = name.into();
        self
    }

    /// Lets the nodes form a new cluster while all of them are empty and may. Otherwise, as if this is
    /// not called, a node whose log is empty waits for the leader of a cluster that exists, so that nodes
    /// that have lost their disks do not found a second one.
    pub fn bootstrap(mut self, may: bool) -> Self {
        self.may_bootstrap = may;
        self
    }

    /// The directory whose size [`Status::storage_bytes`](crate::Status::storage_bytes) reports, and
    /// in which `snapshots` is made; made if it is missing. Without it snapshots do not outlive the replica, or the [`MemoryLog`](crate::MemoryLog).
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// How patient the node is; the same on all nodes.
    pub fn timing(mut self, timing: Timing) -> Self {
        self.timing = timing;
        self
    }

    /// Lets a leader make voters that are dead for long into learners, so that the next failure is survived,
    /// too (R21). They become voters again by themselves. Never, if this is not called.
    pub fn autopilot(mut self, autopilot: Autopilot) -> Self {
        self.autopilot = Some(autopilot);
        self
    }

    /// How much it may hold at once.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Has `prepare` make commands from requests while this node leads, instead of
    /// [`Passthrough`].
    pub fn prepare<Q: Prepare>(self, prepare: Q) -> Builder<L, T, Q> {
        let Self {
            node_id,
            nodes,
            group,
            may_bootstrap,
            directory,
            timing,
            limits,
            log,
            transport,
            prepare: _,
            autopilot,
        } = self;
        Builder {
            node_id,
            nodes,
            group,
            may_bootstrap,
            directory,
            timing,
            limits,
            log,
            transport,
            prepare,
            autopilot,
        }
    }

    /// Starts the replica on this runtime, which needs timers, and sockets for [`Grpc`](crate::Grpc).
    /// It calls its peers at once; they reach it when its [`Handle::receiver`] is served at its address.
    ///
    /// # Errors
    ///
    /// See [`StartError`]. Dropping the future before it completes may leave the log open until its
    /// opening is done.
    pub async fn start(self, machine: impl StateMachine) -> Result<Handle, StartError> {
        let config = self.configuration()?;
        limits_check::check(&self.limits)?;
        self.check_autopilot()?;
        let group: GroupName = self.group.parse().map_err(|problem| StartError::Setting {
            setting: "group",
            problem: Box::new(problem),
        })?;
        let own = self.node_id.to_string();
        let (transport, of_group) = (self.transport, group.clone());
        let connect: Connect<T::Link> =
            Box::new(move |address| transport.connect(&address.replace("{from}", &own), &of_group));
        let others = self.nodes.iter().filter(|node| node.0 != self.node_id);
        let others: Vec<(NodeId, String)> = others
            .map(|(id, address)| (NodeId(*id), address.clone()))
            .collect();
        for (node, address) in &others {
            let problem = |problem| StartError::Address {
                id: node.0,
                problem,
            };
            connect(address).map_err(problem)?;
        }
        let settings = Settings {
            node: NodeId(self.node_id),
            config,
            group,
            others,
            directory: self.directory,
            timing: self.timing,
            limits: self.limits,
            autopilot: self.autopilot,
        };
        start(settings, (self.log, connect), machine, self.prepare).await
    }

    /// With fewer than three voters the next failure ends everything, and a pause must not count as death.
    fn check_autopilot(&self) -> Result<(), StartError> {
        let shortest = self.timing.election_timeout * 10;
        let problem = match self.autopilot {
            Some(autopilot) if autopilot.min_voters < 3 => "min_voters is below 3",
            Some(autopilot) if autopilot.dead_after < shortest => {
                "dead_after is shorter than ten election timeouts"
            }
            _ => return Ok(()),
        };
        Err(StartError::Setting {
            setting: "autopilot",
            problem: problem.into(),
        })
    }

    fn configuration(&self) -> Result<Config, StartError> {
        let nodes: Vec<NodeId> = self.nodes.iter().map(|node| NodeId(node.0)).collect();
        let timing = chat_consensus::Timing {
            heartbeat_interval: self.timing.heartbeat_interval,
            election_timeout: self.timing.election_timeout,
        };
        let config = Config::new(NodeId(self.node_id), &nodes, timing);
        let own = self.nodes.iter().find(|node| node.0 == self.node_id);
        let config = config.map(|config| {
            let config = config.allow_bootstrap(self.may_bootstrap);
            match own {
                Some((_, address)) => config.advertise(address),
                None => config,
            }
        });
        config.map_err(|problem| StartError::Setting {
            setting: match problem {
                ConfigError::NodeNotConfigured(_) => "node_id",
                ConfigError::BadNodeId(_) => "nodes",
                ConfigError::ElectionTimeoutTooShort => "timing.election_timeout",
            },
            problem: Box::new(problem),
        })
    }
}
