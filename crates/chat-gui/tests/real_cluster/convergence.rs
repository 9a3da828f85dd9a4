//! Two windows of one account.

use chat_client::InboxQuery;
use chat_gui::model::action::UserAction;
use chat_gui::model::navigation::Screen;
use chat_tests::processes::cluster::Cluster;

use crate::fixture::{Device, limited};
use crate::window::{PASSWORD, addresses, conversation};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_windows_agree_on_read_and_deleted_messages() {
    limited(async {
        let cluster = Cluster::start(3).await;
        let bob = cluster.client().sign_up("bob", PASSWORD).await.unwrap();
        let devices = [Device::new(), Device::new()];
        let mut one = devices[0].open(addresses(&cluster));
        one.sign_up("alice").await;
        let early = cluster.client().send(&bob, "alice", "early").await.unwrap();
        // Each window watches another node.
        let mut others = addresses(&cluster);
        others.rotate_left(1);
        let mut two = devices[1].open(others);
        two.sign_in("alice", PASSWORD).await;
        two.signed_in().await;
        for text in ["late", "later"] {
            cluster.client().send(&bob, "alice", text).await.unwrap();
        }
        for window in [&mut one, &mut two] {
            window
                .until("all three are there, unread", |model| {
                    let count = conversation(model, "bob").messages.len();
                    (count == 3 && model.unread == 3).then_some(())
                })
                .await;
        }

        // A message that was seen in one window is read in both.
        one.open_conversation("bob");
        for window in [&mut one, &mut two] {
            window
                .until("all are read", |model| (model.unread == 0).then_some(()))
                .await;
        }
        two.open_conversation("bob");
        let id = conversation(two.model(), "bob").messages[0].id;
        assert_eq!(id.0, early.id);
        two.act(UserAction::Delete(vec![id]));
        assert_eq!(conversation(two.model(), "bob").messages.len(), 2);
        assert_eq!(
            conversation(one.model(), "bob").messages.len(),
            3,
            "it can be undone"
        );
        two.act(UserAction::Show(Screen::People));
        one.until("it is gone here too", |model| {
            (conversation(model, "bob").messages.len() == 2).then_some(())
        })
        .await;

        let alice = cluster.client().login("alice", PASSWORD).await.unwrap();
        let query = InboxQuery {
            oldest_first: true,
            ..InboxQuery::default()
        };
        let inbox = cluster
            .client()
            .inbox(&alice.session, &query)
            .await
            .unwrap();
        let stored: Vec<_> = inbox
            .messages
            .iter()
            .map(|message| (message.id, message.read))
            .collect();
        for window in [&one, &two] {
            let messages = conversation(window.model(), "bob").messages;
            let shown: Vec<_> = messages
                .iter()
                .map(|message| (message.id.0, !message.is_unread()))
                .collect();
            assert_eq!(shown, stored);
        }
    })
    .await;
}
