//! Calls to the peers: one task and one deadline for every call, whatever the transport.
//!
//! A peer may have several addresses: what it says of itself, what the members say, what is configured. Any of
//! them may be old, so a call that fails lets the next one go to the next address.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use chat_consensus::{Envelope, Membership, NodeId};
use tokio::sync::{Semaphore, mpsc};

use crate::event::Event;
use crate::peer_message::PeerRequest;
use crate::runner::loop_event::LoopEvent;
use crate::runner::state_machine::BoxError;
use crate::runner::transport::PeerLink;

/// The leader answers a forwarded request when it is applied; longer than any client waits.
const PROPOSE_TIMEOUT: Duration = Duration::from_secs(30);
/// The protocol's own calls to one peer at a time; it has a handful under way.
const PROTOCOL_CALLS_MAX: usize = 64;
/// Clients' calls that are forwarded to one peer at a time; more fail at once.
const FORWARDED_CALLS_MAX: usize = 8_192;
/// Nodes that may say where they are called, although no members name them: far more than a cluster has.
const ANNOUNCED_MAX: usize = 256;

/// Prepares to send to an address.
pub(super) type Connect<L> = Box<dyn Fn(&str) -> Result<L, BoxError> + Send>;

/// The links to all peers.
pub(super) struct PeerCalls<L> {
    connect: Connect<L>,
    peers: BTreeMap<NodeId, Arc<Peer<L>>>,
    addresses: Addresses,
    events: mpsc::Sender<LoopEvent>,
    /// How long the protocol's own calls may take.
    timeout: Duration,
}

/// Where nodes are called, by who says so.
#[derive(Debug, Default)]
struct Addresses {
    announced: BTreeMap<NodeId, String>,
    /// By the newest members, and by the committed ones.
    of_members: [BTreeMap<NodeId, String>; 2],
    configured: BTreeMap<NodeId, String>,
}

#[derive(Debug)]
struct Peer<L> {
    node: NodeId,
    /// At least one; those that are tried first, first.
    links: Vec<(String, Arc<L>)>,
    /// Which one is called; counts on when a call has failed.
    current: AtomicUsize,
    /// The place of the one that answered last, or a number that is none's.
    answered: AtomicUsize,
    protocol_calls: Semaphore,
    forwarded_calls: Semaphore,
    redialling: AtomicBool,
}

impl Addresses {
    /// All that are known of a node, each once.
    fn of(&self, node: NodeId) -> Vec<&String> {
        let [newest, committed] = &self.of_members;
        let mut all = Vec::new();
        for known in [&self.announced, newest, committed, &self.configured] {
            all.extend(known.get(&node).filter(|address| !all.contains(address)));
        }
        all
    }
}

impl<L> Peer<L> {
    fn link(&self) -> (usize, &Arc<L>) {
        let current = self.current.load(Ordering::Relaxed);
        (current, &self.links[current % self.links.len()].1)
    }

    /// A call to the address with that number has failed: the next one is tried, unless it is already.
    fn try_next(&self, failed: usize) {
        let next = failed.wrapping_add(1);
        let ordering = Ordering::Relaxed;
        // Otherwise another call was quicker.
        let _moved = self
            .current
            .compare_exchange(failed, next, ordering, ordering);
    }
}

impl<L> fmt::Debug for PeerCalls<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerCalls")
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

impl<L: PeerLink> PeerCalls<L> {
    /// Calls to the nodes of a configuration; `timeout` is for the protocol's own.
    pub(super) fn new(
        connect: Connect<L>,
        configured: impl IntoIterator<Item = (NodeId, String)>,
        timeout: Duration,
        events: &mpsc::Sender<LoopEvent>,
    ) -> Self {
        let mut calls = Self {
            connect,
            peers: BTreeMap::new(),
            addresses: Addresses {
                configured: configured.into_iter().collect(),
                ..Addresses::default()
            },
            events: events.clone(),
            timeout,
        };
        let nodes: Vec<NodeId> = calls.addresses.configured.keys().copied().collect();
        for node in nodes {
            calls.reconnect_to(node);
        }
        calls
    }

    /// Other members are the newest or the committed ones. Nodes that are none, but for the `leader` that is
    /// followed, are called where the configuration says, if at all.
    pub(super) fn set_members(
        &mut self,
        own: NodeId,
        leader: Option<NodeId>,
        members: [Option<&Membership>; 2],
    ) {
        let before = std::mem::take(&mut self.addresses.of_members);
        self.addresses.of_members = members.map(|members| {
            let addresses = members.into_iter().flat_map(|members| &members.addresses);
            let others = addresses.filter(|(node, _)| **node != own);
            others
                .map(|(node, addresses)| (*node, addresses.peer.to_string()))
                .collect()
        });
        let is_member =
            |node: &NodeId| members.iter().flatten().any(|members| members.names(*node));
        if members.iter().any(Option::is_some) {
            let newest = &self.addresses.of_members[0];
            // What a node said before an operator said otherwise is older.
            let is_newer = |node: &NodeId| newest.get(node) == before[0].get(node);
            let is_kept =
                |node: &NodeId| is_member(node) && is_newer(node) || leader == Some(*node);
            self.addresses.announced.retain(|node, _| is_kept(node));
        }
        let [newest, committed] = &self.addresses.of_members;
        let nodes = newest
            .keys()
            .chain(committed.keys())
            .chain(self.peers.keys());
        let nodes: BTreeSet<NodeId> = nodes.copied().collect();
        for node in nodes {
            self.reconnect_to(node);
        }
    }

    /// A node says where it is called.
    pub(super) fn announce(&mut self, node: NodeId, address: &str) {
        let announced = &mut self.addresses.announced;
        let known = announced.get(&node);
        if known.is_some_and(|known| known == address)
            || known.is_none() && announced.len() >= ANNOUNCED_MAX
        {
            return;
        }
        announced.insert(node, address.to_owned());
        self.reconnect_to(node);
    }

    fn reconnect_to(&mut self, node: NodeId) {
        if let Err(error) = self.connect_to(node) {
            tracing::warn!(node = node.0, error, "a peer's address cannot be used");
        }
    }

    /// Makes the links to all addresses of a node, and keeps those that there are. An address that cannot be
    /// used is an error, and the others are used all the same.
    fn connect_to(&mut self, node: NodeId) -> Result<(), BoxError> {
        let addresses = self.addresses.of(node);
        let known = self.peers.get(&node);
        if known.is_some_and(|known| {
            known
                .links
                .iter()
                .map(|(address, _)| address)
                .eq(addresses.iter().copied())
        }) {
            return Ok(());
        }
        let mut links = Vec::new();
        let mut problem = None;
        for address in addresses {
            let kept =
                known.and_then(|known| known.links.iter().find(|(other, _)| other == address));
            match kept {
                Some((_, link)) => links.push((address.clone(), Arc::clone(link))),
                None => match (self.connect)(address) {
                    Ok(link) => links.push((address.clone(), Arc::new(link))),
                    Err(error) => problem = Some(error),
                },
            }
        }
        if links.is_empty() {
            self.peers.remove(&node);
        } else {
            // What works is kept, until it does not work any more.
            let answered =
                known.and_then(|known| known.links.get(known.answered.load(Ordering::Relaxed)));
            let place = answered.and_then(|(works, _)| {
                let mut addresses = links.iter();
                addresses.position(|(address, _)| address == works)
            });
            let peer = Peer {
                node,
                links,
                current: AtomicUsize::new(place.unwrap_or(0)),
                answered: AtomicUsize::new(place.unwrap_or(usize::MAX)),
                protocol_calls: Semaphore::new(PROTOCOL_CALLS_MAX),
                forwarded_calls: Semaphore::new(FORWARDED_CALLS_MAX),
                redialling: AtomicBool::new(false),
            };
            self.peers.insert(node, Arc::new(peer));
        }
        problem.map_or(Ok(()), Err)
    }

    /// Sends a request; its reply, or that there will be none, comes back as an event.
    pub(super) fn call(&self, request: Envelope<PeerRequest>) {
        let (node, id) = (request.header.to, request.header.request);
        let events = self.events.clone();
        match self.peers.get(&node).cloned() {
            Some(peer) => drop(tokio::spawn(call(peer, request, self.timeout, events))),
            None => {
                let failed = LoopEvent::Event(Event::CallNotSent(node, id));
                drop(tokio::spawn(async move { drop(events.send(failed).await) }));
            }
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
    let (number, link) = peer.link();
    let called = tokio::time::timeout(timeout, link.call(request)).await;
    // A replica that has stopped receives nothing more.
    match called {
        Ok(Ok(reply)) => {
            let place = number % peer.links.len();
            peer.answered.store(place, Ordering::Relaxed);
            drop(events.send(LoopEvent::Event(Event::Reply(reply))).await);
        }
        Ok(Err(error)) => {
            tracing::debug!(peer = peer.node.0, error = error.as_ref(), "call failed");
            peer.try_next(number);
            drop(events.send(failed).await);
            redial(&peer, &events).await;
        }
        Err(_late) => {
            peer.try_next(number);
            drop(events.send(failed).await);
        }
    }
}

/// The call ended without an answer and before its deadline: is the peer gone? It is where it answered last; if it
/// never did, anywhere.
async fn redial<L: PeerLink>(peer: &Peer<L>, events: &mpsc::Sender<LoopEvent>) {
    if peer.redialling.swap(true, Ordering::Relaxed) {
        return;
    }
    let answered = peer.links.get(peer.answered.load(Ordering::Relaxed));
    let asked = answered.map_or(peer.links.as_slice(), std::slice::from_ref);
    let mut refused = true;
    for (_, link) in asked {
        refused = refused && link.is_refused().await;
    }
    if refused {
        let refused = Event::ConnectionRefused(peer.node);
        drop(events.send(LoopEvent::Event(refused)).await);
    }
    peer.redialling.store(false, Ordering::Relaxed);
}

#[cfg(test)]
mod tests;
