//! The runner as an embedder uses it: three replicas in one process, over real sockets and disks.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use chat_replication::{
    Applied, BoxError, Committed, Handle, Limits, NodeAddress, Options, ProposeError, ReadError,
    StartError, StateMachine, Stopped, Timing, Verbatim, start,
};
use tempfile::TempDir;
use tokio::net::{TcpListener, UnixListener};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

/// Keeps every command; answers how many there were. Some commands break it.
#[derive(Clone, Debug, Default)]
struct Recorder {
    commands: Arc<Mutex<Vec<Bytes>>>,
    /// What it claims to have applied before the start.
    applied: Applied,
}

impl StateMachine for Recorder {
    fn applied(&self) -> Applied {
        self.applied
    }

    async fn apply(&mut self, batch: &[Committed]) -> Result<Vec<Bytes>, BoxError> {
        let mut answers = Vec::new();
        for entry in batch {
            match entry.command.as_deref() {
                Some(b"fail") => return Err("told to fail".into()),
                Some(b"panic") => panic!("told to panic"),
                _ => {}
            }
            let mut commands = self.commands.lock().expect("nobody panics with it");
            commands.extend(entry.command.clone());
            answers.push(Bytes::from(commands.len().to_string()));
        }
        Ok(answers)
    }
}

struct Cluster {
    nodes: Vec<(Handle, Recorder)>,
    directory: TempDir,
}

impl Cluster {
    async fn start(count: u64) -> Self {
        let directory = TempDir::new().expect("a directory");
        let nodes = start_nodes(directory.path(), count).await;
        Self { nodes, directory }
    }

    async fn shut_down(self) -> TempDir {
        for (replica, _) in &self.nodes {
            replica.shutdown().await;
        }
        self.directory
    }
}

async fn start_nodes(directory: &Path, count: u64) -> Vec<(Handle, Recorder)> {
    let mut listeners = Vec::new();
    let mut nodes = Vec::new();
    for id in 1..=count {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a free port");
        let address = listener.local_addr().expect("bound").to_string();
        nodes.push(NodeAddress { id, address });
        listeners.push(listener);
    }
    let mut replicas = Vec::new();
    for (listener, id) in listeners.into_iter().zip(1..) {
        let recorder = Recorder::default();
        let options = options(directory, id, &nodes);
        let replica = start(options, recorder.clone(), Verbatim).await;
        let replica = replica.expect("the replica starts");
        let server = Server::builder().add_service(replica.service());
        tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        replicas.push((replica, recorder));
    }
    replicas
}

fn options(directory: &Path, node_id: u64, nodes: &[NodeAddress]) -> Options {
    Options {
        node_id,
        nodes: nodes.to_vec(),
        directory: directory.join(node_id.to_string()),
        timing: Timing::default(),
        limits: Limits::default(),
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

/// R13, R14: what any node acknowledged is seen by a read that begins on any node afterwards.
#[tokio::test]
async fn proposals_and_reads_work_on_every_node() {
    let cluster = Cluster::start(3).await;
    for (number, (replica, _)) in cluster.nodes.iter().enumerate() {
        let answer = replica
            .propose(Bytes::from(format!("{number}")), soon())
            .await;
        assert_eq!(answer.unwrap(), Bytes::from((number + 1).to_string()));
        for (reader, recorder) in &cluster.nodes {
            reader.read(soon()).await.unwrap();
            assert_eq!(recorder.commands.lock().unwrap().len(), number + 1);
        }
    }
    cluster.shut_down().await;
}

/// Beside a host and a port an address may be a socket in a folder that nobody else can enter.
#[tokio::test]
async fn replicas_reach_each_other_over_sockets() {
    let directory = TempDir::new().expect("a directory");
    let socket = |id: u64| directory.path().join(format!("{id}.sock"));
    let address = |id| NodeAddress {
        id,
        address: format!("unix:{}", socket(id).display()),
    };
    let nodes: Vec<NodeAddress> = (1..=3).map(address).collect();
    let mut replicas = Vec::new();
    for id in 1..=3 {
        let listener = UnixListener::bind(socket(id)).expect("a short path");
        let options = options(directory.path(), id, &nodes);
        let replica = start(options, Recorder::default(), Verbatim).await.unwrap();
        let server = Server::builder().add_service(replica.service());
        tokio::spawn(server.serve_with_incoming(UnixListenerStream::new(listener)));
        replicas.push(replica);
    }
    for (number, replica) in replicas.iter().enumerate() {
        let answer = replica.propose(Bytes::from("over a socket"), soon()).await;
        assert_eq!(answer.unwrap(), Bytes::from((number + 1).to_string()));
    }
    for replica in &replicas {
        replica.shutdown().await;
    }
}

/// R17: a leader that is shut down hands over first, and the others go on at once.
#[tokio::test]
async fn two_of_three_go_on_without_the_leader() {
    let mut cluster = Cluster::start(3).await;
    cluster.nodes[0]
        .0
        .propose(Bytes::from("first"), soon())
        .await
        .unwrap();
    let leads = |node: &(Handle, Recorder)| node.0.leadership().leads;
    let leader = cluster.nodes.iter().position(leads).unwrap();
    let (old, _) = cluster.nodes.remove(leader);
    old.shutdown().await;
    assert!(matches!(old.stopped().await, Stopped::ShutDown));
    assert_eq!(
        old.propose(Bytes::from("late"), soon()).await,
        Err(ProposeError::Stopped)
    );
    assert_eq!(old.read(soon()).await, Err(ReadError::Stopped));
    let (replica, recorder) = &cluster.nodes[0];
    replica
        .propose(Bytes::from("second"), soon())
        .await
        .unwrap();
    replica.read(soon()).await.unwrap();
    assert_eq!(*recorder.commands.lock().unwrap(), ["first", "second"]);
    cluster.shut_down().await;
}

/// R13: without a majority nothing is promised, and the deadline is kept.
#[tokio::test]
async fn one_of_three_promises_nothing() {
    let mut cluster = Cluster::start(3).await;
    cluster.nodes[0]
        .0
        .propose(Bytes::from("first"), soon())
        .await
        .unwrap();
    for (replica, _) in cluster.nodes.drain(1..) {
        replica.shutdown().await;
    }
    let (replica, _) = &cluster.nodes[0];
    let until = Instant::now() + Duration::from_millis(500);
    assert!(replica.propose(Bytes::from("lost?"), until).await.is_err());
    assert_eq!(replica.read(until).await, Err(ReadError::NoLeader));
    cluster.shut_down().await;
}

/// R1: a log that was closed is opened again with everything in it.
#[tokio::test]
async fn a_new_start_applies_the_log_again() {
    let cluster = Cluster::start(1).await;
    for number in 0..100 {
        let command = Bytes::from(format!("{number}"));
        cluster.nodes[0].0.propose(command, soon()).await.unwrap();
    }
    let directory = cluster.shut_down().await;
    let nodes = start_nodes(directory.path(), 1).await;
    nodes[0].0.read(soon()).await.unwrap();
    assert_eq!(nodes[0].1.commands.lock().unwrap().len(), 100);
    nodes[0].0.shutdown().await;
}

#[tokio::test]
async fn a_state_machine_that_fails_stops_its_replica() {
    for command in ["fail", "panic"] {
        let cluster = Cluster::start(1).await;
        let (replica, _) = &cluster.nodes[0];
        let outcome = replica.propose(Bytes::from(command), soon()).await;
        assert_eq!(outcome, Err(ProposeError::Unknown), "{command}");
        let stopped = replica.stopped().await;
        assert!(
            matches!(stopped, Stopped::StateMachine(_)),
            "{command}: {stopped}"
        );
    }
}

#[tokio::test]
async fn a_state_that_the_log_does_not_hold_is_refused() {
    let cluster = Cluster::start(1).await;
    cluster.nodes[0]
        .0
        .propose(Bytes::from("one"), soon())
        .await
        .unwrap();
    let directory = cluster.shut_down().await;
    let nodes = [NodeAddress {
        id: 1,
        address: "127.0.0.1:1".to_owned(),
    }];
    // Entry 3 is "one", after the birth in term 1 and the empty entry of term 2.
    for (index, term, fits) in [(3, 2, true), (4, 2, false), (3, 1, false), (0, 1, false)] {
        let recorder = Recorder {
            applied: Applied { index, term },
            ..Recorder::default()
        };
        let options = options(directory.path(), 1, &nodes);
        match start(options, recorder, Verbatim).await {
            Ok(replica) => {
                assert!(fits, "({index}, {term})");
                replica.shutdown().await;
            }
            Err(error) => {
                assert!(!fits, "({index}, {term}): {error}");
                let lost = matches!(error, StartError::LogLostEntries { .. });
                assert!(lost, "{error}");
            }
        }
    }
    // An empty log beside a state: the disk is new.
    let empty = tempfile::tempdir().unwrap();
    let recorder = Recorder {
        applied: Applied { index: 3, term: 2 },
        ..Recorder::default()
    };
    let error = start(options(empty.path(), 1, &nodes), recorder, Verbatim).await;
    let error = error.expect_err("the state is another log's");
    assert!(
        matches!(error, StartError::StateOfAnotherLog { .. }),
        "{error}"
    );
}
