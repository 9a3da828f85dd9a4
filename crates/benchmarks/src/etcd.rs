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
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let members: Vec<String> = (1..)
            .zip(PEER_PORTS)
            .map(|(id, port)| format!("n{id}={}", url(port)))
            .collect();
        for (id, (client, peer)) in (1..).zip(CLIENT_PORTS.into_iter().zip(PEER_PORTS)) {
            let mut node = Command::new("etcd");
            node.args(["--name", &format!("n{id}"), "--data-dir"])
                .arg(folder.join(format!("n{id}")))
                .args(["--listen-client-urls", &url(client)])
                .args(["--advertise-client-urls", &url(client)])
                .args(["--listen-peer-urls", &url(peer)])
                .args(["--initial-advertise-peer-urls", &url(peer)])
                .args(["--initial-cluster", &members.join(",")])
                .args(["--initial-cluster-state", "new", "--log-level", "error"])
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            etcd.nodes.push(node.spawn().context("starting etcd")?);
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

    /// The program that puts load on it.
    pub(crate) fn load(&self) -> &Path {
        &self.load
    }

    /// Where the leader listens for clients.
    pub(crate) fn leader(&self) -> Result<String> {
        for port in CLIENT_PORTS {
            let endpoint = format!("http://127.0.0.1:{port}");
            let output = Command::new("etcdctl")
                .env("ETCDCTL_API", "3")
                .args(["--endpoints", &endpoint, "endpoint", "status", "-w", "json"])
                .output()
                .context("starting etcdctl")?;
            let status: serde_json::Value = serde_json::from_slice(&output.stdout)?;
            let status = &status[0]["Status"];
            if status["leader"].as_u64().is_some_and(|leader| leader != 0)
                && status["leader"] == status["header"]["member_id"]
            {
                return Ok(endpoint);
            }
        }
        bail!("no node of etcd reports that it leads")
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
