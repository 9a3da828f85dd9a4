//! The account as a whole: another password, and its end.

use chat_client::ClientError;
use chat_gui::model::action::UserAction;
use chat_gui::model::names::Password;
use chat_gui::model::navigation::Screen;
use chat_tests::processes::cluster::Cluster;

use crate::fixture::{Device, Fixture, limited};
use crate::window::{PASSWORD, addresses, message};

const NEW_PASSWORD: &str = "open barley";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn password_change_keeps_this_window_and_signs_out_others() {
    limited(async {
        let cluster = Cluster::start(3).await;
        let bob = cluster.client().sign_up("bob", PASSWORD).await.unwrap();
        let devices = [Device::new(), Device::new()];
        let mut one = devices[0].open(addresses(&cluster));
        one.sign_up("alice").await;
        let mut two = devices[1].open(addresses(&cluster));
        two.sign_in("alice", PASSWORD).await;
        two.signed_in().await;
        let password = |text: &str| Password::new(text);
        one.act(UserAction::ChangePassword {
            password: password("wrong"),
            new_password: password(NEW_PASSWORD),
            repeated: password(NEW_PASSWORD),
        });
        one.until("the wrong password is refused", |model| {
            model.account.as_ref()?.failure.clone()
        })
        .await;
        one.act(UserAction::ChangePassword {
            password: password(PASSWORD),
            new_password: password(NEW_PASSWORD),
            repeated: password(NEW_PASSWORD),
        });
        one.wait_for_text("The password is changed.").await;
        two.until("the other window is signed out", |model| {
            model.account.is_none().then_some(())
        })
        .await;
        two.wait_for_text("You have been signed out.").await;
        one.open_conversation("bob");
        one.write("bob", "still here");
        one.until_sent("bob", "still here").await;
        cluster
            .client()
            .send(&bob, "alice", "so am I")
            .await
            .unwrap();
        one.until("the answer is there", |model| {
            message(model, "bob", "so am I")
        })
        .await;
        drop(one);
        // The new session is the one that is kept.
        let mut one = devices[0].open(Vec::new());
        one.signed_in().await;
        assert!(message(one.model(), "bob", "still here").is_some());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleted_account_leaves_nothing_on_servers_and_device() {
    limited(async {
        let Fixture { cluster, mut window, .. } = Fixture::start().await;
        window.write("bob", "goodbye");
        window.until_sent("bob", "goodbye").await;
        window.fill("Message to bob", "half a sen");
        window.act(UserAction::DeleteAccount {
            typed_name: "alice".to_owned(),
        });
        window
            .until("the account is gone", |model| {
                model.account.is_none().then_some(())
            })
            .await;
        assert_eq!(window.model().screen, Screen::SignIn);
        let refused = cluster.client().login("alice", PASSWORD).await;
        assert!(
            matches!(&refused, Err(ClientError::Application { code, .. }) if code == "invalid_credentials"),
            "{refused:?}"
        );
        // Another person takes the name, on the same device.
        window.sign_up("alice").await;
        assert!(window.model().conversations.is_empty());
        window.open_conversation("bob");
        assert_eq!(window.value("Message to bob"), "");
    })
    .await;
}
