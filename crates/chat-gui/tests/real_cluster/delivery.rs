//! A leader is killed while a message is in flight.

use std::time::Duration;

use chat_client::InboxQuery;
use chat_gui::model::action::UserAction;
use chat_gui::model::message::MessageState;
use chat_gui::model::names::Term;
use chat_tests::processes::cluster::Cluster;

use crate::fixture::{Device, Fixture, limited};
use crate::window::{PASSWORD, addresses, conversation, inbox_texts, message};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn message_in_flight_when_the_leader_dies_arrives_once() {
    limited(async {
        let Fixture {
            mut cluster,
            bob,
            mut window,
            ..
        } = Fixture::start().await;
        window.write("bob", "before");
        window.until_sent("bob", "before").await;

        // A paused leader accepts the message and does not answer; then it is killed.
        let leader = cluster.settled().await;
        cluster.pause(leader.node);
        window.write("bob", "during");
        window
            .until("the message is under way", |model| {
                let pending = message(model, "bob", "during")?;
                match pending.state {
                    MessageState::Pending(pending) => pending.trying.then_some(()),
                    other => panic!("there is no leader: {other:?}"),
                }
            })
            .await;
        assert_eq!(window.count_text("being sent"), 1);
        cluster.kill(leader.node);
        let commit = window
            .until("the message is sent", |model| {
                match message(model, "bob", "during")?.state {
                    MessageState::Sent { commit, .. } => Some(commit),
                    MessageState::Pending(_) => None,
                    other => panic!("it cannot be refused: {other:?}"),
                }
            })
            .await;
        assert!(commit.term > Term(leader.term.0), "by another leader");
        window
            .wait_for_text("Back online. Nothing was lost (")
            .await;
        let lasted = window.model().recovery.unwrap().lasted;
        println!("sending was not possible for {lasted:?}");
        assert!(lasted > Duration::from_millis(50), "{lasted:?}");
        window
            .until("the fail-over is timed", |model| {
                model.cluster.failovers.front()?.duration()
            })
            .await;
        assert_eq!(conversation(window.model(), "bob").messages.len(), 2);
        assert!(window.model().outbox.is_empty());
        assert_eq!(window.count_text("being sent"), 0);

        let inbox = cluster
            .client()
            .inbox(&bob, &InboxQuery::default())
            .await
            .unwrap();
        let bodies: Vec<&str> = inbox
            .messages
            .iter()
            .map(|message| message.body.as_str())
            .collect();
        assert_eq!(bodies, ["during", "before"], "one copy of each");
        assert_eq!(inbox.messages[0].commit.index, commit.index.0);
    })
    .await;
}

/// It is not known whether the message was accepted: it stays in the outbox, cannot be taken back,
/// and is there once when a majority is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn message_with_unknown_outcome_is_stored_once() {
    limited(async {
        let Fixture {
            mut cluster,
            bob,
            mut window,
            ..
        } = Fixture::start().await;
        let leader = cluster.settled().await;
        let followers: Vec<_> = cluster
            .ids()
            .into_iter()
            .filter(|id| *id != leader.node)
            .collect();
        // A paused node accepts connections and does not answer. All nodes are paused: a leader
        // alone would soon report that it has stepped down, and that would be an answer.
        for id in cluster.ids() {
            cluster.pause(id);
        }
        window.write("bob", "perhaps");
        let id = window
            .until("the outcome is not known", |model| {
                let pending = message(model, "bob", "perhaps")?;
                match pending.state {
                    MessageState::Pending(state) => state.outcome_uncertain.then_some(pending.id),
                    other => panic!("there is no majority: {other:?}"),
                }
            })
            .await;
        // What may have been sent cannot be taken back.
        window.act(UserAction::Discard(id));
        window.wait_for_text("may have been sent already").await;
        assert!(message(window.model(), "bob", "perhaps").is_some());
        cluster.resume(leader.node);
        cluster.resume(followers[0]);
        window.until_sent("bob", "perhaps").await;
        cluster.resume(followers[1]);
        window.write("bob", "certainly");
        window.until_sent("bob", "certainly").await;
        assert_eq!(
            inbox_texts(&cluster, &bob).await,
            ["certainly", "perhaps"],
            "one copy of each, in order"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn message_to_a_missing_account_is_rejected_and_the_next_one_is_sent() {
    limited(async {
        let Fixture {
            cluster,
            mut window,
            ..
        } = Fixture::start().await;
        window.open_conversation("nadia");
        window.write("nadia", "hello?");
        window.open_conversation("bob");
        window.write("bob", "hello!");
        window.until_sent("bob", "hello!").await;
        let refused = message(window.model(), "nadia", "hello?").unwrap();
        assert!(matches!(refused.state, MessageState::NotSent { .. }));
        window.open_conversation("nadia");
        window.wait_for_text("has no account").await;
        // The person it is for signs up, and the writer tries again.
        cluster.client().sign_up("nadia", PASSWORD).await.unwrap();
        window.press("Retry");
        window.until_sent("nadia", "hello?").await;
    })
    .await;
}

/// Bob's inbox is full: what is written to him waits, and what is written to others does not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_inbox_blocks_no_message_to_others() {
    limited(async {
        let limits = "\n[limits]\ninbox_messages_max = 2\n";
        let cluster = Cluster::start_with(3, "warn", limits).await;
        let client = cluster.client();
        let bob = client.sign_up("bob", PASSWORD).await.unwrap();
        let carol = client.sign_up("carol", PASSWORD).await.unwrap();
        for text in ["one", "two"] {
            client.send(&carol, "bob", text).await.unwrap();
        }
        let mut window = Device::new().open(addresses(&cluster));
        window.sign_up("alice").await;
        window.open_conversation("bob");
        window.write("bob", "first");
        window.write("bob", "second");
        for text in ["hello", "hello again"] {
            window.open_conversation("carol");
            window.write("carol", text);
            window.until_sent("carol", text).await;
        }
        for text in ["first", "second"] {
            let message = message(window.model(), "bob", text).unwrap();
            assert!(matches!(message.state, MessageState::Pending(_)), "{text}");
        }
        let inbox = client.inbox(&bob, &InboxQuery::default()).await.unwrap();
        let ids: Vec<_> = inbox.messages.iter().map(|message| message.id).collect();
        client.delete_messages(&bob, &ids).await.unwrap();
        for text in ["first", "second"] {
            window.until_sent("bob", text).await;
        }
        assert_eq!(inbox_texts(&cluster, &bob).await, ["second", "first"]);
    })
    .await;
}
