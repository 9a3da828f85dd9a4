//! Two windows of one account.

use chat_client::InboxQuery;
use chat_gui::model::Model;
use chat_gui::model::action::UserAction;
use chat_gui::model::message::MessageState;
use chat_gui::model::navigation::Screen;
use chat_tests::processes::cluster::Cluster;

use crate::fixture::{Device, limited};
use crate::window::{PASSWORD, Window, addresses, conversation};

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

/// The conversation with Bob: `>` before what was sent, `…` while it waits.
fn lines(model: &Model) -> Vec<String> {
    let line = |message: &chat_gui::model::message::Message| {
        let mark = match message.state {
            MessageState::Received { .. } => "<",
            MessageState::Sent { .. } => ">",
            MessageState::Pending(_) | MessageState::NotSent { .. } => "…",
        };
        format!("{mark} {}", message.body)
    };
    conversation(model, "bob")
        .messages
        .iter()
        .map(line)
        .collect()
}

async fn until_lines(window: &mut Window, what: &str, expected: &[&str]) {
    window
        .until(what, |model| (lines(model) == expected).then_some(()))
        .await;
}

/// One writes and deletes while the other device is closed, and Bob answers.
async fn write_and_delete(cluster: &Cluster, bob: &chat_client::Session, one: &mut Window) {
    let text = "the second is closed";
    one.open_conversation("bob");
    one.write("bob", text);
    one.until_sent("bob", text).await;
    let gone = conversation(one.model(), "bob").messages[0].id;
    one.act(UserAction::Delete(vec![gone]));
    one.act(UserAction::Show(Screen::People));
    let client = cluster.client();
    let sent = client.send(bob, "alice", "and an answer").await;
    sent.expect("the servers accept it");
    let expected = ["> the second is closed", "< and an answer"];
    until_lines(one, "an answer", &expected).await;
}

/// Sent on either device, deleted on the other, while one is closed, through `resync`, and in an outage.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_devices_show_what_was_sent_on_either() {
    limited(async {
        let mut cluster = Cluster::start(3).await;
        let bob = cluster.client().sign_up("bob", PASSWORD).await.unwrap();
        let devices = [Device::new(), Device::new()];
        let mut one = devices[0].open(addresses(&cluster));
        one.sign_up("alice").await;
        one.open_conversation("bob");
        one.write("bob", "before the second device");
        one.until_sent("bob", "before the second device").await;
        let mut two = devices[1].open(addresses(&cluster));
        two.sign_in("alice", PASSWORD).await;
        two.signed_in().await;
        until_lines(&mut two, "it is here", &["> before the second device"]).await;

        two.open_conversation("bob");
        let first = conversation(two.model(), "bob").messages[0].id;
        two.act(UserAction::Reply(first));
        two.write("bob", "from the second");
        until_lines(
            &mut one,
            "also on the first",
            &["> before the second device", "> from the second"],
        )
        .await;
        assert_eq!(
            conversation(one.model(), "bob").messages[1].reply_to,
            Some(first)
        );
        // Neither is unread, and the recipient has both.
        assert_eq!(one.model().unread, 0);
        one.act(UserAction::Delete(vec![first]));
        one.act(UserAction::Show(Screen::People));
        until_lines(&mut two, "deleted here, too", &["> from the second"]).await;
        drop(two);

        // The second device is closed, the nodes forget what has changed since, and there is an outage.
        write_and_delete(&cluster, &bob, &mut one).await;
        cluster.kill_all();
        let mut two = devices[1].open(Vec::new());
        until_lines(&mut two, "what this device keeps", &["> from the second"]).await;
        two.open_conversation("bob");
        two.write("bob", "written in the outage");
        cluster.start_all();
        cluster.settled().await;
        let expected = [
            "> the second is closed",
            "< and an answer",
            "> written in the outage",
        ];
        for window in [&mut one, &mut two] {
            until_lines(window, "both show the same", &expected).await;
        }
        let ids = |window: &Window| {
            let messages = conversation(window.model(), "bob").messages;
            messages
                .into_iter()
                .map(|one| (one.id, one.commit()))
                .collect::<Vec<_>>()
        };
        assert_eq!(ids(&one), ids(&two));
    })
    .await;
}
