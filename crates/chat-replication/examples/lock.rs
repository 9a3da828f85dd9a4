//! A lock service with leases, fencing tokens and a state on disk: three replicas with gRPC.

use chat_replication::*;
use std::{collections::BTreeMap, fs, path::PathBuf, sync::Arc, time};

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
struct Locks {
    applied: (u64, u64),
    last_token: u64,
    leases: BTreeMap<String, (u64, String, u64)>,
}

struct LockMachine(Locks, PathBuf);

impl LockMachine {
    /// A token that only grows, or 0 while another id has the lock; the same for an id for 10 s.
    fn acquire(&mut self, ((id, lock), now): ((String, String), u64)) -> u64 {
        let lease = self.0.leases.entry(lock).or_default();
        if lease.0 <= now {
            self.0.last_token += 1;
            *lease = (now + 10, id.clone(), self.0.last_token);
        }
        if lease.1 == id { lease.2 } else { 0 }
    }

    /// The locks, and what was applied, are in one file, which is replaced as a whole.
    fn save(&self) -> Result<(), BoxError> {
        let new = self.1.with_extension("new");
        fs::write(&new, serde_json::to_vec(&self.0)?)?;
        fs::File::open(&new)?.sync_all()?;
        Ok(fs::rename(&new, &self.1)?) // If a power failure undoes it, the log is applied again.
    }
}

impl StateMachine for LockMachine {
    fn applied(&self) -> Applied {
        let (index, term) = self.0.applied;
        Applied { index, term }
    }

    async fn apply(&mut self, batch: &[CommittedEntry]) -> Result<Vec<Bytes>, BoxError> {
        let mut tokens = Vec::new();
        for entry in batch {
            let command = entry.command.as_deref().map(serde_json::from_slice);
            let token = command.transpose()?.map(|command| self.acquire(command));
            tokens.push(token.unwrap_or(0).to_string().into());
            self.0.applied = (entry.index.0, entry.term.0);
        }
        self.save()?;
        Ok(tokens)
    }

    fn encode_state(&self) -> Result<Option<Vec<u8>>, BoxError> {
        Ok(Some(serde_json::to_vec(&self.0)?))
    }

    fn decode_state(&mut self, state: &[u8], _applied: Applied) -> Result<(), BoxError> {
        self.0 = serde_json::from_slice(state)?;
        self.save()
    }
}

#[tokio::main]
pub(crate) async fn main() -> Result<(), BoxError> {
    let directory = tempfile::tempdir()?;
    let (mut listeners, mut nodes, mut replicas) = (Vec::new(), Vec::new(), Vec::new());
    for id in 1..=3 {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        nodes.push((id, listener.local_addr()?.to_string()));
        listeners.push(listener);
    }
    for (listener, id) in listeners.into_iter().zip(1..) {
        let file = directory.path().join(format!("{id}.json"));
        let found = fs::read(&file).map(|found| serde_json::from_slice(&found));
        let machine = LockMachine(found.unwrap_or(Ok(Locks::default()))?, file.clone());
        let node = Builder::new(id, file.with_extension("")).nodes(nodes.clone());
        let replica = node.bootstrap(true).prepare(Clock).start(machine).await?;
        tokio::spawn(replica.serve(listener));
        replicas.push(replica);
    }
    let deadline = time::Instant::now() + time::Duration::from_secs(10);
    for (replica, id, token) in [(0, "ann", "1"), (1, "bob", "0"), (2, "ann", "1")] {
        let request = serde_json::to_vec(&(id, "door"))?.into();
        assert_eq!(replicas[replica].propose(request, deadline).await?, token);
    }
    Ok(())
}
