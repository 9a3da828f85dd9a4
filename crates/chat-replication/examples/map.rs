//! A replicated map: three replicas in one process, with logs in memory and no network. The leader
//! is stopped, and the other two go on: `cargo run -p chat-replication --example map`.

use std::collections::BTreeMap;
use std::error::Error;
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
        Bytes::from(format!("{}={}", self.0, self.1))
    }

    fn decode(bytes: &[u8]) -> Result<Self, BoxError> {
        let text = std::str::from_utf8(bytes)?.split_once('=');
        let (key, value) = text.ok_or("a command is key=value")?;
        Ok(Self(key.to_owned(), value.to_owned()))
    }
}

/// Lives in memory only, so after a restart the whole log is applied again.
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
        let answers = batch
            .into_iter()
            .map(|entry| entry.command.and_then(&mut set));
        Ok(answers.map(Option::unwrap_or_default).collect())
    }
}

struct Node {
    replica: TypedHandle<Map>,
    map: Map,
}

impl Node {
    async fn set(&self, key: &str, value: &str) -> Result<String, Box<dyn Error>> {
        let command = Set(key.to_owned(), value.to_owned());
        Ok(self.replica.propose(&command, soon()).await?)
    }

    async fn get(&self, key: &str) -> Result<Option<String>, Box<dyn Error>> {
        // What was acknowledged anywhere before this call is in this node's map after it.
        self.replica.handle().ensure_linearizable(soon()).await?;
        let map = self.map.0.lock().expect("no thread panics with it");
        Ok(map.get(key).cloned())
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let network = InProcessNetwork::new();
    let addresses = [(1, "one"), (2, "two"), (3, "three")];
    let mut nodes = Vec::new();
    for (id, address) in addresses {
        let map = Map::default();
        let builder = Builder::with(id, MemoryLog::new(), network.clone()).nodes(addresses);
        let replica = builder.start(Typed(map.clone())).await?;
        network.serve(address, replica.receiver());
        let replica = TypedHandle::new(replica);
        nodes.push(Node { replica, map });
    }
    nodes[0].set("colour", "green").await?;
    assert_eq!(nodes[2].get("colour").await?.as_deref(), Some("green"));

    let leads = |node: &Node| node.replica.handle().leadership().leads;
    let leader = nodes.iter().position(leads).ok_or("no node leads")?;
    nodes.remove(leader).replica.handle().shutdown().await;
    assert_eq!(nodes[0].set("colour", "blue").await?, "green");
    assert_eq!(nodes[1].get("colour").await?.as_deref(), Some("blue"));
    println!("node {} is gone, and the colour is blue", leader + 1);
    Ok(())
}
