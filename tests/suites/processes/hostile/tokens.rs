//! Tokens that no session has, while the leader is killed: every node rejects them under every
//! leader, and honest clients are served through the fail-over.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use chat_tests::processes::cluster::Cluster;
use chat_tests::processes::plain_request::PlainClient;
use chat_tests::processes::request_json;
use chat_tests::processes::waiting::{until, within};
use serde_json::Value;
use tokio::task::JoinSet;
use tonic::Code;
use uuid::Uuid;

use super::attacks::garbage_token;
use super::limits::{ALONE, ATTACKERS, LIMIT, MEMORY_MAX};
use super::measuring::{Fixture, serve_until};

/// At each node.
const INTRUDERS: usize = 16;
/// Leaders that are killed, one after the other.
const FAIL_OVERS: usize = 2;
/// Answers that are waited for before a leader is killed, and once there is another one.
const ANSWERS_BETWEEN: usize = 500;
const TIMEOUT: Duration = Duration::from_secs(2);

/// How often intruders were answered in which way.
type Answers = BTreeMap<String, usize>;

/// What an attacker without an account tries in the name of one that exists.
fn requests() -> [Value; 8] {
    let (victim, digest) = ("honest-0", "0123456789abcdef".repeat(4));
    let id = Uuid::new_v4();
    [
        request_json::get_messages(victim),
        request_json::list_users("*"),
        request_json::send_message(id, victim, victim, "forged"),
        request_json::read_messages(&[id]),
        request_json::delete_messages(&[id]),
        request_json::change_password(&digest, &digest),
        request_json::logout(),
        request_json::delete_user(victim),
    ]
}

/// Goes on until it is over, through every loss of its connection.
async fn intrude(target: SocketAddr, over: Arc<AtomicBool>, answered: Arc<AtomicUsize>) -> Answers {
    let mut answers = Answers::new();
    while !over.load(Ordering::Relaxed) {
        let Ok(client) = PlainClient::connect_from(ATTACKERS, target).await else {
            tokio::task::yield_now().await;
            continue;
        };
        for request in requests() {
            let token = garbage_token();
            let answer = match client.execute(&request, Some(&token), TIMEOUT).await {
                Ok(reply) => format!("{} for {}", reply["status"], request["request_type"]),
                Err(status) => format!("{:?}", status.code()),
            };
            *answers.entry(answer).or_default() += 1;
            answered.fetch_add(1, Ordering::Relaxed);
        }
    }
    answers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invented_tokens_are_rejected_while_leaders_are_killed() {
    let _alone = ALONE.lock().await;
    within(LIMIT, async {
        let mut cluster = Cluster::start(3).await;
        let fixture = Fixture::new(&cluster).await;
        let over = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(AtomicUsize::new(0));
        let mut intruding = JoinSet::new();
        for node in cluster.ids() {
            for _ in 0..INTRUDERS {
                let target = cluster.client_address(node);
                intruding.spawn(intrude(target, Arc::clone(&over), Arc::clone(&answered)));
            }
        }
        let mut gaps = Vec::new();
        let mut memory = 0;
        let failing_over = async {
            for _ in 0..FAIL_OVERS {
                more_answers(&answered).await;
                let leader = cluster.leader().await;
                memory = memory.max(cluster.memory_peak());
                let killed = Instant::now();
                cluster.kill(leader.node);
                cluster.leader_after(leader.term).await;
                gaps.push(killed.elapsed().as_millis());
                more_answers(&answered).await;
                cluster.start_node(leader.node);
                cluster.settled().await;
            }
        };
        let (seen, ()) = serve_until(&fixture, failing_over).await;
        over.store(true, Ordering::Relaxed);
        let mut answers = Answers::new();
        for one in intruding.join_all().await {
            for (answer, count) in one {
                *answers.entry(answer).or_default() += count;
            }
        }
        memory = memory.max(cluster.memory_peak());
        println!(
            "invented tokens over fail-overs of {gaps:?} ms: {answers:?}; honest p99 {} ms, at \
             most {} ms, {} done; {} MiB at most",
            seen.percentile(99) / 1000,
            seen.percentile(100) / 1000,
            seen.done(),
            memory >> 20
        );
        seen.check("invented tokens");
        // A node without a leader, or that is gone, cannot find the session of a token.
        let expected = [
            Code::Unauthenticated,
            Code::Unavailable,
            Code::DeadlineExceeded,
            Code::Cancelled,
            Code::ResourceExhausted,
            Code::Unknown,
        ];
        let expected = expected.map(|code| format!("{code:?}"));
        for answer in answers.keys() {
            assert!(expected.contains(answer), "{answer}: {answers:?}");
        }
        assert!(memory <= MEMORY_MAX, "{memory} bytes");
        cluster.check_healthy();
    })
    .await;
}

async fn more_answers(answered: &AtomicUsize) {
    let before = answered.load(Ordering::Relaxed);
    until("intruders are answered", async || {
        let more = answered.load(Ordering::Relaxed) - before;
        let found = (more >= ANSWERS_BETWEEN).then_some(());
        found.ok_or_else(|| format!("{more} answers"))
    })
    .await;
}
