//! Attackers, on loopback and bounded in time: no node ends or takes more memory than
//! it may, and honest clients are served all the while, from the attackers' own address.
//!
//! The tests take turns: what one of them measures, another would disturb.

mod attacks;
mod forged_messages;
mod forgeries;
mod full_inbox;
mod limits;
mod logins;
mod measuring;
mod tokens;

use chat_tests::processes::cluster::Cluster;
use chat_tests::processes::waiting::within;

use attacks::ATTACKS;
use limits::{ALONE, LIMIT, LONG_MESSAGES, PASSWORD, raise_file_limit};
use measuring::{Account, Fixture, Sideline};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attacked_nodes_serve_honest_clients() {
    let _alone = ALONE.lock().await;
    within(LIMIT, async {
        raise_file_limit();
        let mut cluster = Cluster::start(3).await;
        let fixture = Fixture::new(&cluster).await;
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
        let sideline = Sideline::new(&fixture).await;
        println!("honest p50 and p99 beside attacked echo servers; beside attacked nodes; factors");
        for attack in ATTACKS {
            sideline
                .judge(&mut cluster, &fixture, attack, &account)
                .await;
        }
    })
    .await;
}
