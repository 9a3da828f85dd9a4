//! A cluster with a host for each node, and people at these hosts, who use the command `chat`.
//!
//! The hosts are isolated by their network interface, not by the link proxies of `devcluster`: that
//! is what a pulled cable is, for clients as well as for peers.

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use chat_consensus::NodeId;
use serde_json::Value;
use tempfile::TempDir;

use crate::processes::cluster::configuration;
use crate::processes::namespaces::Network;
use crate::processes::server::{self, Server};
use crate::processes::waiting::until;

const CLIENT_PORT: u16 = 7401;
const PEER_PORT: u16 = 7501;

/// Real nodes, each on a host that has its number, killed when this is dropped.
#[derive(Debug)]
pub struct Hosts {
    /// Before the network, which they use.
    servers: Vec<Server>,
    network: Network,
    home: TempDir,
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code.
    pub code: Option<i32>,
    /// Its result; null if there is none.
    pub result: Value,
    /// What it printed about its failure.
    pub error: String,
}

impl Hosts {
    /// Starts a node on each host of a network.
    ///
    /// # Panics
    ///
    /// When one cannot be started.
    pub fn start(network: Network, count: u8) -> Self {
        let home = tempfile::Builder::new().prefix("chat-tests-").tempdir();
        let home = home.expect("a temporary folder can be made");
        let node = |host: u8| {
            (
                NodeId(host.into()),
                client_address(host),
                peer_address(host),
            )
        };
        let text = configuration(&home.path().join("data"), "", (1..=count).map(node));
        let config = home.path().join("cluster.toml");
        fs::write(&config, text).expect("the test's folder is its own");
        let mut hosts = Self {
            servers: Vec::new(),
            network,
            home,
        };
        let program = server::program("chat-server");
        for host in 1..=count {
            let (runner, mut arguments) = hosts.network.on_host(host, &program);
            arguments.push(format!("--id={host}"));
            arguments.push(format!("--config={}", config.display()));
            let log = hosts.log(host);
            let server = Server::start(runner.as_ref(), &arguments, "info", &log);
            hosts.servers.push(server);
        }
        hosts
    }

    /// The network between them.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Runs the command `chat` on a host; it calls the nodes on the hosts `called`, and reads `input`.
    ///
    /// # Panics
    ///
    /// When it cannot be run.
    pub fn chat(&self, host: u8, called: &[u8], arguments: &[&str], input: &str) -> Ended {
        let program = server::program("chat");
        let (runner, before) = self.network.on_host(host, &program);
        let nodes: Vec<String> = called
            .iter()
            .map(|host| client_address(*host).to_string())
            .collect();
        let mut command = Command::new(runner);
        command
            .args(before)
            .args(["-o", "json", "--nodes", &nodes.join(",")])
            .args(arguments)
            .env("CHAT_HOME", self.home.path().join(format!("people-{host}")))
            .env_remove("RUST_LOG")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("`ip` has made the network");
        let mut stdin = child.stdin.take().expect("it is piped");
        // A command that reads nothing may have ended.
        drop(stdin.write_all(input.as_bytes()));
        drop(stdin);
        let output = child.wait_with_output().expect("it is our child");
        Ended {
            code: output.status.code(),
            result: serde_json::from_slice(&output.stdout).unwrap_or_default(),
            error: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Waits until the nodes on the hosts `seen` follow one of them, by what a person at the first
    /// of these hosts sees. Returns the host of the leader.
    ///
    /// # Panics
    ///
    /// When that takes too long, or a node has ended.
    pub async fn leader_among(&mut self, seen: &[u8]) -> u8 {
        until("one of the hosts leads", async || {
            self.check_healthy();
            let ended = self.chat(seen[0], seen, &["cluster", "status"], "");
            let nodes = ended.result["nodes"].as_array().cloned();
            let leads = |node: &Value| node["role"] == "leader";
            let follows = |node: &Value| node["role"] == "follower";
            let nodes = nodes.unwrap_or_default();
            let leader = nodes.iter().position(leads);
            match leader {
                Some(place)
                    if nodes.iter().filter(|node| follows(node)).count() == seen.len() - 1 =>
                {
                    Ok(seen[place])
                }
                _ => Err(format!("{ended:?}")),
            }
        })
        .await
    }

    /// Every node still runs, and none has panicked.
    ///
    /// # Panics
    ///
    /// When that is not so.
    pub fn check_healthy(&mut self) {
        for (host, server) in (1..).zip(&mut self.servers) {
            assert_eq!(server.ended(), None, "node {host} has ended by itself");
        }
        for host in self.all() {
            let log = fs::read_to_string(self.log(host)).unwrap_or_default();
            assert!(!log.contains("panicked at"), "node {host} has panicked");
        }
    }

    /// All hosts.
    pub fn all(&self) -> Vec<u8> {
        (1..).zip(&self.servers).map(|(host, _)| host).collect()
    }

    fn log(&self, host: u8) -> PathBuf {
        self.home.path().join(format!("node-{host}.log"))
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for host in self.all() {
                let tail = server::log_tail(&self.log(host));
                eprintln!("--- the end of the log of node {host}:\n{tail}");
            }
        }
    }
}

fn client_address(host: u8) -> SocketAddr {
    SocketAddr::from((Network::address(host), CLIENT_PORT))
}

fn peer_address(host: u8) -> SocketAddr {
    SocketAddr::from((Network::address(host), PEER_PORT))
}
