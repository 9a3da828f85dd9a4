//! What the tests start: replicas with a state machine that can be looked at.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use chat_replication::{
    Applied, BoxError, Builder, CommittedEntry, Grpc, Handle, SegmentLog, StateMachine, Timing,
};
use tempfile::TempDir;
use tokio::net::TcpListener;

/// Keeps every command; answers how many there were. Some commands break it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recorder {
    pub(crate) commands: Arc<Mutex<Vec<Bytes>>>,
    /// What it claims to have applied before the start.
    pub(crate) applied: Applied,
    /// While it is held, nothing is applied.
    pub(crate) gate: Arc<tokio::sync::Mutex<()>>,
    /// While it is held, nothing is published.
    pub(crate) view: Arc<tokio::sync::Mutex<()>>,
}

impl StateMachine for Recorder {
    fn applied(&self) -> Applied {
        self.applied
    }

    async fn apply(&mut self, batch: &[CommittedEntry]) -> Result<Vec<Bytes>, BoxError> {
        drop(self.gate.lock().await);
        let mut answers = Vec::new();
        for entry in batch {
            match entry.command.as_deref() {
                Some(b"fail") => return Err("the command fails".into()),
                Some(b"panic") => panic!("the command panics"),
                _ => {}
            }
            let mut commands = self.commands.lock().expect("no thread panics with it");
            commands.extend(entry.command.clone());
            answers.push(Bytes::from(commands.len().to_string()));
        }
        Ok(answers)
    }

    async fn publish(&mut self) -> Result<(), BoxError> {
        drop(self.view.lock().await);
        Ok(())
    }
}

/// Some replicas in one directory, with what each has applied.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<(Handle, Recorder)>,
    directory: TempDir,
}

impl Cluster {
    pub(crate) async fn start(count: u64) -> Self {
        Self::start_with(count, Timing::default()).await
    }

    pub(crate) async fn start_with(count: u64, timing: Timing) -> Self {
        let directory = TempDir::new().expect("a directory");
        let nodes = start_nodes(directory.path(), count, timing).await;
        Self { nodes, directory }
    }

    /// The node that leads, once one does.
    pub(crate) async fn leader(&self) -> &(Handle, Recorder) {
        loop {
            let leads = |node: &&(Handle, Recorder)| node.0.leadership().leads;
            if let Some(leader) = self.nodes.iter().find(leads) {
                return leader;
            }
            tokio::task::yield_now().await;
        }
    }

    pub(crate) async fn shut_down(self) -> TempDir {
        for (replica, _) in &self.nodes {
            replica.shutdown().await;
        }
        self.directory
    }
}

pub(crate) async fn start_nodes(
    directory: &Path,
    count: u64,
    timing: Timing,
) -> Vec<(Handle, Recorder)> {
    let mut listeners = Vec::new();
    let mut nodes = Vec::new();
    for id in 1..=count {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a free port");
        let address = listener.local_addr().expect("bound").to_string();
        nodes.push((id, address));
        listeners.push(listener);
    }
    let mut replicas = Vec::new();
    for (listener, id) in listeners.into_iter().zip(1..) {
        let recorder = Recorder::default();
        let replica = builder(directory, id, &nodes).timing(timing);
        let replica = replica.start(recorder.clone()).await;
        let replica = replica.expect("the replica starts");
        tokio::spawn(replica.serve(listener));
        replicas.push((replica, recorder));
    }
    replicas
}

/// With a directory of its own for each node.
pub(crate) fn builder(
    directory: &Path,
    node_id: u64,
    nodes: &[(u64, String)],
) -> Builder<SegmentLog, Grpc> {
    Builder::new(node_id, directory.join(node_id.to_string()))
        .nodes(nodes.iter().cloned())
        .bootstrap(true)
}

/// One node, which is not served.
pub(crate) fn alone() -> [(u64, String); 1] {
    [(1, "127.0.0.1:1".to_owned())]
}

/// Later than anything here takes, on a machine that does much else.
pub(crate) fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}
