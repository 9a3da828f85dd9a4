//! S-A1: the number of unread messages is found without counting them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::InboxCounts;
use crate::chat_state::inbox_counts::{UNREAD, update_sql};
use crate::chat_state::queries;
use futures::executor::block_on;

fn bob_is_deleted() -> proto::Command {
    let end = proto::DeleteUser { session: bobs() };
    command(52, Operation::DeleteUser(end))
}

/// Bob has this many unread messages, and readers see them.
fn bob_with(messages: usize) -> Chat {
    let mut chat = Chat::with_ann_and_bob();
    let sends: Vec<_> = (0..messages)
        .map(|number| ann_sends(&format!("m{number}"), "bob", "hello"))
        .collect();
    chat.apply(&sends);
    block_on(chat.state.commit()).unwrap();
    chat
}

#[test]
fn page_and_login_cost_does_not_depend_on_the_unread_count() {
    let [few, many] = [20, 5000].map(|messages| {
        let mut chat = bob_with(messages);
        let page = block_on(steps_of_a_page(chat.directory.path()));
        let steps = Arc::new(AtomicU64::new(0));
        block_on(chat.state.database.count_steps(Arc::clone(&steps))).unwrap();
        let outcomes = chat.apply(&[create_session("bob", 2, 60)]);
        assert_eq!(show(&outcomes[0]), format!("session, {messages} unread"));
        (page, steps.load(Ordering::Relaxed))
    });
    for (few, many) in [(few.0, many.0), (few.1, many.1)] {
        assert!(few > 0);
        assert!(many <= few + few / 5, "{few} steps, and {many} of many");
    }
}

/// How many steps SQLite takes to read a page of 20 and the number of all unread messages.
async fn steps_of_a_page(directory: &Path) -> u64 {
    let options = SqliteConnectOptions::new().filename(database(directory));
    let mut connection = options.connect().await.unwrap();
    let steps = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&steps);
    connection
        .lock_handle()
        .await
        .unwrap()
        .set_progress_handler(1, move || {
            counter.fetch_add(1, Ordering::Relaxed);
            true
        });
    let query = InboxQuery {
        limit: 20,
        ..InboxQuery::default()
    };
    let bob = first_session("bob", 2);
    let page = queries::inbox(&mut connection, &bob, query).await.unwrap();
    assert_eq!(page.messages.len(), 20);
    let unread = queries::unread_count(&mut connection, &bob).await.unwrap();
    assert!(unread >= 20);
    connection.close().await.unwrap();
    steps.load(Ordering::Relaxed)
}

#[test]
fn counts_are_found_by_primary_key() {
    let mut chat = Chat::with_ann_and_bob();
    block_on(chat.state.commit()).unwrap();
    for sql in [UNREAD, queries::INBOX_COUNTS, &update_sql(64)] {
        let plan = plan(chat.directory.path(), sql);
        let by_key = "SEARCH inboxes USING INTEGER PRIMARY KEY";
        assert!(plan.contains(by_key), "{sql}: {plan}");
    }
}

#[tokio::test]
async fn inbox_counts_belong_to_one_account() {
    let check = async |chat: Chat, expected: Option<(u64, u64)>| {
        let counts = chat.reader.inbox_counts("bob").await.unwrap();
        let expected = expected.map(|(messages, unread)| InboxCounts { messages, unread });
        assert_eq!(counts, expected);
        chat
    };
    let apply = async |mut chat: Chat, commands: Vec<proto::Command>| {
        on_own_thread(move || {
            chat.apply(&commands);
            block_on(chat.state.commit()).unwrap();
            chat
        })
        .await
    };
    let chat = on_own_thread(|| bob_with(5)).await;
    let chat = check(chat, Some((5, 5))).await;
    // A message counts as read once, and retries and unknown ids do not count.
    let reads = vec![
        bob_reads(&["m0", "m1", "m1", "none"]),
        bob_reads(&["m1"]),
        ann_sends("m0", "bob", "hello"),
        ann_sends("m1", "bob", "another text"),
        ann_sends("x", "unknown", "hello"),
    ];
    let chat = check(apply(chat, reads).await, Some((5, 3))).await;
    let deletes = vec![bob_deletes(&["m1", "m2", "m2"]), bob_deletes(&["m2"])];
    let chat = check(apply(chat, deletes).await, Some((3, 2))).await;
    // In one transaction the account is deleted, another one of its name is created and gets a
    // message.
    let recreated = vec![
        ann_sends("m5", "bob", "hello"),
        bob_is_deleted(),
        create_user("bob", 70),
        ann_sends("m6", "bob", "hello"),
        ann_sends("m0", "bob", "hello"),
    ];
    let chat = check(apply(chat, recreated).await, Some((1, 1))).await;
    let chat = check(
        apply(chat, vec![ann_sends("m7", "bob", "hello")]).await,
        Some((2, 2)),
    )
    .await;
    assert_eq!(chat.reader.inbox_counts("unknown").await.unwrap(), None);
    chat.drop_on_own_thread().await;
}
