//! The inbox on the device: there without any server, and what the servers have once they answer.

use chat_gui::model::action::UserAction;
use chat_gui::model::connection::Connection;
use chat_gui::model::message::MessageState;
use chat_gui::model::preferences::KeptMessages;
use chat_gui::model::{InboxFreshness, Model};
use chat_tests::processes::cluster::Cluster;
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

use crate::fixture::{Device, Fixture, limited};
use crate::window::{PASSWORD, Window, addresses, conversation};

/// The texts of the received messages of a conversation; `*` at unread ones.
fn received(model: &Model, peer: &str) -> Vec<String> {
    let messages = conversation(model, peer).messages;
    let line = |message: &chat_gui::model::message::Message| match message.state {
        MessageState::Received { read, .. } => {
            let unread = if read { "" } else { "*" };
            Some(format!("{}{unread}", message.body))
        }
        _ => None,
    };
    messages.iter().filter_map(line).collect()
}

async fn until_received(window: &mut Window, what: &str, expected: &[&str]) {
    window
        .until(what, |model| {
            let shown = model.inbox_state == InboxFreshness::Current && !model.loading;
            (shown && received(model, "bob") == expected).then_some(())
        })
        .await;
}

/// Opens the window while no server runs, and waits until it shows what the device keeps.
async fn open_offline(device: &Device) -> Window {
    let mut window = device.open(Vec::new());
    window
        .until("alice is back", |model| model.account.as_ref().map(|_| ()))
        .await;
    window
}

/// Whether a text is in any file of the device.
fn is_on_device(device: &Device, text: &str) -> bool {
    let files = std::fs::read_dir(device.path()).expect("the folder of the window");
    files.into_iter().any(|file| {
        let bytes = std::fs::read(file.expect("a file").path()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).contains(text)
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inbox_is_there_without_servers_and_is_current_again_with_them() {
    limited(async {
        let Fixture {
            mut cluster,
            bob,
            device,
            mut window,
            ..
        } = Fixture::start().await;
        window.act(UserAction::CloseConversation);
        let mut sent = Vec::new();
        for text in ["one", "two", "three"] {
            let one = cluster.client().send(&bob, "alice", text).await.unwrap();
            sent.push(one.id);
        }
        until_received(&mut window, "they arrive", &["one*", "two*", "three*"]).await;
        let first = conversation(window.model(), "bob").messages[0].id;
        window.act(UserAction::Seen(vec![first]));
        window
            .until("one is read", |model| (model.unread == 2).then_some(()))
            .await;
        drop(window);
        cluster.kill_all();

        let mut window = open_offline(&device).await;
        assert_eq!(received(window.model(), "bob"), ["one", "two*", "three*"]);
        assert_eq!(window.model().unread, 2);
        assert_eq!(window.count_text("No chats yet"), 0, "not empty");
        // What is done without servers is kept, too.
        let second = conversation(window.model(), "bob").messages[1].id;
        window.act(UserAction::Delete(vec![second]));
        drop(window);
        let window = open_offline(&device).await;
        assert_eq!(received(window.model(), "bob"), ["one", "three*"]);
        drop(window);

        // Another device deletes and reads while this window is closed.
        cluster.start_all();
        cluster.settled().await;
        let client = cluster.client();
        let other = client.login("alice", PASSWORD).await.unwrap().session;
        client.delete_messages(&other, &[sent[0]]).await.unwrap();
        client.mark_read(&other, &[sent[2]]).await.unwrap();
        client.send(&bob, "alice", "four").await.unwrap();
        let mut window = device.open(Vec::new());
        until_received(&mut window, "all of it is here", &["three", "four*"]).await;
        drop(window);

        // The nodes forget what has changed since: they answer the cursor with `resync`.
        client.delete_messages(&other, &[sent[2]]).await.unwrap();
        client.send(&bob, "alice", "five").await.unwrap();
        cluster.kill_all();
        cluster.start_all();
        cluster.settled().await;
        let mut window = device.open(Vec::new());
        until_received(&mut window, "also after resync", &["four*", "five*"]).await;
        drop(window);
        cluster.kill_all();
        let window = open_offline(&device).await;
        assert_eq!(received(window.model(), "bob"), ["four*", "five*"]);
    })
    .await;
}

/// Rule 1 of `docs/window-store.md`: no cursor is kept behind a change that could not be written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn message_that_could_not_be_written_is_here_after_a_restart() {
    limited(async {
        let Fixture {
            cluster,
            bob,
            device,
            mut window,
            ..
        } = Fixture::start().await;
        window.act(UserAction::CloseConversation);
        let client = cluster.client();
        client.send(&bob, "alice", "before").await.unwrap();
        until_received(&mut window, "it arrives", &["before*"]).await;
        // Another process holds the file: SQLite gives up after some seconds.
        let options = SqliteConnectOptions::new().filename(device.path().join("local.db"));
        let mut other = options.connect().await.unwrap();
        sqlx::raw_sql("BEGIN EXCLUSIVE")
            .execute(&mut other)
            .await
            .unwrap();
        client.send(&bob, "alice", "not written").await.unwrap();
        until_received(
            &mut window,
            "shown all the same",
            &["before*", "not written*"],
        )
        .await;
        sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
        sqlx::Connection::close(other).await.unwrap();
        client.send(&bob, "alice", "after").await.unwrap();
        let all = ["before*", "not written*", "after*"];
        until_received(&mut window, "the next one", &all).await;
        drop(window);
        let mut window = device.open(Vec::new());
        until_received(&mut window, "nothing is missing", &all).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn device_without_a_copy_does_not_call_the_inbox_empty() {
    limited(async {
        let Fixture {
            mut cluster,
            bob,
            device,
            mut window,
            ..
        } = Fixture::start().await;
        window.act(UserAction::CloseConversation);
        window.act(UserAction::KeepMessages(KeptMessages::None));
        let client = cluster.client();
        client.send(&bob, "alice", "on the servers").await.unwrap();
        window
            .until("it arrives", |model| (model.unread == 1).then_some(()))
            .await;
        drop(window);
        assert!(!is_on_device(&device, "on the servers"));
        cluster.kill_all();
        let mut window = open_offline(&device).await;
        window
            .until("no server answers", |model| {
                matches!(model.connection, Connection::Offline { .. }).then_some(())
            })
            .await;
        window
            .wait_for_text("They are stored on the servers.")
            .await;
        let (title, _) = window.model().unknown_inbox_words();
        assert_eq!(title, "Can't load your messages right now.");
        assert_eq!(window.count_text("No chats yet"), 0, "not empty");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signing_out_removes_the_copy_from_the_device() {
    limited(async {
        let cluster = Cluster::start(3).await;
        let bob = cluster.client().sign_up("bob", PASSWORD).await.unwrap();
        let device = Device::new();
        let mut window = device.open(addresses(&cluster));
        window.sign_up("alice").await;
        let client = cluster.client();
        client.send(&bob, "alice", "for alice only").await.unwrap();
        window
            .until("it arrives", |model| {
                (received(model, "bob") == ["for alice only*"]).then_some(())
            })
            .await;
        assert!(is_on_device(&device, "for alice only"));
        let id = conversation(window.model(), "bob").messages[0].id;
        window.act(UserAction::Seen(vec![id]));
        window.act(UserAction::SignOut);
        window
            .until("no account is signed in", |model| {
                model.account.is_none().then_some(())
            })
            .await;
        assert!(!is_on_device(&device, "for alice only"));
        window.wait_for_text("New here?").await;
        window.fill("Password", PASSWORD);
        window.press("Sign in");
        window.signed_in().await;
        assert_eq!(
            received(window.model(), "bob"),
            ["for alice only"],
            "read before the session ended"
        );
    })
    .await;
}
