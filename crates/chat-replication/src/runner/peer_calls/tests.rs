//! Which address of a peer is called.

use std::sync::{Arc, Mutex};

use chat_consensus::{
    ClusterId, Header, Membership, MembershipEdit, NodeAddresses, RequestId, StorageId, Term, Voter,
};

use super::*;
use crate::peer_message::PeerReply;

const OWN: NodeId = NodeId(1);
const PEER: NodeId = NodeId(2);

/// Which addresses were called, and which of them answer.
#[derive(Clone, Debug, Default)]
struct Net {
    called: Arc<Mutex<Vec<String>>>,
    answering: Arc<Mutex<Vec<String>>>,
}

#[derive(Debug)]
struct Link {
    address: String,
    net: Net,
}

impl PeerLink for Link {
    async fn call(&self, request: Envelope<PeerRequest>) -> Result<Envelope<PeerReply>, BoxError> {
        self.net.called.lock().unwrap().push(self.address.clone());
        if !self.net.answering.lock().unwrap().contains(&self.address) {
            return Err("no node is there".into());
        }
        let Envelope { header, .. } = request;
        let message = PeerReply::ReadIndex(None);
        Ok(Envelope { header, message })
    }

    fn is_refused(&self) -> impl Future<Output = bool> + Send {
        let answering = self.net.answering.lock().unwrap();
        std::future::ready(!answering.contains(&self.address))
    }
}

struct Case {
    net: Net,
    calls: PeerCalls<Link>,
    events: mpsc::Receiver<LoopEvent>,
}

impl Case {
    fn new(configured: &[(NodeId, &str)]) -> Self {
        let net = Net::default();
        let of_links = net.clone();
        let connect = move |address: &str| match address {
            "invalid" => Err("not an address".into()),
            _ => Ok(Link {
                address: address.to_owned(),
                net: of_links.clone(),
            }),
        };
        let (sender, events) = mpsc::channel(64);
        let configured = configured
            .iter()
            .map(|(node, at)| (*node, (*at).to_owned()));
        let timeout = Duration::from_secs(5);
        let calls = PeerCalls::new(Box::new(connect), configured, timeout, &sender);
        Self { net, calls, events }
    }

    fn set_members(&mut self, at: Option<&str>) {
        let members = members(at);
        self.calls
            .set_members(OWN, None, [Some(&members), Some(&members)]);
    }

    /// Calls the peer, and returns which address was called, and what came of it.
    async fn call(&mut self) -> (Vec<String>, LoopEvent) {
        self.net.called.lock().unwrap().clear();
        let header = Header {
            cluster: Some(ClusterId(1)),
            term: Term(1),
            from: OWN,
            to: PEER,
            storage: StorageId(1),
            to_storage: None,
            request: RequestId::default(),
        };
        let message = PeerRequest::ReadIndex;
        self.calls.call(Envelope { header, message });
        let event = self.events.recv().await.expect("the sender is kept");
        let called = self.net.called.lock().unwrap().clone();
        (called, event)
    }

    /// Calls the peer at this address, where nothing answers, and then nothing listens.
    async fn call_is_refused(&mut self, address: &str) {
        let (called, event) = self.call().await;
        assert_eq!(called, [address]);
        assert!(
            matches!(event, LoopEvent::Event(Event::CallFailed(PEER, _))),
            "{event:?}"
        );
        let event = self.events.recv().await.expect("the sender is kept");
        assert!(
            matches!(event, LoopEvent::Event(Event::ConnectionRefused(PEER))),
            "{event:?}"
        );
    }
}

/// The peer among the members, with an address or without.
fn members(at: Option<&str>) -> Membership {
    let voter = |node: NodeId| Voter {
        node,
        storage: StorageId(u128::from(node.0)),
    };
    let members = Membership::of_voters(ClusterId(1), vec![voter(OWN), voter(PEER)]);
    let Some(peer) = at else {
        return members;
    };
    let addresses = NodeAddresses {
        peer: peer.into(),
        client: "".into(),
    };
    let update = MembershipEdit::Update(PEER, None, addresses);
    members.edited(&update).unwrap().expect("it has none yet")
}

/// A node that moved is found where it says, or where an operator said, and if both are wrong where it was.
#[tokio::test]
async fn call_that_fails_lets_the_next_one_go_to_the_next_address() {
    let mut case = Case::new(&[(PEER, "configured")]);
    case.net
        .answering
        .lock()
        .unwrap()
        .push("configured".to_owned());
    let (called, event) = case.call().await;
    assert_eq!(called, ["configured"]);
    assert!(
        matches!(event, LoopEvent::Event(Event::Reply(_))),
        "{event:?}"
    );

    case.set_members(Some("member"));
    case.calls.announce(PEER, "announced");
    let (called, _) = case.call().await;
    assert_eq!(called, ["configured"], "what works is kept");
    *case.net.answering.lock().unwrap() = vec!["member".to_owned()];
    case.call_is_refused("configured").await;
    case.call_is_refused("announced").await;
    for _ in 0..3 {
        let (called, event) = case.call().await;
        assert_eq!(called, ["member"], "what works is kept");
        assert!(
            matches!(event, LoopEvent::Event(Event::Reply(_))),
            "{event:?}"
        );
    }
}

/// R17: a second address where nothing answers does not delay the next election.
#[tokio::test]
async fn peer_is_gone_if_it_is_where_it_answered_last() {
    let mut case = Case::new(&[(PEER, "old")]);
    case.set_members(Some("new"));
    // It never answered: it may run at either address.
    let refused =
        |event: &LoopEvent| matches!(event, LoopEvent::Event(Event::ConnectionRefused(PEER)));
    let failed = |event: &LoopEvent| matches!(event, LoopEvent::Event(Event::CallFailed(..)));
    case.net.answering.lock().unwrap().push("old".to_owned());
    let (called, event) = case.call().await;
    assert!(called == ["new"] && failed(&event), "{event:?}");
    let (called, event) = case.call().await;
    assert_eq!(called, ["old"]);
    assert!(
        matches!(event, LoopEvent::Event(Event::Reply(_))),
        "and no refusal: {event:?}"
    );
    *case.net.answering.lock().unwrap() = vec!["new".to_owned()];
    let (_, event) = case.call().await;
    assert!(failed(&event), "{event:?}");
    let event = case.events.recv().await.expect("the sender is kept");
    assert!(refused(&event), "{event:?}");
}

/// What an operator says is newer than what a node said before.
#[tokio::test]
async fn announced_address_is_forgotten_when_the_members_have_another_one() {
    let mut case = Case::new(&[]);
    case.set_members(Some("first"));
    case.calls.announce(PEER, "announced");
    case.set_members(Some("first"));
    assert_eq!(case.calls.addresses.of(PEER), ["announced", "first"]);
    case.set_members(Some("moved"));
    assert_eq!(case.calls.addresses.of(PEER), ["moved"]);
}

#[tokio::test]
async fn call_to_a_node_without_an_address_is_not_sent() {
    let mut case = Case::new(&[]);
    let is_unsent =
        |event: &LoopEvent| matches!(event, LoopEvent::Event(Event::CallNotSent(PEER, _)));
    let (called, event) = case.call().await;
    assert!(called.is_empty() && is_unsent(&event), "{event:?}");
    case.calls.announce(PEER, "invalid");
    let (called, event) = case.call().await;
    assert!(called.is_empty() && is_unsent(&event), "{event:?}");
    case.net.answering.lock().unwrap().push("member".to_owned());
    case.set_members(Some("member"));
    let (called, _) = case.call().await;
    assert_eq!(called, ["member"]);
    case.set_members(None);
    let (called, _) = case.call().await;
    assert!(called.is_empty(), "the members have no address any more");
}

/// Anything that reaches the listener may say that it is any node.
#[tokio::test]
async fn so_many_nodes_say_where_they_are_at_most() {
    let mut case = Case::new(&[]);
    for node in 0..ANNOUNCED_MAX as u64 + 10 {
        case.calls.announce(NodeId(1_000 + node), "somewhere");
    }
    assert_eq!(case.calls.addresses.announced.len(), ANNOUNCED_MAX);
    case.set_members(None);
    assert!(case.calls.addresses.announced.is_empty());
    assert!(case.calls.peers.is_empty());
}
