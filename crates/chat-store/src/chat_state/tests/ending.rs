//! How sessions, messages and accounts end, and how long their remains are kept.

use super::*;
use crate::chat_state::inbox_changes::{
    delete_long_sql, delete_oldest_long_sql, delete_oldest_sql, delete_sql, read_sql,
};
use crate::chat_state::retention::{EXPIRE_SESSIONS, OLD_TOMBSTONES, REMOVE_TOMBSTONES, Retention};
use futures::executor::block_on;

fn session(username: &str, commit: u64, token: u8) -> Option<proto::Session> {
    Some(proto::Session {
        token_hash: vec![token; 32].into(),
        username: username.to_owned(),
        credential: credential(commit),
    })
}

fn anns() -> Option<proto::Session> {
    session("ann", 1, 1)
}

fn at(time: f64, operation: Operation) -> proto::Command {
    proto::Command {
        time,
        ..command(50, operation)
    }
}

fn renew(time: f64, session: Option<proto::Session>) -> proto::Command {
    at(
        time,
        Operation::RenewSession(proto::RenewSession { session }),
    )
}

fn delete(time: f64, ids: &[&str]) -> proto::Command {
    let message_ids = ids.iter().map(ToString::to_string).collect();
    let operation = proto::DeleteMessages {
        session: anns(),
        message_ids,
    };
    at(time, Operation::DeleteMessages(operation))
}

fn delete_ann(time: f64) -> proto::Command {
    at(
        time,
        Operation::DeleteUser(proto::DeleteUser { session: anns() }),
    )
}

#[test]
fn unused_session_expires() {
    let mut chat = Chat::with_ann_and_bob();
    // Last used at 1002, so it lasts for 100,000 seconds from there. Only uses that wrote the row
    // count.
    chat.run(
        &[
            renew(50_000.0, anns()),
            renew(50_001.0, anns()),
            renew(149_999.9, anns()),
            renew(249_999.0, anns()),
            renew(100.0, anns()),
        ],
        expect![[r#"
            3: done
            4: done
            5: done
            6: Unauthenticated
            7: Unauthenticated
        "#]],
    );
}

#[test]
fn session_in_use_expires_at_its_maximum_age() {
    let mut chat = Chat::with_ann_and_bob();
    let uses: Vec<_> = (1..=11)
        .map(|step| renew(90_000.0 * f64::from(step), anns()))
        .collect();
    let outcomes = chat.apply(&uses);
    assert!(outcomes.iter().all(|outcome| show(outcome) == "done"));
    chat.run(
        &[renew(1_001_000.9, anns()), renew(1_001_001.0, anns())],
        expect![[r#"
            14: done
            15: Unauthenticated
        "#]],
    );
}

#[test]
fn logout_ends_one_session() {
    let mut chat = Chat::with_ann_and_bob();
    chat.apply(&[create_session("ann", 1, 10)]);
    let logout = |session| at(1020.0, Operation::Logout(proto::Logout { session }));
    chat.run(
        &[
            logout(anns()),
            logout(anns()),
            ann_sends("m1", "bob", "x"),
            renew(1020.0, session("ann", 1, 10)),
            proto::Command {
                request_id: vec![51; 16].into(),
                ..logout(anns())
            },
        ],
        expect![[r#"
            4: done
            5: done
            6: Unauthenticated
            7: done
            8: Unauthenticated
        "#]],
    );
}

/// R15: kept for a day and 100,000 commits, whichever takes longer.
#[test]
fn tombstone_is_kept_for_a_day_and_100_000_commits() {
    let day = 86_400.0;
    let deleted = |chat: &mut Chat| {
        chat.apply(&[ann_sends("m1", "ann", "x"), delete(2000.0, &["m1"])]);
    };
    let bobs = || session("bob", 2, 2);
    let retried = |chat: &mut Chat| {
        let next = chat.state.applied_index().0.next_multiple_of(256);
        advance(chat, next);
        let outcomes = chat.apply(&[ann_sends("m1", "ann", "x")]);
        show(&outcomes[0])
    };

    let mut chat = Chat::with_ann_and_bob();
    deleted(&mut chat);
    chat.apply(&[renew(3000.0 + day, bobs())]);
    assert!(retried(&mut chat).ends_with("as 3@1"), "too few commits");

    let mut chat = Chat::with_ann_and_bob();
    deleted(&mut chat);
    advance(&mut chat, 100_100);
    assert!(retried(&mut chat).ends_with("as 3@1"), "too early");
    chat.apply(&[renew(2000.0 + day, bobs())]);
    let again = retried(&mut chat);
    assert!(again.starts_with("sent m1"), "{again}");
    assert!(!again.ends_with("as 3@1"), "{again}");
}

/// Entries without a command, up to `index`.
fn advance(chat: &mut Chat, index: u64) {
    let first = chat.state.applied_index().0 + 1;
    let entries: Vec<_> = (first..=index)
        .map(|index| CommittedEntry {
            index: LogIndex(index),
            term: Term(1),
            chain: chain(index),
            command: None,
        })
        .collect();
    block_on(chat.state.apply(&entries)).unwrap();
}

#[test]
fn large_inbox_is_deleted_in_parts_and_never_shown_again() {
    let directory = tempfile::tempdir().unwrap();
    let few = Retention {
        deleted_at_once_max: 4,
        rows_max: 3,
        ..Retention::DEFAULT
    };
    let (state, reader) = ChatState::open_with(directory.path(), few).unwrap();
    let mut chat = Chat {
        directory,
        state,
        reader,
    };
    chat.apply(&[create_user("ann", 1), create_user("bob", 2)]);
    let sends: Vec<_> = (0..10)
        .map(|number| send(2, "bob", &format!("m{number}"), "ann", "x"))
        .collect();
    chat.apply(&sends);
    chat.apply(&[delete_ann(1100.0), create_user("ann", 60)]);
    let outcomes = chat.apply(&[
        create_session("ann", 14, 70),
        send(2, "bob", "new", "ann", "x"),
        create_session("ann", 14, 71),
    ]);
    assert_eq!(show(&outcomes[0]), "session, 0 unread");
    assert_eq!(show(&outcomes[2]), "session, 1 unread");
    for (tick, left) in [(0, 6), (256, 3), (512, 0), (768, 0)] {
        advance(&mut chat, tick);
        assert_eq!(texts_left(&mut chat), left + 1, "at {tick}");
    }
}

/// How many messages still have their text.
fn texts_left(chat: &mut Chat) -> i64 {
    block_on(chat.state.commit()).unwrap();
    block_on(async {
        let file = database(chat.directory.path());
        let options = SqliteConnectOptions::new().filename(file);
        let mut connection = options.connect().await.unwrap();
        let query = sqlx::query("SELECT count(*) FROM messages WHERE body <> ''");
        let row = query.fetch_one(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        row.get(0)
    })
}

/// Statements that change rows scan no table, and no more of an inbox than they change.
#[test]
fn changes_use_an_index() {
    let mut chat = Chat::with_ann_and_bob();
    block_on(chat.state.commit()).unwrap();
    let check = |sql: String, index: &str| {
        let plan = plan(chat.directory.path(), &sql);
        assert!(plan.contains(index), "{sql}\n{plan}");
        assert!(!plan.contains("SCAN messages"), "{sql}\n{plan}");
        assert!(!plan.contains("TEMP B-TREE"), "{sql}\n{plan}");
    };
    let by_id = "USING INDEX sqlite_autoindex_messages_1 (id=?)";
    check(read_sql(2), by_id);
    check(delete_sql(2), by_id);
    check(delete_long_sql(2), by_id);
    for sql in [delete_oldest_sql(), delete_oldest_long_sql()] {
        check(
            sql,
            "USING COVERING INDEX inbox (recipient=? AND read=? AND rowid<?)",
        );
    }
    check(
        OLD_TOMBSTONES.to_owned(),
        "USING INDEX tombstones (deleted>? AND deleted<?)",
    );
    check(
        REMOVE_TOMBSTONES.to_owned(),
        "USING COVERING INDEX tombstones",
    );
    check(
        EXPIRE_SESSIONS.to_owned(),
        "USING COVERING INDEX session_ends (expires<?)",
    );
}

/// Tombstones do not keep the pages of their texts, and long and short ones are deleted alike.
#[test]
fn deleted_long_texts_leave_no_pages() {
    let pages = |chat: &mut Chat| {
        block_on(chat.state.commit()).unwrap();
        count(chat, "SELECT count(*) FROM dbstat WHERE name = 'messages'")
    };
    let mut chat = Chat::with_ann_and_bob();
    let ids: Vec<String> = (0..400).map(|number| format!("id {number}")).collect();
    for (number, id) in ids.iter().enumerate() {
        let body = "x".repeat([16_000, 5, 3000, 999][number % 4]);
        chat.apply(&[ann_sends(id, "bob", &body)]);
    }
    let before = pages(&mut chat);
    assert!(before > 200, "{before}");
    let gone: Vec<_> = ids.iter().map(String::as_str).collect();
    chat.apply(&[bob_deletes(&gone)]);
    let after = pages(&mut chat);
    assert!(after < 60, "{after} of {before}");
    let rows = "SELECT count(*) FROM messages WHERE body = '' AND deleted > 0 AND read = 0";
    assert_eq!(count(&chat, rows), 400);
    let inbox = "SELECT unread + messages FROM inboxes WHERE account = 2";
    assert_eq!(count(&chat, inbox), 0);
}

/// The only number that the query returns.
fn count(chat: &Chat, sql: &'static str) -> i64 {
    let options = SqliteConnectOptions::new().filename(chat.state.path());
    let counted = async {
        let mut connection = options.read_only(true).connect().await.unwrap();
        let row = connection.fetch_one(sql).await.unwrap();
        connection.close().await.unwrap();
        row.get(0)
    };
    block_on(counted)
}

/// In the order of the messages, not of the ids in the request; and only the first time.
#[test]
fn reads_and_deletions_are_reported_in_log_order() {
    let mut chat = Chat::with_ann_and_bob();
    let ids = ["m1", "m2", "m3", "missing", "m1"];
    let read = proto::ReadMessages {
        session: anns(),
        message_ids: ids.iter().map(ToString::to_string).collect(),
    };
    let read = at(2000.0, Operation::ReadMessages(read));
    let commands = [
        ann_sends("m3", "ann", "x"),
        ann_sends("m1", "ann", "x"),
        ann_sends("m2", "bob", "x"),
        read.clone(),
        read,
        delete(2000.0, &ids),
        delete(2000.0, &ids),
    ];
    let entries: Vec<_> = commands.iter().zip(3..).map(|(c, i)| entry(i, c)).collect();
    let events = block_on(chat.state.apply(&entries)).unwrap().events;
    let (username, message_ids) = ("ann".to_owned(), vec!["m3".to_owned(), "m1".to_owned()]);
    let expected = [
        Event {
            commit: Position::new(6, 1),
            change: Change::MessagesRead {
                username: username.clone(),
                message_ids: message_ids.clone(),
            },
        },
        Event {
            commit: Position::new(8, 1),
            change: Change::MessagesDeleted {
                copy_ids: Vec::new(),
                username,
                message_ids,
            },
        },
    ];
    assert_eq!(events[3..], expected);
}
