//! A flood of logins that come to nothing, and honest logins beside it: from the flood's own address
//! over another connection, and from another address.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use chat_consensus::NodeId;
use chat_tests::processes::cluster::Cluster;
use chat_tests::processes::plain_request::PlainClient;
use chat_tests::processes::request_json;
use chat_tests::processes::waiting::{until, within};
use tokio::task::JoinSet;

use super::limits::{ALONE, ATTACKERS, LIMIT, MEMORY_MAX};

/// Under way at once, from one address.
const BOGUS_LOGINS: usize = 120;
/// To each node. A node takes at most 32 logins at once from one connection.
const CONNECTIONS_TO_NODE: usize = 2;
/// Answered before honest people come: the flood has arrived, and a hasher works on it.
const ANSWERED_FIRST: usize = 3;
/// What an honest login may take.
const HONEST_MAX: Duration = Duration::from_secs(2);
/// Longer than the test looks at the flood.
const BOGUS_TIMEOUT: Duration = Duration::from_secs(25);
/// An address without failed logins leaves 60 free to the others, and then one in half a
/// second: by now those of the flood are used up.
const FREE_FAILURES: usize = 60;
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// Bogus logins that were answered, whatever the answer.
type Answered = Arc<AtomicUsize>;

/// Keeps so many logins of unknown names under way on one connection.
async fn flood(client: PlainClient, logins: usize, answered: Answered) {
    let mut flooding = JoinSet::new();
    for _ in 0..logins {
        let (client, answered) = (client.clone(), Arc::clone(&answered));
        flooding.spawn(async move {
            loop {
                let name = format!("unknown-{}", fastrand::u64(..));
                let request = request_json::login(&name, &digest());
                // Refused or late: the flood goes on.
                drop(client.execute(&request, None, BOGUS_TIMEOUT).await);
                answered.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    flooding.join_all().await;
}

/// What is sent instead of a password.
pub(super) fn digest() -> String {
    let half = || format!("{:032x}", fastrand::u128(..));
    half() + &half()
}

struct Honest {
    name: &'static str,
    digest: String,
    from: IpAddr,
}

impl Honest {
    /// How long a login over a new connection takes.
    async fn login(&self, cluster: &Cluster, node: NodeId) -> Duration {
        let begun = Instant::now();
        let client = PlainClient::connect_from(self.from, cluster.client_address(node)).await;
        let client = client.unwrap();
        let request = request_json::login(self.name, &self.digest);
        let reply = client.execute(&request, None, BOGUS_TIMEOUT).await;
        let took = begun.elapsed();
        let reply = reply.unwrap_or_else(|status| panic!("{} is refused: {status}", self.name));
        assert_eq!(reply["status"], "OK", "{}: {reply}", self.name);
        took
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn honest_login_beside_120_bogus_ones_is_served_in_2_s() {
    let _alone = ALONE.lock().await;
    within(LIMIT, async {
        let mut cluster = Cluster::start(3).await;
        let honest = [("from-there", ATTACKERS), ("from-elsewhere", ELSEWHERE)];
        let honest = honest.map(|(name, from)| Honest {
            name,
            digest: digest(),
            from,
        });
        let leader = cluster.leader().await.node;
        for one in &honest {
            let client = PlainClient::connect(cluster.client_address(leader)).await;
            let request = request_json::create_user(one.name, &one.digest);
            let reply = client
                .execute_until_available(&request, None)
                .await
                .unwrap();
            assert_eq!(reply["status"], "OK", "{reply}");
        }
        let answered = Answered::default();
        let mut flooding = JoinSet::new();
        let nodes = cluster.ids();
        let logins = BOGUS_LOGINS / nodes.len() / CONNECTIONS_TO_NODE;
        for node in &nodes {
            for _ in 0..CONNECTIONS_TO_NODE {
                let client = PlainClient::connect(cluster.client_address(*node)).await;
                flooding.spawn(flood(client, logins, Arc::clone(&answered)));
            }
        }
        until_answered(&answered, ANSWERED_FIRST).await;
        for node in &nodes {
            let [same, other] = &honest;
            let (same, other) =
                tokio::join!(same.login(&cluster, *node), other.login(&cluster, *node));
            println!(
                "login beside {BOGUS_LOGINS} bogus ones, at node {}: {} ms from the same address, \
                 {} ms from another; {} bogus ones were answered",
                node.0,
                same.as_millis(),
                other.as_millis(),
                answered.load(Ordering::Relaxed)
            );
            assert!(same <= HONEST_MAX, "from the same address: {same:?}");
            assert!(other <= HONEST_MAX, "from another address: {other:?}");
        }
        // From now on the flood's address gets one wrong password in half a second, and every
        // client that shares it waits for that; another address does not.
        until_answered(&answered, FREE_FAILURES).await;
        let [same, other] = &honest;
        let (same, other) =
            tokio::join!(same.login(&cluster, leader), other.login(&cluster, leader));
        println!(
            "login beside a flood that is slowed down: {} ms from the same address, {} ms from \
             another; {} bogus ones were answered; {} MiB at most",
            same.as_millis(),
            other.as_millis(),
            answered.load(Ordering::Relaxed),
            cluster.memory_peak() >> 20
        );
        assert!(same <= HONEST_MAX, "from the same address: {same:?}");
        assert!(other <= HONEST_MAX, "from another address: {other:?}");
        assert!(cluster.memory_peak() <= MEMORY_MAX);
        cluster.check_healthy();
    })
    .await;
}

async fn until_answered(answered: &Answered, count: usize) {
    until("bogus logins are answered", async || {
        let answered = answered.load(Ordering::Relaxed);
        let found = (answered >= count).then_some(());
        found.ok_or_else(|| format!("{answered} of {count}"))
    })
    .await;
}
