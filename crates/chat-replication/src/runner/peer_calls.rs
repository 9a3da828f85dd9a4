//! Calls to the peers: one task and one deadline for every call, whatever the transport.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chat_consensus::{Envelope, NodeId};
use tokio::sync::{Semaphore, mpsc};

use crate::event::Event;
use crate::peer_message::PeerRequest;
use crate::runner::loop_event::LoopEvent;
use crate::runner::transport::PeerLink;

/// The leader answers a forwarded request when it is applied; longer than any client waits.
const PROPOSE_TIMEOUT: Duration = Duration::from_secs(30);
/// The protocol's own calls to one peer at a time; it has a handful under way.
const PROTOCOL_CALLS_MAX: usize = 64;
/// Clients' calls that are forwarded to one peer at a time; more fail at once.
const FORWARDED_CALLS_MAX: usize = 8_192;

/// The links to all peers.
#[derive(Debug)]
pub(super) struct PeerCalls<L> {
    peers: BTreeMap<NodeId, Arc<Peer<L>>>,
    events: mpsc::Sender<LoopEvent>,
    /// How long the protocol's own calls may take.
    timeout: Duration,
}

#[derive(Debug)]
struct Peer<L> {
    node: NodeId,
    link: L,
    protocol_calls: Semaphore,
    forwarded_calls: Semaphore,
    redialling: AtomicBool,
}

impl<L: PeerLink> PeerCalls<L> {
    /// Calls over `links`; `timeout` is for the protocol's own.
    pub(super) fn new(
        links: impl IntoIterator<Item = (NodeId, L)>,
        timeout: Duration,
        events: &mpsc::Sender<LoopEvent>,
    ) -> Self {
        let peers = links.into_iter().map(|(node, link)| {
            let peer = Peer {
                node,
                link,
                protocol_calls: Semaphore::new(PROTOCOL_CALLS_MAX),
                forwarded_calls: Semaphore::new(FORWARDED_CALLS_MAX),
                redialling: AtomicBool::new(false),
            };
            (node, Arc::new(peer))
        });
        Self {
            peers: peers.collect(),
            events: events.clone(),
            timeout,
        }
    }

    /// Sends a request; its reply, or that there will be none, comes back as an event.
    pub(super) fn call(&self, request: Envelope<PeerRequest>) {
        if let Some(peer) = self.peers.get(&request.header.to).cloned() {
            tokio::spawn(call(peer, request, self.timeout, self.events.clone()));
        }
    }
}

async fn call<L: PeerLink>(
    peer: Arc<Peer<L>>,
    request: Envelope<PeerRequest>,
    protocol_timeout: Duration,
    events: mpsc::Sender<LoopEvent>,
) {
    let id = request.header.request;
    let failed = LoopEvent::Event(Event::CallFailed(peer.node, id));
    let (calls, timeout) = match request.message {
        PeerRequest::Propose { .. } => (&peer.forwarded_calls, PROPOSE_TIMEOUT),
        PeerRequest::ReadIndex => (&peer.forwarded_calls, protocol_timeout),
        PeerRequest::Consensus(_) => (&peer.protocol_calls, protocol_timeout),
    };
    let Ok(_permit) = calls.try_acquire() else {
        let unsent = Event::CallNotSent(peer.node, id);
        return drop(events.send(LoopEvent::Event(unsent)).await);
    };
    let called = tokio::time::timeout(timeout, peer.link.call(request)).await;
    // A replica that has stopped receives nothing more.
    match called {
        Ok(Ok(reply)) => drop(events.send(LoopEvent::Event(Event::Reply(reply))).await),
        Ok(Err(error)) => {
            tracing::debug!(peer = peer.node.0, error = error.as_ref(), "call failed");
            drop(events.send(failed).await);
            redial(&peer, &events).await;
        }
        Err(_late) => drop(events.send(failed).await),
    }
}

/// The call ended without an answer and before its deadline: is the peer gone?
async fn redial<L: PeerLink>(peer: &Peer<L>, events: &mpsc::Sender<LoopEvent>) {
    if peer.redialling.swap(true, Ordering::Relaxed) {
        return;
    }
    if peer.link.is_refused().await {
        let refused = Event::ConnectionRefused(peer.node);
        drop(events.send(LoopEvent::Event(refused)).await);
    }
    peer.redialling.store(false, Ordering::Relaxed);
}
