//! A replicated map: three replicas in one process, with logs in memory and no network. The leader
//! is stopped, and the other two go on: `cargo run -p chat-replication --example map`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chat_replication::{
    Applied, BoxError, Builder, Bytes, Codec, InProcessNetwork, MemoryLog, Typed, TypedEntry,
    TypedHandle, TypedStateMachine,
};

/// Sets a key to a value; the answer is the value that was there before.
struct Set(String, String);

impl Codec for Set {
    fn encode(&self) -> Bytes {
        serde_json::json!([self.0, self.1]).to_string().into()
    }

    fn decode(bytes: &[u8]) -> Result<Self, BoxError> {
        let (key, value) = serde_json::from_slice(bytes)?;
        Ok(Self(key, value))
    }
}

/// In memory only: a restart begins with the newest snapshot that it needs, and applies the log.
#[derive(Clone, Default)]
struct Map(Arc<Mutex<BTreeMap<String, String>>>);

impl TypedStateMachine for Map {
    type Command = Set;
    type Answer = String;

    fn applied(&self) -> Applied {
        Applied::default()
    }

    /// Never fails because of a command: that would stop the replica, on every node.
    async fn apply(&mut self, batch: Vec<TypedEntry<Set>>) -> Result<Vec<String>, BoxError> {
        let mut map = self.0.lock().expect("no thread panics with it");
        let mut set = |Set(key, value)| map.insert(key, value);
        // Without a command it is one of the log's own entries.
        let answer = |entry: TypedEntry<Set>| entry.command.and_then(&mut set).unwrap_or_default();
        Ok(batch.into_iter().map(answer).collect())
    }

    fn encode_state(&self) -> Result<Option<Vec<u8>>, BoxError> {
        Ok(Some(serde_json::to_vec(&*self.0)?))
    }

    fn decode_state(&mut self, state: &[u8], _applied: Applied) -> Result<(), BoxError> {
        *self.0.lock().expect("no thread panics with it") = serde_json::from_slice(state)?;
        Ok(())
    }
}

struct Node(TypedHandle<Map>, Map);

impl Node {
    async fn set(&self, key: &str, value: &str) -> Result<String, BoxError> {
        let command = Set(key.to_owned(), value.to_owned());
        Ok(self.0.propose(&command, soon()).await?)
    }

    async fn get(&self, key: &str) -> Result<Option<String>, BoxError> {
        // What was acknowledged anywhere before this call is in this node's map after it.
        self.0.handle().ensure_linearizable(soon()).await?;
        let map = self.1.0.lock().expect("no thread panics with it");
        Ok(map.get(key).cloned())
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

#[tokio::main]
pub(crate) async fn main() -> Result<(), BoxError> {
    let network = InProcessNetwork::new();
    let addresses = [(1, "one"), (2, "two"), (3, "three")];
    let mut nodes = Vec::new();
    for (id, address) in addresses {
        let map = Map::default();
        let builder = Builder::with(id, MemoryLog::new(), network.clone()).nodes(addresses);
        let replica = builder.bootstrap(true).start(Typed(map.clone())).await?;
        network.serve(address, replica.receiver());
        nodes.push(Node(TypedHandle::new(replica), map));
    }
    nodes[0].set("colour", "green").await?;
    assert_eq!(nodes[2].get("colour").await?.as_deref(), Some("green"));

    let leads = |node: &Node| node.0.handle().leadership().leads;
    let leader = nodes.iter().position(leads).ok_or("no node leads")?;
    nodes.remove(leader).0.handle().shutdown().await;
    assert_eq!(nodes[0].set("colour", "blue").await?, "green");
    assert_eq!(nodes[1].get("colour").await?.as_deref(), Some("blue"));
    Ok(())
}
