//! Messages that no peer made, of every kind and with every field at its extremes, sent to the ports
//! for peers: no node ends, terms move only for honest elections, and clients are served.
//!
//! The forger knows the cluster's id and its storage ids. It does not use the storage id of the node
//! that it claims to be: a sender that does so at a peer port is trusted (R4).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf as _, BufMut as _, Bytes};
use chat_consensus::NodeId;
use chat_tests::processes::cluster::Cluster;
use chat_tests::processes::waiting::within;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use super::forged_messages::{
    Field, Known, Sender, encode, overlong, proposals, requests, with_extremes,
};
use super::limits::{ALONE, LIMIT, MEMORY_MAX};
use super::measuring::{Fixture, serve_until};

/// At each node.
const UNDER_WAY: usize = 32;
/// Longer than the leader keeps a pending fetch.
const CALL_TIMEOUT: Duration = Duration::from_secs(2);

/// Sends bytes as they are, and ignores the reply.
#[derive(Clone, Copy, Debug, Default)]
struct AsItIs;

impl Codec for AsItIs {
    type Encode = Bytes;
    type Decode = ();
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for AsItIs {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, bytes: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(bytes);
        Ok(())
    }
}

impl Decoder for AsItIs {
    type Item = ();
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<()>, Status> {
        buffer.advance(buffer.remaining());
        Ok(Some(()))
    }
}

/// How often each kind of request was answered in which way.
type Answers = BTreeMap<(&'static str, String), usize>;

async fn call(channel: Channel, rpc: &'static str, message: Bytes) -> Code {
    let path = format!("/replication.v1.Replication/{rpc}");
    let path = PathAndQuery::try_from(path).unwrap();
    let mut stub = Grpc::new(channel);
    if stub.ready().await.is_err() {
        return Code::Unavailable;
    }
    let mut request = Request::new(message);
    request.set_timeout(CALL_TIMEOUT);
    match stub.unary(request, path, AsItIs).await {
        Ok(_) => Code::Ok,
        Err(status) => status.code(),
    }
}

/// Sends all of them to one node, many at once.
async fn send_all(channel: Channel, messages: Vec<(&'static str, Bytes)>) -> Answers {
    let turns = Arc::new(Semaphore::new(UNDER_WAY));
    let mut calling = JoinSet::new();
    for (rpc, message) in messages {
        let turn = Arc::clone(&turns).acquire_owned().await.unwrap();
        let channel = channel.clone();
        calling.spawn(async move {
            let code = call(channel, rpc, message).await;
            drop(turn);
            (rpc, format!("{code:?}"))
        });
    }
    let mut answers = Answers::new();
    for answer in calling.join_all().await {
        *answers.entry(answer).or_default() += 1;
    }
    answers
}

/// What every caller can request from a peer port.
async fn look_at(cluster: &Cluster) -> (Known, u64) {
    let statuses = cluster.statuses().await;
    let id =
        |hex: &str| Bytes::copy_from_slice(&u128::from_str_radix(hex, 16).unwrap().to_be_bytes());
    let voter = |status: &chat_proto::cluster::v1::StatusResponse| {
        (NodeId(status.node_id), id(&status.storage_id))
    };
    let term = statuses.iter().map(|status| status.term).max();
    let index = statuses.iter().map(|status| status.last_index).max();
    let known = Known {
        cluster: id(&statuses[0].cluster_id),
        voters: statuses.iter().map(voter).collect(),
        index: index.unwrap(),
        term: term.unwrap(),
    };
    (
        known,
        statuses.iter().map(|status| status.elections_won).sum(),
    )
}

/// Everything that is sent to one node.
fn forgeries(to: NodeId, known: &Known) -> Vec<(&'static str, Bytes)> {
    let unknown_disk = || Bytes::from(vec![0xd1; 16]);
    let another_cluster = Bytes::from(vec![0xc1; 16]);
    let configured = known.voters.iter().map(|(node, _)| *node);
    let unknown = [NodeId(0), NodeId(99), NodeId(u64::MAX)];
    let mut messages = Vec::new();
    let mut add = |rpc, fields: &[Field]| messages.push((rpc, encode(fields)));
    for from in configured.chain(unknown) {
        let sender = |cluster: &Bytes, storage| Sender {
            cluster: cluster.clone(),
            from,
            to,
            storage,
            term: known.term,
        };
        // Each field at each extreme, in our cluster's name.
        let ours = sender(&known.cluster, unknown_disk());
        for (rpc, fields) in requests(&ours, known) {
            for fields in with_extremes(&fields) {
                add(rpc, &fields);
            }
        }
        // The same messages with no cluster's id and with another one's, and from the disk of another
        // node, in the current term and far beyond it.
        let (_, disk) = known.voters.iter().find(|(node, _)| *node != from).unwrap();
        let others = [
            sender(&Bytes::new(), unknown_disk()),
            sender(&another_cluster, unknown_disk()),
            sender(&known.cluster, disk.clone()),
        ];
        for sender in others {
            for ahead in [0, 1, 1 << 20, 1 << 47] {
                let term = sender.term + ahead;
                let sender = Sender {
                    term,
                    ..sender.clone()
                };
                for (rpc, fields) in requests(&sender, known) {
                    add(rpc, &fields);
                }
            }
        }
    }
    let from = known.voters.iter().find(|(node, _)| *node != to).unwrap().0;
    let sender = Sender {
        cluster: known.cluster.clone(),
        from,
        to,
        storage: unknown_disk(),
        term: known.term,
    };
    for fields in proposals(&sender).iter().chain(&overlong(&sender)) {
        add("Propose", fields);
    }
    messages
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forged_peer_messages_end_no_node_and_move_no_term() {
    let _alone = ALONE.lock().await;
    within(LIMIT, async {
        let mut cluster = Cluster::start(3).await;
        let fixture = Fixture::new(&cluster).await;
        let (known, won) = look_at(&cluster).await;
        let begun = Instant::now();
        let sending = async {
            let mut sending = JoinSet::new();
            for to in cluster.ids() {
                let address = format!("http://{}", cluster.peer_address(to));
                let channel = Endpoint::from_shared(address).unwrap().connect_lazy();
                sending.spawn(send_all(channel, forgeries(to, &known)));
            }
            let mut answers = Answers::new();
            for answered in sending.join_all().await {
                for (answer, count) in answered {
                    *answers.entry(answer).or_default() += count;
                }
            }
            answers
        };
        let (seen, answers) = serve_until(&fixture, sending).await;
        let took = begun.elapsed();
        let memory = cluster.memory_peak();
        println!(
            "{} forged messages in {took:?}; honest p99 {} ms, {} done; {} MiB at most",
            answers.values().sum::<usize>(),
            seen.percentile(99) / 1000,
            seen.done(),
            memory >> 20
        );
        for ((rpc, code), count) in &answers {
            println!("{rpc:>12}: {count:>6} x {code}");
        }
        seen.check("forged messages");
        let (after, won_after) = look_at(&cluster).await;
        println!("term {} before, {} after", known.term, after.term);
        // An election that is won may have failed before; nothing else moves a term.
        let (moved, won) = (after.term - known.term, won_after - won);
        assert!(moved <= 2 * won, "{moved} terms, {won} elections won");
        assert_eq!((after.cluster, after.voters), (known.cluster, known.voters));
        assert!(memory <= MEMORY_MAX, "{memory} bytes");
        cluster.check_healthy();
        cluster.settled().await;
    })
    .await;
}
