//! R24: a log that is damaged in its middle, in real files.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use chat_replication::{Builder, Handle, InProcessNetwork, Limits, SegmentLog, Status};
use tempfile::TempDir;

use crate::cluster::soon;
use crate::snapshots::book::{Book, propose};

/// What a medium writes as one, in bytes.
const SECTOR: usize = 512;

/// Three nodes with logs in real files.
pub(crate) struct Nodes {
    segment_bytes: u64,
    network: InProcessNetwork,
    pub(crate) folders: Vec<TempDir>,
    running: Vec<Option<(Handle, Book)>>,
}

impl Nodes {
    pub(crate) async fn start(segment_bytes: u64) -> Self {
        let mut nodes = Self {
            segment_bytes,
            network: InProcessNetwork::new(),
            folders: (0..3).map(|_| TempDir::new().unwrap()).collect(),
            running: vec![None, None, None],
        };
        for node in 0..3 {
            nodes.run(node).await;
        }
        nodes
    }

    pub(crate) async fn run(&mut self, node: usize) {
        let id = node as u64 + 1;
        let log = SegmentLog::new(self.log(node)).segment_bytes(self.segment_bytes);
        let mut limits = Limits::default();
        limits.snapshot_log_bytes = 20_000;
        (limits.kept_entries, limits.kept_bytes) = (1_000, 60_000);
        let builder = Builder::with(id, log, self.network.clone());
        let builder = builder.nodes((1..=3).map(|id| (id, id.to_string())));
        let builder = builder.bootstrap(true);
        let builder = builder.limits(limits).directory(self.folders[node].path());
        let mut book = Book::default();
        book.has_snapshots = true;
        let replica = builder.start(book.clone()).await.unwrap();
        self.network.serve(id.to_string(), replica.receiver());
        self.running[node] = Some((replica, book));
    }

    pub(crate) async fn stop(&mut self, node: usize) {
        let (replica, _) = self.running[node].take().unwrap();
        replica.shutdown().await;
    }

    fn log(&self, node: usize) -> PathBuf {
        self.folders[node].path().join("log")
    }

    pub(crate) fn node(&self, node: usize) -> &(Handle, Book) {
        self.running[node].as_ref().unwrap()
    }

    pub(crate) async fn write(&self, node: usize, count: usize) {
        for _ in 0..count {
            propose(self.node(node).0.clone(), vec![b'x'; 100]).await;
        }
    }

    /// Waits until a node's status is as wanted.
    pub(crate) async fn wait_until(&self, node: usize, wanted: impl Fn(&Status) -> bool) -> Status {
        let deadline = soon();
        loop {
            let status = self.node(node).0.status().await.unwrap();
            if wanted(&status) {
                return status;
            }
            assert!(Instant::now() < deadline, "{status:?}");
            tokio::task::yield_now().await;
        }
    }

    /// Every node has applied everything.
    pub(crate) async fn check_level(&self) {
        self.write(0, 1).await;
        let mut contents = Vec::new();
        for node in 0..3 {
            let (replica, book) = self.node(node);
            replica.ensure_linearizable(soon()).await.unwrap();
            contents.push(book.contents().0);
        }
        assert!(contents.windows(2).all(|pair| pair[0] == pair[1]));
    }
}

fn segments(log: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(log).unwrap();
    let files = files.map(|file| file.unwrap().path());
    let mut segments: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|end| end == "segment"))
        .collect();
    segments.sort();
    segments
}

/// Overwrites a sector in the middle of what is used of the file.
fn damage(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    let begin = used / 2 / SECTOR * SECTOR;
    bytes[begin..begin + SECTOR].fill(0xa5);
    fs::write(path, bytes).unwrap();
}

/// The state of this machine is in memory, so all of it ends before the damage: it needs a snapshot.
#[tokio::test]
async fn node_whose_log_is_damaged_in_the_middle_stays_a_voter_and_gets_a_snapshot() {
    // All entries are in one file.
    let mut nodes = Nodes::start(1 << 20).await;
    nodes.write(0, 40).await;
    nodes.check_level().await;
    nodes.stop(2).await;
    damage(segments(&nodes.log(2)).last().unwrap());
    // Enough for a snapshot of the others behind the damage.
    nodes.write(0, 400).await;
    nodes.run(2).await;
    nodes.check_level().await;
    let status = nodes.node(2).0.status().await.unwrap();
    assert!(status.log_begins_index > 0, "{status:?}");
    assert!(!status.state_lost, "{status:?}");
    assert_ne!(status.role, "learner");
    // It counts: with one of the others it is a majority.
    nodes.stop(1).await;
    nodes.write(0, 5).await;
}

/// Damage in an older file is found when it is read: the node stops, and the next start goes on.
#[tokio::test]
async fn damage_that_a_read_finds_stops_a_node_once() {
    let mut nodes = Nodes::start(16 << 10).await;
    nodes.write(0, 300).await;
    nodes.check_level().await;
    nodes.stop(2).await;
    let files = segments(&nodes.log(2));
    assert!(files.len() > 1, "{files:?}");
    damage(&files[files.len() - 2]);
    // Its own snapshots are gone, too, so that it must read its log.
    let _missing = fs::remove_dir_all(nodes.folders[2].path().join("snapshots"));
    nodes.run(2).await;
    let deadline = soon();
    loop {
        let (replica, _) = nodes.node(2).clone();
        let level = replica.ensure_linearizable(soon());
        tokio::select! {
            _why = replica.stopped() => {
                nodes.stop(2).await;
                drop(replica);
                nodes.run(2).await;
            }
            level = level => {
                if level.is_ok() {
                    break;
                }
            }
        }
        assert!(Instant::now() < deadline);
    }
    nodes.check_level().await;
    let status = nodes.node(2).0.status().await.unwrap();
    assert_ne!(status.role, "learner", "{status:?}");
}
