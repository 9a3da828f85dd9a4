//! `etcd-load`: puts keys into an etcd, as `chat bench` sends messages, for comparison.
//!
//! Only the two messages that it needs of etcd's interface are written out here.

use std::time::{Duration, Instant};

use clap::Parser;
use prost::Message;
use tokio::task::JoinSet;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

/// As many as `chat bench` has.
const CONNECTIONS: usize = 8;

/// Each client puts a key, waits for its answer, and puts the next.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where an etcd listens for clients, such as `http://127.0.0.1:2379`.
    endpoint: String,
    /// How many clients put at the same time.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    clients: u32,
    /// For how long.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
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
    let mut running = JoinSet::new();
    for (client, channel) in (0..arguments.clients).zip(channels.iter().cycle()) {
        running.spawn(put_until(channel.clone(), client, value.clone(), until));
    }
    let mut micros = Vec::new();
    while let Some(ended) = running.join_next().await {
        micros.extend(ended??);
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

/// How long each put took, in microseconds; one at least.
async fn put_until(
    channel: Channel,
    client: u32,
    value: Vec<u8>,
    until: Instant,
) -> Result<Vec<u64>, Status> {
    let mut grpc = Grpc::new(channel);
    let mut micros = Vec::new();
    loop {
        let started = Instant::now();
        let request = PutRequest {
            key: format!("client-{client}/{}", micros.len()).into_bytes(),
            value: value.clone(),
        };
        put(&mut grpc, request).await?;
        micros.push(u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX));
        if Instant::now() >= until {
            return Ok(micros);
        }
    }
}

async fn put(grpc: &mut Grpc<Channel>, request: PutRequest) -> Result<(), Status> {
    let ready = grpc.ready().await;
    ready.map_err(|error| Status::unavailable(error.to_string()))?;
    let path = PathAndQuery::from_static("/etcdserverpb.KV/Put");
    let codec = ProstCodec::<PutRequest, PutResponse>::default();
    let _answer: Response<PutResponse> = grpc.unary(Request::new(request), path, codec).await?;
    Ok(())
}
