//! Reasons why signing in fails: each has its own sentence and its own next step.

use crate::fake_server::FakeServer;
use crate::fixture::{Device, limited};
use crate::window::{PASSWORD, Window, addresses};
use chat_gui::model::action::UserAction;
use chat_gui::model::failure::Failure;
use chat_proto::cluster::v1::StatusResponse;
use chat_tests::processes::cluster::Cluster;
use test_kit::unused_address;

/// Waits until signing in has failed, and until the window shows why and what to do next.
async fn sign_in_failure(window: &mut Window) -> Failure {
    let failure = window
        .until("signing in has failed", |model| {
            model.sign_in.failure.clone()
        })
        .await;
    window.wait_for_text(&failure.sentence()).await;
    window.wait_for_text(words(&failure.next_step())).await;
    failure
}

/// The beginning of a sentence, up to what is shown as something to type.
fn words(sentence: &str) -> &str {
    sentence.split('`').next().unwrap_or_default().trim_end()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_password_and_taken_name_have_different_errors() {
    limited(async {
        let cluster = Cluster::start(3).await;
        cluster.client().sign_up("alice", PASSWORD).await.unwrap();
        let device = Device::new();
        let mut window = device.open(addresses(&cluster));
        window.sign_in("alice", "something else").await;
        assert_eq!(
            sign_in_failure(&mut window).await,
            Failure::WrongCredentials
        );

        window.press("Create account");
        window.fill("Password", "something else");
        window.fill("Confirm password", "something else");
        window.press("Create account");
        window
            .until("the name is taken", |model| {
                (model.sign_in.failure == Some(Failure::NameTaken)).then_some(())
            })
            .await;
        assert_eq!(sign_in_failure(&mut window).await, Failure::NameTaken);
        assert_eq!(window.model().account, None);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unreachable_servers_are_named() {
    limited(async {
        let device = Device::new();
        let address = unused_address().await;
        let mut window = device.open(vec![address.clone()]);
        window.sign_in("alice", PASSWORD).await;
        let addresses = vec![address.clone()];
        assert_eq!(
            sign_in_failure(&mut window).await,
            Failure::NoServer { addresses }
        );
        assert!(window.count_text(&address) > 0);

        window.act(UserAction::ChooseServers);
        window.act(UserAction::UseServers("nonsense".to_owned()));
        let failure = window
            .until("the address is refused", |model| {
                model.servers.failure.clone()
            })
            .await;
        assert!(
            matches!(failure, Failure::AddressUnusable(_)),
            "{failure:?}"
        );
        window.wait_for_text(words(&failure.next_step())).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missing_majority_has_another_error_than_no_server() {
    limited(async {
        let mut cluster = Cluster::start(3).await;
        let ids = cluster.ids();
        cluster.kill(ids[0]);
        cluster.kill(ids[1]);
        let device = Device::new();
        let survivor = vec![cluster.client_address(ids[2]).to_string()];
        let mut window = device.open(survivor);
        window.sign_in("alice", PASSWORD).await;
        assert_eq!(sign_in_failure(&mut window).await, Failure::NoMajority);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn newer_servers_are_reported_with_their_version() {
    limited(async {
        let server = newer_server();
        let newer = server.start().await;
        let device = Device::new();
        let mut window = device.open(vec![newer]);
        window.sign_in("alice", PASSWORD).await;
        let theirs = Some("9.0.0".to_owned());
        assert_eq!(
            sign_in_failure(&mut window).await,
            Failure::OtherVersion { theirs }
        );
        assert!(window.count_text("9.0.0") > 0);

        let other = server.start_without_status().await;
        window.act(UserAction::ChooseServers);
        window.act(UserAction::UseServers(other));
        let failure = window
            .until("the servers are refused", |model| {
                model.servers.failure.clone()
            })
            .await;
        assert_eq!(failure, Failure::OtherVersion { theirs: None });
        window.wait_for_text(&failure.sentence()).await;
    })
    .await;
}

/// A server of a later version, whose answers this version does not understand.
fn newer_server() -> FakeServer {
    FakeServer::new(
        Ok(r#"{"outcome":"granted"}"#),
        StatusResponse {
            node_id: 1,
            version: "9.0.0".to_owned(),
            ..StatusResponse::default()
        },
    )
}
