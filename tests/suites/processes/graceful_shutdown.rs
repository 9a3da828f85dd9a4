//! Nodes are terminated, and shut down in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use chat_client::{ChatClient, Session};
use chat_consensus::NodeId;
use chat_tests::processes::cluster::Cluster;
use chat_tests::processes::plain_request::PlainClient;
use chat_tests::processes::waiting::{until, within};
use serde_json::json;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::inboxes_on_every_node;

const LIMIT: Duration = Duration::from_secs(120);
/// Of a request that is made once and must succeed.
const WAIT_TIMEOUT: Duration = Duration::from_secs(20);
const MESSAGES: usize = 60;
const TRANSFERS: usize = 5;
/// Executed before the leader is terminated, and again after it has ended.
const EXECUTED: u64 = 50;
const PASSWORD: &str = "open sesame";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_survive_shutdown_of_all_nodes() {
    within(LIMIT, async {
        let mut cluster = Cluster::start(3).await;
        let client = cluster.client();
        let owner = client.sign_up("owner", PASSWORD).await.unwrap();
        for number in 0..MESSAGES {
            let body = format!("message {number}");
            client.send(&owner, "owner", &body).await.unwrap();
        }
        let owner = std::slice::from_ref(&owner);
        let before = inboxes_on_every_node(&cluster, owner).await;
        assert_eq!(before["owner"].len(), MESSAGES);

        let endings = cluster.terminate(&cluster.ids()).await;
        assert!(
            endings.iter().all(|ending| ending.code() == Some(0)),
            "{endings:?}"
        );
        assert_eq!(cluster.serving(), []);
        cluster.start_all();
        cluster.settled().await;
        assert_eq!(inboxes_on_every_node(&cluster, owner).await, before);
        cluster.check_healthy();
    })
    .await;
}

/// Load that repeats nothing, and ends with the first error.
struct Load {
    stopping: Arc<AtomicBool>,
    executed: Arc<AtomicU64>,
    tasks: JoinSet<Result<u64, String>>,
}

/// How a request is sent.
enum Sender {
    /// To this node, once.
    OneNode(PlainClient),
    /// To any node, until it is executed.
    AnyNode(ChatClient),
}

/// R17: what the leader has accepted is finished before it resigns, and the named successor does not
/// wait. A client of another node sees no error, although it repeats nothing; nor does a client that
/// calls the leader and then other nodes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn terminated_leader_transfers_leadership_without_an_error() {
    within(LIMIT, async {
        let mut cluster = Cluster::start(3).await;
        let owner = cluster.client().sign_up("owner", PASSWORD).await.unwrap();
        let mut executed = 0;
        for _ in 0..TRANSFERS {
            let leader = cluster.settled().await;
            let load = Load::start(&cluster, leader.node, &owner).await;
            load.wait_for_more(EXECUTED).await;
            let endings = cluster.terminate(&[leader.node]).await;
            assert_eq!(endings[0].code(), Some(0));
            let next = cluster.leader_after(leader.term).await;
            assert_ne!(next.node, leader.node);
            load.wait_for_more(EXECUTED).await;
            executed += load.stop().await;
            cluster.start_node(leader.node);
        }
        cluster.settled().await;
        let inbox = &inboxes_on_every_node(&cluster, &[owner]).await["owner"];
        assert_eq!(inbox.len() as u64, executed, "each of them once");
        cluster.check_healthy();
    })
    .await;
}

impl Load {
    async fn start(cluster: &Cluster, leader: NodeId, owner: &Session) -> Self {
        let mut load = Self {
            stopping: Arc::default(),
            executed: Arc::default(),
            tasks: JoinSet::new(),
        };
        let others = cluster.ids().into_iter().filter(|id| *id != leader);
        for other in others {
            let node = PlainClient::connect(cluster.client_address(other)).await;
            load.repeat(Sender::OneNode(node), owner);
        }
        // Begins with the leader.
        let mut nodes = cluster.ids();
        nodes.sort_by_key(|id| *id != leader);
        let addresses = nodes
            .into_iter()
            .map(|id| cluster.client_address(id).to_string());
        let client = ChatClient::new(addresses)
            .unwrap()
            .with_deadline(WAIT_TIMEOUT);
        for _ in 0..2 {
            load.repeat(Sender::AnyNode(client.clone()), owner);
        }
        load
    }

    fn repeat(&mut self, sender: Sender, owner: &Session) {
        let (stopping, executed) = (Arc::clone(&self.stopping), Arc::clone(&self.executed));
        let owner = owner.clone();
        self.tasks.spawn(async move {
            let mut own = 0;
            while !stopping.load(Ordering::SeqCst) {
                sender.send(&owner).await?;
                own += 1;
                executed.fetch_add(1, Ordering::SeqCst);
            }
            Ok(own)
        });
    }

    async fn wait_for_more(&self, more: u64) {
        let goal = self.executed.load(Ordering::SeqCst) + more;
        until("more requests are executed", async || {
            let now = self.executed.load(Ordering::SeqCst);
            if now >= goal {
                Ok(())
            } else {
                Err(format!("{now} are"))
            }
        })
        .await;
    }

    /// How many requests were executed in all.
    async fn stop(self) -> u64 {
        self.stopping.store(true, Ordering::SeqCst);
        let ended = self.tasks.join_all().await;
        let counts: Result<Vec<u64>, String> = ended.into_iter().collect();
        counts.expect("no client sees an error").into_iter().sum()
    }
}

impl Sender {
    async fn send(&self, owner: &Session) -> Result<(), String> {
        match self {
            Self::OneNode(node) => send_once(node, owner).await,
            Self::AnyNode(client) => match client.send(owner, "owner", "through a client").await {
                Ok(_sent) => Ok(()),
                Err(error) => Err(format!("a client: {error}")),
            },
        }
    }
}

async fn send_once(node: &PlainClient, owner: &Session) -> Result<(), String> {
    let message = json!({
        "id": Uuid::new_v4(), "sender": "owner", "recipient": "owner", "body": "through one node",
    });
    let request = json!({"id": Uuid::new_v4(), "request_type": "SEND_MESSAGE", "message": message});
    let reply = node
        .execute(&request, Some(owner.token()), WAIT_TIMEOUT)
        .await;
    match reply {
        Ok(reply) if reply["status"] == "OK" => Ok(()),
        Ok(reply) => Err(reply.to_string()),
        Err(status) => Err(format!("one node: {status:?}")),
    }
}
