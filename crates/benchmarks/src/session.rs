//! A cluster that a measurement starts, uses and deletes again.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use devcluster_api::{LinkShape, Links, NODES_MAX, NodeId, NodeState, PortOffset, Request};

use devcluster::control_client;
use devcluster::layout::Files;
use devcluster::up::{self, Programs};
use devcluster::{down, state, status};

/// Beside the ports of a cluster that the person may be running.
const PORT_OFFSET: &str = "1000";

/// An optimised cluster; it is stopped and deleted when this is dropped.
#[derive(Debug)]
pub(crate) struct Session {
    files: Files,
}

impl Session {
    /// Starts a cluster in a folder whose content may be deleted.
    pub(crate) fn start(programs: &Path, folder: PathBuf, nodes: u8, links: Links) -> Result<Self> {
        let files = Files::new(folder);
        down::reset(&files)?;
        let session = Self { files };
        let ports: PortOffset = PORT_OFFSET.parse()?;
        let options = up::Options {
            nodes: Some(nodes),
            ports,
            links,
        };
        let programs = Programs {
            folder: programs.to_path_buf(),
            profile: "release".to_owned(),
        };
        up::bring_up(&session.files, options, || Ok(programs))?;
        up::wait_until_settled(&session.files)?;
        Ok(session)
    }

    /// Where the program `chat` reads the addresses of this cluster.
    pub(crate) fn client_config(&self) -> PathBuf {
        self.files.client_config()
    }

    /// The copy of a program that this cluster runs.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.files.program(name)
    }

    /// Kills the leader, and returns which node it was.
    pub(crate) fn kill_leader(&self) -> Result<NodeId> {
        self.send_to_leader(|node| Request::Kill { node })
    }

    /// The leader and the term; no leader while one is being elected.
    pub(crate) fn leadership(&self) -> Result<(Option<NodeId>, u64)> {
        let status = status::query(&self.files)?;
        Ok((status.leader, status.term))
    }

    /// A node that does not lead.
    pub(crate) fn follower(&self) -> Result<NodeId> {
        let leader = status::leader(&self.files)?;
        let mut others = NodeId::all(NODES_MAX).filter(|node| *node != leader);
        others.next().context("a cluster has more than one node")
    }

    /// How many entries of the leader a node lacks; `None` while that is unknown.
    pub(crate) fn trails(&self, node: NodeId) -> Result<Option<u64>> {
        let status = status::query(&self.files)?;
        let id = u64::from(node.number());
        let own = status.nodes.iter().find(|own| own.id == id);
        Ok(own.filter(|own| own.reachable).and_then(|own| own.trails))
    }

    /// Where clients reach each node.
    pub(crate) fn client_addresses(&self) -> Result<Vec<String>> {
        let nodes = self.nodes()?;
        Ok(nodes
            .iter()
            .map(|node| node.client_address.to_string())
            .collect())
    }

    /// Where clients reach a node.
    pub(crate) fn client_address(&self, node: NodeId) -> Result<String> {
        let nodes = self.nodes()?;
        let node = nodes.iter().find(|one| one.id == node);
        let node = node.context("the node belongs to the cluster")?;
        Ok(node.client_address.to_string())
    }

    /// Where each node stores everything.
    pub(crate) fn data_directories(&self) -> Result<Vec<PathBuf>> {
        let nodes = self.nodes()?.into_iter();
        Ok(nodes.map(|node| node.data_directory).collect())
    }

    /// Kills a node.
    pub(crate) fn kill(&self, node: NodeId) -> Result<()> {
        self.send(Request::Kill { node }).map(drop)
    }

    /// Stops a node, deletes its data and starts it, and waits for nothing.
    pub(crate) fn wipe(&self, node: NodeId) -> Result<()> {
        self.send(Request::Wipe { node }).map(drop)
    }

    /// Ends a node in order.
    pub(crate) fn stop(&self, node: NodeId) -> Result<()> {
        self.send(Request::Stop { node }).map(drop)
    }

    /// Starts a node that does not run, and waits for nothing.
    pub(crate) fn start_node(&self, node: NodeId) -> Result<()> {
        self.send(Request::Restart { node }).map(drop)
    }

    /// Makes every link of a node so slow.
    pub(crate) fn shape(&self, node: NodeId, shape: LinkShape) -> Result<()> {
        let shape = Some(shape);
        self.send(Request::Shape { node, shape }).map(drop)
    }

    /// Starts a node again and waits until it has caught up.
    pub(crate) fn restart(&self, node: NodeId) -> Result<()> {
        self.send(Request::Restart { node })?;
        self.wait_until_settled()
    }

    /// Isolates the leader from the other nodes, and returns which node it was.
    pub(crate) fn isolate_leader(&self) -> Result<NodeId> {
        self.send_to_leader(|node| Request::Isolate { node })
    }

    /// Connects a node again and waits until it has caught up.
    pub(crate) fn reconnect(&self, node: NodeId) -> Result<()> {
        self.send(Request::Reconnect { node })?;
        self.wait_until_settled()
    }

    /// Makes the leader transfer its leadership, and returns which node it was.
    pub(crate) fn transfer_leadership(&self) -> Result<NodeId> {
        let node = status::leader(&self.files)?;
        let output = Command::new(self.program("chat"))
            .args(["cluster", "transfer", "--config"])
            .arg(self.client_config())
            .stdin(Stdio::null())
            .output()
            .context("running `chat cluster transfer`")?;
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr);
            bail!("node {node} did not transfer leadership: {}", errors.trim());
        }
        Ok(node)
    }

    /// Waits until one node leads and the others have caught up.
    pub(crate) fn wait_until_settled(&self) -> Result<()> {
        up::wait_until_settled(&self.files)?;
        Ok(())
    }

    fn nodes(&self) -> Result<Vec<NodeState>> {
        let state = state::read(&self.files)?.context("the cluster has its file")?;
        Ok(state.nodes)
    }

    /// Sends a request about the leader, and returns which node it was.
    fn send_to_leader(&self, request: impl FnOnce(NodeId) -> Request) -> Result<NodeId> {
        let node = status::leader(&self.files)?;
        self.send(request(node))?;
        Ok(node)
    }

    fn send(&self, request: Request) -> Result<String> {
        control_client::send(&self.files.control_socket(), request)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Err(error) = down::reset(&self.files) {
            eprintln!("could not remove the cluster of the benchmark: {error:#}");
        }
    }
}
