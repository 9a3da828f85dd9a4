//! A minority is killed: every type of request works on every node that is left.

use std::time::Duration;

use chat_client::{ChatClient, InboxQuery, Message, OutgoingMessage, Session};
use chat_consensus::NodeId;
use chat_tests::processes::cluster::Cluster;
use chat_tests::processes::history::read_inbox;
use chat_tests::processes::waiting::within;

const LIMIT: Duration = Duration::from_secs(240);
const PASSWORD: &str = "open sesame";

/// What has been sent so far, and to whom.
struct Fixture {
    witness: Session,
    sent: Vec<OutgoingMessage>,
    accounts: usize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_of_three_serve_everything() {
    within(LIMIT, async {
        let mut cluster = Cluster::start(3).await;
        let mut fixture = Fixture::new(&cluster).await;
        for node in cluster.ids() {
            check_without(&mut cluster, &mut fixture, &[node]).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_of_five_serve_everything() {
    within(LIMIT, async {
        let mut cluster = Cluster::start(5).await;
        let mut fixture = Fixture::new(&cluster).await;
        let ids = cluster.ids();
        for (place, first) in ids.iter().enumerate() {
            for second in &ids[place + 1..] {
                check_without(&mut cluster, &mut fixture, &[*first, *second]).await;
            }
        }
        assert_eq!(
            fixture.sent.len(),
            10 * 3,
            "ten pairs, three nodes left each"
        );
    })
    .await;
}

/// Kills these, sends every type of request to all others, and starts these again.
async fn check_without(cluster: &mut Cluster, fixture: &mut Fixture, killed: &[NodeId]) {
    for node in killed {
        cluster.kill(*node);
    }
    let left = cluster.serving();
    assert_eq!(left.len(), cluster.ids().len() - killed.len());
    for node in left {
        fixture.check_every_request(&cluster.client_of(node)).await;
    }
    cluster.start_all();
    cluster.settled().await;
    cluster.check_healthy();
}

impl Fixture {
    async fn new(cluster: &Cluster) -> Self {
        let witness = cluster.client().sign_up("witness", PASSWORD).await;
        Self {
            witness: witness.unwrap(),
            sent: Vec::new(),
            accounts: 0,
        }
    }

    /// All four types of request, by a client of one node; what it reads is everything that was
    /// acknowledged on any node before (R14).
    async fn check_every_request(&mut self, node: &ChatClient) {
        self.accounts += 1;
        let name = format!("user-{}", self.accounts);
        let created = node.sign_up(&name, PASSWORD).await.unwrap();
        let logged_in = node.login(&name, PASSWORD).await.unwrap();
        assert_eq!(logged_in.unread, 0);

        let message = OutgoingMessage::new("witness", format!("from {name}"));
        let sent = node.send_message(&created, &message).await.unwrap();
        self.sent.push(message);
        let inbox = read_inbox(node, &self.witness).await.unwrap();
        assert_eq!(content(&inbox), content_sent(&self.sent));
        let last = inbox.last().unwrap();
        assert_eq!((&last.sender, last.commit), (&name, sent.commit));

        // The new account is one that can be written to, and the other session one that can read.
        let answer = OutgoingMessage::new(&name, "welcome");
        node.send_message(&self.witness, &answer).await.unwrap();
        let own = InboxQuery::default();
        let page = node.inbox(&logged_in.session, &own).await.unwrap();
        assert_eq!((page.unread, page.next), (1, None));
        assert_eq!(content(&page.messages), content_sent(&[answer]));
        let logged_in = node.login(&name, PASSWORD).await.unwrap();
        assert_eq!(logged_in.unread, 1);
    }
}

fn content(inbox: &[Message]) -> Vec<(String, String)> {
    let one = |message: &Message| (message.id.to_string(), message.body.clone());
    inbox.iter().map(one).collect()
}

fn content_sent(sent: &[OutgoingMessage]) -> Vec<(String, String)> {
    let one = |message: &OutgoingMessage| (message.id.to_string(), message.body.clone());
    sent.iter().map(one).collect()
}
