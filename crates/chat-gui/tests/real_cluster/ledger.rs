//! What was acknowledged is there, through a fail-over, by the servers' own answers.

use chat_gui::model::action::UserAction;
use chat_gui::model::ledger::LedgerScope;

use crate::fixture::{Fixture, limited};

const MESSAGES: u64 = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ledger_balances_after_a_fail_over() {
    limited(async {
        let Fixture {
            mut cluster,
            bob,
            mut window,
            ..
        } = Fixture::start().await;
        for number in 0..MESSAGES {
            if number == MESSAGES / 2 {
                let leader = cluster.settled().await;
                cluster.kill(leader.node);
            }
            window.write("bob", &format!("number {number}"));
        }
        cluster
            .client()
            .send(&bob, "alice", "thanks")
            .await
            .unwrap();
        window
            .until("all are sent and one has arrived", |model| {
                (model.outbox.is_empty() && model.unread == 0 && !model.conversations.is_empty())
                    .then_some(())
            })
            .await;
        window
            .until("the answer is there", |model| {
                let messages = &model.open_conversation()?.messages;
                (messages.len() as u64 == MESSAGES + 1).then_some(())
            })
            .await;
        window.act(UserAction::CheckLedger);
        let ledger = window
            .until("the ledger is checked", |model| {
                let ledger = model.ledger.clone();
                assert_eq!(ledger.failure, None);
                let whole = ledger
                    .last
                    .is_some_and(|last| last.scope == LedgerScope::All);
                whole.then_some(ledger)
            })
            .await;
        let own = (ledger.acknowledged, ledger.stored, ledger.shown);
        assert_eq!(own, (MESSAGES, MESSAGES, MESSAGES));
        assert_eq!(
            (ledger.box_stored, ledger.box_shown),
            (MESSAGES + 1, MESSAGES + 1)
        );
        assert_eq!((ledger.lost, ledger.doubled), (0, 0));
    })
    .await;
}
