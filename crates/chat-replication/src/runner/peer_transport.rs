//! Calls to the peers: two connections to each, one task and one deadline for every call.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chat_consensus::{Message, NodeId};
use chat_proto::replication::v1;
use chat_proto::replication::v1::replication_client::ReplicationClient;
use tokio::sync::{Semaphore, mpsc};
use tonic::transport::{Channel, Endpoint};
use tonic::{Response, Status};

use crate::event::Event;
use crate::peer_message::{PeerBody, PeerMessage};
use crate::runner::event_loop::LoopEvent;
use crate::runner::liveness_probe;
use crate::runner::peer_address::PeerAddress;
use crate::runner::wire::Wire;
use crate::runner::{Options, StartError};

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

/// The ways to all peers.
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
    protocol: Line,
    /// A connection of their own: a fetch must never queue behind the proposals that wait for it.
    forwarded: Line,
    redialling: AtomicBool,
}

/// A connection and how many calls it carries.
#[derive(Debug)]
struct Line {
    client: ReplicationClient<Channel>,
    calls: Semaphore,
}

impl Line {
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
                protocol: Line::new(&endpoint, PROTOCOL_CALLS_MAX),
                forwarded: Line::new(&endpoint, FORWARDED_CALLS_MAX),
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

    /// Sends a request; its answer, or that there will be none, comes back as an event.
    pub(super) fn call(&self, message: PeerMessage) {
        let Some(peer) = self.peers.get(&message.header.to).cloned() else {
            return;
        };
        let timeout = match message.body {
            PeerBody::Propose { .. } => PROPOSE_TIMEOUT,
            PeerBody::Consensus(_)
            | PeerBody::ReadIndex
            | PeerBody::ProposeReply(_)
            | PeerBody::ReadIndexReply(_) => self.timeout,
        };
        tokio::spawn(carry(peer, message, timeout, self.events.clone()));
    }
}

async fn carry(
    peer: Arc<Peer>,
    message: PeerMessage,
    timeout: Duration,
    events: mpsc::Sender<LoopEvent>,
) {
    let request = message.header.request;
    let failed = LoopEvent::Event(Event::CallFailed(peer.node, request));
    let line = match message.body {
        PeerBody::Propose { .. } | PeerBody::ReadIndex => &peer.forwarded,
        PeerBody::Consensus(_) | PeerBody::ProposeReply(_) | PeerBody::ReadIndexReply(_) => {
            &peer.protocol
        }
    };
    let Ok(_permit) = line.calls.try_acquire() else {
        let unsent = Event::CallNotSent(peer.node, request);
        return drop(events.send(LoopEvent::Event(unsent)).await);
    };
    let called = tokio::time::timeout(timeout, exchange(line.client.clone(), message)).await;
    // A replica that has stopped wants to hear nothing more.
    match called {
        Ok(Ok(reply)) => drop(events.send(LoopEvent::Event(Event::Received(reply))).await),
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
    message: PeerMessage,
) -> Result<PeerMessage, Status> {
    match &message.body {
        PeerBody::Consensus(Message::Election(_)) => {
            read(client.election(wire::<v1::ElectionRequest>(message)).await)
        }
        PeerBody::Consensus(Message::Coordinator) => read(
            client
                .coordinator(wire::<v1::CoordinatorRequest>(message))
                .await,
        ),
        PeerBody::Consensus(Message::Heartbeat(_)) => read(
            client
                .heartbeat(wire::<v1::HeartbeatRequest>(message))
                .await,
        ),
        PeerBody::Consensus(Message::GetCommits(_)) => read(
            client
                .get_commits(wire::<v1::GetCommitsRequest>(message))
                .await,
        ),
        PeerBody::Consensus(Message::Resign { .. }) => {
            read(client.resign(wire::<v1::ResignRequest>(message)).await)
        }
        PeerBody::Propose { .. } => read(client.propose(wire::<v1::ProposeRequest>(message)).await),
        PeerBody::ReadIndex => read(
            client
                .read_index(wire::<v1::ReadIndexRequest>(message))
                .await,
        ),
        PeerBody::Consensus(
            Message::ElectionReply(_)
            | Message::CoordinatorReply
            | Message::HeartbeatReply { .. }
            | Message::GetCommitsReply(_)
            | Message::ResignReply,
        )
        | PeerBody::ProposeReply(_)
        | PeerBody::ReadIndexReply(_) => unreachable!("replies answer calls, and are no calls"),
    }
}

fn wire<W: Wire>(message: PeerMessage) -> W {
    W::write(message).expect("the match above chose the RPC by the message")
}

fn read<W: Wire>(answered: Result<Response<W>, Status>) -> Result<PeerMessage, Status> {
    answered?.into_inner().read()
}
