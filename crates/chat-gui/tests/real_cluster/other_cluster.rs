//! S-C2: the addresses that a window knows lead to another cluster by now, or to two at once.

use chat_gui::model::failure::Failure;
use chat_gui::model::message::MessageState;
use chat_proto::cluster::v1::StatusResponse;
use chat_tests::processes::cluster::Cluster;
use tonic::Code;

use crate::fake_server::FakeServer;
use crate::fixture::{Device, limited};
use crate::window::{PASSWORD, addresses, message};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_cluster_gets_no_token() {
    limited(async {
        let cluster = Cluster::start(3).await;
        let foreign = foreign_server();
        let foreign_address = foreign.start().await;
        cluster.client().sign_up("bob", PASSWORD).await.unwrap();
        let device = Device::new();
        let mut window = device.open(addresses(&cluster));
        window.sign_up("alice").await;
        drop(window);

        // The session that this device keeps is resumed with the server that has the address now.
        let mut window = device.open(vec![foreign_address.clone()]);
        window
            .until("alice is back", |model| model.account.as_ref().map(|_| ()))
            .await;
        window.open_conversation("bob");
        window.write("bob", "for you alone");
        let expected = Failure::OtherCluster {
            address: foreign_address.clone(),
        };
        let why = window
            .until("an attempt has failed", |model| {
                match message(model, "bob", "for you alone")?.state {
                    MessageState::Pending(pending) => pending.delayed,
                    other => panic!("it waits for its own cluster: {other:?}"),
                }
            })
            .await;
        assert_eq!(why, expected);
        window.wait_for_text(&expected.sentence()).await;
        assert!(foreign.status_requests() > 0, "its cluster was requested");
        assert_eq!(foreign.tokens(), 0);
        drop(window);

        // It is not known which of the two clusters a new session belongs to.
        let other_device = Device::new();
        let mut mixed = addresses(&cluster);
        mixed.push(foreign_address);
        let mut window = other_device.open(mixed);
        window.sign_in("bob", PASSWORD).await;
        let failure = window
            .until("signing in has failed", |model| {
                model.sign_in.failure.clone()
            })
            .await;
        assert!(
            matches!(failure, Failure::DifferentClusters(_)),
            "{failure:?}"
        );
        assert_eq!(window.model().account, None);
        drop(window);

        let mut window = device.open(addresses(&cluster));
        window.signed_in().await;
        window.until_sent("bob", "for you alone").await;
        assert_eq!(foreign.tokens(), 0);
    })
    .await;
}

/// A node of another cluster that would accept every request.
fn foreign_server() -> FakeServer {
    FakeServer::new(
        Err(Code::Unavailable),
        StatusResponse {
            node_id: 1,
            cluster_id: "0123456789abcdef0123456789abcdef".to_owned(),
            role: "leader".to_owned(),
            term: 1,
            leader_id: 1,
            storage_state: "ok".to_owned(),
            voter_ids: vec![1],
            ..StatusResponse::default()
        },
    )
}
