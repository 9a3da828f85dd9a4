//! Three nodes of an installed etcd on this machine, to compare with.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use devcluster::process_identity::ProcessIdentity;

/// Beside etcd's own ports, which another etcd may be using.
const CLIENT_PORTS: [u16; 3] = [23_791, 23_792, 23_793];
const PEER_PORTS: [u16; 3] = [23_801, 23_802, 23_803];

/// How long the nodes may take to elect a leader.
const LEADER_TIMEOUT: Duration = Duration::from_secs(20);

/// Three running nodes; killed and deleted when this is dropped.
#[derive(Debug)]
pub(crate) struct Etcd {
    nodes: Vec<Child>,
    folder: PathBuf,
    load: PathBuf,
}

/// How far a node is.
struct NodeStatus {
    leads: bool,
    committed: u64,
    applied: u64,
}

impl Etcd {
    /// Starts three nodes in `folder`, which is ours to delete; `None` where etcd is not installed.
    pub(crate) fn start(programs: &Path, folder: &Path) -> Result<Option<Self>> {
        let installed = |program| Command::new(program).arg("--help").output().is_ok();
        if !installed("etcd") || !installed("etcdctl") {
            return Ok(None);
        }
        let mut etcd = Self {
            nodes: Vec::new(),
            folder: folder.to_path_buf(),
            load: programs.join("etcd-load"),
        };
        for place in 0..CLIENT_PORTS.len() {
            let node = etcd.spawn(place)?;
            etcd.nodes.push(node);
        }
        let until = Instant::now() + LEADER_TIMEOUT;
        while etcd.leader().is_err() {
            if Instant::now() >= until {
                bail!("etcd has no leader after {} s", LEADER_TIMEOUT.as_secs());
            }
            sleep(Duration::from_millis(100));
        }
        Ok(Some(etcd))
    }

    fn spawn(&self, place: usize) -> Result<Child> {
        let members: Vec<String> = (1..)
            .zip(PEER_PORTS)
            .map(|(id, port)| format!("n{id}={}", url(port)))
            .collect();
        let name = format!("n{}", place + 1);
        let (client, peer) = (url(CLIENT_PORTS[place]), url(PEER_PORTS[place]));
        let mut node = Command::new("etcd");
        node.args(["--name", &name, "--data-dir"])
            .arg(self.folder.join(&name))
            .args(["--listen-client-urls", &client])
            .args(["--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer])
            .args(["--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &members.join(",")])
            .args(["--initial-cluster-state", "new", "--log-level", "error"])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        node.spawn().context("starting etcd")
    }

    /// A node that does not lead.
    pub(crate) fn follower(&self) -> Result<usize> {
        for place in 0..self.nodes.len() {
            if !Self::status(place)?.leads {
                return Ok(place);
            }
        }
        bail!("each node of etcd reports that it leads")
    }

    /// Kills a node.
    pub(crate) fn kill(&mut self, place: usize) -> Result<()> {
        self.nodes[place].kill()?;
        self.nodes[place].wait()?;
        Ok(())
    }

    /// Starts a node that was killed.
    pub(crate) fn restart(&mut self, place: usize) -> Result<()> {
        self.nodes[place] = self.spawn(place)?;
        Ok(())
    }

    /// Where the leader listens for clients, while another node does not run.
    pub(crate) fn leader_besides(&self, stopped: usize) -> Result<String> {
        let others = (0..CLIENT_PORTS.len()).filter(|place| *place != stopped);
        for place in others {
            if Self::status(place)?.leads {
                return Ok(url(CLIENT_PORTS[place]));
            }
        }
        bail!("no node of etcd reports that it leads")
    }

    /// What the leader has committed.
    pub(crate) fn committed(&self) -> Result<u64> {
        for place in 0..self.nodes.len() {
            if let Ok(status) = Self::status(place)
                && status.leads
            {
                return Ok(status.committed);
            }
        }
        bail!("no node of etcd reports that it leads")
    }

    /// What a node has applied; nothing while it does not answer.
    pub(crate) fn applied(&self, place: usize) -> u64 {
        Self::status(place).map_or(0, |status| status.applied)
    }

    fn status(place: usize) -> Result<NodeStatus> {
        let output = Command::new("etcdctl")
            .env("ETCDCTL_API", "3")
            .args(["--endpoints", &url(CLIENT_PORTS[place])])
            .args(["--command-timeout=2s", "endpoint", "status", "-w", "json"])
            .output()
            .context("starting etcdctl")?;
        let status: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        let status = &status[0]["Status"];
        let number = |name: &str| status[name].as_u64().unwrap_or_default();
        Ok(NodeStatus {
            leads: number("leader") != 0 && status["leader"] == status["header"]["member_id"],
            committed: number("raftIndex"),
            applied: number("raftAppliedIndex"),
        })
    }

    /// The program that puts load on it.
    pub(crate) fn load(&self) -> &Path {
        &self.load
    }

    /// Where the leader listens for clients.
    pub(crate) fn leader(&self) -> Result<String> {
        self.leader_besides(CLIENT_PORTS.len())
    }

    /// Processor time of all nodes since they started.
    pub(crate) fn processor_time(&self) -> Result<Duration> {
        let times = self.nodes.iter();
        times
            .map(|node| ProcessIdentity::of(node.id())?.processor_time())
            .sum()
    }

    /// The first line of the version that it prints.
    pub(crate) fn version(&self) -> Result<String> {
        let output = Command::new("etcd").arg("--version").output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(text.lines().next().unwrap_or_default().to_owned())
    }
}

fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

impl Drop for Etcd {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            if let Err(error) = node.kill().and_then(|()| node.wait()) {
                eprintln!("could not end an etcd: {error}");
            }
        }
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            eprintln!("could not delete {}: {error}", self.folder.display());
        }
    }
}
