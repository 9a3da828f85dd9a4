//! Attacks of strangers, on loopback and bounded in time: no node ends or takes more memory than it
//! may, and honest clients are served all the while, from the attackers' own address.
//!
//! Each attack runs twice beside the same honest load: aimed at an echo server of this process, which
//! shows what the attackers' own work costs on this machine, and aimed at the nodes. The times are
//! printed and not judged: the machine may do other things too.

use std::fmt::Write as _;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::time::{Duration, Instant};

use chat_client::{ChatClient, ClientError, InboxQuery, Session};
use chat_proto::chat::v1::chat_server::{Chat, ChatServer};
use chat_proto::chat::v1::{ExecuteRequest, ExecuteResponse, WatchEvent, WatchRequest};
use chat_tests::processes::cluster::Cluster;
use chat_tests::processes::plain_request::PlainClient;
use chat_tests::processes::raw_http2::{FRAME_BYTES_MAX, RawConnection, message_head};
use chat_tests::processes::request_json;
use chat_tests::processes::waiting::within;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};
use tonic::codegen::tokio_stream::{self, Empty};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};
use uuid::Uuid;

/// The whole suite; it takes about a third of that.
const LIMIT: Duration = Duration::from_secs(170);
/// Of each attack, at each of its two aims.
const ATTACK: Duration = Duration::from_secs(4);
/// What no node may exceed at any time.
const MEMORY_MAX: u64 = 256 << 20;
const HONEST_CLIENTS: usize = 8;
/// Operations after which an honest client connects anew.
const OPERATIONS_OF_CONNECTION: usize = 25;
/// How often an attacker tries again what has come to an end.
const ATTACKERS_PACE: Duration = Duration::from_secs(1);
/// 64 of the longest messages: a page of 1 MiB.
const LONG_MESSAGES: usize = 64;
const PASSWORD: &str = "open sesame";
const ATTACKERS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const EXECUTE: &str = "/chat.v1.Chat/Execute";

/// What an attacker aims at, and what he has.
#[derive(Clone)]
struct Aim {
    targets: Vec<SocketAddr>,
    /// Of an account whose inbox fills the longest page.
    token: String,
    ends: Instant,
}

type Attack = fn(Aim) -> Pin<Box<dyn Future<Output = ()> + Send>>;

const ATTACKS: [(&str, Attack); 7] = [
    ("silent connections", |aim| Box::pin(aim.by(900, silent))),
    ("zero windows", |aim| Box::pin(aim.by(20, zero_window))),
    ("half requests", |aim| Box::pin(aim.by(20, half_requests))),
    ("resets", |aim| Box::pin(aim.by(4, resets))),
    ("64 MiB messages", |aim| Box::pin(aim.by(8, large_messages))),
    ("garbage for tokens", |aim| Box::pin(aim.by(16, garbage))),
    ("scans of all names", |aim| Box::pin(aim.by(8, scans))),
];

impl Aim {
    fn goes_on(&self) -> bool {
        Instant::now() < self.ends
    }

    /// Runs `attacker` so many times at each target. None outlives the attack.
    async fn by<F: Future<Output = ()> + Send + 'static>(
        self,
        attackers: usize,
        attacker: fn(Self, SocketAddr) -> F,
    ) {
        let mut attacking = JoinSet::new();
        for target in &self.targets {
            for _ in 0..attackers {
                attacking.spawn(attacker(self.clone(), *target));
            }
        }
        let remaining = self.ends.saturating_duration_since(Instant::now());
        drop(timeout(remaining, attacking.join_all()).await);
    }

    /// Goes on at the attackers' pace.
    fn pace(&self) -> Pace {
        let mut ticks = interval(ATTACKERS_PACE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Pace {
            ticks,
            ends: self.ends,
        }
    }
}

struct Pace {
    ticks: Interval,
    ends: Instant,
}

impl Pace {
    async fn goes_on(&mut self) -> bool {
        self.ticks.tick().await;
        Instant::now() < self.ends
    }
}

/// Connects and says nothing.
async fn silent(aim: Aim, target: SocketAddr) {
    let mut pace = aim.pace();
    while pace.goes_on().await {
        // A server may close whatever it wants.
        drop(silent_once(target).await);
    }
}

async fn silent_once(target: SocketAddr) -> io::Result<()> {
    RawConnection::connect(ATTACKERS, target)
        .await?
        .closed()
        .await;
    Ok(())
}

fn call_of(request: &serde_json::Value) -> Vec<u8> {
    let request = ExecuteRequest {
        request: request.to_string(),
    };
    let message = request.encode_to_vec();
    let mut call = message_head(message.len()).to_vec();
    call.extend(message);
    call
}

/// Asks for 64 of the longest pages, and leaves no room for any.
async fn zero_window(aim: Aim, target: SocketAddr) {
    let mut pace = aim.pace();
    while pace.goes_on().await {
        // A server may close whatever it wants.
        drop(zero_window_once(target, &aim.token).await);
    }
}

async fn zero_window_once(target: SocketAddr, token: &str) -> io::Result<()> {
    let mut connection = RawConnection::connect(ATTACKERS, target).await?;
    connection.greet(0).await?;
    for stream in (1..128).step_by(2) {
        let call = call_of(&request_json::get_messages("mallory"));
        connection.call(stream, EXECUTE, Some(token)).await?;
        connection.data(stream, &call, true).await?;
    }
    connection.closed().await;
    Ok(())
}

/// Begins 100 of the longest requests, and ends none.
async fn half_requests(aim: Aim, target: SocketAddr) {
    let mut pace = aim.pace();
    while pace.goes_on().await {
        // A server may close whatever it wants.
        drop(half_requests_once(target).await);
    }
}

async fn half_requests_once(target: SocketAddr) -> io::Result<()> {
    let mut connection = RawConnection::connect(ATTACKERS, target).await?;
    connection.greet(65_535).await?;
    for stream in (1..200).step_by(2) {
        connection.call(stream, EXECUTE, None).await?;
        connection
            .data(stream, &message_head(160 * 1024), false)
            .await?;
        connection.data(stream, &[b'x'; 600], false).await?;
    }
    connection.closed().await;
    Ok(())
}

/// Takes back what was asked for at once, as fast as the server lets it.
async fn resets(aim: Aim, target: SocketAddr) {
    while aim.goes_on() {
        let resetting = async {
            let mut connection = RawConnection::connect(ATTACKERS, target).await?;
            connection.greet(65_535).await?;
            for stream in (1..2_000).step_by(2) {
                connection.call(stream, EXECUTE, None).await?;
                connection.reset(stream).await?;
            }
            Ok::<_, io::Error>(())
        };
        drop(resetting.await);
        tokio::task::yield_now().await;
    }
}

/// Announces 64 MiB and sends on until the connection is closed.
async fn large_messages(aim: Aim, target: SocketAddr) {
    let mut pace = aim.pace();
    while pace.goes_on().await {
        // A server may close whatever it wants.
        drop(large_messages_once(target).await);
    }
}

async fn large_messages_once(target: SocketAddr) -> io::Result<()> {
    let mut connection = RawConnection::connect(ATTACKERS, target).await?;
    connection.greet(65_535).await?;
    connection.call(1, EXECUTE, None).await?;
    connection.data(1, &message_head(64 << 20), false).await?;
    for _ in 0..(64 << 20) / FRAME_BYTES_MAX {
        connection.data(1, &[b'x'; FRAME_BYTES_MAX], false).await?;
    }
    Ok(())
}

/// Reads with tokens that nobody has.
async fn garbage(aim: Aim, target: SocketAddr) {
    let Some(client) = connect(target).await else {
        return;
    };
    while aim.goes_on() {
        let token = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let request = request_json::get_messages("mallory");
        drop(
            client
                .execute_text(request.to_string(), Some(&token), ATTACK)
                .await,
        );
    }
}

/// Lists names by a pattern that none has.
async fn scans(aim: Aim, target: SocketAddr) {
    let Some(client) = connect(target).await else {
        return;
    };
    while aim.goes_on() {
        let request = request_json::list_users("*x*y*z*nobody*");
        drop(
            client
                .execute_text(request.to_string(), Some(&aim.token), ATTACK)
                .await,
        );
    }
}

async fn connect(target: SocketAddr) -> Option<PlainClient> {
    timeout(ATTACK, PlainClient::connect(target)).await.ok()
}

/// What honest clients saw.
#[derive(Default)]
struct Seen {
    micros: Vec<u128>,
    failed: Vec<ClientError>,
}

impl Seen {
    fn add(&mut self, other: Self) {
        self.micros.extend(other.micros);
        self.failed.extend(other.failed);
    }

    fn percentile(&self, percent: usize) -> u128 {
        let mut micros = self.micros.clone();
        micros.sort_unstable();
        let place = micros.len().saturating_sub(1) * percent / 100;
        micros.get(place).copied().unwrap_or_default()
    }
}

/// Sends and reads in turns, and connects anew now and then.
async fn honest(addresses: Vec<SocketAddr>, session: Session, ends: Instant) -> Seen {
    let mut seen = Seen::default();
    let query = InboxQuery {
        limit: Some(20),
        ..InboxQuery::default()
    };
    while Instant::now() < ends {
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
            if Instant::now() >= ends {
                break;
            }
        }
    }
    seen
}

/// The honest load while an attack goes on.
async fn measure(stage: &Stage, attack: Attack, targets: Vec<SocketAddr>) -> Seen {
    let ends = Instant::now() + ATTACK;
    let aim = Aim {
        targets,
        token: stage.token.clone(),
        ends,
    };
    let attacking = tokio::spawn(attack(aim));
    let mut working = JoinSet::new();
    for session in &stage.sessions {
        working.spawn(honest(stage.nodes.clone(), session.clone(), ends));
    }
    let mut seen = Seen::default();
    for one in working.join_all().await {
        seen.add(one);
    }
    attacking.await.unwrap();
    seen
}

struct Stage {
    nodes: Vec<SocketAddr>,
    sessions: Vec<Session>,
    /// The attackers'.
    token: String,
}

impl Stage {
    async fn set(cluster: &Cluster) -> Self {
        let client = cluster.client();
        let mut sessions = Vec::new();
        for number in 0..HONEST_CLIENTS {
            let name = format!("honest-{number}");
            sessions.push(client.sign_up(&name, PASSWORD).await.unwrap());
        }
        let mallory = client.sign_up("mallory", PASSWORD).await.unwrap();
        let body = "m".repeat(16 * 1024);
        for _ in 0..LONG_MESSAGES {
            client.send(&mallory, "mallory", &body).await.unwrap();
        }
        Self {
            nodes: cluster
                .ids()
                .into_iter()
                .map(|id| cluster.client_address(id))
                .collect(),
            sessions,
            token: mallory.token().to_owned(),
        }
    }
}

/// Answers with what it was asked.
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

/// As many echo servers as there are nodes.
async fn echo_servers(count: usize) -> Vec<SocketAddr> {
    let mut addresses = Vec::new();
    for _ in 0..count {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        addresses.push(listener.local_addr().unwrap());
        let server = Server::builder().add_service(ChatServer::new(Echo));
        tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    }
    addresses
}

/// The attackers' connections and those of the echo servers are all in this process.
fn raise_file_limit() {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, soft.max(hard.min(20_000)), hard).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attacked_nodes_serve_honest_clients() {
    within(LIMIT, async {
        raise_file_limit();
        let mut cluster = Cluster::start(3).await;
        let stage = Stage::set(&cluster).await;
        let echoes = echo_servers(stage.nodes.len()).await;
        let mut table = String::from(
            "honest p50 and p99 in µs, beside an attacked echo server and beside attacked nodes\n",
        );
        for (name, attack) in ATTACKS {
            let beside = measure(&stage, attack, echoes.clone()).await;
            let attacked = measure(&stage, attack, stage.nodes.clone()).await;
            let memory = cluster.memory_peak();
            writeln!(
                table,
                "{name:>20}: {} and {}; {} and {}; p99 x {:.2}; {} and {} done; {} MiB at most",
                beside.percentile(50),
                beside.percentile(99),
                attacked.percentile(50),
                attacked.percentile(99),
                attacked.percentile(99) as f64 / beside.percentile(99).max(1) as f64,
                beside.micros.len(),
                attacked.micros.len(),
                memory >> 20,
            )
            .unwrap();
            let failed = &attacked.failed;
            assert!(failed.is_empty(), "{name}: {failed:?}\n{table}");
            assert!(
                attacked.micros.len() >= HONEST_CLIENTS,
                "{name}: nobody was served\n{table}"
            );
            assert!(memory <= MEMORY_MAX, "{name}: {memory} bytes\n{table}");
            cluster.check_healthy();
        }
        println!("{table}");
    })
    .await;
}
