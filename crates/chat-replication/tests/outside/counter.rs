//! A replicated counter on three nodes in one process, as a crate outside the workspace: in memory, or
//! with the feature `disk` in the folder that the first argument names.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use chat_replication::{
    Applied, BoxError, Builder, Codec, InProcessNetwork, LogStore, Typed, TypedEntry, TypedHandle,
    TypedStateMachine,
};

/// Adds to the counter; the answer is the sum.
#[derive(Clone, Default)]
struct Counter(Arc<AtomicU64>);

impl TypedStateMachine for Counter {
    type Command = u64;
    type Answer = u64;

    fn applied(&self) -> Applied {
        Applied::default()
    }

    async fn apply(&mut self, batch: Vec<TypedEntry<u64>>) -> Result<Vec<u64>, BoxError> {
        let add = |entry: TypedEntry<u64>| {
            let number = entry.command.unwrap_or(0);
            self.0.fetch_add(number, Ordering::Relaxed) + number
        };
        Ok(batch.into_iter().map(add).collect())
    }

    fn encode_state(&self) -> Result<Option<Vec<u8>>, BoxError> {
        Ok(Some(self.0.load(Ordering::Relaxed).encode().to_vec()))
    }

    fn decode_state(&mut self, state: &[u8], _applied: Applied) -> Result<(), BoxError> {
        self.0.store(u64::decode(state)?, Ordering::Relaxed);
        Ok(())
    }
}

#[cfg(not(feature = "disk"))]
fn log(_id: u64) -> impl LogStore {
    chat_replication::MemoryLog::new()
}

#[cfg(feature = "disk")]
fn log(id: u64) -> impl LogStore {
    let folder = std::env::args()
        .nth(1)
        .expect("the first argument is a folder");
    chat_replication::SegmentLog::new(std::path::Path::new(&folder).join(id.to_string()))
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let network = InProcessNetwork::new();
    let addresses = [(1, "one"), (2, "two"), (3, "three")];
    let mut nodes = Vec::new();
    for (id, address) in addresses {
        let counter = Counter::default();
        let builder = Builder::with(id, log(id), network.clone()).nodes(addresses);
        let replica = builder.bootstrap(true).start(Typed(counter.clone())).await?;
        network.serve(address, replica.receiver());
        nodes.push((TypedHandle::<Counter>::new(replica), counter));
    }
    for (number, (replica, _)) in (1..).zip(&nodes) {
        let sum = replica.propose(&number, soon()).await?;
        println!("plus {number} is {sum}");
    }
    for (replica, counter) in &nodes {
        replica.handle().ensure_linearizable(soon()).await?;
        println!("a node reads {}", counter.0.load(Ordering::Relaxed));
    }
    for (replica, _) in &nodes {
        replica.handle().shutdown().await;
    }
    Ok(())
}
