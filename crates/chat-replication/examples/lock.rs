//! A lock service with leases, fencing tokens and a state of its own on disk: three replicas in one
//! process, with gRPC between them. `cargo run -p chat-replication --example lock`

use std::{collections::BTreeMap, fs, path::PathBuf, sync::Arc, time};

use chat_replication::{
    Applied, BoxError, Builder, Bytes, CommittedEntry, Handle, LeaderContext, Preparation, Prepare,
    StateMachine,
};
use tokio::net::TcpListener;

/// Adds the time to a request, an id and a lock, on the leader: a state machine may not read a clock.
struct Clock;

impl Prepare for Clock {
    fn prepare(self: Arc<Self>, request: Bytes, _leader: &LeaderContext) -> Preparation {
        let Ok(acquire) = serde_json::from_slice::<(String, String)>(&request) else {
            return Preparation::reply("0");
        };
        let now = time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        Preparation::append(serde_json::json!([acquire, now.as_secs()]).to_string())
    }
}

#[derive(Default, serde::Deserialize, serde::Serialize)]
#[serde(default)]
struct Locks {
    applied: (u64, u64),
    last_token: u64,
    leases: BTreeMap<String, (u64, String, u64)>,
}

impl Locks {
    /// Answers a token that only grows, or 0 while another id has the lock. The same id gets the same
    /// token as long as its lease lasts, 10 s, so a request can be sent again.
    fn acquire(&mut self, ((id, lock), now): ((String, String), u64)) -> u64 {
        let lease = self.leases.entry(lock).or_default();
        if lease.0 <= now {
            self.last_token += 1;
            *lease = (now + 10, id.clone(), self.last_token);
        }
        if lease.1 == id { lease.2 } else { 0 }
    }
}

struct LockMachine(Locks, PathBuf);

impl StateMachine for LockMachine {
    fn applied(&self) -> Applied {
        let (index, term) = self.0.applied;
        Applied { index, term }
    }

    /// The locks, and what was applied, are in one file, which is replaced as a whole.
    async fn apply(&mut self, batch: &[CommittedEntry]) -> Result<Vec<Bytes>, BoxError> {
        let mut tokens = Vec::new();
        for entry in batch {
            let command = entry.command.as_deref().map(serde_json::from_slice);
            let token = command.transpose()?.map(|command| self.0.acquire(command));
            tokens.push(token.unwrap_or(0).to_string().into());
            self.0.applied = (entry.index.0, entry.term.0);
        }
        let new = self.1.with_extension("new");
        fs::write(&new, serde_json::to_vec(&self.0)?)?;
        fs::File::open(&new)?.sync_all()?;
        fs::rename(&new, &self.1)?; // If a power failure undoes it, the log is applied again.
        Ok(tokens)
    }
}

async fn acquire(replica: &Handle, id: &str, lock: &str) -> Result<u64, BoxError> {
    let deadline = time::Instant::now() + time::Duration::from_secs(10);
    let request = serde_json::to_vec(&(id, lock))?.into();
    let token = replica.propose(request, deadline);
    Ok(serde_json::from_slice(&token.await?)?)
}

#[tokio::main]
pub(crate) async fn main() -> Result<(), BoxError> {
    let directory = tempfile::tempdir()?;
    let (mut listeners, mut nodes, mut replicas) = (Vec::new(), Vec::new(), Vec::new());
    for id in 1..=3 {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        nodes.push((id, listener.local_addr()?.to_string()));
        listeners.push(listener);
    }
    for (listener, id) in listeners.into_iter().zip(1..) {
        let file = directory.path().join(format!("{id}.json"));
        let found = fs::read(&file).unwrap_or_else(|_| b"{}".to_vec());
        let machine = LockMachine(serde_json::from_slice(&found)?, file.clone());
        let builder = Builder::new(id, file.with_extension("")).nodes(nodes.clone());
        let replica = builder.prepare(Clock).start(machine).await?;
        tokio::spawn(replica.serve(listener));
        replicas.push(replica);
    }
    assert_eq!(acquire(&replicas[0], "ann", "door").await?, 1);
    assert_eq!(acquire(&replicas[1], "bob", "door").await?, 0);
    assert_eq!(acquire(&replicas[2], "ann", "door").await?, 1);
    Ok(())
}
