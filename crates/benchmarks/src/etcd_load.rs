//! `etcd-load`: puts keys into an etcd, as `chat bench` sends messages, for comparison.
//!
//! Only the two messages that it needs of etcd's interface are written out here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use prost::Message;
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, interval_at};
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

/// As many as `chat bench` has.
const CONNECTIONS: usize = 8;

/// Each client puts a key, waits for its answer, and puts the next, as fast as it can or at a rate.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where an etcd listens for clients, such as `http://127.0.0.1:2379`.
    endpoint: String,
    /// How many clients put at the same time.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    clients: u32,
    /// For how long at most.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// How many puts at most, of all clients.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    puts: Option<u64>,
    /// How many puts a second, of all clients; then each one's microseconds are printed when it ends.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rate: Option<u32>,
    /// How many bytes a value has.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=16_384))]
    body: u64,
}

/// `etcdserverpb.PutRequest`.
#[derive(Clone, PartialEq, Message)]
struct PutRequest {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `etcdserverpb.PutResponse`, of which nothing is read.
#[derive(Clone, PartialEq, Message)]
struct PutResponse {}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::parse();
    let endpoint = Endpoint::from_shared(arguments.endpoint)?.tcp_nodelay(true);
    let mut channels = Vec::new();
    for _ in 0..CONNECTIONS {
        channels.push(endpoint.connect().await?);
    }
    let value = vec![b'x'; usize::try_from(arguments.body)?];
    let started = Instant::now();
    let until = started + Duration::from_secs(arguments.seconds);
    let left = Arc::new(AtomicU64::new(arguments.puts.unwrap_or(u64::MAX)));
    let mut running = JoinSet::new();
    for (client, channel) in (0..arguments.clients).zip(channels.iter().cycle()) {
        let putter = Putter {
            channel: channel.clone(),
            client,
            value: value.clone(),
            until,
            left: Arc::clone(&left),
            pace: arguments.rate.map(|rate| {
                let pause = Duration::from_secs(1) * arguments.clients / rate;
                // At different moments: a sync that is slow would delay all of them at once.
                interval_at((started + pause * client / arguments.clients).into(), pause)
            }),
        };
        running.spawn(putter.run());
    }
    let mut micros = Vec::new();
    while let Some(ended) = running.join_next().await {
        micros.extend(ended??);
    }
    if arguments.rate.is_some() {
        return Ok(());
    }
    micros.sort_unstable();
    let percentile = |hundredth: usize| micros[(micros.len() - 1) * hundredth / 100];
    println!(
        "{}",
        serde_json::json!({
            "done": micros.len(),
            "per_second": micros.len() as f64 / started.elapsed().as_secs_f64(),
            "p50_us": percentile(50),
            "p99_us": percentile(99),
        })
    );
    Ok(())
}

/// One client.
struct Putter {
    channel: Channel,
    client: u32,
    value: Vec<u8>,
    until: Instant,
    /// Puts that are not begun yet, of all clients.
    left: Arc<AtomicU64>,
    /// When the next put begins; at once if there is none.
    pace: Option<Interval>,
}

impl Putter {
    /// How long each put took, in microseconds.
    async fn run(mut self) -> Result<Vec<u64>, Status> {
        let mut grpc = Grpc::new(self.channel);
        let mut micros = Vec::new();
        if let Some(pace) = &mut self.pace {
            pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        }
        while Instant::now() < self.until && take_one(&self.left) {
            if let Some(pace) = &mut self.pace {
                pace.tick().await;
            }
            let started = Instant::now();
            let request = PutRequest {
                key: format!("client-{}/{}", self.client, micros.len()).into_bytes(),
                value: self.value.clone(),
            };
            put(&mut grpc, request).await?;
            let waited = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
            if self.pace.is_some() {
                println!("{waited}");
            }
            micros.push(waited);
        }
        Ok(micros)
    }
}

/// Whether there was one left.
fn take_one(left: &AtomicU64) -> bool {
    let less = |left: u64| left.checked_sub(1);
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
        .is_ok()
}

async fn put(grpc: &mut Grpc<Channel>, request: PutRequest) -> Result<(), Status> {
    let ready = grpc.ready().await;
    ready.map_err(|error| Status::unavailable(error.to_string()))?;
    let path = PathAndQuery::from_static("/etcdserverpb.KV/Put");
    let codec = ProstCodec::<PutRequest, PutResponse>::default();
    let _answer: Response<PutResponse> = grpc.unary(Request::new(request), path, codec).await?;
    Ok(())
}
