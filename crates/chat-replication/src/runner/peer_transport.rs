//! Calls to the peers: two connections to each, one task and one deadline for every call.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chat_consensus::{Envelope, Header, NodeId, Reply, Request};
use chat_replication_proto::v1;
use chat_replication_proto::v1::replication_client::ReplicationClient;
use tokio::sync::{Semaphore, mpsc};
use tonic::transport::{Channel, Endpoint};
use tonic::{Response, Status};

use crate::event::Event;
use crate::peer_message::{PeerReply, PeerRequest};
use crate::runner::liveness_probe;
use crate::runner::loop_event::LoopEvent;
use crate::runner::options::Options;
use crate::runner::peer_address::PeerAddress;
use crate::runner::start_error::StartError;
use crate::runner::wire::WireMessage;

/// A peer that does not accept a connection within this time is not reached by this call.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(250);
/// An idle connection is proved alive this often, and given up after as long without an answer.
const KEEP_ALIVE: Duration = Duration::from_secs(2);
/// The leader answers a forwarded request when it is applied; longer than any client waits.
const PROPOSE_TIMEOUT: Duration = Duration::from_secs(30);
/// The protocol's own calls to one peer at a time; it has a handful under way.
const PROTOCOL_CALLS_MAX: usize = 64;
/// Clients' calls that are forwarded to one peer at a time; more fail at once.
const FORWARDED_CALLS_MAX: usize = 8_192;
/// Larger than the largest answer to a fetch: a full batch and one entry over it.
pub(super) const MESSAGE_BYTES_MAX: usize = 8 << 20;

/// The connections to all peers.
#[derive(Debug)]
pub(super) struct PeerTransport {
    peers: BTreeMap<NodeId, Arc<Peer>>,
    events: mpsc::Sender<LoopEvent>,
    /// How long the protocol's own calls may take.
    timeout: Duration,
}

#[derive(Debug)]
struct Peer {
    node: NodeId,
    address: PeerAddress,
    protocol: Connection,
    /// A connection of their own: a fetch must never queue behind the proposals that wait for it.
    forwarded: Connection,
    redialling: AtomicBool,
}

/// A connection and how many calls it carries.
#[derive(Debug)]
struct Connection {
    client: ReplicationClient<Channel>,
    calls: Semaphore,
}

impl Connection {
    fn new(endpoint: &Endpoint, calls_max: usize) -> Self {
        let client = ReplicationClient::new(endpoint.connect_lazy())
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX);
        Self {
            client,
            calls: Semaphore::new(calls_max),
        }
    }
}

impl PeerTransport {
    pub(super) fn new(
        options: &Options,
        events: &mpsc::Sender<LoopEvent>,
    ) -> Result<Self, StartError> {
        let others = options
            .nodes
            .iter()
            .filter(|node| node.id != options.node_id);
        let peers = others.map(|node| {
            let address = PeerAddress::parse(&node.address).ok_or_else(|| StartError::Address {
                id: node.id,
                address: node.address.clone(),
            })?;
            let endpoint = address
                .endpoint()
                .connect_timeout(CONNECT_TIMEOUT)
                .tcp_nodelay(true)
                .http2_keep_alive_interval(KEEP_ALIVE)
                .keep_alive_timeout(KEEP_ALIVE)
                .keep_alive_while_idle(true);
            let peer = Peer {
                node: NodeId(node.id),
                address,
                protocol: Connection::new(&endpoint, PROTOCOL_CALLS_MAX),
                forwarded: Connection::new(&endpoint, FORWARDED_CALLS_MAX),
                redialling: AtomicBool::new(false),
            };
            Ok((peer.node, Arc::new(peer)))
        });
        Ok(Self {
            peers: peers.collect::<Result<_, StartError>>()?,
            events: events.clone(),
            timeout: options.timing.election_timeout,
        })
    }

    /// Sends a request; its reply, or that there will be none, comes back as an event.
    pub(super) fn call(&self, request: Envelope<PeerRequest>) {
        if let Some(peer) = self.peers.get(&request.header.to).cloned() {
            tokio::spawn(call(peer, request, self.timeout, self.events.clone()));
        }
    }
}

async fn call(
    peer: Arc<Peer>,
    request: Envelope<PeerRequest>,
    protocol_timeout: Duration,
    events: mpsc::Sender<LoopEvent>,
) {
    let id = request.header.request;
    let failed = LoopEvent::Event(Event::CallFailed(peer.node, id));
    let (connection, timeout) = match request.message {
        PeerRequest::Propose { .. } => (&peer.forwarded, PROPOSE_TIMEOUT),
        PeerRequest::ReadIndex => (&peer.forwarded, protocol_timeout),
        PeerRequest::Consensus(_) => (&peer.protocol, protocol_timeout),
    };
    let Ok(_permit) = connection.calls.try_acquire() else {
        let unsent = Event::CallNotSent(peer.node, id);
        return drop(events.send(LoopEvent::Event(unsent)).await);
    };
    let client = connection.client.clone();
    let called = tokio::time::timeout(timeout, exchange(client, request)).await;
    // A replica that has stopped receives nothing more.
    match called {
        Ok(Ok(reply)) => drop(events.send(LoopEvent::Event(Event::Reply(reply))).await),
        Ok(Err(status)) => {
            tracing::debug!(peer = peer.node.0, %status, "call failed");
            drop(events.send(failed).await);
            redial(&peer, &events).await;
        }
        Err(_late) => drop(events.send(failed).await),
    }
}

/// The call ended without an answer and before its deadline: is the peer gone?
async fn redial(peer: &Peer, events: &mpsc::Sender<LoopEvent>) {
    if peer.redialling.swap(true, Ordering::Relaxed) {
        return;
    }
    if liveness_probe::is_refused(&peer.address).await {
        let refused = Event::ConnectionRefused(peer.node);
        drop(events.send(LoopEvent::Event(refused)).await);
    }
    peer.redialling.store(false, Ordering::Relaxed);
}

async fn exchange(
    mut client: ReplicationClient<Channel>,
    request: Envelope<PeerRequest>,
) -> Result<Envelope<PeerReply>, Status> {
    let Envelope { header, message } = request;
    let reply = match message {
        PeerRequest::Consensus(Request::Election(election)) => {
            let reply = client
                .election(write::<v1::ElectionRequest>(header, election))
                .await;
            read::<v1::ElectionResponse>(reply)?.map(Reply::Election)
        }
        PeerRequest::Consensus(Request::Coordinator) => {
            let reply = client
                .coordinator(write::<v1::CoordinatorRequest>(header, ()))
                .await;
            read::<v1::CoordinatorResponse>(reply)?.map(|()| Reply::Coordinator)
        }
        PeerRequest::Consensus(Request::Heartbeat(heartbeat)) => {
            let reply = client
                .heartbeat(write::<v1::HeartbeatRequest>(header, heartbeat))
                .await;
            read::<v1::HeartbeatResponse>(reply)?.map(Reply::Heartbeat)
        }
        PeerRequest::Consensus(Request::GetCommits(fetch)) => {
            let reply = client
                .get_commits(write::<v1::GetCommitsRequest>(header, fetch))
                .await;
            read::<v1::GetCommitsResponse>(reply)?.map(Reply::GetCommits)
        }
        PeerRequest::Consensus(Request::Resign { successor }) => {
            let reply = client
                .resign(write::<v1::ResignRequest>(header, successor))
                .await;
            read::<v1::ResignResponse>(reply)?.map(|()| Reply::Resign)
        }
        PeerRequest::Propose { request } => {
            let reply = client
                .propose(write::<v1::ProposeRequest>(header, request))
                .await;
            return Ok(read::<v1::ProposeResponse>(reply)?.map(PeerReply::Propose));
        }
        PeerRequest::ReadIndex => {
            let reply = client
                .read_index(write::<v1::ReadIndexRequest>(header, ()))
                .await;
            return Ok(read::<v1::ReadIndexResponse>(reply)?.map(PeerReply::ReadIndex));
        }
    };
    Ok(reply.map(PeerReply::Consensus))
}

fn write<W: WireMessage>(header: Header, message: W::Message) -> W {
    W::write(Envelope { header, message })
}

fn read<W: WireMessage>(
    answered: Result<Response<W>, Status>,
) -> Result<Envelope<W::Message>, Status> {
    answered?.into_inner().read()
}
