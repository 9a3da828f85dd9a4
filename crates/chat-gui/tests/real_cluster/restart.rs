//! The window is closed while there is no leader, and opened again.

use chat_client::InboxQuery;
use chat_gui::model::action::UserAction;
use chat_gui::model::message::MessageState;
use chat_gui::model::names::Name;

use crate::fixture::{Fixture, limited};
use crate::window::message;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn draft_and_unsent_message_survive_a_restart_and_the_message_is_sent_once() {
    limited(async {
        let Fixture {
            mut cluster,
            bob,
            device,
            mut window,
            ..
        } = Fixture::start().await;
        let ids = cluster.ids();
        cluster.kill(ids[0]);
        cluster.kill(ids[1]);
        window.write("bob", "unsent");
        window
            .until("an attempt has failed", |model| {
                match message(model, "bob", "unsent")?.state {
                    MessageState::Pending(pending) => pending.delayed,
                    other => panic!("two of three nodes are dead: {other:?}"),
                }
            })
            .await;
        window
            .wait_for_text("Messages are sent when you are back online.")
            .await;
        let id = message(window.model(), "bob", "unsent").unwrap().id;
        window.fill("Message to bob", "half a sen");
        drop(window);

        // The servers are still down: what this device keeps is there all the same.
        let mut window = device.open(Vec::new());
        window
            .until("alice is back", |model| model.account.as_ref().map(|_| ()))
            .await;
        let kept = message(window.model(), "bob", "unsent").unwrap();
        assert!(matches!(kept.state, MessageState::Pending(_)));
        assert_eq!(kept.id, id);
        window.open_conversation("bob");
        assert_eq!(window.value("Message to bob"), "half a sen");

        cluster.start_all();
        window.until_sent("bob", "unsent").await;
        let inbox = cluster
            .client()
            .inbox(&bob, &InboxQuery::default())
            .await
            .unwrap();
        assert_eq!(inbox.messages.len(), 1);
        assert_eq!(inbox.messages[0].id, id.0);
        drop(window);

        let mut window = device.open(Vec::new());
        window.signed_in().await;
        let sent = message(window.model(), "bob", "unsent").unwrap();
        assert!(
            matches!(sent.state, MessageState::Sent { .. }),
            "kept on this device"
        );
        let draft = &window.model().conversations[&Name::new("bob")].draft;
        assert_eq!(draft.text, "half a sen");
        window.act(UserAction::SignOut);
        window
            .until("no account is signed in", |model| {
                model.account.is_none().then_some(())
            })
            .await;
        drop(window);
        let mut window = device.open(Vec::new());
        window.wait_for_text("Sign in").await;
        assert_eq!(window.model().account, None);
    })
    .await;
}
