//! The simulator's second kind of world: every node applies to the chat's own tables, and clients
//! sign up, log in, send, read, delete, log out, change passwords, delete accounts and create them
//! again, with retries and late duplicates on any node.
//!
//! Everything between a request's values and its reply is the shipped code: `chat-app` with its edge and
//! its preparation, and `ChatState` and `ChatReader` on SQLite. Of the host it gets the node's virtual
//! clock, seeded random numbers, and passwords in place of their hashes (`host`). Sessions do not expire
//! and nothing is cleaned up in the time that a run has.

mod draft;
mod host;
mod ledger;
mod reading;
mod requests;
mod situations;
mod tables;
mod tasks;

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use chat_app::error::RequestError;
use chat_app::limits::quotas::QuotaLimits;
use chat_app::reply::Reply;
use chat_consensus::{ChainValue, Entry, LogIndex, Payload, Time};
use chat_proto::storage::v1 as storage;
use chat_store::CommittedEntry;
use fastrand::Rng;
use prost::Message as _;
use tokio::runtime::Runtime;

use crate::checker::{Checked, Violation, ensure};
use crate::simulation::command::PREFIX_BYTES;
use crate::simulation::run::{SeedReport, run_world};
use crate::simulation::service_api::{AfterReply, Resumed, Service, Step, Tables, TaskId, Work};
use crate::simulation::{Settings, World};

use host::Ask;
use ledger::{Ledger, position, refused};
use requests::{Clients, InSession, RequestBody};
use tables::{Home, NodeTables, OpenTables};
use tasks::{ChatLimits, Ended, NodeLogic, Progress};

/// All tables are compared at every so many entries: often, and not where the clean-up is due.
const DIGEST_EVERY: u64 = 37;
/// The longest pause between two requests of a client, in microseconds: a run commits some hundred.
const PAUSE_MAX: u64 = 100_000;

/// The chat on all nodes, its clients, and the ledger that checks them.
struct Chat {
    nodes: Vec<NodeTables>,
    clients: Clients,
    ledger: Ledger,
    /// By attempt: replies that are under way to their clients.
    replies: BTreeMap<u64, Result<Reply, RequestError>>,
    /// The requests that nodes carry out now.
    requests: BTreeMap<TaskId, UnderWay>,
    runtime: Runtime,
    /// Removes all tables when it is dropped; declared last, so that it is dropped after them.
    _home: Home,
}

/// A request that a node carries out.
#[derive(Clone, Copy, Debug)]
struct UnderWay {
    operation: u64,
    attempt: u64,
    /// How many entries were applied when it began.
    applied: u64,
}

/// Runs `seed` with the chat to its end, or to the first property that does not hold.
///
/// # Panics
///
/// There is no folder for the tables, or no runtime to read them with.
pub fn run_chat_seed(seed: u64, record_trace: bool) -> SeedReport {
    let mut settings = Settings::of_seed(seed, record_trace);
    settings.pause_max = PAUSE_MAX;
    let chat = Chat::new(settings.nodes, seed);
    let mut world = World::new(settings);
    world.serve(Box::new(chat));
    run_world(world)
}

impl Chat {
    fn new(nodes: usize, seed: u64) -> Self {
        let home = Home::new().expect("there is a folder for temporary files");
        let limits = limits_of(seed);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime without threads needs nothing");
        Self {
            nodes: (0..nodes)
                .map(|node| home.node(node, seed, limits))
                .collect(),
            clients: Clients::default(),
            ledger: Ledger::default(),
            replies: BTreeMap::new(),
            requests: BTreeMap::new(),
            runtime,
            _home: home,
        }
    }
}

impl Chat {
    /// The logic of a node that runs.
    fn logic(&mut self, node: usize) -> &mut NodeLogic {
        &mut self.nodes[node].open.as_mut().expect("it runs").logic
    }

    /// Runs a task until it waits for the replica, or ends.
    fn run_task(&mut self, task: TaskId) -> Result<Step, Violation> {
        let open = self.nodes[task.node].open.as_mut().expect("it runs");
        let running = open.logic.run(task.number);
        let progress = self.runtime.block_on(running)?;
        let host = &open.logic.host;
        Ok(match progress {
            Progress::Asks(Ask::Confirm { deadline }) => Step::Confirm {
                deadline: host.time(deadline),
            },
            Progress::Asks(Ask::Propose { request, deadline }) => Step::Propose {
                request,
                deadline: host.time(deadline),
            },
            Progress::Ended(Ended::Prepared(prepared)) => Step::Prepared(prepared),
            Progress::Ended(Ended::Replied(reply)) => {
                self.replied(task, reply)?;
                Step::Replied
            }
        })
    }

    /// A request has a reply, which is now under way.
    fn replied(&mut self, task: TaskId, reply: Result<Reply, RequestError>) -> Checked {
        let request = self.requests.remove(&task);
        let under_way = request.expect("every request is noted");
        let request = self.clients.request(under_way.operation);
        match (&reply, &request.body) {
            (Ok(Reply::Sent(sent)), RequestBody::InSession(_, InSession::Send(draft))) => {
                self.ledger.sent(&draft.as_sent(), sent)?;
            }
            (Ok(Reply::Done), RequestBody::InSession(token, what)) => {
                if let Some(done) = what.done() {
                    self.ledger.done(&token.hash.0, &done, under_way.applied)?;
                }
            }
            (Err(RequestError::Unauthenticated), RequestBody::InSession(token, _)) => {
                self.ledger
                    .unauthenticated(&token.hash.0, request.id.0.as_bytes())?;
            }
            (Err(RequestError::InvalidCredentials), RequestBody::LogIn(login)) => {
                let (name, password) = (&login.name, &login.password);
                self.ledger
                    .invalid_credentials(name, password, under_way.applied)?;
            }
            (
                Err(
                    RequestError::InboxFull
                    | RequestError::CopiesFull
                    | RequestError::TooManyRequests { .. },
                ),
                _,
            ) => self.ledger.beyond_limit(),
            _ => {}
        }
        self.replies.insert(under_way.attempt, reply);
        Ok(())
    }
}

/// In some runs limits that requests reach.
fn limits_of(seed: u64) -> ChatLimits {
    let mut random = Rng::with_seed(seed ^ 0x0011_1175);
    let narrow = random.u32(0..3) == 0;
    ChatLimits {
        quotas: QuotaLimits {
            account_requests_per_second: if narrow { 10 } else { 5_000 },
            account_requests_burst: if narrow { 4 } else { 10_000 },
            free_bytes_min: 0,
        },
        inbox_messages_max: if random.u32(0..3) == 0 { 5 } else { 1 << 40 },
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
        self.requests.retain(|task, _| task.node != node);
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

    fn repeat(&mut self, random: &mut Rng) -> Option<u64> {
        self.clients.repeat(random)
    }

    fn begin_task(&mut self, task: TaskId, now: Time, work: Work) -> Result<Step, Violation> {
        let logic = self.logic(task.node);
        logic.host.set(now);
        match work {
            Work::Preparation(request) => logic.begin_preparation(task.number, request),
            Work::Request {
                operation,
                attempt,
                deadline,
            } => {
                let (request, token) = self.clients.request(operation).parts();
                let logic = self.logic(task.node);
                logic.begin_request(task.number, request, token, deadline);
                let applied = self.ledger.applied_count();
                let under_way = UnderWay {
                    operation,
                    attempt,
                    applied,
                };
                self.requests.insert(task, under_way);
            }
        }
        self.run_task(task)
    }

    fn resume_task(&mut self, task: TaskId, now: Time, with: Resumed) -> Result<Step, Violation> {
        let logic = self.logic(task.node);
        logic.host.set(now);
        logic.answer(task.number, with);
        self.run_task(task)
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
                Some(token) => {
                    let token = &token.hash.0;
                    reading::inbox(&mut snapshot, &mut self.ledger, token, seen).await?
                }
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

    fn answered(&mut self, index: LogIndex, reply: &[u8]) -> Checked {
        self.ledger.answered(index, reply)
    }

    fn receive_reply(
        &mut self,
        client: usize,
        operation: u64,
        attempt: u64,
    ) -> Result<AfterReply, Violation> {
        let reply = self.replies.remove(&attempt);
        let reply = reply.expect("a reply arrives once");
        self.clients.receive_reply(client, operation, reply)
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
                let copies = open.live_copies().await?;
                ensure(copies == ledger.live_copies(), "chat-copy", || {
                    format!("node {} has copies of {copies:?} at the end", node + 1)
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
        // Not the log's: equal positions have equal entries here.
        chain: ChainValue([1; 16]),
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
    open.logic.clock.observe(open.state.log_time());
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
