//! What readers see.

use std::time::Duration;

use super::*;
use crate::chat_state::queries;
use futures::executor::block_on;

#[tokio::test]
async fn readers_see_only_committed_entries_in_one_snapshot() {
    let mut chat = on_own_thread(Chat::with_ann_and_bob).await;
    let reader = chat.reader.clone();
    assert_eq!(reader.applied_index().await.unwrap(), LogIndex(0));
    let mut chat = on_own_thread(move || {
        assert_eq!(chat.state.visible_index(), LogIndex(0));
        assert_eq!(
            block_on(chat.state.commit_if_behind(LogIndex(9))).unwrap(),
            LogIndex(2)
        );
        chat
    })
    .await;
    let mut before = reader.begin().await.unwrap();
    let chat = on_own_thread(move || {
        chat.apply(&[ann_sends("m1", "bob", "hello")]);
        assert_eq!(
            block_on(chat.state.commit_if_behind(LogIndex(2))).unwrap(),
            LogIndex(2)
        );
        assert_eq!(
            block_on(chat.state.commit_if_behind(LogIndex(3))).unwrap(),
            LogIndex(3)
        );
        chat
    })
    .await;
    assert_eq!(before.applied_index().await.unwrap(), LogIndex(2));
    assert_eq!(
        before.unread_count(&first_session("bob", 2)).await.unwrap(),
        0
    );
    drop(before);
    let mut after = reader.begin().await.unwrap();
    assert_eq!(after.applied_index().await.unwrap(), LogIndex(3));
    assert_eq!(
        after.unread_count(&first_session("bob", 2)).await.unwrap(),
        1
    );
    drop(after);
    chat.drop_on_own_thread().await;
}

#[tokio::test]
async fn accounts_and_sessions_are_found_by_name_and_token() {
    let chat = Chat::committed(|_| ()).await;
    let reader = chat.reader.clone();
    let account = reader.account("bob").await.unwrap().unwrap();
    let credential = Credential {
        incarnation: LogIndex(2),
        version: LogIndex(2),
    };
    assert_eq!(account.password_hash, "$hash of bob");
    assert_eq!(account.credential, credential);
    assert_eq!(account.created_by_request, [2; 16]);
    assert!(
        !format!("{account:?}").contains("hash"),
        "it stays out of logs"
    );
    assert_eq!(reader.account("Bob").await.unwrap(), None);
    assert_eq!(
        reader.session(&[2; 32]).await.unwrap(),
        Some(first_session("bob", 2))
    );
    assert_eq!(reader.session(&[3; 32]).await.unwrap(), None);
    let chat = on_own_thread(|| {
        tamper(
            chat.directory.path(),
            "UPDATE users SET credential_version = 9",
        );
        chat
    })
    .await;
    assert_eq!(
        reader.session(&[2; 32]).await.unwrap(),
        None,
        "the password was changed"
    );
    chat.drop_on_own_thread().await;
}

#[tokio::test]
async fn inbox_pages_are_in_log_order() {
    let chat = Chat::committed(|chat| {
        let sends: Vec<_> = (3..=12)
            .map(|number| ann_sends(&format!("m{number}"), "bob", "x"))
            .collect();
        chat.apply(&sends);
        chat.apply(&[send(2, "bob", "another's", "ann", "x")]);
        chat.apply(&[
            bob_reads(&["m4", "m7", "m8", "m11"]),
            bob_deletes(&["m5", "m8", "m12"]),
        ]);
    })
    .await;
    let reader = chat.reader.clone();
    for (unread_only, expected) in [(false, "11 10 9 7 6 4 3"), (true, "10 9 6 3")] {
        let mut forwards: Vec<_> = expected.split(' ').collect();
        for oldest_first in [false, true] {
            for limit in [1, 2, 3, 6, 7, 8, 1000] {
                let query = InboxQuery {
                    limit,
                    unread_only,
                    oldest_first,
                    ..InboxQuery::default()
                };
                let shown = all_pages(&reader, query).await;
                assert_eq!(shown, forwards.join(" "), "{query:?}");
            }
            forwards.reverse();
        }
    }
    assert_eq!(
        reader.unread_count(&first_session("bob", 2)).await.unwrap(),
        4
    );
    chat.drop_on_own_thread().await;
}

async fn all_pages(reader: &ChatReader, mut query: InboxQuery) -> String {
    let mut commits = Vec::new();
    loop {
        let MessagePage { messages, next } =
            reader.inbox(&first_session("bob", 2), query).await.unwrap();
        assert!((1..=query.limit).contains(&messages.len()));
        assert!(
            messages
                .iter()
                .all(|message| !query.unread_only || !message.read)
        );
        commits.extend(
            messages
                .iter()
                .map(|message| message.commit.index.0.to_string()),
        );
        match next {
            Some(next) => query.after = Some(next),
            None => return commits.join(" "),
        }
    }
}

#[tokio::test]
async fn page_ends_at_500_messages_or_one_mebibyte() {
    let chat = Chat::committed(|chat| {
        let long = "x".repeat(16_384);
        let small: Vec<_> = (0..501)
            .map(|number| ann_sends(&format!("s{number}"), "bob", "x"))
            .collect();
        let large: Vec<_> = (0..100)
            .map(|number| ann_sends(&format!("l{number}"), "ann", &long))
            .collect();
        chat.apply(&small);
        chat.apply(&large);
    })
    .await;
    let reader = chat.reader.clone();
    let query = InboxQuery {
        limit: 1000,
        ..InboxQuery::default()
    };
    let page = reader.inbox(&first_session("bob", 2), query).await.unwrap();
    assert_eq!((page.messages.len(), page.next), (500, Some(LogIndex(4))));
    let page = reader.inbox(&first_session("ann", 1), query).await.unwrap();
    assert_eq!((page.messages.len(), page.next), (64, Some(LogIndex(540))));
    chat.drop_on_own_thread().await;
}

#[tokio::test]
async fn usernames_are_found_by_pattern_in_order() {
    let chat = Chat::committed(|chat| {
        chat.apply(&[
            create_user("anna", 3),
            create_user("Zoe", 4),
            create_user("ängström", 5),
            create_user(&format!("~{}x", "a".repeat(62)), 6),
        ]);
    })
    .await;
    let reader = chat.reader.clone();
    let long = format!("~{}x", "a".repeat(62));
    let check = async |glob: &str, limit, after, expected: &str, next| {
        let page = reader.usernames(glob, limit, after).await.unwrap();
        assert_eq!(
            page.usernames.join(" ").replace(&long, "LONG"),
            expected,
            "{glob} {limit} {after:?}"
        );
        assert_eq!(page.next.as_deref(), next, "{glob} {limit} {after:?}");
    };
    check("*", 10, None, "Zoe ann anna bob LONG ängström", None).await;
    check("*", 2, None, "Zoe ann", Some("ann")).await;
    check("*", 2, Some("ann"), "anna bob", Some("bob")).await;
    check("*", 2, Some("bob"), "LONG ängström", None).await;
    check("ann*", 1, None, "ann", Some("ann")).await;
    check("[^a]*", 10, None, "Zoe bob LONG ängström", None).await;
    // The most expensive pattern of 64 bytes must end in reasonable time.
    let stars = "*a".repeat(32);
    check(&stars, 10, None, "", None).await;
    chat.drop_on_own_thread().await;
}

// S-A8: one page must not scan all names if the pattern matches none.
#[tokio::test]
async fn page_of_usernames_scans_ten_thousand_at_most() {
    let chat = on_own_thread(|| {
        let mut chat = Chat::with_ann_and_bob();
        block_on(chat.state.commit()).unwrap();
        let many = "WITH RECURSIVE numbers (n) AS \
                    (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 25000) \
                    INSERT INTO users SELECT printf('user%05d', n), '', 100 + n, 100 + n, x'', NULL \
                    FROM numbers";
        tamper(chat.directory.path(), many);
        chat
    })
    .await;
    let reader = chat.reader.clone();
    let pages = async |glob: &str| {
        let (mut found, mut scanned_to, mut after) = (Vec::new(), Vec::new(), None);
        loop {
            let page = reader.usernames(glob, 3, after.as_deref()).await.unwrap();
            found.extend(page.usernames);
            match page.next {
                Some(next) => scanned_to.push(next.clone()),
                None => return format!("{} | {}", found.join(" "), scanned_to.join(" ")),
            }
            after = scanned_to.last().cloned();
        }
    };
    // "ann" and "bob" sort before them.
    assert_eq!(pages("*x*").await, " | user09998 user19998");
    assert_eq!(pages("*24999").await, "user24999 | user09998 user19998");
    assert_eq!(pages("user2500*").await, "user25000 | ");
    assert_eq!(pages("user25000").await, "user25000 | ");
    assert_eq!(pages("user2499[89]").await, "user24998 user24999 | ");
    assert_eq!(
        pages("*[^0]0000").await,
        "user10000 user20000 | user09998 user19998"
    );
    assert_eq!(pages("b*").await, "bob | ");
    chat.drop_on_own_thread().await;
}

// S-A8: with this a node may reject a request without contacting another node.
#[tokio::test]
async fn session_is_found_together_with_the_applied_index() {
    let chat = Chat::committed(|_| ()).await;
    let reader = chat.reader.clone();
    let find = async |hash: u8| {
        let found = reader.find_session(&[hash; 32]).await.unwrap();
        (found.session, found.applied)
    };
    let bob = Some(first_session("bob", 2));
    assert_eq!(find(2).await, (bob.clone(), LogIndex(2)));
    assert_eq!(find(3).await, (None, LogIndex(2)));
    let all: Vec<_> = {
        // Using all other connections must not delay lookups of sessions.
        let mut all = Vec::new();
        for _ in 0..4 {
            all.push(reader.begin().await.unwrap());
        }
        all
    };
    assert_eq!(find(2).await, (bob, LogIndex(2)));
    drop(all);
    let chat = on_own_thread(|| {
        tamper(
            chat.directory.path(),
            "UPDATE users SET credential_version = 9",
        );
        chat
    })
    .await;
    assert_eq!(
        find(2).await,
        (None, LogIndex(2)),
        "the password was changed"
    );
    chat.drop_on_own_thread().await;
}

// C6: the write-ahead log stays short although a read is always in progress.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn continuous_readers_do_not_make_the_write_ahead_log_grow() {
    let chat = on_own_thread(Chat::with_ann_and_bob).await;
    let reader = chat.reader.clone();
    let mut reading = tokio::task::JoinSet::new();
    for number in 0..3 {
        let reader = reader.clone();
        reading.spawn(async move {
            let mut ends = tokio::time::interval(Duration::from_millis(7 + number));
            loop {
                let transaction = reader.begin().await.unwrap();
                ends.tick().await;
                drop(transaction);
            }
        });
    }
    let largest = on_own_thread(move || {
        let mut chat = chat;
        let (text, mut largest) = ("x".repeat(16_384), 0);
        for round in 0..24 {
            let sends: Vec<_> = (0..256)
                .map(|number| ann_sends(&format!("{round}-{number}"), "bob", &text))
                .collect();
            chat.apply(&sends);
            block_on(chat.state.commit()).unwrap();
            let wal = crate::directory::wal_of(&chat.state.path());
            largest = largest.max(std::fs::metadata(wal).unwrap().len());
        }
        largest
    })
    .await;
    reading.shutdown().await;
    // 24 times more than 4 MiB were written, and the size was checked after each time.
    assert!(largest < 40 << 20, "{largest}");
}

/// Each inbox query reads only its page: no sorting, and no scan of a table.
#[test]
fn inbox_queries_use_the_index() {
    let mut chat = Chat::with_ann_and_bob();
    block_on(chat.state.commit()).unwrap();
    for flags in 0..12 {
        let query = InboxQuery {
            unread_only: flags & 1 != 0,
            oldest_first: flags & 2 != 0,
            directions: [
                DirectionFilter::Received,
                DirectionFilter::Sent,
                DirectionFilter::All,
            ][flags / 4],
            ..InboxQuery::default()
        };
        let Some(sql) = queries::inbox_sql(query) else {
            assert_eq!(query.directions, DirectionFilter::Sent);
            continue;
        };
        let plan = plan(chat.directory.path(), sql);
        let received = query.directions != DirectionFilter::Sent;
        assert_eq!(plan.contains("USING INDEX inbox"), received, "{plan}");
        let sent = query.directions != DirectionFilter::Received && !query.unread_only;
        assert_eq!(plan.contains("USING INDEX sent"), sent, "{plan}");
        assert!(
            !plan.contains("SCAN") && !plan.contains("TEMP B-TREE"),
            "{plan}"
        );
    }
}

#[test]
fn directory_in_use_is_refused() {
    let chat = Chat::new();
    assert!(matches!(
        ChatState::open(chat.directory.path()),
        Err(StateError::Open(_))
    ));
}
