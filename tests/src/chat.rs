//! The simulator's second kind of world: every node applies to the chat's own tables, and clients
//! sign up, log in, send, read, delete, log out, change passwords, delete accounts and create them
//! again, with retries and late duplicates on any node.
//!
//! `ChatState` and `ChatReader` are the shipped ones, on SQLite. The edge and the leader's preparation
//! are imitated, as in `chat-server`, without its clock, random numbers and password hashes: a token
//! follows from the attempt, a password is used in place of its hash, the time is the node's virtual
//! clock. Sessions do not expire and nothing is cleaned up in the time that a run has.

mod ledger;
mod preparation;
mod reading;
mod requests;
mod situations;
mod tables;

use std::fmt;

use bytes::Bytes;
use chat_consensus::{Entry, LogIndex, Payload};
use chat_proto::storage::v1 as storage;
use chat_store::CommittedEntry;
use fastrand::Rng;
use prost::Message as _;
use tokio::runtime::Runtime;

use crate::checker::{Checked, Violation, ensure};
use crate::simulation::command::PREFIX_BYTES;
use crate::simulation::run::{SeedReport, run_world};
use crate::simulation::service_api::{AfterReply, Forwarded, Service, Step, Tables};
use crate::simulation::{Settings, World};

use ledger::{Ledger, position, refused};
use requests::Clients;
use tables::{Home, NodeTables, OpenTables};

/// All tables are compared at every so many entries: often, and not where the clean-up is due.
const DIGEST_EVERY: u64 = 37;
/// The longest pause between two requests of a client, in microseconds: a run commits some hundred.
const PAUSE_MAX: u64 = 100_000;

/// The chat on all nodes, its clients, and the ledger that checks them.
struct Chat {
    nodes: Vec<NodeTables>,
    clients: Clients,
    ledger: Ledger,
    runtime: Runtime,
    /// Removes all tables when it is dropped; declared last, so that it is dropped after them.
    _home: Home,
}

/// Runs `seed` with the chat to its end, or to the first property that does not hold.
///
/// # Panics
///
/// There is no folder for the tables, or no runtime to read them with.
pub fn run_chat_seed(seed: u64, record_trace: bool) -> SeedReport {
    let mut settings = Settings::of_seed(seed, record_trace);
    settings.pause_max = PAUSE_MAX;
    let chat = Chat::new(settings.nodes);
    let mut world = World::new(settings);
    world.serve(Box::new(chat));
    run_world(world)
}

impl Chat {
    fn new(nodes: usize) -> Self {
        let home = Home::new().expect("there is a folder for temporary files");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime without threads needs nothing");
        Self {
            nodes: (0..nodes).map(|node| home.node(node)).collect(),
            clients: Clients::default(),
            ledger: Ledger::default(),
            runtime,
            _home: home,
        }
    }
}

impl fmt::Debug for Chat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chat")
            .field("nodes", &self.nodes)
            .finish_non_exhaustive()
    }
}

impl Service for Chat {
    fn start(&mut self, node: usize) -> Result<LogIndex, Violation> {
        self.runtime.block_on(self.nodes[node].start())
    }

    fn stop(&mut self, node: usize, tables: Tables) {
        let _inside = self.runtime.enter();
        self.nodes[node].stop(tables);
    }

    fn apply(&mut self, node: usize, entries: &[Entry]) -> Result<Vec<Bytes>, Violation> {
        let open = self.nodes[node].open.as_mut().expect("it runs");
        let mut outcomes = Vec::with_capacity(entries.len());
        let mut rest = entries;
        while let Some(first) = rest.first() {
            let until_digest = DIGEST_EVERY - (first.position.index.0 - 1) % DIGEST_EVERY;
            let count = usize::try_from(until_digest)
                .expect("it is small")
                .min(rest.len());
            let (batch, after) = rest.split_at(count);
            rest = after;
            outcomes.extend(
                self.runtime
                    .block_on(apply(open, &mut self.ledger, batch))?,
            );
            let index = open.state.applied_index();
            if index.0.is_multiple_of(DIGEST_EVERY) {
                let digest = self.runtime.block_on(open.digest())?;
                self.ledger.digest(node, index, digest)?;
            }
        }
        Ok(outcomes)
    }

    fn publish(&mut self, node: usize) -> Checked {
        let open = self.nodes[node].open.as_mut().expect("it runs");
        let publishing = self.runtime.block_on(open.state.commit());
        publishing.map_err(|error| refused(&error))
    }

    fn begin(&mut self, client: Option<usize>, operation: u64, random: &mut Rng) {
        self.clients.begin(client, operation, random);
    }

    fn begin_without_reading(&mut self, operation: u64, random: &mut Rng) {
        self.clients.begin_sign_up(operation, random);
    }

    fn repeat(&mut self, random: &mut Rng) -> Option<u64> {
        self.clients.repeat(random)
    }

    fn enter(
        &mut self,
        node: usize,
        operation: u64,
        confirmed: Option<LogIndex>,
    ) -> Result<Step, Violation> {
        let open = self.nodes[node].open.as_mut().expect("it runs");
        let request = self.clients.request(operation);
        let entering = preparation::enter(open, &mut self.ledger, request, confirmed);
        self.runtime.block_on(entering)
    }

    fn prepare(
        &mut self,
        node: usize,
        forwarded: &Forwarded,
        confirmed: Option<LogIndex>,
    ) -> Result<Step, Violation> {
        let open = self.nodes[node].open.as_mut().expect("it runs");
        let preparing = preparation::prepare(open, forwarded, confirmed);
        self.runtime.block_on(preparing)
    }

    fn begin_read(&mut self, client: usize, random: &mut Rng) {
        self.clients.begin_read(client, random);
    }

    fn read(&mut self, node: usize, client: usize, index: LogIndex) -> Result<LogIndex, Violation> {
        let open = self.nodes[node].open.as_mut().expect("it runs");
        let token = self.clients.reads_as(client);
        let reading = async {
            let mut snapshot = reading::begin_read(open, index).await?;
            let seen = reading::last_at_or_below(&mut snapshot).await?;
            reading::names(&mut snapshot, &self.ledger, seen).await?;
            let shown = match &token {
                Some(token) => reading::inbox(&mut snapshot, &mut self.ledger, token, seen).await?,
                None => Vec::new(),
            };
            Ok((seen, shown))
        };
        let (seen, shown) = self.runtime.block_on(reading)?;
        self.clients.note_seen(
            client,
            shown.into_iter().map(|message| message.id).collect(),
        );
        Ok(seen)
    }

    fn answered(&mut self, index: LogIndex, outcome: &[u8]) -> Checked {
        self.ledger.answered(index, outcome)
    }

    fn receive_reply(
        &mut self,
        client: usize,
        operation: u64,
        attempt: u64,
        outcome: &[u8],
    ) -> AfterReply {
        let outcome = storage::Outcome::decode(outcome)
            .ok()
            .and_then(|outcome| outcome.result);
        self.clients
            .receive_reply(client, operation, attempt, outcome)
    }

    fn finish(&mut self) -> Checked {
        for (node, tables) in self.nodes.iter_mut().enumerate() {
            let open = tables
                .open
                .as_mut()
                .expect("every node runs at the end of a run");
            let ledger = &mut self.ledger;
            self.runtime.block_on(async {
                let digest = open.digest().await?;
                let seen = open.state.applied_index();
                ledger.digest(node, seen, digest)?;
                let live = open.live_messages().await?;
                ensure(live == ledger.live_messages(), "chat-resurrection", || {
                    format!("node {} holds {live:?} at the end of the run", node + 1)
                })?;
                let mut snapshot = reading::begin_read(open, seen).await?;
                reading::names(&mut snapshot, ledger, seen).await?;
                for token in ledger.tokens() {
                    let token = token.as_ref().try_into().expect("tokens have one length");
                    reading::inbox(&mut snapshot, ledger, token, seen).await?;
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    fn situations(&self) -> Vec<(&'static str, u64)> {
        self.ledger.situations()
    }

    fn describe(&self, operation: u64) -> String {
        format!("{:?}", self.clients.request(operation).body)
    }
}

/// Applies the next entries, and passes their outcomes to the ledger.
async fn apply(
    open: &mut OpenTables,
    ledger: &mut Ledger,
    entries: &[Entry],
) -> Result<Vec<Bytes>, Violation> {
    let given = |entry: &Entry| CommittedEntry {
        index: entry.position.index,
        term: entry.position.term,
        command: match &entry.payload {
            Payload::Empty | Payload::Membership(_) => None,
            Payload::Command(bytes) => Some(bytes.slice(PREFIX_BYTES..)),
        },
    };
    let given: Vec<CommittedEntry> = entries.iter().map(given).collect();
    let applied = open
        .state
        .apply(&given)
        .await
        .map_err(|error| refused(&error))?;
    let mut events = applied.events.into_iter().peekable();
    for (entry, outcome) in given.iter().zip(&applied.outcomes) {
        let position = position(entry.index, entry.term);
        let event = events.next_if(|event| event.commit == position);
        let command = entry.command.clone();
        let command = command.map(storage::Command::decode).transpose();
        let command = command.map_err(|error| refused(&error))?;
        ledger.applied(position, command.as_ref(), (outcome.clone(), event))?;
    }
    ensure(events.next().is_none(), "chat-replay", || {
        "an event belongs to no entry of its batch".to_owned()
    })?;
    Ok(applied.outcomes)
}
