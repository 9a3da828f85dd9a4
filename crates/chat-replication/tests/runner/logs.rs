//! Logs of an embedder's own, and the one in memory.

use std::sync::mpsc;
use std::thread::{self, ThreadId};

use bytes::Bytes;
use chat_replication::{
    Builder, ChainValue, Entry, Handle, InProcessNetwork, LogBase, LogIndex, LogReader, LogStore,
    MemoryLog, MemoryLogError, MemoryLogReader, NodeId, ReadLimits, StartError, Stored, Writes,
};

use crate::cluster::{Recorder, soon};

/// Blocks the thread for each call, as a log in files does.
#[derive(Clone)]
struct BlockingLog {
    log: MemoryLog,
    runtime: ThreadId,
}

struct BlockingReader {
    reader: MemoryLogReader,
    runtime: ThreadId,
}

/// Not on a thread that other tasks share.
fn block(runtime: ThreadId) {
    let own = thread::current().id();
    assert_ne!(own, runtime);
    let (sender, receiver) = mpsc::channel();
    let other = thread::spawn(move || sender.send(()));
    receiver.recv().unwrap();
    other.join().unwrap().unwrap();
}

impl LogStore for BlockingLog {
    type Reader = BlockingReader;
    type Error = MemoryLogError;

    const BLOCKS: bool = true;

    async fn load(&mut self, node: NodeId) -> Result<Stored, MemoryLogError> {
        block(self.runtime);
        self.log.load(node).await
    }

    fn reader(&self) -> BlockingReader {
        BlockingReader {
            reader: self.log.reader(),
            runtime: self.runtime,
        }
    }

    async fn append_and_sync(&mut self, writes: &Writes) -> Result<(), MemoryLogError> {
        block(self.runtime);
        self.log.append_and_sync(writes).await
    }

    async fn compact(&mut self, through: LogIndex) -> Result<LogBase, MemoryLogError> {
        block(self.runtime);
        self.log.compact(through).await
    }

    async fn chain_at(&mut self, index: LogIndex) -> Result<Option<ChainValue>, MemoryLogError> {
        block(self.runtime);
        self.log.chain_at(index).await
    }

    async fn record_fault(&mut self, fault: &str) -> Result<(), MemoryLogError> {
        self.log.record_fault(fault).await
    }

    async fn close(self) -> Result<(), MemoryLogError> {
        block(self.runtime);
        self.log.close().await
    }
}

impl LogReader for BlockingReader {
    type Error = MemoryLogError;

    async fn read(
        &mut self,
        after: LogIndex,
        last: LogIndex,
        limits: ReadLimits,
    ) -> Result<Vec<Entry>, MemoryLogError> {
        block(self.runtime);
        self.reader.read(after, last, limits).await
    }
}

async fn start_alone(log: impl LogStore, recorder: &Recorder) -> Result<Handle, StartError> {
    let builder = Builder::with(1, log, InProcessNetwork::new()).nodes([(1, "alone")]);
    let builder = builder.bootstrap(true);
    builder.start(recorder.clone()).await
}

async fn check_restart<L: LogStore + Clone>(log: L) {
    let first = Recorder::default();
    let replica = start_alone(log.clone(), &first).await.unwrap();
    for number in 0..10 {
        let command = Bytes::from(format!("{number}"));
        replica.propose(command, soon()).await.unwrap();
    }
    let second = start_alone(log.clone(), &first).await;
    assert!(matches!(second, Err(StartError::Log(_))), "in use");
    replica.shutdown().await;
    let again = Recorder::default();
    let replica = start_alone(log, &again).await.unwrap();
    replica.ensure_linearizable(soon()).await.unwrap();
    let (first, again) = (first.commands, again.commands);
    assert_eq!(*first.lock().unwrap(), *again.lock().unwrap());
    assert_eq!(again.lock().unwrap().len(), 10);
    replica.shutdown().await;
}

/// R1: what a log holds is applied again by the next start with it.
#[tokio::test]
async fn restart_applies_the_log_in_memory_again() {
    check_restart(MemoryLog::new()).await;
}

/// A log that blocks has threads of its own, so the runtime's one thread goes on.
#[tokio::test]
async fn log_that_blocks_is_used_on_threads_of_its_own() {
    let runtime = thread::current().id();
    let log = MemoryLog::new();
    check_restart(BlockingLog { log, runtime }).await;
}

/// A runtime that ends with a replica in it does not wait for the log's threads for ever.
#[test]
fn runtime_ends_although_a_log_that_blocks_is_open() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let log = BlockingLog {
        log: MemoryLog::new(),
        runtime: thread::current().id(),
    };
    let replica = runtime.block_on(async {
        let replica = start_alone(log, &Recorder::default()).await.unwrap();
        replica.propose(Bytes::from("one"), soon()).await.unwrap();
        replica
    });
    drop(runtime);
    assert!(replica.receiver().is_stopped());
}
