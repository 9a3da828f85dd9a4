//! A replicated map from strings to strings: three replicas in one process, and what an embedder
//! writes for them.
//!
//! `cargo run --example map` sets a key on one node, reads it on another, stops the leader, and
//! goes on with the two that are left.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use chat_replication::{
    Applied, BoxError, Committed, Handle, LeaderContext, Limits, NodeAddress, Options, Preparation,
    Prepare, Prepared, ReplyMaker, StateMachine, Timing, start,
};
use tokio::net::TcpListener;

type Map = Arc<RwLock<BTreeMap<String, String>>>;

/// Lives in memory only, so after a restart the whole log is applied again.
struct MapMachine(Map);

impl StateMachine for MapMachine {
    fn applied(&self) -> Applied {
        Applied::default()
    }

    /// A command is `key=value`; the answer is the value that was there before. An error would stop
    /// the replica, so what is no command, which [`Check`] refuses, changes nothing.
    async fn apply(&mut self, batch: &[Committed]) -> Result<Vec<Bytes>, BoxError> {
        let mut map = self.0.write().expect("no thread panics with the lock");
        let apply_one = |entry: &Committed| {
            // Without a command it is one of the log's own entries.
            let Some((key, value)) = entry.command.as_deref().and_then(assignment) else {
                return Bytes::new();
            };
            let before = map.insert(key.to_owned(), value.to_owned());
            Bytes::from(before.unwrap_or_default())
        };
        Ok(batch.iter().map(apply_one).collect())
    }
}

fn assignment(command: &[u8]) -> Option<(&str, &str)> {
    std::str::from_utf8(command).ok()?.split_once('=')
}

/// Refuses on the leader what is no command, before it is appended.
struct Check;

impl Prepare for Check {
    fn prepare(self: Arc<Self>, request: Bytes, _leader: &LeaderContext) -> Preparation {
        Preparation::Ready(match assignment(&request) {
            Some(_) => Prepared::Append {
                command: request,
                make_reply: ReplyMaker::answer(),
            },
            None => Prepared::Reply(Bytes::from("a command is key=value")),
        })
    }
}

/// One node: a replica, its map, and a server that its peers reach.
struct Node {
    replica: Handle,
    map: Map,
}

impl Node {
    async fn set(&self, key: &str, value: &str) -> Result<Bytes, Box<dyn Error>> {
        let command = Bytes::from(format!("{key}={value}"));
        Ok(self.replica.propose(command, deadline()).await?)
    }

    async fn get(&self, key: &str) -> Result<Option<String>, Box<dyn Error>> {
        // What was acknowledged anywhere before this call is in this node's map after it.
        self.replica.ensure_linearizable(deadline()).await?;
        let map = self.map.read().expect("no thread panics with the lock");
        Ok(map.get(key).cloned())
    }
}

fn deadline() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

async fn start_cluster(directory: &std::path::Path) -> Result<Vec<Node>, Box<dyn Error>> {
    let mut listeners = Vec::new();
    let mut addresses = Vec::new();
    for id in 1..=3 {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        addresses.push(NodeAddress { id, address });
        listeners.push(listener);
    }
    let mut nodes = Vec::new();
    for (listener, node_id) in listeners.into_iter().zip(1..) {
        let options = Options {
            node_id,
            nodes: addresses.clone(),
            directory: directory.join(node_id.to_string()),
            timing: Timing::default(),
            limits: Limits::default(),
        };
        let map = Map::default();
        let replica = start(options, MapMachine(Arc::clone(&map)), Check).await?;
        let serving = replica.clone();
        tokio::spawn(async move { serving.serve(listener).await });
        nodes.push(Node { replica, map });
    }
    Ok(nodes)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let mut nodes = start_cluster(directory.path()).await?;
    nodes[0].set("colour", "green").await?;
    println!("node 3 reads {:?}", nodes[2].get("colour").await?);

    let refused = nodes[1].replica.propose(Bytes::from("colour"), deadline());
    println!("a command without `=`: {:?}", refused.await?);

    let leads = |node: &Node| node.replica.leadership().leads;
    let leader = nodes.iter().position(leads).ok_or("no node leads")?;
    nodes.remove(leader).replica.shutdown().await;
    println!("node {} led and is gone", leader + 1);

    let before = nodes[0].set("colour", "blue").await?;
    println!(
        "{} became {:?}",
        std::str::from_utf8(&before)?,
        nodes[1].get("colour").await?
    );
    for node in nodes {
        node.replica.shutdown().await;
    }
    Ok(())
}
