//! Attackers, on loopback and bounded in time: no node ends or takes more memory than
//! it may, and honest clients are served all the while, from the attackers' own address.
//!
//! The tests take turns: what one of them measures, another would disturb.

mod attacks;
mod forged_messages;
mod forgeries;
mod full_inbox;
mod logins;
mod measuring;
mod tokens;

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use chat_tests::processes::cluster::Cluster;
use chat_tests::processes::waiting::within;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::sync::Mutex;

use attacks::ATTACKS;
use measuring::{Account, Sideline, Stage};

/// Of each test; none takes half of it.
const LIMIT: Duration = Duration::from_secs(170);
/// What no node may exceed at any time.
const MEMORY_MAX: u64 = 256 << 20;
/// 64 of the longest messages: a page of 1 MiB.
const LONG_MESSAGES: usize = 64;
const PASSWORD: &str = "open sesame";
const ATTACKERS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Held by the test whose turn it is.
static ALONE: Mutex<()> = Mutex::const_new(());

/// The attackers' connections and those of the echo servers are all in this process.
fn raise_file_limit() {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, soft.max(hard.min(20_000)), hard).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attacked_nodes_serve_honest_clients() {
    let _alone = ALONE.lock().await;
    within(LIMIT, async {
        raise_file_limit();
        let mut cluster = Cluster::start(3).await;
        let stage = Stage::set(&cluster).await;
        let client = cluster.client();
        let mallory = client.sign_up("mallory", PASSWORD).await.unwrap();
        let body = "m".repeat(16 * 1024);
        for _ in 0..LONG_MESSAGES {
            client.send(&mallory, "mallory", &body).await.unwrap();
        }
        let account = Account {
            username: "mallory",
            digest: String::new(),
            token: mallory.token().to_owned(),
        };
        let sideline = Sideline::set(&stage).await;
        println!("honest p50 and p99 beside attacked echo servers; beside attacked nodes; factors");
        for attack in ATTACKS {
            sideline.judge(&mut cluster, &stage, attack, &account).await;
        }
    })
    .await;
}
