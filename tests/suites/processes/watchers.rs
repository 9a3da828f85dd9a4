//! Watches that move between nodes, while one leader after the other is killed: each reports
//! every event once, in the order of the log.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chat_client::{ChatClient, ClientError, Cursor, OutgoingMessage, Session, Watch, WatchEvent};
use chat_consensus::NodeId;
use chat_tests::processes::cluster::Cluster;
use chat_tests::processes::waiting::{WAIT_TIMEOUT, until, within};
use chat_tests::processes::watch_history::{Change, Done, changes};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use uuid::Uuid;

const LIMIT: Duration = Duration::from_secs(60);
const LEADER_KILLS: usize = 20;
/// Acknowledged after each leader's end before the next one's.
const ACKNOWLEDGED_PER_KILL: u64 = 60;
/// Acknowledged while two nodes serve alone.
const ACKNOWLEDGED_BY_TWO: u64 = 20;
const SENDERS: usize = 3;
/// After so many events the visitor goes on to the next node.
const EVENTS_PER_VISIT: usize = 25;
/// After this long the visitor leaves a node.
const VISIT_TIMEOUT: Duration = Duration::from_secs(1);
const PASSWORD: &str = "open sesame";

/// People who write to the owner, and the owner, who reads and deletes.
struct Load {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
}

#[derive(Default)]
struct Shared {
    stopping: AtomicBool,
    acknowledged: AtomicU64,
    done: Mutex<Done>,
}

/// The changes that a watcher received, and by how many visits of which node.
#[derive(Default)]
struct Received {
    changes: Vec<Change>,
    /// How many these are, for the test meanwhile.
    count: Arc<AtomicUsize>,
    visits: BTreeMap<NodeId, usize>,
}

impl Received {
    fn add(&mut self, news: Vec<Change>) {
        self.changes.extend(news);
        self.count.store(self.changes.len(), Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watch_reports_every_event_once_and_in_order_through_leader_kills() {
    within(LIMIT, async {
        let begun = Instant::now();
        let mut cluster = Cluster::start(3).await;
        let owner = cluster.client().sign_up("owner", PASSWORD).await.unwrap();
        let last = OutgoingMessage::new("owner", "the last one");
        let (started, resident_started) = oneshot::channel();
        let watch = cluster.client().watch(&owner, None);
        let counts = [Arc::<AtomicUsize>::default(), Arc::default()];
        let counting = |of: usize| Received {
            count: Arc::clone(&counts[of]),
            ..Received::default()
        };
        let resident = tokio::spawn(reside(counting(0), watch, last.id, started));
        let (started, visitor_started) = oneshot::channel();
        let hosts = cluster.ids().into_iter();
        let hosts = hosts.map(|id| (id, cluster.client_of(id).with_deadline(VISIT_TIMEOUT)));
        let visitor = visit(
            counting(1),
            hosts.collect(),
            owner.clone(),
            last.id,
            started,
        );
        let visitor = tokio::spawn(visitor);
        resident_started.await.unwrap();
        visitor_started.await.unwrap();

        let load = Load::start(&cluster, &owner).await;
        load.acknowledge(ACKNOWLEDGED_BY_TWO).await;
        let mut killed = BTreeSet::new();
        for kill in 0..LEADER_KILLS {
            killed.insert(kill_leader(&mut cluster, &load, kill).await);
            visitor_follows(&counts).await;
        }
        let mut done = load.stop().await;
        let sent = cluster.client().send_message(&owner, &last).await.unwrap();
        done.arrived.insert(sent.commit.index, last.id);

        let resident = resident.await.unwrap();
        let visitor = visitor.await.unwrap();
        println!(
            "{} arrived, {} read and deleted, leaders {killed:?}, visits {:?}, {:?}",
            done.arrived.len(),
            done.read_and_deleted.len(),
            visitor.visits,
            begun.elapsed()
        );
        for (who, received) in [("resident", &resident), ("visitor", &visitor)] {
            let checked = done.check(&received.changes);
            checked.unwrap_or_else(|difference| panic!("the {who} received: {difference}"));
        }
        assert!(resident.changes == visitor.changes, "one order for all");
        assert!(!done.read_and_deleted.is_empty());
        assert_eq!(visitor.visits.len(), 3, "every node has sent something");
        assert!(killed.len() > 1, "leadership moves");
        cluster.check_healthy();
    })
    .await;
}

/// Kills the node that every node reports as the leader. Every other time it is started again at
/// once, perhaps before it is replaced.
async fn kill_leader(cluster: &mut Cluster, load: &Load, kill: usize) -> NodeId {
    let goal = load.acknowledged() + ACKNOWLEDGED_PER_KILL;
    let leader = cluster.settled().await;
    cluster.kill(leader.node);
    if kill.is_multiple_of(2) {
        cluster.leader_after(leader.term).await;
        load.acknowledge(ACKNOWLEDGED_BY_TWO).await;
        cluster.start_node(leader.node);
    } else {
        cluster.start_node(leader.node);
        cluster.leader_after(leader.term).await;
    }
    let left = goal.saturating_sub(load.acknowledged());
    load.acknowledge(left).await;
    leader.node
}

/// Waits until the visitor has received what the resident had. A node keeps changes in memory: if all are
/// started again before the visitor comes, none can continue its watch.
async fn visitor_follows([resident, visitor]: &[Arc<AtomicUsize>; 2]) {
    let goal = resident.load(Ordering::Relaxed);
    until("the visitor follows", async || {
        let there = visitor.load(Ordering::Relaxed);
        (there >= goal)
            .then_some(())
            .ok_or(format!("{there} of {goal}"))
    })
    .await;
}

/// One watch for everything, which finds its way by itself.
async fn reside(
    mut received: Received,
    mut watch: Watch,
    last: Uuid,
    started: oneshot::Sender<()>,
) -> Received {
    let mut started = Some(started);
    while received.changes.last() != Some(&Change::Arrived(last)) {
        match watch.next().await {
            Ok(update) => {
                announce(&update.event, &mut started);
                received.add(changes(update.event).unwrap());
            }
            // A client's deadline is longer than any fail-over, but machines may be suspended.
            Err(ClientError::Unavailable { .. }) => {}
            Err(error) => panic!("the watch ended: {error:?}"),
        }
    }
    received
}

/// A new watch of one node after the other, each with the last one's cursor.
async fn visit(
    mut received: Received,
    hosts: Vec<(NodeId, ChatClient)>,
    owner: Session,
    last: Uuid,
    started: oneshot::Sender<()>,
) -> Received {
    let mut started = Some(started);
    let mut cursor: Option<Cursor> = None;
    for (node, host) in hosts.iter().cycle() {
        let mut watch = host.watch(&owner, cursor.clone());
        let mut events = 0;
        while events < EVENTS_PER_VISIT {
            match watch.next().await {
                // A node that was just started keeps nothing from before; others do.
                Ok(update) if update.event == WatchEvent::Resync => break,
                Ok(update) => {
                    announce(&update.event, &mut started);
                    let news = changes(update.event).unwrap();
                    events += news.len();
                    received.add(news);
                    cursor = Some(update.cursor);
                }
                Err(ClientError::Unavailable { .. }) => break,
                Err(error) => panic!("{node:?} ended the watch: {error:?}"),
            }
            if received.changes.last() == Some(&Change::Arrived(last)) {
                return received;
            }
        }
        if events > 0 {
            *received.visits.entry(*node).or_default() += 1;
        }
    }
    unreachable!("the circle of nodes does not end")
}

/// The first event shows that the watch has begun.
fn announce(event: &WatchEvent, started: &mut Option<oneshot::Sender<()>>) {
    if let Some(started) = started.take() {
        assert_eq!(*event, WatchEvent::CaughtUp, "nothing has happened yet");
        started.send(()).expect("the test waits for that");
    }
}

impl Load {
    async fn start(cluster: &Cluster, owner: &Session) -> Self {
        let shared = Arc::<Shared>::default();
        let mut tasks = JoinSet::new();
        let (arrivals, arrived) = mpsc::unbounded_channel();
        for number in 0..SENDERS {
            let client = cluster.client().with_deadline(WAIT_TIMEOUT);
            let name = format!("sender-{number}");
            let sender = client.sign_up(&name, PASSWORD).await.unwrap();
            let shared = Arc::clone(&shared);
            tasks.spawn(send(client, sender, shared, arrivals.clone()));
        }
        // Whatever is unknown is repeated by the client until it is known.
        let client = cluster.client().with_deadline(WAIT_TIMEOUT);
        let shared_by_owner = Arc::clone(&shared);
        tasks.spawn(read_and_delete(
            client,
            owner.clone(),
            shared_by_owner,
            arrived,
        ));
        Self { shared, tasks }
    }

    fn acknowledged(&self) -> u64 {
        self.shared.acknowledged.load(Ordering::SeqCst)
    }

    async fn acknowledge(&self, more: u64) {
        let goal = self.acknowledged() + more;
        until("more is acknowledged", async || {
            let now = self.acknowledged();
            if now >= goal {
                Ok(())
            } else {
                Err(format!("{now} are"))
            }
        })
        .await;
    }

    async fn stop(mut self) -> Done {
        self.shared.stopping.store(true, Ordering::SeqCst);
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("no task panics");
        }
        std::mem::take(&mut *self.shared.done())
    }
}

impl Shared {
    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    fn done(&self) -> MutexGuard<'_, Done> {
        // The thread that panicked has failed the test.
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn send(
    client: ChatClient,
    sender: Session,
    shared: Arc<Shared>,
    arrivals: UnboundedSender<Uuid>,
) {
    while !shared.is_stopping() {
        let message = OutgoingMessage::new("owner", "hello");
        let sent = client.send_message(&sender, &message).await.unwrap();
        shared.done().arrived.insert(sent.commit.index, message.id);
        shared.acknowledged.fetch_add(1, Ordering::SeqCst);
        arrivals.send(message.id).expect("the receiver exists");
    }
}

/// Reads and deletes one message after the other, always the one that was acknowledged last.
async fn read_and_delete(
    client: ChatClient,
    owner: Session,
    shared: Arc<Shared>,
    mut arrivals: UnboundedReceiver<Uuid>,
) {
    while let Some(mut newest) = arrivals.recv().await {
        while let Ok(newer) = arrivals.try_recv() {
            newest = newer;
        }
        client.mark_read(&owner, &[newest]).await.unwrap();
        client.delete_messages(&owner, &[newest]).await.unwrap();
        shared.done().read_and_deleted.push(newest);
    }
}
