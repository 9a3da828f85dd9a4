//! What honest clients see while something goes on beside them, and what they may see at most.
//!
//! An attack costs more than what a server does about it: attackers share the machine with honest
//! clients and servers. So it is aimed at echo servers too, one for each node, while the same honest
//! clients use the nodes; what honest clients wait for longer than that is the nodes' doing. The two
//! aims take turns, so that whatever else the machine does meets both.
//!
//! Attackers have a thread of their own, and so has each echo server, as a node has one for its
//! network: no honest client waits for a turn behind them in this process.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use chat_client::{ChatClient, ClientError, InboxQuery, Session};
use chat_proto::chat::v1::chat_server::{Chat, ChatServer};
use chat_proto::chat::v1::{ExecuteRequest, ExecuteResponse, WatchEvent, WatchRequest};
use chat_tests::processes::cluster::Cluster;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use tonic::codegen::tokio_stream::{self, Empty};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

use super::attacks::{Aim, Attack};
use super::limits::{LIMIT, MEMORY_MAX, PASSWORD};

/// Of each attack, at each of its two aims, for each of [`TURNS`].
const ATTACK: Duration = Duration::from_millis(1_500);
/// How often the two aims take turns.
const TURNS: usize = 2;
/// …and at most, while the figures are worse than they may be.
const TURNS_MAX: usize = 4;
/// How much longer than beside attacked echo servers honest clients may wait beside attacked nodes:
/// at the median, and at the 99th percentile.
///
/// Unoptimised servers work for tenths of a second on the thousands of requests with which zero
/// windows and half requests begin anew each second, and the one thread that they have for their
/// network does nothing else meanwhile: four times to five times at the 99th percentile on a machine
/// that does nothing else, and more beside other tests. The median shows who keeps honest clients out
/// all the time.
const FACTORS_MAX: [f64; 2] = if cfg!(debug_assertions) {
    [4.0, 16.0]
} else {
    [2.0, 2.0]
};
const PERCENTILES: [usize; 2] = [50, 99];
const HONEST_CLIENTS: usize = 8;
/// Operations after which an honest client connects anew.
const OPERATIONS_OF_CONNECTION: usize = 25;

/// Honest clients, and where they are served.
pub(super) struct Fixture {
    nodes: Vec<SocketAddr>,
    sessions: Vec<Session>,
}

impl Fixture {
    pub(super) async fn new(cluster: &Cluster) -> Self {
        let client = cluster.client();
        let mut sessions = Vec::new();
        for number in 0..HONEST_CLIENTS {
            let name = format!("honest-{number}");
            sessions.push(client.sign_up(&name, PASSWORD).await.unwrap());
        }
        let ids = cluster.ids().into_iter();
        Self {
            nodes: ids.map(|id| cluster.client_address(id)).collect(),
            sessions,
        }
    }
}

/// What honest clients saw.
#[derive(Debug, Default)]
pub(super) struct Seen {
    micros: Vec<u128>,
    failed: Vec<ClientError>,
}

impl Seen {
    fn add(&mut self, other: Self) {
        self.micros.extend(other.micros);
        self.failed.extend(other.failed);
    }

    /// How many operations were done.
    pub(super) fn done(&self) -> usize {
        self.micros.len()
    }

    /// In microseconds.
    pub(super) fn percentile(&self, percent: usize) -> u128 {
        let mut micros = self.micros.clone();
        micros.sort_unstable();
        let place = micros.len().saturating_sub(1) * percent / 100;
        micros.get(place).copied().unwrap_or_default()
    }

    /// No honest client failed, and every one could do something.
    pub(super) fn check(&self, beside: &str) {
        assert!(self.failed.is_empty(), "{beside}: {:?}", self.failed);
        assert!(
            self.done() >= HONEST_CLIENTS,
            "{beside}: no client was served"
        );
    }
}

/// Sends and reads in turns, and connects anew now and then.
async fn honest(addresses: Vec<SocketAddr>, session: Session, over: Arc<AtomicBool>) -> Seen {
    let mut seen = Seen::default();
    let query = InboxQuery {
        limit: Some(20),
        ..InboxQuery::default()
    };
    while !over.load(Ordering::Relaxed) {
        let addresses = addresses.iter().map(ToString::to_string);
        let client = ChatClient::new(addresses).expect("these are addresses");
        let client = client.with_deadline(LIMIT);
        for operation in 0..OPERATIONS_OF_CONNECTION {
            let begun = Instant::now();
            let done = if operation % 2 == 0 {
                client
                    .send(&session, session.username(), "hello")
                    .await
                    .map(drop)
            } else {
                client.inbox(&session, &query).await.map(drop)
            };
            match done {
                Ok(()) => seen.micros.push(begun.elapsed().as_micros()),
                Err(error) => seen.failed.push(error),
            }
            if over.load(Ordering::Relaxed) {
                break;
            }
        }
    }
    seen
}

/// The honest load until `something` is over.
pub(super) async fn serve_until<T>(
    fixture: &Fixture,
    something: impl Future<Output = T>,
) -> (Seen, T) {
    let over = Arc::new(AtomicBool::new(false));
    let mut working = JoinSet::new();
    for session in &fixture.sessions {
        let over = Arc::clone(&over);
        working.spawn(honest(fixture.nodes.clone(), session.clone(), over));
    }
    let result = something.await;
    over.store(true, Ordering::Relaxed);
    let mut seen = Seen::default();
    for one in working.join_all().await {
        seen.add(one);
    }
    (seen, result)
}

/// An account that attackers have.
pub(super) struct Account {
    pub(super) username: &'static str,
    pub(super) digest: String,
    pub(super) token: String,
}

/// Attackers and echo servers, apart from honest clients.
pub(super) struct Sideline {
    /// None once it is dropped.
    attackers: Option<Runtime>,
    echoes: Vec<Runtime>,
    echo_addresses: Vec<SocketAddr>,
}

impl Sideline {
    /// With one echo server for each node.
    pub(super) async fn new(fixture: &Fixture) -> Self {
        let mut sideline = Self {
            attackers: Some(runtime()),
            echoes: Vec::new(),
            echo_addresses: Vec::new(),
        };
        for node in &fixture.nodes {
            let runtime = runtime();
            let serving = runtime.spawn(echo_server(node.ip()));
            sideline.echo_addresses.push(serving.await.unwrap());
            sideline.echoes.push(runtime);
        }
        sideline
    }

    /// The honest load while an attack goes on; with how often attackers began something.
    async fn measure(&self, fixture: &Fixture, attack: Attack, aim: Aim) -> (Seen, usize) {
        let begun = Arc::clone(&aim.begun);
        let attackers = self.attackers.as_ref().expect("it is there until the end");
        let (seen, ended) = serve_until(fixture, attackers.spawn(attack(aim))).await;
        ended.unwrap();
        (seen, begun.load(Ordering::Relaxed))
    }

    /// Aims an attack in turns at echo servers and at the nodes, prints what honest clients saw, and
    /// checks it.
    pub(super) async fn judge(
        &self,
        cluster: &mut Cluster,
        fixture: &Fixture,
        (name, attack): (&str, Attack),
        account: &Account,
    ) {
        let (mut beside, mut attacked) = (Seen::default(), Seen::default());
        let mut begun = [0, 0];
        let factors = |beside: &Seen, attacked: &Seen| {
            PERCENTILES.map(|percent| {
                attacked.percentile(percent) as f64 / beside.percentile(percent).max(1) as f64
            })
        };
        let are_good =
            |factors: [f64; 2]| factors[0] <= FACTORS_MAX[0] && factors[1] <= FACTORS_MAX[1];
        let term = cluster.leader().await.term;
        let mut turns = 0;
        while turns < TURNS || (turns < TURNS_MAX && !are_good(factors(&beside, &attacked))) {
            turns += 1;
            let aims = [
                (&self.echo_addresses, &mut beside),
                (&fixture.nodes, &mut attacked),
            ];
            for ((targets, seen), begun) in aims.into_iter().zip(&mut begun) {
                let aim = Aim {
                    targets: targets.clone(),
                    username: account.username,
                    digest: account.digest.clone(),
                    token: account.token.clone(),
                    ends: Instant::now() + ATTACK,
                    begun: Arc::new(AtomicUsize::new(0)),
                };
                let (more, times) = self.measure(fixture, attack, aim).await;
                seen.add(more);
                *begun += times;
            }
        }
        let memory = cluster.memory_peak();
        let factors = factors(&beside, &attacked);
        let moved = cluster.leader().await.term.0 - term.0;
        println!(
            "{name:>20}: {} and {} µs; {} and {} µs; x {:.2} and {:.2}; {} and {} done; \
             {} and {} begun; {turns} turns; {moved} elections; {} MiB at most",
            beside.percentile(PERCENTILES[0]),
            beside.percentile(PERCENTILES[1]),
            attacked.percentile(PERCENTILES[0]),
            attacked.percentile(PERCENTILES[1]),
            factors[0],
            factors[1],
            beside.done(),
            attacked.done(),
            begun[0],
            begun[1],
            memory >> 20,
        );
        attacked.check(name);
        assert!(memory <= MEMORY_MAX, "{name}: {memory} bytes");
        cluster.check_healthy();
        assert!(are_good(factors), "{name}: {factors:?} of {FACTORS_MAX:?}");
    }
}

impl Drop for Sideline {
    fn drop(&mut self) {
        // Waiting for their tasks is not allowed where this is dropped.
        for runtime in self.echoes.drain(..).chain(self.attackers.take()) {
            runtime.shutdown_background();
        }
    }
}

fn runtime() -> Runtime {
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    runtime.unwrap()
}

/// Replies with its request.
#[derive(Debug)]
struct Echo;

#[tonic::async_trait]
impl Chat for Echo {
    async fn execute(
        &self,
        request: Request<ExecuteRequest>,
    ) -> Result<Response<ExecuteResponse>, Status> {
        let response = request.into_inner().request;
        Ok(Response::new(ExecuteResponse { response }))
    }

    type WatchStream = Empty<Result<WatchEvent, Status>>;

    async fn watch(
        &self,
        _request: Request<WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Ok(Response::new(tokio_stream::empty()))
    }
}

/// Starts one on the runtime that this runs on; returns where it listens.
async fn echo_server(address: IpAddr) -> SocketAddr {
    let listener = TcpListener::bind((address, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::builder().add_service(ChatServer::new(Echo));
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    address
}
