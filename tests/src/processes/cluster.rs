//! A cluster of real servers: its files, its processes, and the status of its nodes.
//!
//! It shares with `cargo xtask cluster` how a configuration is written and a process is handled
//! (`devcluster`). It does not use the supervisor of that cluster: a test needs ports that no other
//! test has, a node's exit status, a full disk, and the status of every node each few milliseconds
//! over gRPC, with term and commit index; the supervisor's is what the program `chat` prints.

mod configuration;
pub mod resizing;

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use chat_client::ChatClient;
use chat_consensus::{LogIndex, NodeId, Term};
use chat_proto::cluster::v1::cluster_client::ClusterClient;
use chat_proto::cluster::v1::{StatusRequest, StatusResponse};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tonic::transport::{Channel, Endpoint};

pub(crate) use configuration::configuration;

use crate::processes::ports::PortBlock;
use crate::processes::server::{self, Server};
use crate::processes::waiting::until;

/// A node that runs reports its status within a few milliseconds.
const STATUS_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a client goes on trying: longer than any fail-over, and no test waits that long for
/// something that should not come.
const CLIENT_DEADLINE: Duration = Duration::from_secs(20);

/// What nodes log unless a test wants more.
const LOG_FILTER: &str = "info";

/// Real nodes, killed when this is dropped.
#[derive(Debug)]
pub struct Cluster {
    program: PathBuf,
    log_filter: String,
    nodes: BTreeMap<NodeId, Node>,
    home: TempDir,
    ports: PortBlock,
}

/// A node, whether it runs or not.
#[derive(Debug)]
struct Node {
    server: Option<Server>,
    channel: Channel,
}

/// The node that reports to lead the highest term that any node knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leader {
    /// The node.
    pub node: NodeId,
    /// The term it leads.
    pub term: Term,
    /// What it had committed when it reported its status.
    pub commit_index: LogIndex,
}

impl Cluster {
    /// Starts nodes 1 to `count` on empty disks, and waits until they are one cluster.
    ///
    /// # Panics
    ///
    /// When they do not become one in time; so do all waiting functions here.
    pub async fn start(count: u64) -> Self {
        Self::start_logging(count, LOG_FILTER).await
    }

    /// [`Self::start`] for nodes that log what `log_filter` selects, in the syntax of `RUST_LOG`.
    ///
    /// # Panics
    ///
    /// As there.
    pub async fn start_logging(count: u64, log_filter: &str) -> Self {
        Self::start_with(count, log_filter, "").await
    }

    /// [`Self::start_logging`] for nodes whose configuration has further lines, after the key
    /// `directory` of its section `[storage]`.
    ///
    /// # Panics
    ///
    /// As there.
    pub async fn start_with(count: u64, log_filter: &str, further: &str) -> Self {
        let ports = PortBlock::claim();
        let home = tempfile::Builder::new().prefix("chat-tests-").tempdir();
        let home = home.expect("a temporary folder can be made");
        let ids = (1..=count).map(NodeId);
        let nodes = ids
            .clone()
            .map(|id| (id, ports.client_address(id), ports.peer_address(id)));
        let text = configuration(&home.path().join("data"), further, nodes);
        fs::write(home.path().join("cluster.toml"), text).expect("the test's folder is its own");
        let mut cluster = Self {
            program: server::program("chat-server"),
            log_filter: log_filter.to_owned(),
            nodes: BTreeMap::new(),
            home,
            ports,
        };
        cluster.nodes = ids.map(|id| (id, cluster.new_node(id))).collect();
        cluster.start_all();
        cluster.settled().await;
        cluster
    }

    /// Every configured node.
    pub fn ids(&self) -> Vec<NodeId> {
        self.nodes.keys().copied().collect()
    }

    /// Every node that runs and is not paused.
    pub fn serving(&self) -> Vec<NodeId> {
        let serves = |node: &Node| node.server.as_ref().is_some_and(|own| !own.is_paused());
        let serving = self.nodes.iter().filter(|(_, node)| serves(node));
        serving.map(|(id, _)| *id).collect()
    }

    /// Where clients reach a node.
    pub fn client_address(&self, node: NodeId) -> SocketAddr {
        self.ports.client_address(node)
    }

    /// Where the other nodes reach a node.
    pub fn peer_address(&self, node: NodeId) -> SocketAddr {
        self.ports.peer_address(node)
    }

    /// A client that tries every node.
    pub fn client(&self) -> ChatClient {
        client(self.ids().into_iter().map(|id| self.client_address(id)))
    }

    /// A client of one node alone: every reply that it gets is that node's.
    pub fn client_of(&self, node: NodeId) -> ChatClient {
        client([self.client_address(node)])
    }

    /// Starts a node that does not run.
    ///
    /// # Panics
    ///
    /// When it runs.
    pub fn start_node(&mut self, id: NodeId) {
        let arguments = self.arguments(id);
        self.launch(id, &self.program.clone(), &arguments);
    }

    /// Starts a node that does not run with `--reset`, which deletes its data first.
    ///
    /// # Panics
    ///
    /// When it runs.
    pub fn start_node_reset(&mut self, id: NodeId) {
        let mut arguments = self.arguments(id);
        arguments.push("--reset".to_owned());
        self.launch(id, &self.program.clone(), &arguments);
    }

    /// Starts a node that does not run, and lets none of its files grow beyond so many blocks of
    /// 512 bytes: a full disk for this node alone.
    ///
    /// # Panics
    ///
    /// When it runs.
    pub fn start_node_on_full_disk(&mut self, id: NodeId, blocks: u32) {
        // The signal would end a program that does not ignore it; a full disk sends none.
        let limited = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        let mut arguments = vec!["-c".to_owned(), limited];
        arguments.push(self.program.to_string_lossy().into_owned());
        arguments.extend(self.arguments(id));
        self.launch(id, Path::new("sh"), &arguments);
    }

    /// Waits until a node has ended by itself, and returns how.
    ///
    /// # Panics
    ///
    /// When it does not.
    pub async fn ended(&mut self, id: NodeId) -> ExitStatus {
        let server = self.server(id);
        let ended = until("the node has ended", async || {
            server.ended().ok_or_else(|| "it runs".to_owned())
        })
        .await;
        self.node(id).server = None;
        ended
    }

    /// Starts every node that does not run.
    pub fn start_all(&mut self) {
        let is_idle = |node: &Node| node.server.is_none();
        let idle = self.nodes.iter().filter(|(_, node)| is_idle(node));
        for id in idle.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.start_node(id);
        }
    }

    /// SIGKILL for a node, which must have run until then.
    ///
    /// # Panics
    ///
    /// When it had ended by itself.
    pub fn kill(&mut self, id: NodeId) {
        self.check_runs(id);
        self.server(id).kill();
        self.node(id).server = None;
    }

    /// SIGKILL for every node that runs, one directly after the other.
    pub fn kill_all(&mut self) {
        for id in self.serving() {
            self.kill(id);
        }
    }

    /// How a node ended by itself, if it has since it was started.
    pub fn try_ended(&mut self, id: NodeId) -> Option<ExitStatus> {
        let ended = self.node(id).server.as_mut()?.ended()?;
        self.node(id).server = None;
        Some(ended)
    }

    /// SIGKILL for a node, whether it runs or not.
    pub fn discard(&mut self, id: NodeId) {
        self.node(id).server = None;
    }

    /// SIGKILL for every node that runs.
    pub fn discard_all(&mut self) {
        for id in self.ids() {
            self.discard(id);
        }
    }

    /// SIGSTOP.
    pub fn pause(&mut self, id: NodeId) {
        self.server(id).pause();
    }

    /// SIGCONT.
    pub fn resume(&mut self, id: NodeId) {
        self.server(id).resume();
    }

    /// Deletes everything that a node has stored.
    ///
    /// # Panics
    ///
    /// When it runs, or has stored nothing.
    pub fn wipe(&mut self, id: NodeId) {
        assert!(self.node(id).server.is_none(), "{id:?} still runs");
        fs::remove_dir_all(self.data(id)).expect("a node that ran has a folder");
    }

    /// SIGTERM for some nodes at the same time; returns how each ended.
    pub async fn terminate(&mut self, ids: &[NodeId]) -> Vec<ExitStatus> {
        for id in ids {
            self.check_runs(*id);
            self.server(*id).terminate();
        }
        let mut endings = Vec::new();
        for id in ids {
            let server = self.server(*id);
            let ended = until("a terminated node has ended", async || {
                server.ended().ok_or_else(|| format!("{id:?} runs"))
            });
            endings.push(ended.await);
            self.node(*id).server = None;
        }
        endings
    }

    /// The status of a node.
    ///
    /// # Errors
    ///
    /// Why there is no reply.
    pub async fn status(&self, id: NodeId) -> Result<StatusResponse, String> {
        query_status(id, self.nodes[&id].channel.clone()).await
    }

    /// The status of every serving node that replies.
    pub async fn statuses(&self) -> Vec<StatusResponse> {
        let mut calls = JoinSet::new();
        for id in self.serving() {
            calls.spawn(query_status(id, self.nodes[&id].channel.clone()));
        }
        let mut statuses: Vec<StatusResponse> =
            calls.join_all().await.into_iter().flatten().collect();
        statuses.sort_by_key(|status| status.node_id);
        statuses
    }

    /// Waits until a node leads the highest known term, which must be later than `term`.
    pub async fn leader_after(&self, term: Term) -> Leader {
        until("a new leader is there", async || {
            let statuses = self.statuses().await;
            let leader = leader_among(&statuses);
            leader
                .filter(|leader| leader.term > term)
                .ok_or_else(|| describe(&statuses))
        })
        .await
    }

    /// Waits until a node leads.
    pub async fn leader(&self) -> Leader {
        self.leader_after(Term(0)).await
    }

    /// Waits until every serving node follows one leader, and has applied what the first one that
    /// was seen had committed then.
    pub async fn settled(&self) -> Leader {
        let committed = self.leader().await.commit_index;
        until("every node follows one leader", async || {
            let statuses = self.statuses().await;
            let leader = leader_among(&statuses).ok_or_else(|| describe(&statuses))?;
            let follows = |status: &StatusResponse| {
                status.leader_id == leader.node.0
                    && status.term == leader.term.0
                    && status.applied_index >= committed.0
            };
            if statuses.len() == self.serving().len() && statuses.iter().all(follows) {
                Ok(leader)
            } else {
                Err(describe(&statuses))
            }
        })
        .await
    }

    /// Where a node stores everything.
    pub fn data(&self, id: NodeId) -> PathBuf {
        self.home.path().join(format!("data/node-{}", id.0))
    }

    /// What a node has logged, over all its starts.
    pub fn log(&self, id: NodeId) -> PathBuf {
        self.home.path().join(format!("node-{}.log", id.0))
    }

    /// The most memory that any running node has had at once.
    ///
    /// # Panics
    ///
    /// When a node has ended.
    pub fn memory_peak(&self) -> u64 {
        let servers = self.nodes.values().filter_map(|node| node.server.as_ref());
        servers.map(Server::memory_peak).max().unwrap_or_default()
    }

    /// Every node that was started still runs, and none has panicked.
    ///
    /// # Panics
    ///
    /// When that is not so.
    pub fn check_healthy(&mut self) {
        for id in self.ids() {
            if self.nodes[&id].server.is_some() {
                self.check_runs(id);
            }
            let log = fs::read_to_string(self.log(id)).unwrap_or_default();
            assert!(!log.contains("panicked at"), "{id:?} has panicked");
        }
    }

    /// A node that does not run yet.
    fn new_node(&self, id: NodeId) -> Node {
        let address = format!("http://{}", self.ports.peer_address(id));
        let endpoint = Endpoint::from_shared(address).expect("it is an address");
        let channel = endpoint.connect_timeout(STATUS_TIMEOUT).connect_lazy();
        let server = None;
        Node { server, channel }
    }

    /// The configuration of a node that joined later.
    fn own_configuration(&self, id: NodeId) -> PathBuf {
        self.home.path().join(format!("node-{}.toml", id.0))
    }

    fn arguments(&self, id: NodeId) -> Vec<String> {
        let own = Some(self.own_configuration(id)).filter(|own| own.exists());
        let config = own.unwrap_or_else(|| self.home.path().join("cluster.toml"));
        vec![
            format!("--id={}", id.0),
            format!("--config={}", config.display()),
        ]
    }

    fn launch(&mut self, id: NodeId, program: &Path, arguments: &[String]) {
        assert!(self.node(id).server.is_none(), "{id:?} runs already");
        let server = Server::start(program, arguments, &self.log_filter, &self.log(id));
        self.node(id).server = Some(server);
    }

    fn check_runs(&mut self, id: NodeId) {
        let ended = self.server(id).ended();
        assert_eq!(ended, None, "{id:?} has ended by itself");
    }

    fn node(&mut self, id: NodeId) -> &mut Node {
        self.nodes.get_mut(&id).expect("the node is configured")
    }

    fn server(&mut self, id: NodeId) -> &mut Server {
        let server = self.node(id).server.as_mut();
        server.unwrap_or_else(|| panic!("{id:?} does not run"))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for node in self.nodes.values_mut() {
            node.server = None;
        }
        if std::thread::panicking() {
            self.home.disable_cleanup(true);
            eprintln!(
                "the nodes' files are kept in {}",
                self.home.path().display()
            );
            for id in self.ids() {
                let tail = server::log_tail(&self.log(id));
                eprintln!("--- the end of the log of node {}:\n{tail}", id.0);
            }
        }
    }
}

fn client(addresses: impl IntoIterator<Item = SocketAddr>) -> ChatClient {
    let addresses = addresses.into_iter().map(|address| address.to_string());
    let client = ChatClient::new(addresses).expect("these are addresses");
    client.with_deadline(CLIENT_DEADLINE)
}

async fn query_status(id: NodeId, channel: Channel) -> Result<StatusResponse, String> {
    let mut stub = ClusterClient::new(channel);
    match timeout(STATUS_TIMEOUT, stub.status(StatusRequest {})).await {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) => Err(format!("{id:?}: {}", status.message())),
        Err(_late) => Err(format!("{id:?}: no reply within {STATUS_TIMEOUT:?}")),
    }
}

/// Two leaders in one term end the test (R5).
fn leader_among(statuses: &[StatusResponse]) -> Option<Leader> {
    let term = statuses.iter().map(|status| status.term).max()?;
    let mut leading = statuses
        .iter()
        .filter(|status| status.role == "leader" && status.term == term);
    let leader = leading.next()?;
    assert_eq!(leading.next(), None, "R5: two leaders in term {term}");
    Some(Leader {
        node: NodeId(leader.node_id),
        term: Term(leader.term),
        commit_index: LogIndex(leader.commit_index),
    })
}

fn describe(statuses: &[StatusResponse]) -> String {
    let one = |status: &StatusResponse| {
        format!(
            "node {} {} in term {} of leader {} at {}/{}/{}",
            status.node_id,
            status.role,
            status.term,
            status.leader_id,
            status.last_index,
            status.commit_index,
            status.applied_index
        )
    };
    let all: Vec<String> = statuses.iter().map(one).collect();
    all.join("; ")
}
