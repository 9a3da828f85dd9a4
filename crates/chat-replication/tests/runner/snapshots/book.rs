//! A state machine with snapshots, and nodes of it in one process whose disks outlive them.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use bytes::Bytes;
use chat_replication::protocol::Request;
use chat_replication::{
    Applied, BoxError, Builder, ChainValue, CommittedEntry, Envelope, GroupName, Handle,
    InProcessLink, InProcessNetwork, Limits, MemoryLog, PeerLink, PeerReply, PeerRequest,
    SnapshotSource, StateMachine, Transport,
};
use tempfile::TempDir;

use crate::cluster::soon;

/// What one request for a piece gets at most, in bytes.
pub(crate) const PIECE: u64 = 1 << 20;

/// What a node has, and the chain value of the last entry.
pub(crate) type Contents = (Vec<String>, Option<ChainValue>);

/// Keeps every command, in memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Book {
    contents: Arc<Mutex<Contents>>,
    pub(crate) installed: Arc<AtomicU64>,
    pub(crate) attempts: Arc<AtomicU64>,
    /// Whether the disk is full for snapshots.
    pub(crate) full: Arc<AtomicBool>,
    /// How many snapshots may still be written.
    pub(crate) permits: Arc<Permits>,
    pub(crate) has_snapshots: bool,
}

/// Snapshots wait here until they may be written.
#[derive(Debug)]
pub(crate) struct Permits {
    left: Mutex<u64>,
    changed: Condvar,
}

impl Permits {
    pub(crate) fn set(&self, count: u64) {
        *self.left.lock().unwrap() = count;
        self.changed.notify_all();
    }

    fn wait(&self) {
        let left = self.left.lock().unwrap();
        let mut left = self.changed.wait_while(left, |left| *left == 0).unwrap();
        *left -= 1;
    }
}

impl Default for Permits {
    fn default() -> Self {
        Self {
            left: Mutex::new(u64::MAX),
            changed: Condvar::new(),
        }
    }
}

impl Book {
    pub(crate) fn contents(&self) -> Contents {
        self.contents.lock().unwrap().clone()
    }
}

impl StateMachine for Book {
    fn applied(&self) -> Applied {
        Applied::default()
    }

    async fn apply(&mut self, batch: &[CommittedEntry]) -> Result<Vec<Bytes>, BoxError> {
        let mut contents = self.contents.lock().unwrap();
        for entry in batch {
            let command = entry.command.as_deref().map(String::from_utf8_lossy);
            contents.0.extend(command.map(String::from));
            contents.1 = Some(entry.chain);
        }
        Ok(vec![Bytes::new(); batch.len()])
    }

    fn encode_state(&self) -> Result<Option<Vec<u8>>, BoxError> {
        let contents = self.contents.lock().unwrap();
        let state = contents.0.join("\n").into_bytes();
        Ok(self.has_snapshots.then_some(state))
    }

    fn decode_state(&mut self, state: &[u8], applied: Applied) -> Result<(), BoxError> {
        assert!(applied.index > 0);
        let state = std::str::from_utf8(state)?;
        self.contents.lock().unwrap().0 = state.lines().map(str::to_owned).collect();
        self.installed.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    async fn snapshot(&mut self) -> Result<Option<SnapshotSource>, BoxError> {
        self.attempts.fetch_add(1, Ordering::Relaxed);
        let Some(state) = self.encode_state()? else {
            return Ok(None);
        };
        let (permits, full) = (Arc::clone(&self.permits), Arc::clone(&self.full));
        Ok(Some(SnapshotSource::new(move |path, pace| {
            permits.wait();
            std::fs::write(path, &state)?;
            pace.advance(state.len())?;
            if full.load(Ordering::Relaxed) {
                return Err(std::io::Error::from(std::io::ErrorKind::StorageFull).into());
            }
            Ok(())
        })))
    }
}

/// An [`InProcessNetwork`] that loses requests for late pieces, and notes what was asked for.
#[derive(Clone, Debug)]
pub(crate) struct PieceNetwork {
    network: InProcessNetwork,
    pieces: Arc<Pieces>,
}

#[derive(Debug)]
pub(crate) struct PieceLink {
    link: InProcessLink,
    pieces: Arc<Pieces>,
}

#[derive(Debug)]
struct Pieces {
    lost_from: AtomicU64,
    offsets: Mutex<Vec<u64>>,
}

impl PieceNetwork {
    /// Requests for pieces at this offset and after it are lost.
    pub(crate) fn lose_pieces_from(&self, offset: u64) {
        self.pieces.lost_from.store(offset, Ordering::Relaxed);
    }

    /// The offsets that were asked for since the last call.
    pub(crate) fn take_offsets(&self) -> Vec<u64> {
        std::mem::take(&mut *self.pieces.offsets.lock().unwrap())
    }
}

impl Transport for PieceNetwork {
    type Link = PieceLink;

    fn connect(&self, address: &str, group: &GroupName) -> Result<PieceLink, BoxError> {
        Ok(PieceLink {
            link: self.network.connect(address, group)?,
            pieces: Arc::clone(&self.pieces),
        })
    }
}

impl PeerLink for PieceLink {
    async fn call(&self, request: Envelope<PeerRequest>) -> Result<Envelope<PeerReply>, BoxError> {
        if let PeerRequest::Consensus(Request::GetSnapshot(wanted)) = &request.message {
            self.pieces.offsets.lock().unwrap().push(wanted.offset);
            if wanted.offset >= self.pieces.lost_from.load(Ordering::Relaxed) {
                return Err("the piece is lost".into());
            }
        }
        self.link.call(request).await
    }

    async fn is_refused(&self) -> bool {
        self.link.is_refused().await
    }
}

/// Nodes with ids from 1, each with a log and a folder that outlive its replica.
pub(crate) struct Nodes {
    pub(crate) network: PieceNetwork,
    nodes: Vec<Node>,
    prepare: fn(&mut Book),
}

struct Node {
    log: MemoryLog,
    folder: TempDir,
    book: Book,
    replica: Option<Handle>,
}

impl Nodes {
    pub(crate) async fn start(count: usize) -> Self {
        Self::start_with(count, |_| {}).await
    }

    /// With what `prepare` makes of each new state machine.
    pub(crate) async fn start_with(count: usize, prepare: fn(&mut Book)) -> Self {
        let node = || Node {
            log: MemoryLog::new(),
            folder: TempDir::new().unwrap(),
            book: Book::default(),
            replica: None,
        };
        let pieces = Pieces {
            lost_from: AtomicU64::new(u64::MAX),
            offsets: Mutex::default(),
        };
        let mut nodes = Self {
            network: PieceNetwork {
                network: InProcessNetwork::new(),
                pieces: Arc::new(pieces),
            },
            nodes: (0..count).map(|_| node()).collect(),
            prepare,
        };
        for id in 1..=count {
            nodes.run(id).await;
        }
        nodes
    }

    /// Starts a node with what its disk has, and an empty state.
    pub(crate) async fn run(&mut self, id: usize) {
        let addresses = (1..=self.nodes.len() as u64).map(|id| (id, id.to_string()));
        let addresses: Vec<(u64, String)> = addresses.collect();
        let mut book = Book {
            has_snapshots: true,
            ..Book::default()
        };
        (self.prepare)(&mut book);
        let node = &mut self.nodes[id - 1];
        let mut limits = Limits::default();
        limits.snapshot_log_bytes = 1_000;
        (limits.kept_entries, limits.kept_bytes) = (10, 500);
        limits.snapshot_pinned = std::time::Duration::from_millis(100);
        let builder = Builder::with(id as u64, node.log.clone(), self.network.clone());
        let builder = builder.nodes(addresses).limits(limits).bootstrap(true);
        let builder = builder.directory(node.folder.path());
        let replica = builder.start(book.clone()).await.unwrap();
        let receiver = replica.receiver();
        self.network.network.serve(id.to_string(), receiver);
        (node.book, node.replica) = (book, Some(replica));
    }

    pub(crate) async fn stop(&mut self, id: usize) {
        let replica = self.nodes[id - 1].replica.take().expect("it runs");
        replica.shutdown().await;
    }

    /// The node's next run has an empty folder and this log.
    pub(crate) fn replace_disk(&mut self, id: usize, log: MemoryLog) {
        let node = &mut self.nodes[id - 1];
        node.log = log;
        node.folder = TempDir::new().unwrap();
    }

    pub(crate) fn handle(&self, id: usize) -> &Handle {
        self.nodes[id - 1].replica.as_ref().expect("it runs")
    }

    pub(crate) fn book(&self, id: usize) -> &Book {
        &self.nodes[id - 1].book
    }

    pub(crate) fn folder(&self, id: usize) -> &Path {
        self.nodes[id - 1].folder.path()
    }

    /// Proposes commands of 100 bytes at a node, all at once.
    pub(crate) async fn write(&self, id: usize, count: usize) {
        let mut proposals = tokio::task::JoinSet::new();
        for _ in 0..count {
            proposals.spawn(propose(self.handle(id).clone(), vec![b'x'; 100]));
        }
        proposals.join_all().await;
    }

    /// Proposes commands of a piece each that have so many bytes.
    pub(crate) async fn write_large(&self, id: usize, bytes: u64) {
        for _ in 0..bytes.div_ceil(PIECE) {
            let command = vec![b'y'; usize::try_from(PIECE).unwrap()];
            propose(self.handle(id).clone(), command).await;
        }
    }
}

/// Until it is acknowledged: on a busy machine a leader may change, and the outcome be unknown. What is
/// applied twice then is so on all nodes.
pub(crate) async fn propose(replica: Handle, command: Vec<u8>) {
    let deadline = soon();
    while let Err(error) = replica.propose(command.clone().into(), soon()).await {
        assert!(std::time::Instant::now() < deadline, "{error}");
    }
}
